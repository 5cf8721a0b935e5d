#!/usr/bin/python
# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: device
short_description: Registers devices in the catalog
version_added: 0.1.0
author: kraf.edge contributors (@kraf-edge)
description:
  - Makes rows of the catalog be as declared, any number of them in one call. What is not given stays as it is.
  - The catalog holds what was declared about devices, no secret and no state of what runs. It is made where there is
    none yet.
  - The module runs on the controller. It connects neither to the device nor to a cluster.
extends_documentation_fragment:
  - kraf.edge.catalog
attributes:
  check_mode:
    description: Can run in check mode and return what would be changed, without making or changing a database.
    support: full
  diff_mode:
    description: Returns the rows that differ, before and after.
    support: full
options:
  devices:
    description: The devices, each as a dictionary. Excludes all options that describe a single device.
    type: list
    elements: dict
    suboptions:
      name:
        description:
          - Name of the device, of lower-case letters, digits and V(-), at most 40 characters. It names the device's
            namespace in the cluster, too.
          - Two names that differ only in case or in marks are one name, and refused.
        type: str
        required: true
      state:
        description: Whether the device is in the catalog. A device that has apps there is not removed.
        type: str
        choices: [present, absent]
        default: present
      address:
        description: IP address or host name at which Ansible and the clients of the device's apps reach it.
        type: str
      architecture:
        description: What images the device runs, one of V(amd64), V(arm64), V(arm); C(uname -m)'s words are taken, too.
        type: str
      memory:
        description: RAM with its unit, such as V(4Gi) or V(3792Mi).
        type: str
      machine_id:
        description: Content of C(/etc/machine-id), by which two copies of one SD card are found out.
        type: str
      labels:
        description: All labels, by which the inventory groups devices. Keys and values as in Kubernetes.
        type: dict
      maintenance:
        description: Takes the device out of plays for a while. An empty dictionary ends that.
        type: dict
        suboptions:
          reason:
            description: Why, in one line.
            type: str
          expires:
            description: UTC date (lasts to its end) or time in ISO 8601 after which the device takes part again.
            type: str
      cluster_uid:
        description:
          - Uid of the namespace C(kube-system) of the cluster that the device belongs to. Another one is refused from
            then on. An empty text forgets it.
        type: str
  name:
    description: As in O(devices[].name), for a single device.
    type: str
  state:
    description: As in O(devices[].state), for a single device.
    type: str
    choices: [present, absent]
    default: present
  address:
    description: As in O(devices[].address), for a single device.
    type: str
  architecture:
    description: As in O(devices[].architecture), for a single device.
    type: str
  memory:
    description: As in O(devices[].memory), for a single device.
    type: str
  machine_id:
    description: As in O(devices[].machine_id), for a single device.
    type: str
  labels:
    description: As in O(devices[].labels), for a single device.
    type: dict
  maintenance:
    description: As in O(devices[].maintenance), for a single device.
    type: dict
    suboptions:
      reason:
        description: As in O(devices[].maintenance.reason), for a single device.
        type: str
      expires:
        description: As in O(devices[].maintenance.expires), for a single device.
        type: str
  cluster_uid:
    description: As in O(devices[].cluster_uid), for a single device.
    type: str
seealso:
  - module: kraf.edge.device_info
  - module: kraf.edge.app
"""

EXAMPLES = r"""
- name: Register a device
  kraf.edge.device:
    name: pi1
    address: 192.168.1.21
    architecture: arm64
    memory: 4Gi
    labels:
      site: lab

- name: Register many devices in one call
  kraf.edge.device:
    devices:
      - name: pi1
        address: 192.168.1.21
      - name: pi2
        address: 192.168.1.22
        machine_id: 0123456789abcdef0123456789abcdef

- name: Keep plays away from a device until Christmas
  kraf.edge.device:
    name: pi2
    maintenance:
      reason: SD card is being replaced
      expires: 2026-12-24

- name: Remove a device that never had apps
  kraf.edge.device:
    name: pi2
    state: absent
"""

RETURN = r"""
devices:
  description:
    - The rows as they are after the call, in the order of the request. In check mode they are predicted.
    - Devices with O(devices[].state=absent) are left out.
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
device:
  description: The same for the single device of O(name).
  returned: success and O(name) is given and O(state=present)
  type: dict
  sample:
    address: 192.168.1.21
    architecture: arm64
    cluster_uid: ""
    expires: ""
    labels: {site: lab}
    machine_id: ""
    memory_bytes: 4294967296
    name: pi1
    reason: ""
    state: active
    uid: 6a0cbb2e-38a4-4a9f-9d2f-5a1f0f6c9d11
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.catalog.devices import declared
from ..module_utils.catalog.options import CATALOG_ARGS, catalog_of
from ..module_utils.core.module import run

DEVICE_ARGS: dict[str, dict[str, Any]] = {
    "name": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "address": {"type": "str"},
    "architecture": {"type": "str"},
    "memory": {"type": "str"},
    "machine_id": {"type": "str"},
    "labels": {"type": "dict"},
    "maintenance": {"type": "dict", "options": {"reason": {"type": "str"}, "expires": {"type": "str"}}},
    "cluster_uid": {"type": "str"},
}
LISTED_ARGS = {**DEVICE_ARGS, "name": {"type": "str", "required": True}}


def body(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    single = params["name"] is not None
    wanted = [params] if single else params["devices"]
    present = [raw for raw in wanted if raw["state"] == "present"]
    with catalog_of(module, write=True) as catalog:
        removed = catalog.remove_devices(raw["name"] for raw in wanted if raw["state"] == "absent")
        put = catalog.put_devices(declared(present, catalog.devices()))
        rows = {device.name: device.as_dict() for device in catalog.devices()}
    if module.check_mode:
        for name in put.after.keys() - put.before.keys():
            put.after[name]["uid"] = rows[name]["uid"] = ""
    devices = [rows[raw["name"]] for raw in present]
    result = {
        "changed": removed.changed or put.changed,
        "devices": devices,
        "diff": {"before": {**removed.before, **put.before}, "after": {**removed.after, **put.after}},
    }
    return {**result, "device": devices[0]} if single and devices else result


def main() -> None:
    run(
        {**CATALOG_ARGS, **DEVICE_ARGS, "devices": {"type": "list", "elements": "dict", "options": LISTED_ARGS}},
        body,
        required_one_of=[("devices", "name")],
        mutually_exclusive=[("devices", option) for option in DEVICE_ARGS if option != "state"],
    )


if __name__ == "__main__":
    main()
