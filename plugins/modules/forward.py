#!/usr/bin/python
# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: forward
short_description: Leads ports of a device to an app or an export wherever that is
version_added: 0.1.0
author:
  - kraf.edge contributors (@kraf-edge)
description:
  - Writes the forward's file, then haproxy's configuration, then tells the running haproxy. A restart changes nothing.
  - Takes over a port that a container publishes already by nftables rules, without touching the container.
  - Runs on the device, as root.
requirements:
  - haproxy and nftables (on the device)
attributes:
  check_mode:
    support: full
    description: Predicts without changing anything.
  diff_mode:
    support: none
    description: RV(forwards) tells the state.
options:
  forwards:
    description: The forwards.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the forward, unique on the device.
        type: str
        required: true
      port:
        description:
          - Port that clients use; V(0) keeps the one it has, or chooses one from 18400 on.
          - A port of TCP on which a program of the device listens is refused.
        type: int
        default: 0
      address:
        description: Address on which it listens; V(*) is every address.
        type: str
        default: 127.0.0.1
      target:
        description:
          - Where it leads. Default is where it leads now; a new one leads to the device if it has
            O(forwards[].device_address).
        type: str
        choices: [device, held, edge]
      device_address:
        description: Address and port of the app on the device.
        type: str
        default: ""
      edge:
        description: Address and port of the door on each node.
        type: list
        elements: str
        default: []
      sni:
        description: Name of the service at the door.
        type: str
        default: ""
      redirect:
        description: Whether a container publishes the port already.
        type: bool
        default: false
      protocol:
        description:
          - What clients speak to the port.
          - At the edge, the service of a forward of V(udp) takes streams of datagrams, each preceded by its length in
            two bytes.
        type: str
        choices: [tcp, udp]
        default: tcp
  state:
    description: Whether the forwards are to be there.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: Offer the export of the volume photos
  kraf.edge.forward:
    forwards:
      - name: export-photos
        edge: [10.0.0.12:8843, 10.0.0.13:8843]
        sni: 8443.export-photos.pi1.door.kraf.internal
"""

RETURN = r"""
forwards:
  description: The forwards as they are.
  returned: when O(state=present)
  type: list
  elements: dict
  sample: [{name: export-photos, port: 18400, target: edge}]
"""

import dataclasses
from typing import TYPE_CHECKING, Any

from ansible_collections.kraf.edge.plugins.module_utils.core import module as frame
from ansible_collections.kraf.edge.plugins.module_utils.on_device import forward, forward_store

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

FORWARD = {
    "name": {"type": "str", "required": True},
    "port": {"type": "int", "default": 0},
    "address": {"type": "str", "default": "127.0.0.1"},
    "target": {"type": "str", "choices": ["device", "held", "edge"]},
    "device_address": {"type": "str", "default": ""},
    "edge": {"type": "list", "elements": "str", "default": []},
    "sni": {"type": "str", "default": ""},
    "redirect": {"type": "bool", "default": False},
    "protocol": {"type": "str", "choices": ["tcp", "udp"], "default": "tcp"},
}
SPEC = {
    "forwards": {"type": "list", "elements": "dict", "required": True, "options": FORWARD},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


def wanted(options: dict[str, Any], known: dict[str, forward.Forward]) -> forward.Forward:
    before = known.get(options["name"])
    target = options["target"] or (before.target if before else "device" if options["device_address"] else "edge")
    taken = {one.port for one in known.values()}
    port = options["port"] or (before.port if before else next(one for one in range(18400, 20000) if one not in taken))
    one = forward.Forward(**{**options, "target": target, "port": port, "edge": tuple(options["edge"])})
    forward_store.validate(one)
    return forward.complete(one)


def body(module: AnsibleModule) -> dict[str, Any]:
    known = {one.name: one for one in forward.load_all()}
    chosen = []
    for options in module.params["forwards"]:
        if module.params["state"] == "absent":
            known.pop(options["name"], None)
            continue
        chosen.append(wanted(options, known))
        known[chosen[-1].name] = chosen[-1]
    result = {"forwards": [one.as_json() for one in chosen]} if module.params["state"] == "present" else {}
    stored = sorted(forward.load_all(), key=lambda one: one.name)
    if stored == sorted(known.values(), key=lambda one: one.name) and forward.settled(stored):
        return {"changed": False, **result}
    if not module.check_mode:
        for options in module.params["forwards"]:
            if module.params["state"] == "absent":
                forward.remove(options["name"])
        for one in chosen:
            forward.save(dataclasses.replace(one))
        forward.apply_config()
    return {"changed": True, **result}


def main() -> None:
    frame.run(SPEC, body)


if __name__ == "__main__":
    main()
