#!/usr/bin/python
# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: device_info
short_description: Reads the devices of the catalog
version_added: 0.1.0
author: kraf.edge contributors (@kraf-edge)
description:
  - Returns rows of the catalog, filtered by what is given and, if wanted, queried with JMESPath.
  - A maintenance that has expired counts as over. A catalog that is missing is an error.
extends_documentation_fragment:
  - kraf.edge.catalog
  - kraf.edge.catalog.query
attributes:
  check_mode:
    description: Changes nothing, and does in check mode what it always does.
    support: full
options:
  names:
    description: Only devices of these names. A name that is not in the catalog is left out.
    type: list
    elements: str
  labels:
    description: Only devices that have all of these labels.
    type: dict
  architecture:
    description: Only devices of this architecture.
    type: str
    choices: [amd64, arm64, arm]
  state:
    description: Only devices in this state.
    type: str
    choices: [active, maintenance]
seealso:
  - module: kraf.edge.device
"""

EXAMPLES = r"""
- name: Read all devices
  kraf.edge.device_info:
  register: found

- name: Read the addresses of the 64-bit devices at one site
  kraf.edge.device_info:
    labels:
      site: lab
    architecture: arm64
    query: "[].address"
  register: addresses
"""

RETURN = r"""
devices:
  description: The rows, in the order of their names.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the device.
      type: str
      sample: pi1
    uid:
      description: Made at registration. Empty in check mode for a device that would be registered.
      type: str
      sample: 0f0d8a4e-3c52-4f0e-9f0e-0d8f6c1d2b3a
    machine_id:
      description: Its machine id, empty if nobody said.
      type: str
      sample: 0123456789abcdef0123456789abcdef
    address:
      description: IP address or host name.
      type: str
      sample: 192.168.1.21
    architecture:
      description: As container images name it.
      type: str
      sample: arm64
    memory_bytes:
      description: RAM in bytes, 0 if nobody said.
      type: int
      sample: 4294967296
    labels:
      description: Labels.
      type: dict
      sample: {site: lab}
    state:
      description: V(active) or V(maintenance).
      type: str
      sample: active
    reason:
      description: Why it is in maintenance.
      type: str
      sample: ""
    expires:
      description: UTC time at which the maintenance ends by itself, empty for never.
      type: str
      sample: "2026-12-25T00:00:00Z"
    cluster_uid:
      description: Uid of the cluster that the device belongs to.
      type: str
      sample: ""
result:
  description: What O(query) selects from RV(devices).
  returned: success and O(query) is given
  type: raw
  sample: [192.168.1.21]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.catalog.options import CATALOG_ARGS, QUERY_ARGS, catalog_of
from ..module_utils.catalog.records import ACTIVE, ARCHITECTURES, MAINTENANCE
from ..module_utils.core.coerce import as_list
from ..module_utils.core.module import run
from ..module_utils.core.query import search


def body(module: AnsibleModule) -> dict[str, Any]:
    names, architecture, state = (module.params[option] for option in ("names", "architecture", "state"))
    wanted = None if names is None else as_list(names)
    labels = {key: str(value) for key, value in (module.params["labels"] or {}).items()}
    with catalog_of(module) as catalog:
        found = [device.at() for device in catalog.devices()]
    rows = [
        device.as_dict()
        for device in found
        if (wanted is None or device.name in wanted)
        and (architecture is None or device.architecture == architecture)
        and (state is None or device.state == state)
        and labels.items() <= device.labels.items()
    ]
    result = {"changed": False, "devices": rows}
    return {**result, "result": search(module.params["query"], rows)} if module.params["query"] else result


def main() -> None:
    run(
        {
            **CATALOG_ARGS,
            **QUERY_ARGS,
            "names": {"type": "list", "elements": "str"},
            "labels": {"type": "dict"},
            "architecture": {"type": "str", "choices": list(ARCHITECTURES)},
            "state": {"type": "str", "choices": [ACTIVE, MAINTENANCE]},
        },
        body,
    )


if __name__ == "__main__":
    main()
