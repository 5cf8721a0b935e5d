"""Any container that Docker could tell of: objects that a real API server takes, or a refusal that names a property."""

from __future__ import annotations

import base64
import dataclasses
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings, target
from hypothesis import strategies as st

from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import Port
from ansible_collections.kraf.edge.plugins.module_utils.cluster.client import Cluster, connect
from ansible_collections.kraf.edge.plugins.module_utils.cluster.kinds import MIGRATION
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.manifests import namespace, workload
from ansible_collections.kraf.edge.plugins.module_utils.manifests.workload import Workload
from ansible_collections.kraf.edge.plugins.module_utils.on_device.container import from_inspect
from ansible_collections.kraf.edge.plugins.module_utils.on_device.inside import resolve
from ansible_collections.kraf.edge.plugins.module_utils.placement import definition, portability, verdicts
from ansible_collections.kraf.edge.plugins.module_utils.placement.records import Records
from ansible_collections.kraf.edge.plugins.module_utils.placement.verdicts import REFUSED
from tests.integration import pods
from tests.integration.apiserver import ApiServer

UID = "6a0cbb2e-38a4-4a9f-9d2f-5a1f0f6c9d11"
DEVICE = "pi-portability"
DIGEST = "registry.example:5000/pi/app@sha256:" + "0" * 64
EDGE = "registry.example:5000/kraf/edge:1"
ID = "73a15b31635a526d78b9a8361980b8404eca9182e359a325eab02a8c651d3c4e"
CANARY = "canary-7f3a"
PASSWD = "root:x:0:0::/:/bin/sh\npi:x:1234:4321::/:/bin/sh\n"
GROUP = "root:x:0:\nvideo:x:44:pi\nfar:x:4294967295:\n"
NEVER = ("hostPath", "privileged", "hostNetwork", "hostPID", "hostIPC", "hostPort")


@pytest.fixture(scope="module")
def server(api: ApiServer) -> Cluster:
    found = connect(api.params())
    found.apply(namespace.objects(DEVICE, UID)[0])
    return found


def some(**given: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Any few of these keys."""
    return st.fixed_dictionaries({}, optional=given)


def words(**given: st.SearchStrategy[Any]) -> dict[str, st.SearchStrategy[Any]]:
    """Docker's own."""
    return given


text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
word = st.from_regex(r"[A-Za-z0-9_.-]{1,12}", fullmatch=True)
part = st.from_regex(r"[A-Za-z0-9 _.:,äß-]{1,8}", fullmatch=True).filter(lambda one: one.strip(". ") != "")
path = st.lists(part, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
size = st.sampled_from([0, 1, 4096, 6 << 20, 64 << 20, 100_000_001, 2 << 30])
device_path = st.builds(
    lambda at: {"PathOnHost": at, "PathInContainer": at, "CgroupPermissions": "rwm"}, st.just("/dev/ttyUSB0") | path
)
binding = some(
    HostIp=st.sampled_from(["", "0.0.0.0", "127.0.0.1", "::1"]), HostPort=st.sampled_from(["", "8080", "8000-8010"])
)
ports = st.dictionaries(
    st.builds(
        lambda port, kind: f"{port}/{kind}", st.integers(1, 65535), st.sampled_from(["tcp", "tcp", "udp", "sctp"])
    ),
    st.lists(binding, max_size=2),
    max_size=2,
)
user = st.sampled_from(["", "pi", "pi:video", "0", "1000:1000", "1000", ":44", "nobody", "4294967294", "pi:none"])
capability = st.sampled_from(["CHOWN", "CAP_NET_ADMIN", "ALL", "SYS_ADMIN", "NET_BIND_SERVICE"])

HOSTS = ["db:10.0.0.1", "a_b:10.0.0.1", "UP:1.2.3.4", "x:host-gateway", "six:::1", "bare", "db:10.0.0.1"]
OPTIONS = [
    "no-new-privileges",
    "seccomp=unconfined",
    "apparmor=docker-default",
    "label=disable",
    'seccomp={"a": [1,2]}',
]
SYSCTLS = ["net.ipv4.tcp_syncookies", "net.core.somaxconn", "kernel.shm_rmid_forced"]
TMPFS = ["", "size=64m", "size=65536,mode=700", "noexec", "size=50%"]
LOGS = [{"Type": "json-file", "Config": {}}, {"Type": "splunk", "Config": {"splunk-token": CANARY}}]
VARIABLES = ["A", "1X", "B-C", "A B", "TOKEN", "..", "a" * 300]

HOST = words(
    RestartPolicy=st.builds(
        lambda name, number: {"Name": name, "MaximumRetryCount": number if name == "on-failure" else 0},
        st.sampled_from(["", "no", "always", "unless-stopped", "on-failure"]),
        st.integers(0, 5),
    ),
    PortBindings=ports,
    NetworkMode=st.sampled_from(["default", "bridge", "host", "none", "container:abc", "stack_default"]),
    AutoRemove=st.booleans(),
    CapAdd=st.lists(capability, max_size=2, unique=True),
    CapDrop=st.lists(capability, max_size=2, unique=True),
    Dns=st.lists(st.sampled_from(["1.1.1.1", "::1"]), max_size=2),
    ExtraHosts=st.lists(st.sampled_from(HOSTS), max_size=3),
    GroupAdd=st.lists(st.sampled_from(["44", "video", "none", "far", "5000000000"]), max_size=2),
    IpcMode=st.sampled_from(["", "private", "shareable", "host", "none", "container:abc"]),
    PidMode=st.sampled_from(["", "host", "container:abc"]),
    UTSMode=st.sampled_from(["", "host"]),
    UsernsMode=st.sampled_from(["", "host"]),
    Privileged=st.booleans(),
    ReadonlyRootfs=st.booleans(),
    SecurityOpt=st.lists(st.sampled_from(OPTIONS), max_size=2, unique=True),
    Tmpfs=st.dictionaries(path, st.sampled_from(TMPFS), max_size=2),
    ShmSize=size,
    Sysctls=st.dictionaries(st.sampled_from(SYSCTLS), st.just("1"), max_size=2),
    Runtime=st.sampled_from(["runc", "nvidia"]),
    Init=st.sampled_from([None, True, False]),
    Memory=size,
    MemorySwap=st.sampled_from([0, -1, 1 << 30]),
    MemoryReservation=size,
    MemorySwappiness=st.sampled_from([None, -1, 10]),
    KernelMemory=size,
    NanoCpus=st.sampled_from([0, 1, 10**6, 250 * 10**6, 3 * 10**9]),
    CpuShares=st.sampled_from([0, 512]),
    CpuQuota=st.sampled_from([0, -1, 50_000]),
    CpusetCpus=st.sampled_from(["", "0-1"]),
    PidsLimit=st.sampled_from([None, -1, 0, 100]),
    OomKillDisable=st.booleans(),
    OomScoreAdj=st.sampled_from([0, 500]),
    BlkioWeight=st.sampled_from([0, 500]),
    BlkioDeviceReadBps=st.just([{"Path": "/dev/sda", "Rate": 1}]),
    Devices=st.lists(device_path, max_size=2),
    DeviceCgroupRules=st.just(["c 1:3 mr"]),
    DeviceRequests=st.just([{"Driver": "", "Count": -1, "Capabilities": [["gpu"]]}]),
    Ulimits=st.lists(st.just({"Name": "nofile", "Soft": 1, "Hard": 2}), max_size=1),
    LogConfig=st.sampled_from(LOGS),
    StorageOpt=st.just({"size": "10G"}),
    CgroupParent=st.sampled_from(["", "/mine"]),
    Links=st.sampled_from([None, ["/db:/web/db"]]),
    MaskedPaths=st.sampled_from([[], ["/proc/kcore"]]),
    Annotations=st.just({"secret": CANARY}),
    NotYetKnown=st.sampled_from(["", "x", 7, True]),
)  # fmt: skip
CONFIG = words(
    Hostname=st.sampled_from([ID[:12], "kitchen"]),
    Domainname=st.sampled_from(["", "home"]),
    User=user,
    Env=st.lists(st.builds(lambda name: f"{name}={CANARY}", st.sampled_from(VARIABLES)), max_size=4),
    ExposedPorts=st.dictionaries(st.sampled_from(["80/tcp", "53/udp"]), st.just({}), max_size=2),
    Tty=st.booleans(),
    OpenStdin=st.booleans(),
    StdinOnce=st.booleans(),
    WorkingDir=st.just("") | path,
    Labels=st.dictionaries(word, text, max_size=2)
    | st.just({"com.docker.compose.project": "stack", "com.docker.compose.service": "db"}),
    StopSignal=st.sampled_from(["SIGTERM", "SIGINT", "9"]),
    StopTimeout=st.sampled_from([None, -1, 0, 10, 3600]),
    MacAddress=st.sampled_from(["", "02:42:ac:11:00:02"]),
    NetworkDisabled=st.booleans(),
    Healthcheck=st.builds(
        lambda test, number: {"Test": test, "Interval": number, "Timeout": number, "Retries": number % 7},
        st.sampled_from(
            [[], ["NONE"], ["CMD", "true"], ["CMD-SHELL", "curl http://localhost:80/ok"], ["CMD-SHELL", "echo $(A)"]]
        ),
        st.sampled_from([0, 10**6, 10**9, 30 * 10**9, 3600 * 10**9]),
    ),
)  # fmt: skip


@st.composite
def mounts(draw: st.DrawFn) -> list[dict[str, Any]]:
    """What inspect tells, and what the device finds there (``adopt._mounted``)."""
    found = []
    for at in draw(st.lists(path, max_size=4, unique=True)):
        kind = draw(st.sampled_from(["directory", "directory", "file", "other", "missing"]))
        volume = draw(st.booleans())
        source = draw(st.sampled_from(["/srv/x", "/", "/etc", "/var/run", "/home/pi/app"]))
        length = draw(st.sampled_from([0, 10, 2**20 - 5, 2**20 + 1]))
        one = {
            "Type": "volume" if volume else "bind",
            "Name": draw(st.sampled_from(["a" * 64, "case_vol"])) if volume else "",
            "Source": source,
            "Destination": at,
            "Driver": draw(st.sampled_from(["local", "local", "nfs"])) if volume else "",
            "RW": draw(st.booleans()),
            "Propagation": "" if volume else draw(st.sampled_from(["rprivate", "rslave"])),
        }
        looked: dict[str, Any] = {"kind": kind, "empty": draw(st.booleans()), "bytes": length if kind == "file" else 0}
        if kind == "file" and length <= 2**20:
            looked["content"] = base64.b64encode(b"x" * length).decode()
        found.append({**one, "looked": looked})
    return found


@st.composite
def containers(draw: st.DrawFn, everything: bool = False) -> tuple[dict[str, Any], dict[str, Any]]:
    """Docker's answer, and the container as the device describes it: one that uses some words of Docker's, or all."""
    mounted = draw(mounts() if everything else st.just([]) | mounts())
    host = draw(st.fixed_dictionaries(HOST) if everything else some(**HOST))
    places = [one["Destination"] for one in mounted]
    if host and not everything and draw(st.booleans()):
        # With everything set, something is refused nearly always.
        kept = draw(st.sets(st.sampled_from(sorted(host)), max_size=3))
        host = {key: value for key, value in host.items() if key in kept}
    # Docker refuses two mounts at one place.
    host["Tmpfs"] = {at: options for at, options in host.get("Tmpfs", {}).items() if at not in places}
    # A name is what Docker takes for one.
    name = draw(st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,50}", fullmatch=True))
    answer = {
        "Id": ID,
        "Name": f"/{name}",
        "Path": draw(text.filter(bool)),
        "Args": draw(st.lists(text, max_size=3)),
        "Image": "sha256:" + "1" * 64,
        "State": {"Running": draw(st.booleans())},
        "Config": {
            "Image": draw(st.sampled_from(["web:1", "sha256:11", "Registry/X"])),
            "Hostname": ID[:12],
            **draw(st.fixed_dictionaries(CONFIG) if everything else some(**CONFIG)),
        },
        "HostConfig": host,
        "Mounts": [{key: value for key, value in one.items() if key != "looked"} for one in mounted],
        "NetworkSettings": {"Networks": {"stack_default": {"Aliases": ["db", ID[:12]]}}, "Ports": {}},
    }
    image = {"Architecture": "arm64", "RepoDigests": ["web@sha256:" + "2" * 64], "Config": {"Env": ["PATH=/bin"]}}
    container = from_inspect(answer, image)
    found = container.report()
    found["env"] = container.own_env
    looked = {one["Destination"]: one["looked"] for one in mounted}
    found["mounts"] = [{**mount, **looked[mount["path"]]} for mount in container.mounts]
    if container.user or container.groups:
        found["identity"] = resolve(container.user or "0", container.groups, PASSWD, GROUP)
    found["changes"] = draw(
        st.sampled_from([{"total": 0, "paths": []}, {"total": 30, "paths": ["/etc/x,y", "/new\nline"]}])
    )
    found["starters"] = draw(st.sampled_from([[], [{"kind": "cron", "source": "/etc/crontab", "starts": True}]]))
    return answer, found


UNSEEN = {
    # Words of the client, what only says how the rest came about, and what is not a matter of the container.
    "AttachStdin", "Image", "CpuPeriod", "MaskedPaths", "RestartPolicy", "ExposedPorts", "StdinOnce", "Mounts",
}  # fmt: skip
SAID = {
    "AutoRemove": "--rm",
    "CapAdd": "capability",
    "CapDrop": "dropped capability",
    "CpuQuota": "cpus",
    "Devices": "device",
    "Env": "",
    "ExtraHosts": "host ",
    "GroupAdd": "group",
    "Healthcheck": "healthcheck",
    "Hostname": "host name",
    "Init": "init",
    "IpcMode": "ipc_mode",
    "Labels": "",
    "LogConfig": "log driver",
    "Memory": "memory ",
    "MemorySwap": "memory with swap",
    "NanoCpus": "cpus",
    "NetworkMode": "network",
    "OpenStdin": "stdin",
    "PidMode": "pid_mode",
    "PidsLimit": "pids limit",
    "PortBindings": "port",
    "Privileged": "privileged",
    "ReadonlyRootfs": "read-only root",
    "Runtime": "runtime",
    "SecurityOpt": "security option",
    "ShmSize": "shm size",
    "StopSignal": "stop signal",
    "StopTimeout": "stop timeout",
    "Sysctls": "sysctl",
    "Tmpfs": "tmpfs",
    "Tty": "tty",
    "Ulimits": "ulimit",
    "User": "user",
    "WorkingDir": "",
}
"""How the report names a setting of Docker's; any other one stands there under Docker's own name."""
DEFAULTS = {
    "CpuQuota": (0, -1),
    "Hostname": (ID[:12],),
    "Healthcheck": (),
    "IpcMode": ("", "private", "shareable"),
    "LogConfig": ({"Type": "json-file", "Config": {}},),
    "MemorySwappiness": (-1,),
    "NetworkMode": ("default", "bridge"),
    "PidsLimit": (-1,),
    "Runtime": ("runc",),
    "ShmSize": (0, 64 << 20),
    "StopSignal": ("SIGTERM",),
    "StopTimeout": (10,),
}


def unsaid(answer: dict[str, Any], rows: list[dict[str, str]]) -> list[str]:
    """Settings that are not Docker's default and of which the report says nothing."""
    found = []
    said = [one["property"] for one in rows]
    for key, value in {**answer["HostConfig"], **answer["Config"]}.items():
        nothing = value in (None, "", [], {}, False) or (value == 0 and key != "StopTimeout")
        if key in UNSEEN or nothing or value in DEFAULTS.get(key, ()):
            continue
        if key == "Healthcheck" and len(value["Test"]) < 2:
            continue
        if key == "MemorySwap" and value == 2 * answer["HostConfig"].get("Memory", 0):
            continue
        if key == "ShmSize" and "/dev/shm" in answer["HostConfig"].get("Tmpfs", {}):
            continue
        if not any(one.startswith(SAID.get(key, key)) for one in said):
            found.append(key)
    for mount in answer["Mounts"]:
        at = mount["Destination"].replace(",", ";").strip()
        if not any(at in one for one in said) and not any(at in one["why"] for one in rows):
            found.append(mount["Destination"])
    return found


@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
@given(made=containers())
def test_any_container_moves_or_is_refused_by_the_name_of_a_property(
    server: Cluster, made: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    answer, found = made
    adopted = definition.adopt(found, DEVICE)
    assert unsaid(answer, adopted.report) == []
    assert CANARY not in repr(adopted)
    app = adopted.app
    # Whoever has no port yet gets one, so that the rest is tried.
    data = {
        one.name: {"path": one.path, "folder": "/srv", "exists": True, "mount_point": False, "bytes": 1}
        for one in app.data
    }
    looked = {**found, "data": data}
    rows = portability.examine(app, looked)
    refused = [one for one in rows if one["verdict"] == REFUSED]
    if refused:
        with pytest.raises(KrafError) as caught:
            verdicts.refuse(app, rows)
        assert all(one["property"] in str(caught.value) for one in refused)
    left = portability.examine(app, looked, [one["property"] for one in refused])
    stored = verdicts.stored(left)
    assert len(stored) <= verdicts.MOST
    final = [one["property"] for one in left if one["verdict"] == REFUSED and one["property"] != "ports"]
    moves = not [one for one in refused if one["property"] != "ports"]
    event("refused for good" if final else "moves as it is" if moves else "accepted")
    if final:
        return
    app = app if app.ports else dataclasses.replace(app, ports=(Port(80, 80),), probe=None)
    wanted = Workload(app, UID, portability.process(looked), DIGEST, EDGE, ("arm64",), 3, 3)
    rendered = workload.objects(wanted)
    made_of = [pod for one in rendered for pod in pods.of(one)]
    shown = [server.apply(one, dry_run=True) for one in [*rendered, *made_of]]
    for never in NEVER:
        assert f'"{never}"' not in str(shown).replace("'", '"')


@pytest.fixture(scope="module")
def records(kinds: None, server: Cluster) -> Records:
    return Records(server, DEVICE, UID, "faces")


@pytest.mark.parametrize("everything", [False, True])
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_report_of_any_container_is_stored_whole(
    server: Cluster, records: Records, everything: bool, data: st.DataObject
) -> None:
    _answer, found = data.draw(containers(everything))
    rows = definition.adopt(found, DEVICE).report
    target(float(len(rows)), label="rows")
    records.begin("edge", 2, "ann", verdicts.stored(rows))
    migration = server.get(MIGRATION, "faces-2", f"kraf-{DEVICE}")
    assert migration is not None
    stored = migration["status"]["portability"]
    assert len(rows) <= verdicts.MOST
    told = [(one["property"], one["verdict"], one["why"]) for one in rows]
    assert sorted((one["property"], one["verdict"], one["why"]) for one in stored) == sorted(told)
