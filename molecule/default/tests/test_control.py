"""The control plane after the installation, a second run, and a reboot of one of its workers."""

from __future__ import annotations

from typing import Any

from testinfra.host import Host

testinfra_hosts = ["ansible://kraf_control"]


def condition(item: dict[str, Any], kind: str) -> str:
    return next((each["status"] for each in item["status"].get("conditions", []) if each["type"] == kind), "absent")


def test_every_host_is_a_ready_node_of_the_wanted_release(kubectl: Any) -> None:
    nodes = kubectl("get", "nodes")["items"]
    assert {node["metadata"]["name"]: condition(node, "Ready") for node in nodes} == {
        "control1": "True",
        "worker1": "True",
        "worker2": "True",
    }
    assert {node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes} == {"v1.22.9"}


def test_every_pod_of_every_namespace_is_ready(kubectl: Any) -> None:
    pods = kubectl("get", "pods", "-A")["items"]
    assert pods
    waiting = [
        f"{pod['metadata']['namespace']}/{pod['metadata']['name']}" for pod in pods if condition(pod, "Ready") != "True"
    ]
    assert waiting == []


def test_etcd_is_past_the_releases_that_corrupt_data(kubectl: Any) -> None:
    pods = kubectl("get", "pods", "-n", "kube-system", "-l", "component=etcd")["items"]
    images = [container["image"] for pod in pods for container in pod["spec"]["containers"]]
    assert images
    for image in images:
        version = tuple(int(part) for part in image.rpartition(":")[2].lstrip("v").split("-")[0].split("."))
        assert version > (3, 5, 2), image


def test_coredns_does_not_loop(kubectl: Any) -> None:
    pods = kubectl("get", "pods", "-n", "kube-system", "-l", "k8s-app=kube-dns")["items"]
    assert pods
    for pod in pods:
        for status in pod["status"]["containerStatuses"]:
            assert status["ready"], status
            # A loop makes CoreDNS exit again and again; a reboot of its node is one restart.
            assert status["restartCount"] <= 1, status


def test_a_name_resolves_inside_the_cluster(host: Host, kubectl: Any) -> None:
    address = kubectl("get", "service", "-n", "kube-system", "kube-dns")["spec"]["clusterIP"]
    wanted = kubectl("get", "service", "-n", "default", "kubernetes")["spec"]["clusterIP"]
    question = (
        "import socket,struct,sys;"
        "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);s.settimeout(5);"
        "n=b''.join(bytes([len(p)])+p for p in b'kubernetes.default.svc.cluster.local'.split(b'.'))+b'\\0';"
        f"s.sendto(struct.pack('>6H',7,256,1,0,0,0)+n+struct.pack('>2H',1,1),('{address}',53));"
        "print(socket.inet_ntoa(s.recv(512)[-4:]))"
    )
    assert host.check_output("python3 -c %s", question) == wanted


def test_the_door_stands_on_at_least_two_nodes(kubectl: Any) -> None:
    status = kubectl("get", "daemonset", "-n", "kraf-system", "door")["status"]
    assert status["numberReady"] == status["desiredNumberScheduled"] >= 2


def test_objects_of_a_device_carry_whose_they_are(kubectl: Any) -> None:
    claim = kubectl("get", "persistentvolumeclaim", "-n", "kraf-pi1", "photos")
    labels = claim["metadata"]["labels"]
    assert labels["app.kubernetes.io/managed-by"] == "kraf"
    assert labels["kraf.io/device"] == "pi1"
    assert labels["kraf.io/volume"] == "photos"
    assert claim["status"]["phase"] == "Bound"
    assert claim["status"]["capacity"]["storage"] == "1Gi"
