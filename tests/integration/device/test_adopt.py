"""Containers of a real Docker Engine: described, judged, and made apps that a real API server takes."""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import App, Device, Port
from ansible_collections.kraf.edge.plugins.module_utils.catalog.store import open_catalog
from ansible_collections.kraf.edge.plugins.module_utils.cluster.client import Cluster
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.manifests import namespace, workload
from ansible_collections.kraf.edge.plugins.module_utils.manifests.workload import Workload
from ansible_collections.kraf.edge.plugins.module_utils.on_device import adopt
from ansible_collections.kraf.edge.plugins.module_utils.placement import definition, portability, verdicts
from ansible_collections.kraf.edge.plugins.module_utils.placement.verdicts import KEPT, LOST, REFUSED, TRANSLATED
from ansible_collections.kraf.edge.plugins.modules import app as app_module
from ansible_collections.kraf.edge.plugins.modules import container as container_module
from tests.integration import pods
from tests.integration.device import engine as engines
from tests.integration.device.engine import IMAGE, SLEEP, Create, Engine
from tests.integration.modules import run

UID = "6a0cbb2e-38a4-4a9f-9d2f-5a1f0f6c9d11"
DIGEST = "registry.example:5000/pi/app@sha256:" + "0" * 64
EDGE = "registry.example:5000/kraf/edge:1"
CANARY = "canary-7f3a"


def described(name: str, app: App | None = None) -> dict[str, Any]:
    """As a move sees it."""
    data = [(one.name, one.path, "") for one in app.data] if app else []
    found: dict[str, Any] = adopt.look(name, name, data, secrets=True)["container"]
    return found


def judged(name: str, *accept: str) -> dict[str, str]:
    """Verdicts by property."""
    adopted = definition.adopt(adopt.report(name), "pi1")
    rows = verdicts.accepted(adopted.report, accept)
    return {one["property"]: one["verdict"] for one in rows}


def objects(name: str, cluster: Cluster, app: App | None = None) -> dict[str, dict[str, Any]]:
    """What the API server would store for it, by kind; of the Secrets the names' last part."""
    app = app or definition.adopt(adopt.report(name), "pi1").app
    wanted = Workload(app, UID, portability.process(described(name, app)), DIGEST, EDGE, ("amd64",), 3, 3)
    cluster.apply(namespace.objects("pi1", UID)[0])
    rendered = workload.objects(wanted)
    for one in rendered:
        for made in pods.of(one):
            cluster.apply(made, dry_run=True)
    stored = [cluster.apply(one, dry_run=True) for one in rendered]
    return {
        one["metadata"]["name"].rpartition("-")[2] if one["kind"] == "Secret" else one["kind"]: one for one in stored
    }


def pod(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    spec: dict[str, Any] = found["StatefulSet"]["spec"]["template"]["spec"]
    return spec


def app_container(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return next(dict(one) for one in pod(found)["containers"] if one["name"] == "app")


# -- what runs --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def images(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Images that differ in entry point and command alone."""
    empty = tmp_path_factory.mktemp("layer")
    found = {}
    engines.root(empty)
    for key, config in {
        "E": {"ENTRYPOINT": '["sh", "-c", "sleep 900; true", "image"]'},
        "C": {"CMD": '["sleep", "901"]'},
        "EC": {"ENTRYPOINT": '["sleep"]', "CMD": '["902"]'},
    }.items():
        engine.make_image(f"kraf-{key.lower()}", empty, **config)
        found[key] = f"kraf-{key.lower()}:1"
    return found


@pytest.mark.parametrize("image", ["E", "C", "EC"])
@pytest.mark.parametrize(
    "given",
    [
        {"Cmd": None},
        {"Cmd": ["903"]},
        {"Entrypoint": ["sh", "-c", "sleep 904 # $(HOME) $$ 'a b'"]},
        {"Entrypoint": ["sleep"], "Cmd": ["905", "906"]},
        {"Entrypoint": [""], "Cmd": ["sleep", "907"]},
    ],
    ids=["none", "C", "E", "EC", "emptied"],
)
def test_mig_03_the_pod_runs_what_runs_on_the_device(
    create: Create, engine: Engine, cluster: Cluster, images: dict[str, str], image: str, given: dict[str, Any]
) -> None:
    if image == "C" and given == {"Cmd": ["903"]}:
        given = {"Cmd": ["sleep", "903"]}
    name = create(start=True, image=images[image], **{"Cmd": None, **given})
    really = engine.output(name, "cat", "/proc/1/cmdline").rstrip("\0").split("\0")
    one = app_container(objects(name, cluster))
    assert [word.replace("$$", "$") for word in [*one["command"], *one.get("args", [])]] == really


def test_mig_05_no_variable_comes_from_the_service_of_the_app(create: Create, cluster: Cluster) -> None:
    name = create(Env=["PROBE=1"])
    found = objects(name, cluster)
    assert pod(found)["enableServiceLinks"] is False
    assert set(found["env"]["data"]) == {"PROBE"}


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"Name": "no"}, "restart policy no"),
        ({"Name": ""}, "restart policy no"),
        ({"Name": "always"}, "restart policy always"),
        ({"Name": "unless-stopped"}, "restart policy unless-stopped"),
        ({"Name": "on-failure", "MaximumRetryCount": 3}, "restart policy on-failure:3"),
    ],
)
def test_mig_06_each_restart_policy_becomes_one_that_kubernetes_takes(
    create: Create, cluster: Cluster, policy: dict[str, Any], said: str
) -> None:
    name = create(HostConfig={"RestartPolicy": policy})
    rows = {one["property"]: one for one in definition.adopt(adopt.report(name), "pi1").report}
    assert rows[said]["verdict"] == TRANSLATED
    lost = {"no": "nothing starts it again", "on-failure": "its number of tries is not counted"}
    assert lost.get(policy["Name"] or "no", "starts it again") in rows[said]["why"]
    assert ("of kind job" in rows[said]["why"]) == (policy["Name"] in ("", "no", "on-failure"))
    assert pod(objects(name, cluster))["restartPolicy"] == "Always"


def numbers(text: str) -> list[int]:
    return sorted(map(int, text.split()))


@pytest.mark.parametrize("running", [True, False], ids=["running", "stopped"])
@pytest.mark.parametrize(
    ("user", "groups"),
    [("pi", []), ("pi:video", []), ("1000:1000", ["44"]), ("1234", ["spare"]), ("77", []), ("5000", ["gpio"])],
)
def test_mig_11_the_numbers_at_the_edge_are_those_inside_the_image(
    create: Create, engine: Engine, cluster: Cluster, user: str, groups: list[str], running: bool
) -> None:
    given: dict[str, Any] = {"User": user, "HostConfig": {"GroupAdd": groups}}
    name = create(start=running, **given)
    one = objects(name, cluster)
    security, more = app_container(one)["securityContext"], pod(one)["securityContext"].get("supplementalGroups", [])
    assert judged(name)[f"user {user}"] == KEPT
    # As kubelet's dockershim starts it.
    there = create(
        start=True,
        User=f"{security['runAsUser']}:{security['runAsGroup']}",
        HostConfig={"GroupAdd": list(map(str, more)), "PortBindings": {}},
    )
    if not running:
        name = create(start=True, User=user, HostConfig={"GroupAdd": groups, "PortBindings": {}})
    for question in ("-u", "-g"):
        assert engine.output(name, "id", question) == engine.output(there, "id", question)
    assert numbers(engine.output(name, "id", "-G")) == numbers(engine.output(there, "id", "-G"))


def test_mig_11_a_user_that_the_image_does_not_know_is_refused_by_name(create: Create) -> None:
    name = create(User="nobody-here", HostConfig={"GroupAdd": ["no-such-group"]})
    found = judged(name, "user nobody-here", "group no-such-group")
    assert found["user nobody-here"] == REFUSED
    assert found["group no-such-group"] == LOST


def test_mig_11_a_table_of_users_behind_a_link_is_read(create: Create, engine: Engine) -> None:
    name = create(start=True, User="pi")
    engine.output(name, "sh", "-c", "cat /etc/passwd > /etc/elsewhere")
    assert adopt.report(name)["identity"] == {"user": 1234, "group": 4321, "groups": [44, 997], "unknown": []}


ENVIRONMENT = [
    "1X=2",
    "BAD-NAME=yes",
    "NUMBER=1",
    "TRUE=true",
    "TWICE=first",
    "TWICE=last",
    "PEM=-----\nline\n",
    "=C:=x",
]


def test_mig_13_variables_arrive_as_texts_and_the_last_of_twins_counts(create: Create, cluster: Cluster) -> None:
    name = create(Env=ENVIRONMENT[:-1])
    found = described(name)
    assert "PATH" not in found["env"]
    report = judged(name, "variable 1X")
    assert report["variable 1X"] == LOST
    assert judged(name)["variable 1X"] == REFUSED
    process = portability.process(found)
    assert process.env == {
        "BAD-NAME": "yes",
        "NUMBER": "1",
        "TRUE": "true",
        "TWICE": "last",
        "PEM": "-----\nline\n",
    }
    assert set(objects(name, cluster)["env"]["data"]) == set(process.env)


def test_mig_13_the_hostname_that_docker_makes_up_is_not_carried(create: Create) -> None:
    assert "host name" not in judged(create())
    assert judged(create(Hostname="kitchen"))["host name"] == LOST


# -- secrets ----------------------------------------------------------------------------------------------------------


def test_mig_15_values_reach_the_secrets_and_nothing_else(
    create: Create,
    cluster: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "app.conf").write_text(f"token = {CANARY}\n")
    binds = {"Binds": [f"{tmp_path}/app.conf:/etc/app.conf:ro"]}
    name = create(Env=[f"API_KEY={CANARY}", f"PEM=---\n{CANARY}\n"], HostConfig=binds)
    said = run(container_module, {"name": name}, False, monkeypatch, capsys)
    assert said["container"]["env"] == ["API_KEY", "PEM"]
    adopted = definition.adopt(said["container"], "pi1")
    with open_catalog(str(tmp_path / "catalog.sqlite"), write=True) as catalog:
        catalog.put_devices([Device("pi1")])
    options = {"catalog": str(tmp_path / "catalog.sqlite"), "apps": [adopted.options]}
    registered = run(app_module, options, False, monkeypatch, capsys)
    stored = objects(name, cluster)
    secret = [stored.pop(key) for key in ("env", "files")]
    assert [sorted(one["data"]) for one in secret] == [["API_KEY", "PEM"], ["file-0"]]
    process = portability.process(described(name))
    shown = [said, adopted, adopted.lines(), registered, stored, process, adopt.docker.describe(name)]
    for one in shown:
        assert CANARY not in repr(one)
    assert CANARY.encode() not in (tmp_path / "catalog.sqlite").read_bytes()


def test_an_adopted_app_is_registered_unchanged_and_a_second_time_without_a_change(
    create: Create, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    name = create(
        name="Kitchen_Web",
        Env=["A=1"],
        HostConfig={"Binds": [f"{tmp_path}/data:/srv/data"], "Memory": 100 << 20, "NanoCpus": 500_000_000},
        Healthcheck={"Test": ["CMD-SHELL", "curl -fs http://localhost:80/health || exit 1"]},
    )
    options = definition.adopt(adopt.report(name), "pi1").options
    with open_catalog(str(tmp_path / "catalog.sqlite"), write=True) as catalog:
        catalog.put_devices([Device("pi1")])
    for changed in (True, False):
        given = {"catalog": str(tmp_path / "catalog.sqlite"), "apps": [options]}
        said = run(app_module, given, False, monkeypatch, capsys)
        assert said["changed"] is changed
    row = said["apps"][0]
    assert (row["name"], row["container"], row["memory"], row["cpu"]) == ("kitchen-web", "Kitchen_Web", "100Mi", "500m")
    assert row["probe"] == {"path": "/health", "port": 80}
    assert row["ports"] == [{"port": 80, "device_port": 8080, "protocol": "TCP"}]
    assert row["data"] == [{"name": "data", "path": "/srv/data"}]
    assert [*row["command"], *row["args"]] == SLEEP


# -- data -------------------------------------------------------------------------------------------------------------


def test_mig_08_each_of_seven_mounts_has_its_place_or_is_refused_by_name(
    create: Create, cluster: Cluster, tmp_path: Path
) -> None:
    for folder in ("data", "inner", "config", "spare"):
        (tmp_path / folder).mkdir()
    (tmp_path / "app.conf").write_text("x = 1\n")
    (tmp_path / "own.conf").write_text("x = 2\n")
    (tmp_path / "app.sock").touch()
    binds = [
        "caseprobe_vol:/srv/named",
        f"{tmp_path}/data:/srv/bind",
        f"{tmp_path}/inner:/srv/bind/inner",
        f"{tmp_path}/config:/srv/config:ro",
        f"{tmp_path}/app.conf:/etc/app.conf:ro",
        f"{tmp_path}/own.conf:/etc/own.conf",
        "/var/run:/host/run",
    ]
    name = create(HostConfig={"Binds": binds}, Volumes={"/srv/anonymous": {}})
    app = definition.adopt(adopt.report(name), "pi1").app
    assert {one.name: one.path for one in app.data} == {
        "bind": "/srv/bind",
        "config": "/srv/config",
        "named": "/srv/named",
    }
    rows = portability.examine(app, described(name, app))
    found = {one["property"]: one["verdict"] for one in rows}
    assert found["data bind"] == found["data config"] == found["data named"] == KEPT
    assert found["volume at /srv/anonymous"] == TRANSLATED
    assert found[f"file {tmp_path}/app.conf at /etc/app.conf"] == TRANSLATED
    refused = [one for one in rows if one["verdict"] == REFUSED]
    assert sorted(one["property"] for one in refused) == sorted(
        [
            f"bind {tmp_path}/inner at /srv/bind/inner",
            f"file {tmp_path}/own.conf at /etc/own.conf",
            "bind /var/run at /host/run",
        ]
    )
    accept = [one["property"] for one in refused]
    assert REFUSED not in [one["verdict"] for one in portability.examine(app, described(name, app), accept)]
    mounts = {one["mountPath"]: one for one in app_container(objects(name, cluster))["volumeMounts"]}
    assert set(mounts) == {"/srv/bind", "/srv/config", "/srv/named", "/etc/app.conf", "/etc/own.conf"}
    assert mounts["/srv/config"]["readOnly"] is True
    assert mounts["/etc/app.conf"]["readOnly"] is True


def test_mig_08_a_volume_of_a_driver_of_the_device_is_refused(create: Create) -> None:
    found = described(create())
    mount = {"type": "volume", "name": "nas", "source": "/x", "path": "/srv", "driver": "nfs", "kind": "directory"}
    adopted = definition.adopt({**found, "mounts": [{**mount, "empty": False, "read_only": False}]}, "pi1")
    assert {one["property"]: one["verdict"] for one in adopted.report}["volume /x at /srv"] == REFUSED
    assert adopted.app.data == ()


def test_what_was_written_into_the_container_itself_is_told(create: Create, engine: Engine, tmp_path: Path) -> None:
    name = create(start=True, HostConfig={"Binds": [f"{tmp_path}:/data"], "Tmpfs": {"/scratch": ""}})
    engine.output(name, "sh", "-c", "for f in /data/a /tmp/b /scratch/c /etc/kept /new; do echo 1 > $f; done")
    assert adopt.report(name)["changes"] == {"total": 2, "paths": ["/etc/kept", "/new"]}
    row = next(
        one for one in definition.adopt(adopt.report(name), "pi1").report if one["property"].startswith("written")
    )
    assert row["verdict"] == LOST
    assert "2 files" in row["why"]
    assert "/etc/kept /new" in row["why"]


# -- what the edge does not have --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ({"Binds": ["/var/run/docker.sock:/var/run/docker.sock"]}, None),
        (
            {"Devices": [{"PathOnHost": "/dev/fuse", "PathInContainer": "/dev/fuse", "CgroupPermissions": "rwm"}]},
            "device /dev/fuse",
        ),
        ({"Privileged": True}, "privileged"),
        ({"PidMode": "host"}, "pid_mode host"),
        ({"IpcMode": "host"}, "ipc_mode host"),
        ({"NetworkMode": "host", "PortBindings": {}}, "network host"),
        ({"NetworkMode": "none", "PortBindings": {}}, "network none"),
        ({"CapAdd": ["CAP_NET_ADMIN"]}, "capability NET_ADMIN"),
        ({"SecurityOpt": ["seccomp=unconfined"]}, "security option seccomp=unconfined"),
        ({"Sysctls": {"net.core.somaxconn": "1024"}}, "sysctl net.core.somaxconn"),
        ({"ExtraHosts": ["box:host-gateway"]}, "host box:host-gateway"),
        ({"DeviceCgroupRules": ["c 189:* rmw"]}, "DeviceCgroupRules c 189:* rmw"),
        ({"MaskedPaths": [], "ReadonlyPaths": []}, "system paths unconfined"),
    ],
    ids=lambda one: next(iter(one)) if isinstance(one, dict) else None,
)
def test_mig_09_each_item_is_refused_by_its_name_and_may_be_accepted_by_it(
    create: Create, cluster: Cluster, engine: Engine, host: dict[str, Any], name: str | None
) -> None:
    if name is None:
        host = {"Binds": [f"{engine.socket}:/var/run/docker.sock"]}
        name = f"bind {engine.socket} at /var/run/docker.sock"
    container = create(HostConfig=host)
    app = replace(definition.adopt(adopt.report(container), "pi1").app, ports=(Port(80, 8080),))
    found = described(container, app)
    rows = portability.examine(app, found)
    assert [one["property"] for one in rows if one["verdict"] == REFUSED] == [name]
    with pytest.raises(KrafError) as caught:
        verdicts.refuse(app, rows)
    assert f"kraf_accept: {name!r}" in str(caught.value)
    verdicts.refuse(app, portability.examine(app, found, [name]))
    text = json.dumps(objects(container, cluster, app))
    for word in ("hostPath", "privileged", "hostNetwork", "hostPID", "hostIPC", "NET_ADMIN", "docker.sock"):
        assert word not in text


def test_what_kubernetes_can_do_is_translated(create: Create, cluster: Cluster) -> None:
    name = create(
        Tty=True,
        OpenStdin=True,
        Healthcheck={
            "Test": ["CMD-SHELL", "test $(HOME)"],
            "Interval": 2 * 10**9,
            "Timeout": 1_500_000_000,
            "Retries": 5,
        },
        HostConfig={
            "Tmpfs": {"/scratch": "size=16m,noexec"},
            "Mounts": [{"Type": "tmpfs", "Target": "/fast", "TmpfsOptions": {"SizeBytes": 4096, "Mode": 0o700}}],
            "ShmSize": 256 << 20,
            "ExtraHosts": ["db:10.0.0.5", "cache:10.0.0.5", "six:::1"],
            "CapDrop": ["ALL"],
            "CapAdd": ["CAP_CHOWN"],
            "SecurityOpt": ["no-new-privileges"],
            "Sysctls": {"net.ipv4.ip_unprivileged_port_start": "0"},
            "ReadonlyRootfs": True,
            "Ulimits": [{"Name": "nofile", "Soft": 1024, "Hard": 2048}],
            "Init": True,
        },
        StopSignal="SIGINT",
        StopTimeout=0,
    )
    found = judged(name)
    assert found["ulimit nofile 1024:2048"] == found["init"] == found["stop signal SIGINT"] == LOST
    assert REFUSED not in found.values()
    stored = objects(name, cluster)
    one = app_container(stored)
    volumes = {volume["name"]: volume for volume in pod(stored)["volumes"]}
    places = {mount["mountPath"]: volumes[mount["name"]]["emptyDir"] for mount in one["volumeMounts"]}
    assert places["/scratch"] == {"medium": "Memory", "sizeLimit": "16777216"}
    assert places["/fast"] == {"medium": "Memory", "sizeLimit": "4096"}
    assert places["/dev/shm"] == {"medium": "Memory", "sizeLimit": str(256 << 20)}
    assert pod(stored)["hostAliases"] == [
        {"ip": "10.0.0.5", "hostnames": ["db", "cache"]},
        {"ip": "::1", "hostnames": ["six"]},
    ]
    assert one["readinessProbe"]["exec"] == {"command": ["/bin/sh", "-c", "test $$(HOME)"]}
    assert [one["readinessProbe"][key] for key in ("periodSeconds", "timeoutSeconds", "failureThreshold")] == [2, 2, 5]
    assert one["securityContext"]["capabilities"] == {"add": ["CHOWN"], "drop": ["ALL"]}
    assert one["securityContext"]["allowPrivilegeEscalation"] is False
    assert one["securityContext"]["readOnlyRootFilesystem"] is True
    assert pod(stored)["securityContext"]["sysctls"] == [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]
    assert (one["tty"], one["stdin"], pod(stored)["terminationGracePeriodSeconds"]) == (True, True, 1)


def test_ports_of_every_form_are_described(create: Create, engine: Engine) -> None:
    bindings = {
        "80/tcp": [{"HostPort": "8080"}, {"HostPort": "8081"}],
        "53/udp": [{"HostPort": "1053"}],
        "90/tcp": [{"HostIp": "127.0.0.1", "HostPort": "9090"}],
        "91/tcp": [{"HostPort": "9200-9210"}],
    }
    exposed: dict[str, Any] = {key: {} for key in [*bindings, "7000/tcp"]}
    name = create(start=True, HostConfig={"PortBindings": bindings}, ExposedPorts=exposed)
    found = adopt.report(name)
    shown = [(one["address"], one["device_port"], one["port"], one["protocol"]) for one in found["ports"]]
    assert shown == [
        ("", 1053, 53, "udp"),
        ("", 8080, 80, "tcp"),
        ("", 8081, 80, "tcp"),
        ("127.0.0.1", 9090, 90, "tcp"),
        ("", 9200, 91, "tcp"),
    ]
    assert found["exposed"] == ["7000/tcp"]
    report = judged(name)
    assert report["exposed port 7000/tcp"] == LOST
    assert report["port 127.0.0.1:9090 to 90/tcp"] == report["port 8081 to 80/tcp"] == REFUSED


# -- groups -----------------------------------------------------------------------------------------------------------


def test_mig_17_a_member_of_a_stack_is_told_which_names_do_not_resolve(create: Create, engine: Engine) -> None:
    network = f"stack-{secrets.token_hex(4)}"
    engine.ask("POST", "/networks/create", {"Name": network})
    try:
        members = [
            create(
                Labels={
                    "com.docker.compose.project": "stack",
                    "com.docker.compose.service": service,
                    "com.docker.compose.depends_on": depends,
                    "com.docker.compose.project.config_files": "/srv/stack/compose.yml",
                    "com.docker.compose.project.working_dir": "/srv/stack",
                    "other": "label",
                },
                HostConfig={"NetworkMode": network, "PortBindings": {"80/tcp": [{"HostPort": port}]}},
                networks={network: {"Aliases": [service]}},
            )
            for service, depends, port in (("db", "", "8081"), ("web", "db", "8082"))
        ]
        found = adopt.report(members[0])
        assert found["compose"] == {
            "project": "stack",
            "service": "db",
            "files": ["/srv/stack/compose.yml"],
            "folder": "/srv/stack",
        }
        assert found["aliases"] == {network: ["db"]}
        rows = {one["property"]: one for one in definition.adopt(found, "pi1").report}
        assert rows[f"network {network}"]["verdict"] == rows["compose project"]["verdict"] == LOST
        assert "not by db" in rows[f"network {network}"]["why"]
        assert "as members of the app they are" in rows[f"network {network}"]["why"]
        assert "/srv/stack/compose.yml" in rows["compose project"]["why"]
        assert rows["labels"]["why"].endswith("other")
    finally:
        for one in members:
            engine.remove(one)
        engine.ask("DELETE", f"/networks/{network}")


def test_the_image_is_known_by_what_really_runs(create: Create, engine: Engine) -> None:
    found = adopt.report(create())
    assert found["image"] == f"{IMAGE}:1"
    assert found["image_id"] == engine.ask("GET", f"/images/{IMAGE}:1/json")["Id"]
    assert found["architecture"] == "amd64"
