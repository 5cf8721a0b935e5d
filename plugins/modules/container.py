#!/usr/bin/python
# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: container
short_description: Describes, stops and starts a Docker container as it really runs, describes a systemd service
version_added: 0.1.0
author:
  - kraf.edge contributors (@kraf-edge)
description:
  - Speaks to Docker's socket on the device and needs no Python package there.
  - The values of the environment are never returned.
  - Tells all that a move to the edge depends on, also of a container that is stopped; numbers of its user and groups
    are looked up in its own file system.
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
  unit:
    description:
      - Name of a systemd service instead, which is described in the words of a container; what no container has is
        in C(unit). It can be described only.
    type: str
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

- name: See how a systemd service really runs
  kraf.edge.container:
    unit: ssh.service
"""

RETURN = r"""
container:
  description:
    - The container, with what Docker's inspect says, under names of this collection; settings that have none stand
      under Docker's own in C(settings), unless they are Docker's default.
  returned: always
  type: dict
  sample: {name: faces, running: true, argv: [python3, -m, faces], env: [API_KEY]}
  contains:
    argv: {description: Its first process as it runs., type: list, returned: always}
    env: {description: Names of its variables without those that its image sets., type: list, returned: always}
    name: {description: Its name., type: str, returned: always}
    running: {description: Whether it runs., type: bool, returned: always}
    image: {description: The image as it was named., type: str, returned: success}
    image_id: {description: The image that it really runs from., type: str, returned: success}
    identity:
      description:
        - Numbers of C(user), C(group) and C(groups), and names that are C(unknown) in its C(/etc/passwd) and
          C(/etc/group).
      type: dict
      returned: when user or groups were given
    ports:
      description: Published ports, with C(port), C(protocol), C(device_port) and C(address).
      type: list
      returned: success
    mounts:
      description:
        - Binds and volumes, with C(type), C(source), C(path), C(read_only), C(driver), and as C(kind) what is mounted,
          V(directory), V(file), V(other) or V(missing).
      type: list
      returned: success
    changes:
      description: What was written into the container itself, C(total) number of files and the first C(paths).
      type: dict
      returned: success
    starters:
      description:
        - Units and entries of cron that would start it again, with C(kind), C(source), and as C(starts) whether they do
          so by themselves.
      type: list
      returned: success
    compose:
      description: Its compose project, with C(service), C(files) and C(folder).
      type: dict
      returned: success
    healthcheck:
      description: C(argv), C(interval) and C(timeout) in seconds, and C(retries).
      type: dict
      returned: success
    settings: {description: Further settings by Docker's names., type: dict, returned: success}
"""

from typing import TYPE_CHECKING, Any

from ansible_collections.kraf.edge.plugins.module_utils.core import module as frame
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.on_device import adopt, docker, service

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

SPEC = {
    "name": {"type": "str"},
    "unit": {"type": "str"},
    "state": {"type": "str", "choices": ["described", "started", "stopped"], "default": "described"},
    "stop_timeout": {"type": "int"},
}


def body(module: AnsibleModule) -> dict[str, Any]:
    name, unit, state = (module.params[one] for one in ("name", "unit", "state"))
    if bool(name) == bool(unit):
        raise KrafError("name", name, "one of name and unit is needed, and only one", "Give what is to be described")
    if unit:
        if state != "described":
            raise KrafError("state of unit", state, "it can be described only", "Use ansible.builtin.systemd_service")
        return {"changed": False, "container": adopt.report(service.PREFIX + unit)}
    found = docker.describe(name)
    changed = state != "described" and found.running != (state == "started")
    if changed and not module.check_mode:
        if state == "started":
            docker.start(name)
        else:
            docker.stop(name, module.params["stop_timeout"] or found.stop_timeout)
    return {"changed": changed, "container": adopt.report(name)}


def main() -> None:
    frame.run(SPEC, body)


if __name__ == "__main__":
    main()
