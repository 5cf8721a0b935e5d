# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""on_device/group, group_runner: all containers of a group are run as one, in their order, also from halfway."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.on_device import (
    adopt,
    deadman,
    docker,
    group,
    placement,
    runner,
)
from ansible_collections.kraf.edge.plugins.module_utils.on_device.placement import EDGE, MOVING, Record

from .docker_api import Docker, device

NAMED = "group:front,cache,db"
RECORD = Record("shop", container=NAMED)


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Docker]:
    with device(tmp_path, monkeypatch) as found:
        found.add("front", "on-failure", 3)
        found.add("cache", "no")
        found.add("db", "unless-stopped")
        yield found


def noted() -> Record:
    return RECORD.noted(RECORD.container, runner.of(RECORD).describe())


def states(engine: Docker) -> list[bool]:
    return [engine.running(name) for name in ("front", "cache", "db")]


def test_they_stop_after_their_app_and_start_before_it_each_with_its_policy(engine: Docker) -> None:
    record = noted()
    assert record.container_id == "id-of-front,id-of-cache,id-of-db"
    assert record.restart_policy == "on-failure:3,no,unless-stopped"
    engine.calls.clear()
    runner.of(record).stop(record)
    assert [one for one in engine.calls if one.startswith("stop")] == ["stop front", "stop db", "stop cache"]
    assert [engine.policy(name)[0] for name in ("front", "cache", "db")] == ["no"] * 3
    assert not runner.of(record).running(record)
    engine.calls.clear()
    assert runner.of(record).start(record)
    assert [one for one in engine.calls if one.startswith("start")] == ["start cache", "start db", "start front"]
    assert [engine.policy(name) for name in ("front", "cache", "db")] == [
        ("on-failure", 3),
        ("no", 0),
        ("unless-stopped", 0),
    ]
    assert not runner.of(record).start(record)


@pytest.mark.parametrize("policy", ["no", "always"])
def test_policies_that_are_alike_are_told_apart_from_none(engine: Docker, policy: str) -> None:
    for name in ("front", "cache", "db"):
        engine.add(name, policy)
    record = noted()
    assert record.restart_policy == policy
    runner.of(record).stop(record)
    runner.of(record).start(record)
    assert {engine.policy(name)[0] for name in ("front", "cache", "db")} == {policy}


def test_the_record_survives_its_file(engine: Docker) -> None:
    record = noted()
    assert placement.load(placement.save(record).app) == record


def test_the_deadman_starts_all_of_a_group_that_was_stopped_halfway(
    engine: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadman, "_await", lambda app: None)
    monkeypatch.setattr(deadman.ways, "release", lambda app, target: None)
    record = placement.save(replace(noted(), phase=MOVING, to=EDGE))
    for name in ("front", "db"):
        docker.set_restart_policy(name, "no")
        docker.stop(name)
    assert deadman.restore(record).phase == placement.IDLE
    assert states(engine) == [True] * 3
    assert engine.policy("db") == ("unless-stopped", 0)


def test_one_that_does_not_start_keeps_no_other_down_and_is_an_error(engine: Docker) -> None:
    record = noted()
    runner.of(record).stop(record)
    del engine.containers["cache"]
    with pytest.raises(KrafError, match="cache"):
        runner.of(record).start(record)
    assert engine.running("front")
    assert engine.running("db")


def test_one_that_is_missing_is_an_error_before_anything_is_stopped(engine: Docker) -> None:
    del engine.containers["db"]
    with pytest.raises(KrafError, match="db"):
        runner.of(RECORD).describe()
    assert engine.running("front")


def test_a_pause_freezes_all_or_none(engine: Docker, monkeypatch: pytest.MonkeyPatch) -> None:
    record = noted()
    runs = runner.of(record)
    runs.pause(record)
    assert all(engine.containers[name]["State"].get("Paused") for name in ("front", "cache", "db"))
    runs.resume(record)
    assert not any(engine.containers[name]["State"].get("Paused") for name in ("front", "cache", "db"))
    engine.containers["cache"]["State"]["Paused"] = True  # Docker refuses a second pause
    with pytest.raises(KrafError, match="cannot be paused"):
        runs.pause(record)
    assert not any(engine.containers[name]["State"].get("Paused") for name in ("front", "cache", "db"))


def test_none_of_them_starts_at_boot_once_the_edge_has_taken_over(engine: Docker, tmp_path: Path) -> None:
    record = noted()
    for name in ("front", "cache", "db"):
        folder = tmp_path / "docker/containers" / f"id-of-{name}"
        folder.mkdir(parents=True)
        (folder / "hostconfig.json").write_text('{"RestartPolicy": {"Name": "always"}}')
    assert runner.of(record).keep_down(record, tmp_path / "docker")
    written = [path.read_text() for path in (tmp_path / "docker").rglob("hostconfig.json")]
    assert len(written) == 3
    assert all('"Name": "no"' in text for text in written)
    assert not runner.of(record).keep_down(record, tmp_path / "elsewhere")


def test_a_port_is_the_one_s_that_publishes_it(engine: Docker) -> None:
    engine.containers["db"]["HostConfig"]["PortBindings"] = {"5432/tcp": [{"HostPort": "15432"}]}
    assert runner.of(RECORD).address(5432, "tcp") == ("127.0.0.1:15432", "*")
    with pytest.raises(KrafError, match="none of front, cache, db publishes it"):
        runner.of(RECORD).address(80, "tcp")


def looked(record: Record | None = None) -> dict[str, Any]:
    if record:
        placement.save(record)
    found: dict[str, Any] = adopt.look("shop", NAMED, [("tables", "/data", "db")], True)["container"]
    return found


@pytest.fixture
def alone(engine: Docker, monkeypatch: pytest.MonkeyPatch) -> Docker:
    """What only a real Docker can tell of a container is left out."""
    monkeypatch.setattr(docker, "listed", lambda: [one["Id"] for one in engine.containers.values()])
    monkeypatch.setattr(adopt.inside, "changes", lambda *given: {})
    monkeypatch.setattr(adopt.starters, "find", lambda found: [])
    monkeypatch.setattr(adopt.forward, "members", lambda app: [])
    return engine


def test_a_group_runs_when_all_do_for_the_device_and_when_any_does_for_the_edge(alone: Docker) -> None:
    assert looked()["running"]
    docker.stop("cache")
    assert not looked()["running"]
    assert looked(replace(noted(), owner=EDGE))["running"]


def test_a_group_with_one_missing_tells_which(alone: Docker) -> None:
    del alone.containers["cache"]
    assert looked()["absent"] == ["cache"]
    assert not looked()["running"]
    assert looked(Record("shop", EDGE, 2, container=NAMED))["running"]


def test_neighbours_are_others_in_the_same_networks_by_all_their_names(alone: Docker) -> None:
    def join(name: str, network: str, *aliases: str) -> None:
        alone.containers[name]["NetworkSettings"] = {"Networks": {network: {"Aliases": list(aliases)}}}

    for name in ("queue", "apart", "plain"):
        alone.add(name)
    join("front", "shop_default")
    join("db", "bridge")
    join("queue", "shop_default", "mq", "id-of-queue")
    join("apart", "other")
    join("plain", "bridge")
    found = looked()
    assert [one["container"] for one in found["neighbours"]] == ["queue"]
    assert {"mq", "queue"} <= set(found["neighbours"][0]["names"])


def test_open_ports_are_the_kernel_s_word() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("::1", 0), family=socket.AF_INET6) as six:
        ports = {one.getsockname()[1], six.getsockname()[1]}
        with socket.socket() as unheard:
            unheard.bind(("127.0.0.1", 0))
            found = group.listening(os.getpid())
            assert ports <= set(found)
            assert unheard.getsockname()[1] not in found
    assert not ports & set(group.listening(os.getpid()))
    assert group.listening(0) == []


def test_docker_s_own_resolver_is_no_port_of_an_app() -> None:
    with socket.create_server((group.RESOLVER, 0)) as one:
        assert one.getsockname()[1] not in group.listening(os.getpid())
