#!/usr/bin/python
# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: app_info
short_description: Reads the apps of the catalog
version_added: 0.1.0
author: kraf.edge contributors (@kraf-edge)
description:
  - Returns rows of the catalog, filtered by what is given and, if wanted, queried with JMESPath.
  - A catalog that is missing is an error.
extends_documentation_fragment:
  - kraf.edge.catalog
  - kraf.edge.catalog.query
attributes:
  check_mode:
    description: Changes nothing, and does in check mode what it always does.
    support: full
options:
  device:
    description: Only apps of this device. A device that is not in the catalog is an error.
    type: str
  names:
    description: Only apps of these names, each written as V(faces) or as V(pi1/faces).
    type: list
    elements: str
seealso:
  - module: kraf.edge.app
"""

EXAMPLES = r"""
- name: Read the apps of pi1
  kraf.edge.app_info:
    device: pi1
  register: found

- name: List every app that keeps data
  kraf.edge.app_info:
    query: "[?data].join('/', [device, name])"
  register: stateful
"""

RETURN = r"""
apps:
  description: The rows, in the order of device and name.
  returned: success
  type: list
  elements: dict
  contains:
    device:
      description: Name of the device.
      type: str
      sample: pi1
    name:
      description: Name of the app.
      type: str
      sample: faces
    kind:
      description: Kind of the app.
      type: str
      sample: service
    images:
      description: Image by architecture.
      type: dict
      sample: {amd64: "registry.example.org/faces:1.4"}
    container:
      description: Its Docker container on the device.
      type: str
      sample: faces
    command:
      description: Arguments that replace the entry point.
      type: list
      elements: str
      sample: []
    args:
      description: Arguments after it.
      type: list
      elements: str
      sample: []
    env:
      description: Names of environment variables.
      type: list
      elements: str
      sample: [API_KEY]
    ports:
      description: Ports, with C(port), C(device_port) and C(protocol).
      type: list
      elements: dict
      sample: [{port: 8000, device_port: 8000, protocol: TCP}]
    data:
      description: Data directories, with C(name) and C(path).
      type: list
      elements: dict
      sample: [{name: results, path: /data}]
    cpu:
      description: Limit, empty for none.
      type: str
      sample: 500m
    memory:
      description: Limit, empty for none.
      type: str
      sample: 512Mi
    vram:
      description: Empty until GPUs are supported.
      type: str
      sample: ""
    probe:
      description: C(path) and C(port) of the probe, null for none.
      type: dict
      sample: {path: /health, port: 8000}
    overlap:
      description: Whether both sides may run at once.
      type: bool
      sample: false
    emulation:
      description: Whether nodes may run the device's image by emulation.
      type: bool
      sample: false
    retries:
      description: How often a job is tried again.
      type: int
      sample: 0
    unit:
      description: Its systemd service on the device; empty for an app that is a container.
      type: str
      sample: ""
    schedule:
      description: When a cronjob is due, in UTC; empty for every other kind.
      type: str
      sample: ""
    members:
      description: Further containers of a group, with C(name), C(container), C(images), C(env), C(cpu) and C(memory).
      type: list
      elements: dict
      sample: []
    deadline_seconds:
      description: After how many seconds at the edge a job is ended, V(0) for never.
      type: int
      sample: 0
result:
  description: What O(query) selects from RV(apps).
  returned: success and O(query) is given
  type: raw
  sample: [pi1/faces]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.catalog.options import CATALOG_ARGS, QUERY_ARGS, catalog_of
from ..module_utils.core.coerce import as_list
from ..module_utils.core.errors import KrafError
from ..module_utils.core.module import run
from ..module_utils.core.query import search


def body(module: AnsibleModule) -> dict[str, Any]:
    device, names = module.params["device"], module.params["names"]
    wanted = None if names is None else as_list(names)
    with catalog_of(module) as catalog:
        if device is not None and not catalog.device(device):
            raise KrafError(
                "device", device, "the catalog has no such device", "Use a name that kraf.edge.device_info lists"
            )
        found = catalog.apps(device)
    rows = [app.as_dict() for app in found if wanted is None or app.name in wanted or app.key in wanted]
    result = {"changed": False, "apps": rows}
    return {**result, "result": search(module.params["query"], rows)} if module.params["query"] else result


def main() -> None:
    options = {"device": {"type": "str"}, "names": {"type": "list", "elements": "str"}}
    run({**CATALOG_ARGS, **QUERY_ARGS, **options}, body)


if __name__ == "__main__":
    main()
