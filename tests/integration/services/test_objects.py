"""Module objects against a real API server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.cluster.client import Cluster
from ansible_collections.kraf.edge.plugins.module_utils.cluster.kinds import CONFIG_MAP, NAMESPACE
from ansible_collections.kraf.edge.plugins.modules import objects

Run = Callable[..., Any]


def config(namespace: str, **data: str) -> dict[str, Any]:
    metadata = {"name": "settings", "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def space(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def daemons(namespace: str) -> dict[str, Any]:
    labels = {"app": "nothing"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "nothing", "image": "nothing"}]}}
    spec = {"selector": {"matchLabels": labels}, "template": pod}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "nothing", "namespace": namespace},
        "spec": spec,
    }


def test_check_then_run_then_run_again(run_module: Run, cluster: Cluster, device: str) -> None:
    wanted = [space(device), config(device, size="1")]
    check = run_module(objects, check=True, objects=wanted)
    assert (check["changed"], cluster.get(NAMESPACE, device)) == (True, None)
    ran = run_module(objects, objects=wanted)
    assert (ran["changed"], ran["diff"]["after"].keys()) == (True, check["diff"]["after"].keys())
    again = run_module(objects, objects=wanted)
    assert (again["changed"], again["objects"]) == (False, ran["objects"])
    assert run_module(objects, check=True, objects=[config(device, size="2")])["changed"] is True
    assert run_module(objects, objects=wanted)["changed"] is False


def test_files_are_applied_before_the_objects(run_module: Run, cluster: Cluster, device: str, tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(f"---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: {device}\n---\n")
    assert run_module(objects, files=[str(file)], objects=[config(device, size="1")])["changed"] is True
    assert cluster.get(CONFIG_MAP, "settings", device)


def test_rollout_that_does_not_end_fails_with_what_is_known(run_module: Run, device: str) -> None:
    result = run_module(objects, objects=[space(device), daemons(device)], wait_timeout=2)
    assert result["failed"] is True
    assert f"DaemonSet {device}/nothing" in result["msg"]
    assert {"conditions", "events", "logs"} <= result["error"]["facts"].keys()


@pytest.mark.parametrize(
    ("obj", "text"),
    [
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}, "metadata.name"),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}, "namespace"),
        ({"apiVersion": "v1", "kind": "Toaster", "metadata": {"name": "x"}}, "Toaster"),
    ],
)
def test_object_that_is_none_is_refused_before_anything_is_applied(
    run_module: Run, cluster: Cluster, device: str, obj: dict[str, Any], text: str
) -> None:
    result = run_module(objects, objects=[space(device), obj])
    assert result["failed"] is True
    assert text in result["msg"]
    assert cluster.get(NAMESPACE, device) is None
