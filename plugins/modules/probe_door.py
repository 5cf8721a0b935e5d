#!/usr/bin/python
# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: probe_door
short_description: Whether the doors of a cluster let in whom they should, and nobody else
version_added: 0.1.0
author: kraf.edge contributors (@kraf-edge)
description:
  - Goes through each door with a client certificate and asks a service for a page, then tries without a certificate,
    which has to be refused. Tries all doors, and names each that did otherwise.
  - Runs on any host. Needs nothing there but Python. Changes nothing; the key is never written to a disk.
options:
  addresses:
    description: The doors, as C(ADDRESS:PORT).
    type: list
    elements: str
    required: true
  ca:
    description: The service CA, PEM.
    type: str
    required: true
  certificate:
    description: Client certificate, PEM.
    type: str
    required: true
  key:
    description: Its key, PEM.
    type: str
    required: true
  server_name:
    description: Port, service and device, as the TLS server name says it.
    type: str
    required: true
  door_name:
    description: Name that the certificate of a door carries.
    type: str
    default: door.kraf.internal
  path:
    description: Page of the service that answers 200.
    type: str
    default: /
  timeout:
    description: Limit for one door, in seconds; tried again until then.
    type: int
    default: 30
attributes:
  check_mode:
    support: full
    description: Changes nothing in any mode.
"""

EXAMPLES = r"""
- name: Can this device reach its export through both doors?
  kraf.edge.probe_door:
    addresses: [10.0.0.12:8843, 10.0.0.13:8843]
    ca: "{{ lookup('kraf.edge.secret', kind='ConfigMap', name='kraf-ca', key='ca.crt') }}"
    certificate: "{{ lookup('kraf.edge.secret', namespace='kraf-pi1', name='device-tls', key='tls.crt') }}"
    key: "{{ lookup('kraf.edge.secret', namespace='kraf-pi1', name='device-tls', key='tls.key') }}"
    server_name: 8080.export-photos.pi1.door.kraf.internal
  no_log: true
"""

RETURN = r"""
doors:
  description: For each door the time from connecting to the service's answer, in seconds.
  returned: success
  type: dict
  sample: {"10.0.0.12:8843": 0.012}
"""

import os
import platform
import socket
import ssl
import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.core.errors import KrafError
from ..module_utils.core.module import run

ARGS: dict[str, Any] = {
    "addresses": {"type": "list", "elements": "str", "required": True},
    "ca": {"type": "str", "required": True},
    "certificate": {"type": "str", "required": True},
    "key": {"type": "str", "required": True, "no_log": True},
    "server_name": {"type": "str", "required": True},
    "door_name": {"type": "str", "default": "door.kraf.internal"},
    "path": {"type": "str", "default": "/"},
    "timeout": {"type": "int", "default": 30},
}


def context(params: dict[str, Any], with_key: bool) -> ssl.SSLContext:
    """TLS as a device speaks it."""
    made = ssl.create_default_context(cadata=params["ca"])
    # The name asked for is the service's, the certificate is the door's: see through().
    made.check_hostname = False
    if with_key:
        # The ssl module takes files only: this one is in memory.
        file = os.memfd_create("kraf")
        try:
            os.write(file, (params["certificate"] + "\n" + params["key"]).encode())
            made.load_cert_chain(f"/proc/self/fd/{file}")
        finally:
            os.close(file)
    return made


def through(address: str, tls: ssl.SSLContext, params: dict[str, Any]) -> str:
    """Status line of the service's answer; empty when the door closed without one."""
    host, _unused, port = address.rpartition(":")
    plain = socket.create_connection((host.strip("[]"), int(port)), timeout=5)
    with plain, tls.wrap_socket(plain, server_hostname=params["server_name"]) as secure:
        peer: dict[str, Any] = dict(secure.getpeercert() or {})
        names = [value for _unused, value in peer.get("subjectAltName", ())]
        if params["door_name"] not in names:
            raise ssl.SSLError(f"its certificate is for {names}, not for {params['door_name']}")
        secure.sendall(f"GET {params['path']} HTTP/1.0\r\nHost: door\r\n\r\n".encode())
        return secure.recv(4096).split(b"\r\n", 1)[0].decode("latin-1")


def complaint(address: str, params: dict[str, Any], doors: dict[str, float]) -> str:
    """What is wrong with one door; empty when nothing is."""
    known, unknown = context(params, with_key=True), context(params, with_key=False)
    deadline, wrong = time.monotonic() + params["timeout"], ""
    while not doors.get(address):
        started = time.monotonic()
        try:
            answer = through(address, known, params)
            wrong = "" if " 200" in answer[:13] else f"the service answered {answer!r}"
        except OSError as error:
            wrong = str(error)
        if not wrong:
            doors[address] = round(time.monotonic() - started, 4)
        elif time.monotonic() > deadline:
            return f"{address}: {wrong}"
        else:
            time.sleep(0.5)
    try:
        answer = through(address, unknown, params)
    except OSError:
        answer = ""
    return f"{address}: it let in a client without a certificate" if answer else ""


def body(module: AnsibleModule) -> dict[str, Any]:
    doors: dict[str, float] = {}
    wrong = [text for text in (complaint(one, module.params, doors) for one in module.params["addresses"]) if text]
    if wrong:
        fix = "Look at the pods `door` of namespace kraf-system, and at firewalls between"
        raise KrafError(f"door, from host {platform.node()}", "; ".join(wrong), "it did not do what it is for", fix)
    return {"changed": False, "doors": doors}


def main() -> None:
    run(ARGS, body)


if __name__ == "__main__":
    main()
