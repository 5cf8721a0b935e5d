# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether a workload runs as its spec says, read off one object.

Rules: https://kubernetes.io/docs/concepts/workloads/controllers/ (the status that `kubectl rollout status` judges).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")


def has_rollout(obj: Mapping[str, Any]) -> bool:
    """True for kinds that are applied now and in effect later."""
    return obj.get("kind") in (*WORKLOADS, "CustomResourceDefinition")


def is_rolled_out(obj: Mapping[str, Any] | None) -> bool:
    """True when every pod is of the current spec and available; of a CustomResourceDefinition, when it is served."""
    if obj is None:
        return False
    status = obj.get("status") or {}
    if obj.get("kind") == "CustomResourceDefinition":
        return any(
            one.get("type") == "Established" and one.get("status") == "True" for one in status.get("conditions") or []
        )
    # Until the controller has seen the new generation, its counts are about the old spec.
    if status.get("observedGeneration", 0) < obj["metadata"].get("generation", 1):
        return False
    if obj.get("kind") == "DaemonSet":
        wanted = status.get("desiredNumberScheduled", 0)
        # Right after its creation, no node has been looked at yet.
        return bool(
            status.get("updatedNumberScheduled", 0) == status.get("numberAvailable", 0) == wanted
            and status.get("numberMisscheduled", 0) == 0
        )
    wanted = (obj.get("spec") or {}).get("replicas", 1)
    counts: tuple[str, ...] = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    if obj.get("kind") == "StatefulSet":
        # Available ones are behind a feature gate in 1.22, and updated ones are not counted before its first update.
        same = status.get("currentRevision") == status.get("updateRevision")
        counts = ("replicas", "readyReplicas") if same else ("replicas", "updatedReplicas", "readyReplicas")
    return all(status.get(count, 0) == wanted for count in counts)
