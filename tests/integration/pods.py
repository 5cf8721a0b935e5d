"""The pods of a workload, for the API server's own judgement.

Kubernetes 1.22 checks nothing of a StatefulSet's template but its labels: what is wrong with it shows when its pod is
made (ValidatePodTemplateSpecForStatefulSet).
"""

from __future__ import annotations

from typing import Any


def of(obj: dict[str, Any]) -> list[dict[str, Any]]:
    """The pod that an object's controller would make, in a list; none for what has no pods."""
    template = obj.get("spec", {}).get("template")
    if not template:
        return []
    metadata = {
        **template["metadata"],
        "name": f"{obj['metadata']['name']}-0",
        "namespace": obj["metadata"]["namespace"],
    }
    return [{"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}]
