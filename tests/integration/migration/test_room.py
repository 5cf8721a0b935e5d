"""The volume of an app's data at the edge, large enough: a real API server, and the controller that binds claims."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import Data, Device
from ansible_collections.kraf.edge.plugins.module_utils.cluster.client import Cluster
from ansible_collections.kraf.edge.plugins.module_utils.cluster.kinds import NODE, PERSISTENT_VOLUME_CLAIM
from ansible_collections.kraf.edge.plugins.module_utils.manifests import namespace
from ansible_collections.kraf.edge.plugins.module_utils.placement.job import Job, Limits, Site
from ansible_collections.kraf.edge.plugins.module_utils.placement.wanted import Wanted
from ansible_collections.kraf.edge.plugins.module_utils.storage import state
from tests.unit.placement.containers import APP, container

UID = "6a0cbb2e-38a4-4a9f-9d2f-5a1f0f6c9d11"
SITE = Site(("192.0.2.7:8843",), "edge:1", "192.0.2.7:5000", ("amd64",))
GIB = 2**30
LOCAL: dict[str, Any] = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {
        "name": "kraf-local",
        "labels": {"kraf.io/local": "true"},
        "annotations": {"kraf.io/node": "worker1"},
    },
    "provisioner": "kubernetes.io/no-provisioner",
    "volumeBindingMode": "WaitForFirstConsumer",
    "reclaimPolicy": "Retain",
    "allowVolumeExpansion": True,
}


@pytest.fixture
def cluster(cluster: Cluster, controllers: None, device: str) -> Cluster:
    cluster.apply(LOCAL)
    if cluster.get(NODE, "worker1") is None:
        cluster.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "worker1"}})
    cluster.apply(namespace.objects(device, UID)[0])
    return cluster


def wanted(cluster: Cluster, device: str, data_bytes: int, limit: int) -> Wanted:
    """For an app with so many bytes, whose volume is to have so many."""
    app = dataclasses.replace(APP, device=device, data=(Data("results", "/data"),))
    limits = Limits(wait=20, volume_bytes=limit, storage_class="kraf-local")
    job = Job(cluster, app, Device(device, UID), "edge", "me", SITE, limits, dict)
    job.look = {"container": container(data={"results": {**container()["data"]["results"], "bytes": data_bytes}})}
    return Wanted(job)


def bound(cluster: Cluster, device: str) -> dict[str, Any]:
    def is_bound(found: dict[str, Any] | None) -> bool:
        return found is not None and state.is_bound(found)

    return cluster.wait(PERSISTENT_VOLUME_CLAIM, "app-faces", f"kraf-{device}", is_bound, 30) or {}


def test_a_volume_that_was_made_larger_for_a_move_holds_the_data_of_that_move(cluster: Cluster, device: str) -> None:
    wanted(cluster, device, 100, GIB).volume()
    assert state.real(bound(cluster, device)) == GIB
    wanted(cluster, device, 2 * GIB, 4 * GIB).volume()
    assert state.real(bound(cluster, device)) == 4 * GIB


def test_a_volume_is_not_made_smaller_by_a_move_that_asks_for_less(cluster: Cluster, device: str) -> None:
    wanted(cluster, device, 100, 4 * GIB).volume()
    bound(cluster, device)
    wanted(cluster, device, 100, GIB).volume()
    assert state.real(bound(cluster, device)) == 4 * GIB
