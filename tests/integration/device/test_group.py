# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups of containers of a real Docker Engine: described, judged, stopped, started; a real API server takes them."""

from __future__ import annotations

import contextlib
import secrets
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import App, Data, Member, Port
from ansible_collections.kraf.edge.plugins.module_utils.cluster.client import Cluster
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.manifests import namespace, workload
from ansible_collections.kraf.edge.plugins.module_utils.manifests.workload import Workload
from ansible_collections.kraf.edge.plugins.module_utils.on_device import adopt, docker, placement, runner
from ansible_collections.kraf.edge.plugins.module_utils.on_device.placement import Record
from ansible_collections.kraf.edge.plugins.module_utils.placement import group
from ansible_collections.kraf.edge.plugins.module_utils.placement.verdicts import REFUSED
from tests.integration import pods
from tests.integration.device import parts
from tests.integration.device.engine import Create, Engine

UID = "6a0cbb2e-38a4-4a9f-9d2f-5a1f0f6c9d13"
IMAGES = ["registry.example:5000/pi/shop@sha256:" + "0" * 64, "registry.example:5000/pi/shop/db@sha256:" + "1" * 64]
NOTHING: dict[str, Any] = {"PortBindings": {}}


@dataclass
class Group:
    """A front and its database in a network of their own."""

    app: App
    network: str
    create: Create

    @property
    def names(self) -> tuple[str, str]:
        return self.app.container, self.app.members[0].container

    def look(self) -> dict[str, Any]:
        places = [(one["name"], one["path"], one["container"]) for one in self.app.places()]
        found: dict[str, Any] = adopt.look(self.app.name, self.app.runs_as, places, True)["container"]
        return found

    def refused(self) -> dict[str, str]:
        rows = group.examine(self.app, self.look())
        return {one["property"]: one["why"] for one in rows if one["verdict"] == REFUSED}

    def another(self, **words: Any) -> str:
        """A further container in their network."""
        return self.create(networks={self.network: {}}, HostConfig=NOTHING, **words)


@pytest.fixture
def shop(create: Create, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Group]:
    monkeypatch.setattr(placement, "ROOT", tmp_path / "lib")
    network, front, db = (f"{one}-{secrets.token_hex(4)}" for one in ("net", "front", "db"))
    engine.ask("POST", "/networks/create", {"Name": network})
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables/one").write_text("row")
    create(
        name=db,
        start=True,
        networks={network: {"Aliases": ["db"]}},
        HostConfig={
            **NOTHING,
            "NetworkMode": network,
            "Binds": [f"{tmp_path}/tables:/data"],
            "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 4},
        },
    )
    create(
        name=front,
        start=True,
        networks={network: {}},
        Env=["BACKEND=http://db:5432"],
        HostConfig={
            "NetworkMode": network,
            "PortBindings": {"8000/tcp": [{"HostPort": "8000"}]},
            "RestartPolicy": {"Name": "unless-stopped"},
        },
    )
    app = App(
        "pi1",
        "shop",
        container=front,
        ports=(Port(8000, 8000),),
        data=(Data("tables", "/data", "db"),),
        members=(Member("db", db),),
    )
    yield Group(app, network, create)
    for name in (front, db):
        engine.remove(name)
    with contextlib.suppress(AssertionError):
        engine.ask("DELETE", f"/networks/{network}")


def test_mig_17_a_stack_of_two_is_one_pod_that_a_real_api_server_takes(shop: Group, cluster: Cluster) -> None:
    found = shop.look()
    assert shop.refused() == {}
    assert found["running"]
    assert found["data"]["tables"]["bytes"] >= 3
    names = group.names(shop.app, found)
    assert {"db", *shop.names} <= set(names)
    process, others = group.process(shop.app, found), group.companions(shop.app, found, IMAGES)
    edge = "registry.example:5000/kraf/edge:1"
    want = Workload(shop.app, UID, process, IMAGES[0], edge, ("amd64",), 3, 3, companions=others, names=names)
    cluster.apply(namespace.objects("pi1", UID)[0])
    made = workload.objects(want)
    for one in [*made, *(pod for obj in made for pod in pods.of(obj))]:
        stored = cluster.apply(one, dry_run=True)
    assert [one["name"] for one in stored["spec"]["containers"]] == ["app", "db"]
    assert "db" in stored["spec"]["hostAliases"][0]["hostnames"]
    assert "http://" not in repr(stored)


def test_they_stop_and_start_as_one_with_their_own_policies(shop: Group) -> None:
    runs = runner.named(shop.app.runs_as)
    record = Record("shop").noted(shop.app.runs_as, runs.describe())
    runs.prepare()
    runs.stop(record)
    assert not runs.running(record)
    assert [docker.describe(name).restart_policy for name in shop.names] == ["no", "no"]
    assert not shop.look()["running"]
    # As a run that was cut off leaves it: one of them is up already.
    docker.start(shop.names[1])
    assert runs.running(record)
    assert not shop.look()["running"]
    assert runs.start(record)
    assert shop.look()["running"]
    told = [docker.describe(name) for name in shop.names]
    assert [(one.restart_policy, one.restart_maximum) for one in told] == [("unless-stopped", 0), ("on-failure", 4)]
    assert runs.address(8000, "tcp") == ("127.0.0.1:8000", "*")


def test_a_pause_freezes_both_until_they_go_on(shop: Group) -> None:
    runs = runner.named(shop.app.runs_as)
    record = Record("shop").noted(shop.app.runs_as, runs.describe())
    runs.pause(record)
    assert [docker.describe(name).status for name in shop.names] == ["paused", "paused"]
    runs.resume(record)
    assert [docker.describe(name).status for name in shop.names] == ["running", "running"]


def test_one_that_was_removed_is_told_and_the_other_left_alone(shop: Group, engine: Engine) -> None:
    engine.remove(shop.names[1])
    assert shop.look()["absent"] == [shop.names[1]]
    with pytest.raises(KrafError, match=shop.names[1]):
        runner.named(shop.app.runs_as).describe()
    assert docker.describe(shop.names[0]).running


@pytest.mark.parametrize("named", [True, False])
def test_mig_17_a_third_of_their_network_is_refused_where_it_is_named(shop: Group, named: bool) -> None:
    other = shop.another(name=f"queue-{secrets.token_hex(4)}", Env=["HOME=/"])
    if named:
        back = shop.another(name=f"back-{secrets.token_hex(4)}", start=True, Env=[f"QUEUE=amqp://{other}:1"])
        shop.app = replace(shop.app, members=(*shop.app.members, Member("back", back)))
        refused = shop.refused()
        assert set(refused) == {f"container {other}"}
        assert f"variable QUEUE of back names {other}" in refused[f"container {other}"]
    else:
        assert shop.refused() == {}


def test_a_port_that_both_really_listen_on_is_refused(shop: Group, listener: Callable[[str, int], None]) -> None:
    listener(shop.names[0], 7000)
    assert shop.refused() == {}
    listener(shop.names[1], 7000)
    assert set(shop.refused()) == {"port 7000 of app and db"}


@pytest.fixture
def listener() -> Iterator[Callable[[str, int], None]]:
    """Listens on a port in the network of a container, as a program of it would."""
    opened = []

    def listen(name: str, port: int) -> None:
        with parts.network_of(docker.pid(name)):
            opened.append(socket.create_server(("", port)))

    yield listen
    for one in opened:
        one.close()
