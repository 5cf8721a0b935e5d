#!/usr/bin/python
# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether one device's pods can reach another's."""

from __future__ import annotations

DOCUMENTATION = r"""
module: probe_isolation
version_added: 0.1.0
short_description: Whether the cluster enforces the isolation of devices
description:
  - Every device's namespace has a network policy that lets in its own pods and the system's only. Some network plugins,
    flannel among them, accept policies and enforce none.
  - This module makes two namespaces for the length of the probe and tries a connection that must fail.
author: kraf.edge contributors (@kraf-edge)
extends_documentation_fragment:
  - kraf.edge.cluster
attributes:
  check_mode:
    description: Probes nothing, since that needs pods.
    support: full
  diff_mode:
    description: Leaves nothing changed, so there is no difference.
    support: none
options:
  require:
    description: Fail unless isolation is enforced.
    type: bool
    default: false
  image:
    description: Image of the probe's pods; the one that the role C(kraf.edge.image_registry) built if it is not given.
    type: str
  wait_timeout:
    description: Limit of the wait for each pod, in seconds.
    type: int
    default: 120
"""

EXAMPLES = r"""
- name: Say whether devices are kept apart inside the cluster
  kraf.edge.probe_isolation:
    kubeconfig: ~/.kube/kraf-kraf.conf
"""

RETURN = r"""
isolation:
  description: What the probe found, V(enforced), V(not enforced), or in check mode V(not probed).
  returned: success
  type: str
  sample: not enforced
cluster:
  description: The cluster that was used.
  returned: success
  type: dict
  sample: {server: "https://10.0.0.10:6443", uid: 0b9f2f0c-9a52-4a5b-8d0b-1d5a3e0a7c11}
requests:
  description: Number of requests to the API server.
  returned: success
  type: int
  sample: 24
"""

from typing import TYPE_CHECKING, Any

from ansible_collections.kraf.edge.plugins.module_utils.cluster.client import connect
from ansible_collections.kraf.edge.plugins.module_utils.cluster.options import CLUSTER_ARGS
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.core.module import run
from ansible_collections.kraf.edge.plugins.module_utils.storage.exports import default_image
from ansible_collections.kraf.edge.plugins.module_utils.storage.isolation import is_enforced

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

ARGUMENTS = {
    **CLUSTER_ARGS,
    "require": {"type": "bool", "default": False},
    "image": {"type": "str"},
    "wait_timeout": {"type": "int", "default": 120},
}


def body(module: AnsibleModule) -> dict[str, Any]:
    """Probe, unless this is a prediction."""
    params = module.params
    cluster = connect(params)
    found = "not probed"
    if not module.check_mode:
        image = params["image"] or default_image(cluster)
        found = "enforced" if is_enforced(cluster, image, params["wait_timeout"]) else "not enforced"
        if params["require"] and found != "enforced":
            why = "a pod of one device's namespace reached a pod of another's: the network plugin ignores policies"
            fix = "Install one that enforces NetworkPolicy, or set require: false and rely on the exports' passwords"
            raise KrafError("isolation of devices", found, why, fix)
    return {"changed": False, "isolation": found, "cluster": cluster.identity(), "requests": cluster.requests}


def main() -> None:
    """Entry point."""
    run(ARGUMENTS, body)


if __name__ == "__main__":
    main()
