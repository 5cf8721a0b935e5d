"""What roles image_registry, door and storage_local leave in the cluster; field cases by their ids."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from testinfra.host import Host

testinfra_hosts = ["ansible://kraf_control"]

Kubectl = Callable[..., Any]


def test_wds_05_no_service_takes_a_port_of_a_node(kubectl: Kubectl) -> None:
    services = kubectl("get", "services", "--all-namespaces")["items"]
    ours = [one for one in services if one["metadata"].get("labels", {}).get("app.kubernetes.io/managed-by") == "kraf"]
    assert "door-health" in [one["metadata"]["name"] for one in ours]
    assert {one["spec"]["type"] for one in ours} == {"ClusterIP"}


def test_the_door_is_open_on_two_nodes(kubectl: Kubectl) -> None:
    pods = kubectl("get", "pods", "-n", "kraf-system", "-l", "app.kubernetes.io/component=door")["items"]
    assert len({pod["spec"]["nodeName"] for pod in pods}) >= 2
    assert {status["ready"] for pod in pods for status in pod["status"]["containerStatuses"]} == {True}


def test_what_serves_devices_runs_without_privileges(kubectl: Kubectl) -> None:
    pods = kubectl("get", "pods", "-n", "kraf-system")["items"]
    assert pods
    for pod in pods:
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
        for container in pod["spec"]["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["securityContext"]["capabilities"]["drop"] == ["ALL"]
            assert {"cpu", "memory"} <= container["resources"]["limits"].keys()


def test_there_is_one_default_class(kubectl: Kubectl) -> None:
    mark = "storageclass.kubernetes.io/is-default-class"
    classes = kubectl("get", "storageclasses")["items"]
    chosen = [one for one in classes if one["metadata"].get("annotations", {}).get(mark) == "true"]
    assert [one["metadata"]["name"] for one in chosen] == ["kraf-local"]


def test_the_image_registry_wants_credentials(host: Host, kubectl: Kubectl) -> None:
    address = kubectl("get", "configmap", "image-registry", "-n", "kraf-system")["data"]["address"]
    ask = (
        "import ssl, sys, urllib.error, urllib.request\n"
        "tls = ssl.create_default_context(cafile=sys.argv[2])\n"
        "try:\n    urllib.request.urlopen('https://' + sys.argv[1] + '/v2/', context=tls)\n"
        "except urllib.error.HTTPError as error:\n    print(error.code)\n"
    )
    trust = f"/etc/docker/certs.d/{address}/ca.crt"
    assert host.check_output("python3 -c %s %s %s", ask, address, trust).strip() == "401"
