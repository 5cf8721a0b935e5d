#!/usr/bin/python
# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: objects
short_description: Kubernetes objects, applied as they are and awaited
version_added: 0.1.0
author: kraf.edge contributors (@kraf-edge)
description:
  - Applies whole objects by server-side apply with field manager C(kraf), then waits until those that roll out have
    done so. For the objects that the roles of this collection keep in a cluster; any tool may change the others.
  - What is already as wanted costs one read and no write.
extends_documentation_fragment:
  - kraf.edge.cluster
options:
  objects:
    description: Whole objects, in the order in which they are applied.
    type: list
    elements: dict
    default: []
  files:
    description: YAML files with further objects, applied before O(objects) in the order of this list.
    type: list
    elements: path
    default: []
  wait:
    description:
      - Whether to wait for Deployments, StatefulSets and DaemonSets to be rolled out, and for
        CustomResourceDefinitions to be served.
    type: bool
    default: true
  wait_timeout:
    description: Limit for the whole of it, in seconds.
    type: int
    default: 180
attributes:
  check_mode:
    support: full
    description: Asks the API server what it would store, and waits for nothing.
  diff_mode:
    support: full
    description: Values of Secrets are hidden.
requirements:
  - Python package C(PyYAML), for O(files)
"""

EXAMPLES = r"""
- name: The namespace of the system
  kraf.edge.objects:
    kubeconfig: "{{ kraf_kubeconfig }}"
    objects:
      - apiVersion: v1
        kind: Namespace
        metadata:
          name: kraf-system
  delegate_to: localhost
"""

RETURN = r"""
objects:
  description: Kind, namespace and name of each object, and its resourceVersion where the server has it.
  returned: success
  type: list
  elements: dict
  sample: [{kind: Namespace, namespace: "", name: kraf-system, resource_version: "312"}]
cluster:
  description: URL of the API server and uid of the cluster.
  returned: success
  type: dict
  sample: {server: "https://10.0.0.10:6443", uid: 0b8f2d0e-8f0f-4d0b-9f3e-6f7f3f2b9a11}
requests:
  description: Requests that were sent to the API server.
  returned: success
  type: int
  sample: 2
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.cluster.client import connect
from ..module_utils.cluster.kinds import kind_of
from ..module_utils.cluster.options import CLUSTER_ARGS
from ..module_utils.cluster.predict import converge_or_predict
from ..module_utils.cluster.rollout import has_rollout, is_rolled_out
from ..module_utils.core.errors import KrafError
from ..module_utils.core.imports import require
from ..module_utils.core.module import run

ARGS: dict[str, Any] = {
    **CLUSTER_ARGS,
    "objects": {"type": "list", "elements": "dict", "default": []},
    "files": {"type": "list", "elements": "path", "default": []},
    "wait": {"type": "bool", "default": True},
    "wait_timeout": {"type": "int", "default": 180},
}


def checked(obj: Any, origin: str) -> dict[str, Any]:
    """The object, if it is one that can be applied."""
    metadata = obj.get("metadata") if isinstance(obj, dict) else None
    if not isinstance(metadata, dict) or not metadata.get("name"):
        raise KrafError("object", origin, "it has no metadata.name", "Give apiVersion, kind and metadata.name")
    if kind_of(obj).namespaced and not metadata.get("namespace"):
        what = f"{obj['kind']} {metadata['name']}"
        raise KrafError(what, origin, "it has no namespace", "Give metadata.namespace: no default is assumed")
    return dict(obj)


def read(path: str) -> list[dict[str, Any]]:
    """The objects of a YAML file."""
    yaml = require("yaml")
    try:
        with open(path, encoding="utf-8") as file:
            documents = list(yaml.safe_load_all(file))
    except (OSError, yaml.YAMLError) as error:
        raise KrafError("file of objects", path, f"it cannot be read: {error}", "Correct files") from error
    return [checked(obj, path) for obj in documents if obj is not None]


def body(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    wanted = [obj for path in params["files"] for obj in read(path)]
    wanted += [checked(obj, f"objects[{number}]") for number, obj in enumerate(params["objects"])]
    cluster = connect(params)
    change = converge_or_predict(cluster, wanted, module.check_mode)
    deadline = time.monotonic() + params["wait_timeout"]
    for obj in change.objects if params["wait"] and not module.check_mode else []:
        if has_rollout(obj) and not is_rolled_out(obj):
            name, namespace = obj["metadata"]["name"], obj["metadata"].get("namespace", "")
            cluster.wait(kind_of(obj), name, namespace, is_rolled_out, max(1.0, deadline - time.monotonic()))
    shown = [
        {
            "kind": obj["kind"],
            "namespace": obj["metadata"].get("namespace", ""),
            "name": obj["metadata"]["name"],
            "resource_version": obj["metadata"].get("resourceVersion", ""),
        }
        for obj in change.objects
    ]
    return {
        "changed": change.changed,
        "objects": shown,
        "diff": change.diff,
        "cluster": cluster.identity(),
        "requests": cluster.requests,
    }


def main() -> None:
    run(ARGS, body)


if __name__ == "__main__":
    main()
