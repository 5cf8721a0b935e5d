# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""placement/group: what is told of a group, and what becomes of it in one pod."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import App, Data, Device, Member, Port
from ansible_collections.kraf.edge.plugins.module_utils.cluster.client import Cluster
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.manifests import mover, presence, standby, workload
from ansible_collections.kraf.edge.plugins.module_utils.manifests.workload import Workload
from ansible_collections.kraf.edge.plugins.module_utils.placement import group, reading, verdicts
from ansible_collections.kraf.edge.plugins.module_utils.placement.job import Job, Limits, Site
from ansible_collections.kraf.edge.plugins.module_utils.placement.verdicts import LOST, REFUSED, TRANSLATED

from .containers import container

APP = App(
    "pi1",
    "shop",
    container="front",
    ports=(Port(8000, 80), Port(5432, 5432, member="db")),
    data=(Data("tables", "/data", "db"),),
    members=(Member("db", "shop-db", memory="64Mi"),),
)
IMAGES = ["registry.example/shop@sha256:1", "registry.example/db@sha256:2"]


def found(front: Any = None, db: Any = None, neighbours: Any = ()) -> dict[str, Any]:
    """The group as its device describes it; the words of each container may differ."""
    plain = {"network_mode": "shop_default", "links": [], "env": {}}
    ours = [{"port": 5432, "protocol": "tcp", "device_port": 5432, "address": ""}]
    own = {"name": "front", "mounts": [], "data": {}, "listens": [8000]}
    other = {"name": "shop-db", "ports": ours, "listens": [5432], "argv": ["postgres"], "id": "f" * 64}
    other = {**other, "hostname": "f" * 12, "data": {"tables": container()["data"]["results"]}}
    members = [container(**{**plain, **own, **(front or {})}), container(**{**plain, **other, **(db or {})})]
    data = {key: value for one in members for key, value in one["data"].items()}
    return {"name": "group:front,shop-db", "members": members, "data": data, "neighbours": list(neighbours)}


def refused(*accept: str, **words: Any) -> dict[str, str]:
    rows = group.examine(APP, found(**words), accept)
    return {one["property"]: one["why"] for one in rows if one["verdict"] == REFUSED}


def wanted(**words: Any) -> Workload:
    told = found(**words)
    more = {"companions": group.companions(APP, told, IMAGES), "names": group.names(APP, told)}
    process = group.process(APP, told)
    return Workload(APP, "uid", process, IMAGES[0], "registry.example/edge:1", ("amd64",), 2, 7, **more)


@pytest.mark.parametrize("mode", ["host", "none", "container:abc"])
def test_a_network_that_one_container_could_not_move_with_stays_refused(mode: str) -> None:
    words = {"db": {"network_mode": mode}}
    assert list(refused(**words)) == [f"db: network {mode}"]
    assert not refused(f"db: network {mode}", **words)


def test_a_plain_group_moves_and_each_row_says_whose_it_is() -> None:
    rows = group.examine(APP, found())
    assert refused() == {}
    assert {"app: argv", "db: argv", "db: data tables", "db: port 5432 to 5432/tcp"} <= {
        one["property"] for one in rows
    }
    names = next(one for one in rows if one["property"] == "names")
    assert (names["verdict"], "front db shop-db" in names["why"]) == (TRANSLATED, True)
    assert not any("network" in one["property"] for one in rows)


def test_what_one_container_cannot_is_refused_with_its_name() -> None:
    assert set(refused(db={"privileged": True})) == {"db: privileged"}
    assert refused("db: privileged", db={"privileged": True}) == {}


def test_the_port_of_what_answers_in_place_of_a_group_without_ports_is_not_theirs() -> None:
    told = found(front={"listens": [presence.PORT], "ports": []}, db={"ports": []})
    silent = dataclasses.replace(APP, ports=())
    for app, names in ((APP, []), (silent, [f"port {presence.PORT} of kraf.edge itself and app"])):
        rows = group.examine(app, told)
        assert [one["property"] for one in rows if one["verdict"] == REFUSED] == names


def test_two_that_listen_on_one_port_are_refused_by_name() -> None:
    told = refused(db={"listens": [5432, 8000]})
    assert set(told) == {"port 8000 of app and db"}
    assert "let one use another" in told["port 8000 of app and db"]
    with pytest.raises(KrafError, match="Change the container"):
        verdicts.refuse(APP, group.examine(APP, found(db={"listens": [8000]}), ["port 8000 of app and db"]))
    # While one does not run, what its image exposes is all that is known.
    stopped = {"running": False, "status": "exited", "listens": [], "exposed": ["8000/tcp", "9/udp"]}
    assert set(refused(db=stopped)) == {"db: state", "port 8000 of app and db"}
    assert refused(db={"exposed": ["8000/tcp"]}) == {}


def test_mig_17_a_container_that_is_named_and_no_member_is_refused_unless_accepted() -> None:
    mq = {"container": "shop-mq", "names": ["mq", "shop-mq"]}
    env = {"QUEUE": "amqp://user:secret@mq:5672/x"}
    told = refused(front={"env": env}, neighbours=[mq])
    assert set(told) == {"container shop-mq"}
    assert "variable QUEUE of app names mq" in told["container shop-mq"]
    assert "secret" not in repr(told)
    assert refused("container shop-mq", front={"env": env}, neighbours=[mq]) == {}
    assert set(refused(db={"argv": ["run", "--to=shop-mq"]}, neighbours=[mq])) == {"container shop-mq"}
    # Another word that has the name in it is not the name.
    for other in ("mqtt", "a-mq", "mq-2", "mq.example.org", "team_mq"):
        assert refused(front={"env": {"QUEUE": other}}, neighbours=[mq]) == {}
    rows = {one["property"]: one["verdict"] for one in group.examine(APP, found(neighbours=[mq]))}
    assert rows["container shop-mq"] == LOST


def test_names_that_no_hosts_file_of_a_pod_takes_are_refused_where_they_are_used() -> None:
    alias = {"aliases": {"shop_default": ["my_db", "data"]}}
    assert refused(db=alias) == {}
    assert group.names(APP, found(db=alias)) == ("front", "db", "shop-db", "data")
    told = refused(db=alias, front={"env": {"DB": "my_db:5432"}})
    assert "variable DB of app names it" in told["name my_db"]


def test_a_link_under_another_name_is_refused() -> None:
    assert set(refused(front={"links": ["store"]})) == {"app: link store"}
    assert refused(front={"links": ["db"]}) == {}


def test_what_a_pod_has_once_and_two_want_differently_is_told() -> None:
    low = "net.ipv4.ip_unprivileged_port_start"
    assert set(refused(front={"sysctls": {low: "0"}}, db={"sysctls": {low: "80"}})) == {f"sysctl {low} of the group"}
    assert refused(front={"sysctls": {low: "0"}}) == {}


def test_a_group_is_one_pod_with_one_gate_and_each_container_s_own() -> None:
    shm, files = {"shm_bytes": 2**20}, [{"type": "bind", "source": "/etc/db.conf", "path": "/etc/db.conf"}]
    files[0].update({"kind": "file", "bytes": 1, "content": "eA==", "read_only": True})  # type: ignore[dict-item]
    db = {**shm, "env": {"PASSWORD": "b"}, "stop_timeout": 33, "mounts": files, "groups": ["7"]}
    want = wanted(front={**shm, "env": {"TOKEN": "a"}}, db={**db, "identity": {"groups": [7]}})
    made = workload.objects(want)
    names = [f"{one['kind']} {one['metadata']['name']}" for one in made]
    secrets = ["Secret app-shop-env", "Secret app-shop-env.db", "Secret app-shop-files.db"]
    assert names == [*secrets, "Service app-shop", "StatefulSet app-shop"]
    assert set(names[:3]) <= {f"Secret {one}" for one in workload.secret_names(APP)}
    assert [list(one["data"]) for one in made[:2]] == [["TOKEN"], ["PASSWORD"]]
    assert [one["port"] for one in made[3]["spec"]["ports"]] == [8000, 5432]
    spec = made[4]["spec"]["template"]["spec"]
    own, other = spec["containers"]
    assert [one["name"] for one in (*spec["initContainers"], own, other)] == ["gate", "app", "db"]
    assert [own["image"], other["image"]] == IMAGES
    assert [one["envFrom"][0]["secretRef"]["name"] for one in (own, other)] == ["app-shop-env", "app-shop-env.db"]
    assert [own["readinessProbe"]["tcpSocket"]["port"], other["readinessProbe"]["tcpSocket"]["port"]] == [8000, 5432]
    assert "limits" not in own.get("resources", {})
    assert other["resources"]["limits"] == {"memory": "64Mi"}
    assert {one["mountPath"]: one.get("subPath") for one in other["volumeMounts"]} == {
        "/data": "7/tables",
        "/dev/shm": None,
        "/etc/db.conf": "file-0",
    }
    assert [one["mountPath"] for one in own["volumeMounts"]] == ["/dev/shm"]
    assert sorted(one["name"] for one in spec["volumes"]) == ["data", "files-of-db", "shm", "shm-of-db"]
    assert spec["terminationGracePeriodSeconds"] == 33
    assert spec["securityContext"]["supplementalGroups"] == [7]
    assert spec["hostAliases"] == [{"ip": "127.0.0.1", "hostnames": ["front", "db", "shop-db"]}]


def test_hosts_of_all_and_names_of_the_group_are_one_list() -> None:
    want = wanted(front={"extra_hosts": ["a:192.0.2.1"]}, db={"extra_hosts": ["b:192.0.2.1", "c:127.0.0.1"]})
    spec = workload.objects(want)[-1]["spec"]["template"]["spec"]
    listed = {one["ip"]: one["hostnames"] for one in spec["hostAliases"]}
    assert listed == {"192.0.2.1": ["a", "b"], "127.0.0.1": ["c", "front", "db", "shop-db"]}


def test_a_group_comes_back_whole_from_what_the_edge_is_kept_ready_with() -> None:
    want = wanted(db={"env": {"PASSWORD": "b"}, "extra_hosts": ["b:192.0.2.1"]})
    assert standby.read(standby.secret(want)) == want
    assert workload.objects(standby.read(standby.secret(want))) == workload.objects(want)


def test_members_are_not_changed_while_the_edge_owns_the_app() -> None:
    look = {"record": {"owner": "edge", "container": "group:front,shop-db", "job": False}}
    reading.same_kind(APP, look)
    for other in (dataclasses.replace(APP, members=()), dataclasses.replace(APP, container="back")):
        with pytest.raises(KrafError, match="it went to the edge as group:front,shop-db"):
            reading.same_kind(other, look)
    reading.same_kind(dataclasses.replace(APP, members=()), {"record": {**look["record"], "owner": "device"}})


def test_the_images_of_all_are_on_the_node_before_they_are_needed() -> None:
    wanted_ = mover.Mover("pi1", "uid", "shop", 2, 7, "edge:1", "token", IMAGES[0], more_images=(IMAGES[1], IMAGES[0]))
    containers = mover.pod(wanted_)["spec"]["containers"]
    assert [one["image"] for one in containers if one["name"].startswith(mover.PULL)] == IMAGES
    there = [{"name": one["name"], "imageID": "x"} for one in containers]
    assert mover.pulled({"status": {"containerStatuses": there}}) == mover.THERE
    failed = {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}
    for state, told in (({}, mover.WAITING), (failed, "no such image")):
        last = {"name": containers[-1]["name"], "state": state}
        assert mover.pulled({"status": {"containerStatuses": [*there[:-1], last]}}) == told
    assert mover.pulled({}) == mover.WAITING


class Call:
    """The device, which pushes whatever it is asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []

    def __call__(self, step: str, **given: Any) -> dict[str, Any]:
        self.asked.append((step, given["container"], given.get("repository", "")))
        sent = {"pushed_bytes": 10, "pushed_layers": {"sent": 1, "there": 2}}
        return {"reference": f"{given['repository']}@sha256:1", **sent} if step == "push" else {"served": {}}


def job(app: App, told: dict[str, Any], call: Any) -> Job:
    cluster = cast(Cluster, SimpleNamespace(get=lambda *given: None))
    site = Site(("192.0.2.1:1",), "edge:1", "registry:5000", ("amd64", "arm64"))
    return Job(cluster, app, Device("pi1"), "edge", "me", site, Limits(), call, look={"container": told})


def test_each_image_is_pushed_from_its_container_to_a_name_of_its_own() -> None:
    call = Call()
    moving = job(APP, found(), call)
    choices = group.choose(moving)
    assert [choice.architectures for choice in choices] == [("amd64",), ("amd64",)]
    assert [choice.report[0]["property"] for choice in choices] == ["app: image", "db: image"]
    assert group.bring(moving, choices) == ["registry:5000/pi1/shop@sha256:1", "registry:5000/pi1/shop/db@sha256:1"]
    pushed = [("push", "front", "registry:5000/pi1/shop"), ("push", "shop-db", "registry:5000/pi1/shop/db")]
    assert [one for one in call.asked if one[0] == "push"] == pushed
    assert (moving.pushed_bytes, moving.pushed_layers) == (20, {"sent": 2, "there": 4})


def test_images_without_an_architecture_in_common_are_refused() -> None:
    moving = job(APP, found(db={"architecture": "arm64"}), Call())
    with pytest.raises(KrafError, match="app for amd64; db for arm64"):
        group.choose(moving)


def test_a_group_that_is_not_whole_cannot_move() -> None:
    told = {"name": "group:front,shop-db", "absent": ["shop-db"], "data": {}, "running": False}
    with pytest.raises(KrafError, match="no container shop-db, and a group moves as a whole"):
        assert job(APP, told, Call()).found
