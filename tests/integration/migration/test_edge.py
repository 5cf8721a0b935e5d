"""What the edge is asked before anything is changed, against a real API server."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import App, Data, Port
from ansible_collections.kraf.edge.plugins.module_utils.cluster.client import Cluster, connect
from ansible_collections.kraf.edge.plugins.module_utils.cluster.kinds import POD
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.manifests import namespace
from ansible_collections.kraf.edge.plugins.module_utils.manifests.workload import Process, Workload
from ansible_collections.kraf.edge.plugins.module_utils.placement.edge import Edge
from tests.integration.apiserver import ApiServer

UID = "6a0cbb2e-38a4-4a9f-9d2f-5a1f0f6c9d11"
APP = App("pi-edge", "notes", ports=(Port(8000, 80),), data=(Data("results", "/data"),))


@pytest.fixture(scope="module")
def server(api: ApiServer) -> Cluster:
    found = connect(api.params())
    found.apply(namespace.objects(APP.device, UID)[0])
    return found


def wanted(app: App, *argv: str) -> Workload:
    image = "registry.example:5000/kraf/edge:1"
    return Workload(app, UID, Process(argv), image, image, ("amd64",), 2, 2)


def test_a_pod_that_the_api_server_takes_is_not_made(server: Cluster) -> None:
    Edge(server, APP, UID).check(wanted(APP, "run"))
    assert server.list(POD, "kraf-pi-edge") == []


def test_a_pod_that_it_refuses_is_refused_with_the_field(server: Cluster) -> None:
    broken = dataclasses.replace(APP, data=(Data("results", "/a"), Data("more", "/a")))
    with pytest.raises(KrafError, match="mountPath"):
        Edge(server, broken, UID).check(wanted(broken, "run"))


def test_a_device_without_a_namespace_yet_is_judged_later(server: Cluster) -> None:
    fresh = dataclasses.replace(APP, device="pi-never")
    Edge(server, fresh, UID).check(wanted(fresh, "run"))
