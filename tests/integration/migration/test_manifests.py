"""Objects of apps and movers, for whatever the catalog takes, against a real API server in a dry run."""

from __future__ import annotations

import string
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from ansible_collections.kraf.edge.plugins.module_utils.catalog import apps
from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import App, Data, Member, Port, Probe
from ansible_collections.kraf.edge.plugins.module_utils.cluster.client import Cluster, connect
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.manifests import mover, namespace, presence, relay, workload
from ansible_collections.kraf.edge.plugins.module_utils.manifests.workload import Companion, Process, Workload
from tests.integration import pods
from tests.integration.apiserver import ApiServer

UID = "6a0cbb2e-38a4-4a9f-9d2f-5a1f0f6c9d11"
DEVICE = "pi-manifests"
DIGEST = "registry.example:5000/pi/app@sha256:" + "0" * 64
EDGE = "registry.example:5000/kraf/edge:1"


@pytest.fixture(scope="module")
def server(api: ApiServer) -> Cluster:
    found = connect(api.params())
    found.apply(namespace.objects(DEVICE, UID)[0])
    return found


def accepted(server: Cluster, objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the API server would store; it refuses by an exception, also for the pods that are to follow."""
    for obj in objects:
        for pod in pods.of(obj):
            server.apply(pod, dry_run=True)
    return [server.apply(obj, dry_run=True) for obj in objects]


names = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,40}[a-z0-9])?", fullmatch=True)
paths = st.from_regex(r"(/[!-.0-~ äß]{1,20}){1,4}", fullmatch=True)
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=60)
variables = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,20}", fullmatch=True)
ports = st.lists(st.integers(1, 65535), min_size=1, max_size=4, unique=True)
memory = st.sampled_from(
    ["", "4Mi", "64Mi", "1.5Gi", "100M", "2G", "0.5Gi", "1048576000", "300Ki", "1e9", "128974848000m"]
)
cpu = st.sampled_from(["", "1m", "49m", "250m", "0.5", "2", "1.25", "0.001"])


@st.composite
def declarations(draw: st.DrawFn) -> App:
    numbers = draw(ports)
    folders = draw(st.lists(st.tuples(names, paths), max_size=3, unique_by=lambda one: one[0]))
    raw: dict[str, Any] = {
        "device": DEVICE,
        "name": draw(names),
        "ports": [{"port": number, "protocol": draw(st.sampled_from(["TCP", "TCP", "UDP"]))} for number in numbers],
        "data": [{"name": name, "path": path} for name, path in folders],
        "cpu": draw(cpu),
        "memory": draw(memory),
        "overlap": draw(st.booleans()) and not folders,
    }
    tcp = [one["port"] for one in raw["ports"] if one["protocol"] == "TCP"]
    if not raw["overlap"] and draw(st.booleans()):
        job = {"kind": "job", "retries": draw(st.integers(0, 100)), "deadline_seconds": draw(st.integers(0, 10**7))}
        raw = {**raw, **job, "ports": []}
    elif tcp and draw(st.booleans()):
        query = "/" + draw(st.text(string.printable[:94], max_size=20))
        raw["probe"] = {"path": query, "port": draw(st.sampled_from(tcp))}
    try:
        return apps.declared(raw)
    except KrafError:
        assume(False)
        raise


processes = st.builds(
    Process,
    argv=st.lists(text, min_size=1, max_size=5).map(tuple).filter(lambda argv: argv[0]),
    env=st.dictionaries(variables, text, max_size=5),
    working_dir=st.sampled_from(["", "/", "/srv/app"]),
    user=st.sampled_from([None, 0, 1000, 2**31 - 1]),
    group=st.sampled_from([None, 0, 1000]),
    groups=st.lists(st.integers(0, 65535), max_size=3).map(tuple),
    stop_seconds=st.integers(0, 600),
    tty=st.booleans(),
    read_only=st.booleans(),
)


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(app=declarations(), process=processes, epoch=st.integers(1, 10**6), tree=st.integers(1, 10**6))
def test_whatever_the_catalog_takes_kubernetes_takes(
    server: Cluster, app: App, process: Process, epoch: int, tree: int
) -> None:
    wanted = Workload(app, UID, process, DIGEST, EDGE, ("arm64",), epoch, tree)
    accepted(server, workload.objects(wanted))
    accepted(server, [workload.fence(app, UID, epoch, 7)])
    one = mover.Mover(DEVICE, UID, app.name, epoch, 7, EDGE, "token", DIGEST, "worker1", bool(app.data))
    accepted(server, mover.objects(one))
    accepted(server, mover.objects(replace(one, node="", fits=workload.nodes(wanted))))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(app=declarations(), own=processes, others=st.lists(st.tuples(names, processes, cpu, memory), max_size=3))
def test_whatever_group_the_catalog_takes_kubernetes_takes(
    server: Cluster, app: App, own: Process, others: list[tuple[str, Process, str, str]]
) -> None:
    plain = {"kind": "service", "retries": 0, "deadline_seconds": 0, "overlap": False, "probe": None}
    raw = {**app.as_dict(), **plain, "ports": [{**one, "protocol": "TCP"} for one in app.as_dict()["ports"]]}
    raw["members"] = [{"name": name, "cpu": cpu_, "memory": size} for name, _process, cpu_, size in others]
    if others:
        raw["ports"] = [{**one, "member": others[0][0]} for one in raw["ports"]]
        raw["data"] = [{**one, "member": others[-1][0]} for one in raw["data"]]
    try:
        app = apps.declared(raw)
    except KrafError:
        assume(False)
    companions = tuple(Companion(name, process, DIGEST) for name, process, _cpu, _memory in others)
    called = tuple(name for name, _process, _cpu, _memory in others)
    more = {"companions": companions, "names": called}
    made = accepted(server, workload.objects(Workload(app, UID, own, DIGEST, EDGE, ("arm64",), 3, 3, **more)))
    assert len(made[-1]["spec"]["template"]["spec"]["containers"]) >= 1 + len(others)


APP = App(
    DEVICE,
    "notes",
    ports=(Port(8080, 8000),),
    data=(Data("store", "/srv/notes"), Data("etc", "/etc/notes")),
    probe=Probe("/health", 8080),
)
PROCESS = Process(("python3", "-c", "print('$(HOME) $$ $HOME')"), {"SECRET": "x=y\n"}, "/srv", 1000, 1000, (44,), 25)


def container(obj: dict[str, Any]) -> dict[str, Any]:
    return dict(obj["spec"]["template"]["spec"]["containers"][0])


def test_app_with_data_is_one_pod_that_waits_for_its_marker(server: Cluster) -> None:
    objects = accepted(server, workload.objects(Workload(APP, UID, PROCESS, DIGEST, EDGE, ("arm64",), 3, 3)))
    assert [obj["kind"] for obj in objects] == ["Secret", "Service", "StatefulSet"]
    spec = objects[2]["spec"]["template"]["spec"]
    assert objects[2]["spec"]["replicas"] == 1
    assert objects[2]["spec"]["updateStrategy"] == {"type": "OnDelete"}
    assert [one["name"] for one in spec["initContainers"]] == ["gate"]
    assert spec["initContainers"][0]["command"][4] == "3"
    assert spec["terminationGracePeriodSeconds"] == 25
    mounts = [(one["mountPath"], one["subPath"]) for one in container(objects[2])["volumeMounts"]]
    assert mounts == [("/srv/notes", "3/store"), ("/etc/notes", "3/etc")]


def test_app_that_may_overlap_waits_for_nothing(server: Cluster) -> None:
    app = App(DEVICE, "web", ports=(Port(80, 80),), overlap=True)
    found = accepted(server, workload.objects(Workload(app, UID, PROCESS, DIGEST, EDGE, ("amd64",), 3, 3)))[2]
    assert found["kind"] == "Deployment"
    assert "initContainers" not in found["spec"]["template"]["spec"]


@pytest.mark.parametrize(
    ("architectures", "emulated", "runs_on"),
    [
        (("amd64",), "", ["amd64", "emulating"]),
        (("arm64",), "", ["arm64"]),
        (("amd64", "arm64"), "", ["amd64", "arm64", "emulating"]),
        ((), "arm64", ["emulating"]),
    ],
)
def test_img_01_the_pod_may_run_on_nodes_that_can_run_its_image_and_on_no_other(
    server: Cluster, architectures: tuple[str, ...], emulated: str, runs_on: list[str]
) -> None:
    one = Workload(APP, UID, PROCESS, DIGEST, EDGE, architectures, 3, 3, emulated=emulated)
    spec = accepted(server, workload.objects(one))[2]["spec"]["template"]["spec"]
    nodes = {
        "amd64": {"kubernetes.io/arch": "amd64"},
        "emulating": {"kubernetes.io/arch": "amd64", "kraf.io/emulates-arm64": "true"},
        "arm64": {"kubernetes.io/arch": "arm64"},
        "arm": {"kubernetes.io/arch": "arm"},
    }
    assert sorted(name for name, labels in nodes.items() if schedulable(spec, labels)) == sorted(runs_on)


@pytest.mark.parametrize("architectures", [("amd64",), ("amd64", "arm64")])
def test_a_node_that_it_had_better_run_on_does_not_change_where_it_may(
    server: Cluster, architectures: tuple[str, ...]
) -> None:
    one = Workload(APP, UID, PROCESS, DIGEST, EDGE, architectures, 3, 3, "server2")
    spec = accepted(server, workload.objects(one))[2]["spec"]["template"]["spec"]
    preferred = spec["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert preferred[0]["preference"]["matchExpressions"][0]["values"] == ["server2"]
    found = [name for name in ("amd64", "arm64", "arm") if schedulable(spec, {"kubernetes.io/arch": name})]
    assert found == list(architectures)


def schedulable(spec: dict[str, Any], labels: dict[str, str]) -> bool:
    """As the scheduler judges it (https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/)."""
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    if not affinity:
        return True
    terms = [term["matchExpressions"] for term in affinity["nodeSelectorTerms"]]
    assert all(rule["operator"] == "In" for term in terms for rule in term)
    return any(all(labels.get(rule["key"]) in rule["values"] for rule in term) for term in terms)


def expanded(argument: str, variables: dict[str, str]) -> str:
    """What Kubernetes makes of an argument (third_party/forked/golang/expansion)."""
    found, place = "", 0
    while place < len(argument):
        if argument[place] == "$" and place + 1 < len(argument):
            following = argument[place + 1]
            end = argument.find(")", place)
            if following == "$":
                found, place = found + "$", place + 2
                continue
            if following == "(" and end > 0:
                name = argument[place + 2 : end]
                found, place = found + variables.get(name, f"$({name})"), end + 1
                continue
        found, place = found + argument[place], place + 1
    return found


@pytest.mark.parametrize("argument", ["$(SECRET)", "$$(SECRET)", "$", "a$", "$SECRET", "${SECRET}", "$$$(SECRET)$"])
def test_arguments_are_the_devices_own_letter_by_letter(argument: str) -> None:
    process = Process((argument, argument), {"SECRET": "other"})
    found = container(workload.running(Workload(APP, UID, process, DIGEST, EDGE, ("arm64",), 3, 3)))
    assert [expanded(one, {"SECRET": "other"}) for one in (*found["command"], *found["args"])] == [argument, argument]


def test_values_of_the_environment_are_in_the_secret_alone() -> None:
    process = Process(("x",), {"SECRET": "hidden-value"})
    objects = workload.objects(Workload(APP, UID, process, DIGEST, EDGE, ("arm64",), 3, 3))
    assert "hidden-value" not in str(objects)
    assert "SECRET" not in str(objects[1:])
    assert "hidden-value" not in repr(process)


def test_mover_without_data_mounts_no_volume(server: Cluster) -> None:
    one = mover.Mover(DEVICE, UID, "web", 3, 7, EDGE, "token", data=False)
    pod = accepted(server, mover.objects(one))[3]
    assert [volume["name"] for volume in pod["spec"]["volumes"]] == ["config", "secret", "box"]
    assert [one["name"] for one in pod["spec"]["containers"]] == [mover.CONTAINER]


def status(**state: Any) -> dict[str, Any]:
    return {"status": {"containerStatuses": [{"name": "mover", "state": {}}, {"name": "pull", **state}]}}


@pytest.mark.parametrize(
    ("pod", "found"),
    [
        ({}, mover.WAITING),
        (status(state={"waiting": {"reason": "ContainerCreating"}}), mover.WAITING),
        (status(state={"waiting": {"reason": "ErrImagePull", "message": "no such tag"}}), "no such tag"),
        (status(state={"waiting": {"reason": "ImagePullBackOff"}}), "ImagePullBackOff"),
        (status(imageID="docker-pullable://x@sha256:1", state={"waiting": {"reason": "x"}}), mover.THERE),
        (status(state={"terminated": {"reason": "ContainerCannotRun", "exitCode": 127}}), mover.THERE),
        (status(state={"waiting": {"reason": "RunContainerError"}}, imageID=""), mover.WAITING),
    ],
)
def test_state_of_the_image_is_read_off_the_pod(pod: dict[str, Any], found: str) -> None:
    assert mover.pulled(pod) == found


@pytest.mark.parametrize("overlap", [False, True])
def test_an_app_with_udp_ports_has_a_sidecar_and_the_door_a_tcp_port_to_it(server: Cluster, overlap: bool) -> None:
    ports = (Port(53, 53), Port(53, 53, "UDP"), Port(61000, 61000), Port(5683, 56830, "UDP"))
    app = App(DEVICE, "dns", ports=ports, overlap=overlap)
    wanted = Workload(app, UID, Process(("named",)), DIGEST, EDGE, "amd64", 3, 0)
    server.create(workload.proof(wanted), dry_run=True)
    stored = {one["kind"]: one for one in accepted(server, workload.objects(wanted))}
    shown = [(one["name"], one["port"], one["protocol"]) for one in stored["Service"]["spec"]["ports"]]
    assert shown == [
        ("p53-tcp", 53, "TCP"),
        ("p53-udp", 53, "UDP"),
        ("p61000-tcp", 61000, "TCP"),
        ("p5683-udp", 5683, "UDP"),
        ("p53-stream", 61001, "TCP"),
        ("p5683-stream", 61002, "TCP"),
    ]
    spec = stored["Deployment" if overlap else "StatefulSet"]["spec"]["template"]["spec"]
    app_container, sidecar = spec["containers"]
    assert [one["containerPort"] for one in app_container["ports"]] == [53, 53, 61000, 5683]
    assert sidecar["image"] == EDGE
    assert sidecar["command"] == ["perl", "-e", relay.PROGRAM, "61001:53", "61002:5683"]
    assert sidecar["resources"]["limits"] == {"cpu": "1", "memory": "128Mi"}
    assert sidecar["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert sidecar["securityContext"]["allowPrivilegeEscalation"] is False
    # Kubernetes would put variables in the place of these.
    assert "$(" not in relay.PROGRAM
    assert "$$" not in relay.PROGRAM


def test_an_app_of_tcp_alone_has_no_sidecar(server: Cluster) -> None:
    app = App(DEVICE, "web", ports=(Port(80, 80),))
    wanted = Workload(app, UID, Process(("web",)), DIGEST, EDGE, "amd64", 3, 0)
    stored = {one["kind"]: one for one in accepted(server, workload.objects(wanted))}
    assert [one["name"] for one in stored["StatefulSet"]["spec"]["template"]["spec"]["containers"]] == ["app"]
    assert [one["port"] for one in stored["Service"]["spec"]["ports"]] == [80]


@pytest.mark.parametrize("more", [{}, {"unit": "silent.service"}, {"members": (Member("db", "silent-db"),)}])
@pytest.mark.parametrize("data", [(), (Data("results", "/data"),)])
def test_before_an_app_without_ports_stands_what_answers_for_it(
    server: Cluster, more: dict[str, Any], data: tuple[Data, ...]
) -> None:
    app = App(DEVICE, "silent", data=data, **more)
    others = tuple(Companion(one.name, Process(("db",)), DIGEST) for one in app.members)
    wanted = Workload(app, UID, Process(("run",)), DIGEST, EDGE, "amd64", 3, 0, companions=others)
    server.create(workload.proof(wanted), dry_run=True)
    stored = {one["kind"]: one for one in accepted(server, workload.objects(wanted))}
    assert [(one["port"], one["protocol"]) for one in stored["Service"]["spec"]["ports"]] == [(presence.PORT, "TCP")]
    spec = stored["StatefulSet"]["spec"]["template"]["spec"]
    template = stored["StatefulSet"]["spec"]["template"]
    assert template["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"] == "app"
    first, *apps_ = spec["containers"]
    assert [one["name"] for one in apps_] == ["app", *(one.name for one in app.members)]
    assert [one["name"] for one in spec["initContainers"]] == ["gate"]
    assert (first["name"], first["image"], first["command"][-1]) == ("presence", EDGE, "3")
    assert [one["name"] for one in first["volumeMounts"]] == ["presence"]
    assert not any(one["name"] == "presence" for one in apps_ for one in one.get("volumeMounts", ()))
    assert first["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert "$(" not in presence.SERVE


@pytest.mark.parametrize("more", [{"overlap": True}, {"kind": "job"}, {"kind": "cronjob", "schedule": "* * * * *"}])
def test_where_nobody_asks_nothing_answers(server: Cluster, more: dict[str, Any]) -> None:
    wanted = Workload(App(DEVICE, "quiet", **more), UID, Process(("run",)), DIGEST, EDGE, "amd64", 3, 0)
    stored = accepted(server, workload.objects(wanted))
    assert "Service" not in [one["kind"] for one in stored]
    assert "presence" not in repr(stored)


def test_an_app_that_has_ports_again_is_asked_there_alone(server: Cluster) -> None:
    app = App(DEVICE, "changing")
    for ports in ((), (Port(80, 80),), ()):
        wanted = Workload(replace(app, ports=ports), UID, Process(("run",)), DIGEST, EDGE, "amd64", 3, 0)
        stored = [server.apply(one) for one in workload.services(wanted)]
        assert [[one["port"] for one in found["spec"]["ports"]] for found in stored] == [
            [80 if ports else presence.PORT]
        ]
