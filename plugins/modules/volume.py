#!/usr/bin/python
# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Virtual disks of devices."""

from __future__ import annotations

DOCUMENTATION = r"""
module: volume
version_added: 0.1.0
short_description: Virtual disks of devices, as persistent volume claims
description:
  - Makes, grows and removes the persistent volume claims that belong to devices, many in one task.
  - A volume can grow and never shrink.
  - An existing volume keeps its class and its access modes; other wishes only lead to a warning.
  - Nothing is written before the whole list was checked.
author: kraf.edge contributors (@kraf-edge)
extends_documentation_fragment:
  - kraf.edge.cluster
attributes:
  check_mode:
    description: Predicts the result by the API server's dry run, and makes the checks that it skips.
    support: full
  diff_mode:
    description: Returns the objects that change, before and after.
    support: full
options:
  volumes:
    description: The volumes.
    type: list
    elements: dict
    required: true
    suboptions:
      device:
        description: Name of the device that owns the volume.
        type: str
        required: true
      device_uid:
        description: The device's uid in the catalog. A volume of another device of the same name is refused.
        type: str
        required: true
      name:
        description: Name of the volume. With O(state=absent) it may be that of an app's data, C(app-) and its name.
        type: str
        required: true
      size:
        description:
          - Size, a number with one of the units V(Ki), V(Mi), V(Gi), V(Ti), for example V(10Gi).
          - Required with O(state=present).
        type: str
      storage_class:
        description: Class of a new volume; the cluster's default class if it is not given.
        type: str
      access_modes:
        description: Access modes of a new volume, in long or short form; V(ReadWriteOnce) if they are not given.
        type: list
        elements: str
      node:
        description: Node for the file of a new volume of the local class; the class's own node if it is not given.
        type: str
  state:
    description:
      - With V(present) the volumes exist and are at least this large.
      - With V(absent) the claims do not exist. Volumes that are in use are refused.
    type: str
    choices: [present, absent]
    default: present
  adopt:
    description: Use the data that a removed volume of the same name and device left behind, instead of refusing.
    type: bool
    default: false
  purge:
    description:
      - With O(state=absent) let the data go, too.
      - The file of a volume of the local class is removed by the module M(kraf.edge.local_volume).
    type: bool
    default: false
  wait_timeout:
    description: Limit of the wait until each volume is bound and as large as asked for, in seconds; V(0) does not wait.
    type: int
    default: 120
notes:
  - Growing a volume of the local class takes two steps. First the module M(kraf.edge.local_volume) grows the file on
    its node, then this module grows the claim.
  - A volume whose class waits for its first pod is done while it is pending.
seealso:
  - module: kraf.edge.volume_info
  - module: kraf.edge.export
"""

EXAMPLES = r"""
- name: A disk of 10 GiB for one device
  kraf.edge.volume:
    kubeconfig: ~/.kube/kraf-kraf.conf
    volumes:
      - device: pi1
        device_uid: 6a0cbb2e-38a4-4a9f-9d2f-5a1f0f6c9d11
        name: photos
        size: 10Gi

- name: Remove it, and let the data go
  kraf.edge.volume:
    kubeconfig: ~/.kube/kraf-kraf.conf
    volumes:
      - device: pi1
        device_uid: 6a0cbb2e-38a4-4a9f-9d2f-5a1f0f6c9d11
        name: photos
    state: absent
    purge: true
"""

RETURN = r"""
volumes:
  description: The volumes, in the order in which they were given.
  returned: success
  type: list
  elements: dict
  sample:
    - access_modes: [ReadWriteOnce]
      asked_bytes: 10737418240
      claim: photos
      device: pi1
      name: photos
      namespace: kraf-pi1
      node: worker1
      persistent_volume: kraf-pi1-photos
      phase: Bound
      real_bytes: 10737418240
      storage_class: kraf-local
  contains:
    device: {description: Name of the device., type: str, returned: always}
    name: {description: Name of the volume., type: str, returned: always}
    namespace: {description: Namespace of the claim., type: str, returned: always}
    claim: {description: Name of the claim., type: str, returned: always}
    persistent_volume: {description: Name of the PersistentVolume; empty without one., type: str, returned: always}
    storage_class: {description: Name of the class., type: str, returned: always}
    access_modes: {description: Access modes in long form., type: list, elements: str, returned: always}
    node: {description: Node that holds the file of a local volume; else empty., type: str, returned: always}
    phase: {description: "Phase of the claim, or V(Absent).", type: str, returned: always}
    asked_bytes: {description: What the claim asks for., type: int, returned: always}
    real_bytes: {description: What it has; V(0) while it is not bound., type: int, returned: always}
    kept:
      description: PersistentVolume that still holds the data; empty if none does.
      type: str
      returned: with O(state=absent)
cluster:
  description: The cluster that was used.
  returned: success
  type: dict
  sample: {server: "https://10.0.0.10:6443", uid: 0b9f2f0c-9a52-4a5b-8d0b-1d5a3e0a7c11}
requests:
  description: Number of requests to the API server.
  returned: success
  type: int
  sample: 3
"""

from typing import TYPE_CHECKING, Any

from ansible_collections.kraf.edge.plugins.module_utils.cluster.client import connect
from ansible_collections.kraf.edge.plugins.module_utils.cluster.options import CLUSTER_ARGS
from ansible_collections.kraf.edge.plugins.module_utils.core.module import run
from ansible_collections.kraf.edge.plugins.module_utils.storage import removal, volumes
from ansible_collections.kraf.edge.plugins.module_utils.storage.state import State

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

VOLUME = {
    "device": {"type": "str", "required": True},
    "device_uid": {"type": "str", "required": True},
    "name": {"type": "str", "required": True},
    "size": {"type": "str"},
    "storage_class": {"type": "str"},
    "access_modes": {"type": "list", "elements": "str"},
    "node": {"type": "str"},
}
ARGUMENTS = {
    **CLUSTER_ARGS,
    "volumes": {"type": "list", "elements": "dict", "required": True, "options": VOLUME},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "adopt": {"type": "bool", "default": False},
    "purge": {"type": "bool", "default": False},
    "wait_timeout": {"type": "int", "default": 120},
}


def body(module: AnsibleModule) -> dict[str, Any]:
    """Bring the volumes into the wanted state."""
    params = module.params
    wanted = volumes.parse(params["volumes"], sized=params["state"] == "present")
    cluster = connect(params)
    state = State(cluster, (volume.device for volume in wanted))
    if params["state"] == "present":
        plan = volumes.plan(cluster, state, wanted, params["adopt"])
        for warning in plan.warnings:
            module.warn(warning)
        change = volumes.execute(cluster, state, plan, module.check_mode, params["wait_timeout"])
        if change.changed and not module.check_mode:
            state = State(cluster, (volume.device for volume in wanted))
        rows = volumes.rows(state, plan.volumes, change.objects if module.check_mode else [])
    else:
        removals = removal.plan(state, wanted, params["purge"])
        change = removal.execute(cluster, removals, module.check_mode, params["wait_timeout"])
        rows = [removal.report(item) for item in removals]
    return {
        "changed": change.changed,
        "volumes": rows,
        "diff": change.diff,
        "cluster": cluster.identity(),
        "requests": cluster.requests,
    }


def main() -> None:
    """Entry point."""
    run(ARGUMENTS, body)


if __name__ == "__main__":
    main()
