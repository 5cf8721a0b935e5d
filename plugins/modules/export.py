#!/usr/bin/python
# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""WebDAV servers of volumes."""

from __future__ import annotations

DOCUMENTATION = r"""
module: export
version_added: 0.1.0
short_description: WebDAV servers for the volumes of devices
description:
  - Runs one WebDAV server (lighttpd) for each volume, with credentials of its own in a Secret and a certificate of the
    service CA, and waits until a file can be locked, written, unlocked and deleted on it.
  - Credentials are made once and stay as they are, unless O(rotate) is set. They are never returned.
author: kraf.edge contributors (@kraf-edge)
extends_documentation_fragment:
  - kraf.edge.cluster
attributes:
  check_mode:
    description: Predicts the result by the API server's dry run.
    support: full
  diff_mode:
    description: Returns the objects that change, before and after; values of Secrets are hidden.
    support: full
options:
  exports:
    description: The exports.
    type: list
    elements: dict
    required: true
    suboptions:
      device:
        description: Name of the device that owns the volume.
        type: str
        required: true
      device_uid:
        description: The device's uid in the catalog. An export of another device of the same name is refused.
        type: str
        required: true
      volume:
        description: Name of the volume.
        type: str
        required: true
  state:
    description:
      - With V(present) the servers run and are ready.
      - With V(absent) they are gone, and so are their credentials. The volumes stay.
    type: str
    choices: [present, absent]
    default: present
  image:
    description: Image of the server; the one that the role C(kraf.edge.image_registry) built if it is not given.
    type: str
  rotate:
    description: Make new credentials, and restart the servers with them.
    type: bool
    default: false
  wait_timeout:
    description: Limit of the wait for each server, in seconds; V(0) does not wait.
    type: int
    default: 120
requirements:
  - Python package C(cryptography)
seealso:
  - module: kraf.edge.export_info
  - module: kraf.edge.volume
"""

EXAMPLES = r"""
- name: Serve a volume
  kraf.edge.export:
    kubeconfig: ~/.kube/kraf-kraf.conf
    exports:
      - device: pi1
        device_uid: 6a0cbb2e-38a4-4a9f-9d2f-5a1f0f6c9d11
        volume: photos
"""

RETURN = r"""
exports:
  description: The exports, in the order in which they were given.
  returned: success
  type: list
  elements: dict
  sample:
    - credentials_secret: export-photos
      device: pi1
      door_name: 8443.export-photos.pi1.door.kraf.internal
      image: 10.0.0.10:5000/kraf/edge:1f0c2a7b
      namespace: kraf-pi1
      pod: export-photos-0
      port: 8443
      ready: true
      held_by: ""
      service: export-photos
      url: https://export-photos.kraf-pi1.svc:8443/
      volume: photos
  contains:
    device: {description: Name of the device., type: str, returned: always}
    volume: {description: Name of the volume., type: str, returned: always}
    namespace: {description: Namespace of its objects., type: str, returned: always}
    service: {description: Name of the Service., type: str, returned: always}
    port: {description: Port of the Service that speaks TLS., type: int, returned: always}
    url: {description: URL inside the cluster., type: str, returned: always}
    door_name: {description: Server name by which the device asks the door for it., type: str, returned: always}
    pod: {description: Name of the pod., type: str, returned: always}
    ready: {description: Whether the pod is ready., type: bool, returned: always}
    held_by:
      description: The app that has the volume at the edge, so that connections are refused; empty while it serves.
      type: str
      returned: always
    image: {description: Image of the server., type: str, returned: always}
    credentials_secret: {description: Secret with the keys username and password., type: str, returned: always}
cluster:
  description: The cluster that was used.
  returned: success
  type: dict
  sample: {server: "https://10.0.0.10:6443", uid: 0b9f2f0c-9a52-4a5b-8d0b-1d5a3e0a7c11}
requests:
  description: Number of requests to the API server.
  returned: success
  type: int
  sample: 4
"""

from typing import TYPE_CHECKING, Any

from ansible_collections.kraf.edge.plugins.module_utils.cluster.client import connect
from ansible_collections.kraf.edge.plugins.module_utils.cluster.options import CLUSTER_ARGS
from ansible_collections.kraf.edge.plugins.module_utils.core.module import run
from ansible_collections.kraf.edge.plugins.module_utils.storage import exports

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

EXPORT = {
    "device": {"type": "str", "required": True},
    "device_uid": {"type": "str", "required": True},
    "volume": {"type": "str", "required": True},
}
ARGUMENTS = {
    **CLUSTER_ARGS,
    "exports": {"type": "list", "elements": "dict", "required": True, "options": EXPORT},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "image": {"type": "str"},
    "rotate": {"type": "bool", "default": False},
    "wait_timeout": {"type": "int", "default": 120},
}


def body(module: AnsibleModule) -> dict[str, Any]:
    """Bring the exports into the wanted state."""
    params = module.params
    wanted = exports.parse(params["exports"])
    cluster = connect(params)
    wait = params["wait_timeout"]
    if params["state"] == "present":
        image, rotate = params["image"] or "", params["rotate"]
        change, rows = exports.present(cluster, wanted, image, rotate, module.check_mode, wait)
    else:
        change = exports.absent(cluster, wanted, module.check_mode, wait)
        rows = [exports.row(export, None) for export in wanted]
    return {
        "changed": change.changed,
        "exports": rows,
        "diff": change.diff,
        "cluster": cluster.identity(),
        "requests": cluster.requests,
    }


def main() -> None:
    """Entry point."""
    run(ARGUMENTS, body)


if __name__ == "__main__":
    main()
