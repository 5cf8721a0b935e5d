"""When a workload counts as rolled out."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.cluster.rollout import is_rolled_out


def workload(kind: str, generation: int = 2, **status: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"generation": generation}, "spec": {"replicas": 1}, "status": status}


DONE = {"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}
DAEMONS = {"observedGeneration": 2, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2}


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("Deployment", DONE),
        ("DaemonSet", DAEMONS),
        ("StatefulSet", {"observedGeneration": 2, "replicas": 1, "readyReplicas": 1}),
    ],
)
def test_workload_whose_pods_are_all_current_and_available_is_done(kind: str, status: dict[str, Any]) -> None:
    assert is_rolled_out(workload(kind, **status))


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("Deployment", {**DONE, "observedGeneration": 1}),
        ("Deployment", {**DONE, "replicas": 2}),
        ("Deployment", {**DONE, "availableReplicas": 0}),
        ("Deployment", {}),
        ("DaemonSet", {**DAEMONS, "updatedNumberScheduled": 1}),
        ("DaemonSet", {**DAEMONS, "numberAvailable": 1}),
        ("DaemonSet", {**DAEMONS, "numberMisscheduled": 1}),
        ("DaemonSet", {}),
        ("StatefulSet", {"observedGeneration": 2, "replicas": 1, "readyReplicas": 0}),
        (
            "StatefulSet",
            {"observedGeneration": 2, "replicas": 1, "readyReplicas": 1, "currentRevision": "a", "updateRevision": "b"},
        ),
        ("CustomResourceDefinition", {"conditions": [{"type": "NamesAccepted", "status": "True"}]}),
    ],
)
def test_workload_on_its_way_is_not_done(kind: str, status: dict[str, Any]) -> None:
    assert not is_rolled_out(workload(kind, **status))


def test_object_that_does_not_exist_is_not_done() -> None:
    assert not is_rolled_out(None)
