#!/usr/bin/python
# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: container
short_description: Describes, stops and starts a Docker container as it really runs
version_added: 0.1.0
author:
  - kraf.edge contributors (@kraf-edge)
description:
  - Speaks to Docker's socket on the device and needs no Python package there.
  - The values of the environment are never returned.
attributes:
  check_mode:
    support: full
    description: Predicts without changing anything.
  diff_mode:
    support: none
    description: RV(container) tells the state.
options:
  name:
    description: Name of the container.
    type: str
    required: true
  state:
    description: V(described) only reads.
    type: str
    choices: [described, started, stopped]
    default: described
  stop_timeout:
    description: Seconds after which a container that does not stop is killed. Default is the container's own.
    type: int
"""

EXAMPLES = r"""
- name: See how an app really runs
  kraf.edge.container:
    name: faces
"""

RETURN = r"""
container:
  description: The container, among it argv, image, architecture, user, ports, mounts, restart policy, names of its env.
  returned: always
  type: dict
  sample: {name: faces, running: true, argv: [python3, -m, faces], env: [PATH]}
"""

from typing import TYPE_CHECKING, Any

from ansible_collections.kraf.edge.plugins.module_utils.core import module as frame
from ansible_collections.kraf.edge.plugins.module_utils.on_device import docker

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

SPEC = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["described", "started", "stopped"], "default": "described"},
    "stop_timeout": {"type": "int"},
}


def body(module: AnsibleModule) -> dict[str, Any]:
    name, state = module.params["name"], module.params["state"]
    found = docker.describe(name)
    changed = state != "described" and found.running != (state == "started")
    if changed and not module.check_mode:
        if state == "started":
            docker.start(name)
        else:
            docker.stop(name, module.params["stop_timeout"] or found.stop_timeout)
        found = docker.describe(name)
    return {"changed": changed, "container": found.report()}


def main() -> None:
    frame.run(SPEC, body)


if __name__ == "__main__":
    main()
