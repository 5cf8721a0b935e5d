#!/usr/bin/python
# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


from __future__ import annotations

DOCUMENTATION = r"""
module: host_info
short_description: What a host brings along for Docker and Kubernetes
version_added: 0.1.0
author: kraf.edge contributors (@kraf-edge)
description:
  - Reads, in one call and with the standard library alone, everything that the preflights of the roles
    C(kraf.edge.docker) and C(kraf.edge.kubernetes) judge, so that a play needs one task for it and not thirty.
  - Changes nothing. A VXLAN link is made and taken away again where the kernel's support is asked for.
options:
  controller_time:
    description: The controller's clock, in seconds since 1970. Without it no skew is measured.
    type: float
  clock_limit:
    description: Skew in seconds up to which the clocks count as equal.
    type: float
    default: 30
  clock_wait:
    description: Seconds to wait for a clock that is further off, since a host without a battery gets its time late.
    type: float
    default: 0
  packages:
    description: Debian packages to look for.
    type: list
    elements: str
    default: []
  programs:
    description: Paths of programs whose sha256 is wanted.
    type: list
    elements: path
    default: []
  units:
    description: Names of systemd services, without C(.service).
    type: list
    elements: str
    default: [docker, kubelet]
  names:
    description: Host names to resolve on this host.
    type: list
    elements: str
    default: []
  addresses:
    description: Addresses that would do as this host's in the cluster, the best first; those it lacks are passed over.
    type: list
    elements: str
    default: []
  connect:
    description:
      - Places to which a TCP connection must be possible. With this option nothing else is read.
      - Tried again until O(connect_limit) seconds have passed.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What is there, for the message.
        type: str
        required: true
      address:
        description: Its address.
        type: str
        required: true
      port:
        description: Its TCP port.
        type: int
        required: true
  gather:
    description: What to read. V(kubernetes) is what the host's files say of its cluster and certificates, and is quick.
    type: str
    choices: [all, kubernetes]
    default: all
  connect_limit:
    description: How long to try, in seconds. What cannot be reached by then is a failure.
    type: float
    default: 30
  connect_hint:
    description: What to do about it, for the message.
    type: str
    default: See what runs there, and which firewall stands between
attributes:
  check_mode:
    description: Reads only, so it does the same in check mode.
    support: full
"""

EXAMPLES = r"""
- name: See what the host is like
  kraf.edge.host_info:
    controller_time: "{{ now().timestamp() }}"
    packages: [docker.io]
  register: found

- name: Fail with everything that is wrong
  ansible.builtin.assert:
    that: complaints | length == 0
    fail_msg: "{{ complaints | join('\n') }}"
  vars:
    complaints: "{{ {inventory_hostname: found.host} | kraf.edge.host_complaints('docker') }}"
"""

RETURN = r"""
host:
  description: What was found. Empty with O(connect).
  returned: success
  type: dict
  sample:
    architecture: amd64
    emulates: [arm64]
    hostname: worker1
    clock: {skew: 0.2}
    cgroup: {version: 2, memory: true, cause: "", file: "", line: ""}
    swap: {active: [], fstab: [], units: []}
"""

import os
import platform
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kraf.edge.plugins.module_utils.core import module as frame
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.hosts import (
    daemon,
    emulation,
    kubernetes,
    network,
    plan,
    reading,
    system,
)

STRINGS = {"type": "list", "elements": "str", "default": []}
CONNECT = {
    "name": {"type": "str", "required": True},
    "address": {"type": "str", "required": True},
    "port": {"type": "int", "required": True},
}
SPEC = {
    "controller_time": {"type": "float"},
    "clock_limit": {"type": "float", "default": 30},
    "clock_wait": {"type": "float", "default": 0},
    "packages": STRINGS,
    "programs": {"type": "list", "elements": "path", "default": []},
    "units": {"type": "list", "elements": "str", "default": ["docker", "kubelet"]},
    "names": STRINGS,
    "addresses": STRINGS,
    "connect": {"type": "list", "elements": "dict", "default": [], "options": CONNECT},
    "gather": {"type": "str", "choices": ["all", "kubernetes"], "default": "all"},
    "connect_limit": {"type": "float", "default": 30},
    "connect_hint": {"type": "str", "default": "See what runs there, and which firewall stands between"},
}


def look(options: dict[str, Any], root: reading.Root) -> dict[str, Any]:
    """Everything that the preflights judge."""
    addresses, tables = network.addresses(), network.iptables(root)
    return {
        **system.identity(root),
        "emulates": emulation.emulated(root),
        "clock": system.clock(options["controller_time"], options["clock_limit"], options["clock_wait"]),
        "cgroup": system.cgroup(root),
        "swap": system.swap(root),
        "modules": system.kernel_modules(root),
        "packages": system.packages(root, options["packages"]),
        "lock_holder": system.lock_holder(root),
        "apparmor": system.apparmor(root),
        "programs": system.checksums(root, options["programs"]),
        "proxies": system.proxies(root, os.environ),
        "units": system.units(options["units"]),
        "addresses": addresses,
        "address": network.primary(addresses, options["addresses"]),
        "nameservers": network.nameservers(root),
        "names": network.resolve(options["names"]),
        "sysctls": network.sysctls(root),
        "iptables": {**tables, "wanted": plan.iptables_backend(tables)},
        "vxlan": network.vxlan(root),
        "daemon_fault": daemon.fault(root.text(daemon.PATH), daemon.PATH),
        "docker": kubernetes.docker(root),
        "kubernetes": kubernetes.kubernetes(root),
    }


def reach(options: dict[str, Any]) -> None:
    """Raises KrafError with everything that could not be reached from here."""
    missing = network.unreached(options["connect"], options["connect_limit"])
    if missing:
        places = ", ".join(f"{place['name']} ({place['address']}:{place['port']})" for place in missing)
        why = f"no TCP connection within {options['connect_limit']:.0f} s"
        raise KrafError(f"connection from {platform.node()}", places, why, options["connect_hint"], unreached=missing)


def body(module: AnsibleModule) -> dict[str, Any]:
    options = module.params
    if options["connect"]:
        reach(options)
        return {"changed": False, "host": {}}
    if options["gather"] == "kubernetes":
        return {"changed": False, "host": {"kubernetes": kubernetes.kubernetes(reading.Root())}}
    return {"changed": False, "host": look(options, reading.Root())}


def main() -> None:
    frame.run(SPEC, body)


if __name__ == "__main__":
    main()
