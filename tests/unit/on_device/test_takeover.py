# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""on_device/takeover, standby: a device that comes back leaves alone what the edge has taken over."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.on_device import (
    deadman,
    docker,
    handover,
    library,
    manifest,
    placement,
    service,
    standby,
    takeover,
    tree,
    units,
    ways,
)
from ansible_collections.kraf.edge.plugins.module_utils.on_device.container import from_inspect
from ansible_collections.kraf.edge.plugins.module_utils.on_device.placement import DEVICE, EDGE, MOVING, READY, Record

from .docker_api import Docker, device
from .test_deadman import Forwards

WAYS = ({"port": 8000, "container_port": 8000, "sni": "p8000.app-notes.kraf-pi1.svc", "probe": "/health"},)
RECORD = Record("notes", DEVICE, 4, container="notes", container_id="id-of-notes", restart_policy="always", ways=WAYS)


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Docker]:
    with device(tmp_path, monkeypatch) as found:
        monkeypatch.setattr(units, "UNITS", tmp_path / "units")
        monkeypatch.setattr(units, "running", lambda: False)
        monkeypatch.setattr(library, "FOLDER", tmp_path / "library")
        monkeypatch.setattr(deadman, "arm", lambda app, seconds: found.calls.append(f"armed {app}"))
        monkeypatch.setattr(deadman, "clear", lambda app: found.calls.append(f"cleared {app}"))
        found.add("notes", "always")
        yield found


@pytest.fixture
def forwards(monkeypatch: pytest.MonkeyPatch) -> Forwards:
    found = Forwards()
    found.hold = lambda name: None  # type: ignore[attr-defined]
    for module in (takeover, takeover.ways):
        monkeypatch.setattr(module, "forward", found)
    return found


@pytest.fixture
def edge(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The edge; it answers for the names that are put in."""
    names: list[str] = []

    def probe(offered: list[ways.Way], doors: tuple[str, ...], limit: float) -> None:
        assert doors == ("192.0.2.1:1",)
        if any(one.sni not in names for one in offered):
            raise KrafError("app at the edge", None, "it does not answer")

    monkeypatch.setattr(takeover.ways, "probe_edge", probe)
    return names


def host_config(root: Path) -> Path:
    path = root / "docker/containers/id-of-notes/hostconfig.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"Binds": ["/srv:/data"], "RestartPolicy": {"Name": "always", "MaximumRetryCount": 0}}))
    path.chmod(0o600)
    return path


def test_before_docker_starts_the_app_loses_its_restart_policy(
    engine: Docker, forwards: Forwards, edge: list[str], tmp_path: Path
) -> None:
    path = host_config(tmp_path)
    placement.save(RECORD)
    takeover.install()
    edge.append(WAYS[0]["sni"])
    assert takeover.main("boot") == 0
    assert json.loads(path.read_text()) == {
        "Binds": ["/srv:/data"],
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
    }
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not engine.calls


def test_a_device_that_cannot_reach_the_edge_starts_its_apps(
    engine: Docker, forwards: Forwards, edge: list[str], tmp_path: Path
) -> None:
    before = host_config(tmp_path).read_text()
    placement.save(RECORD)
    takeover.install()
    takeover.main("boot")
    takeover.main("watch")
    assert (tmp_path / "docker/containers/id-of-notes/hostconfig.json").read_text() == before
    assert engine.running("notes")


def test_later_the_app_is_stopped_and_its_clients_are_led_to_the_edge(
    engine: Docker, forwards: Forwards, edge: list[str]
) -> None:
    placement.save(RECORD)
    edge.append(WAYS[0]["sni"])
    takeover.main("watch")
    assert (engine.running("notes"), engine.policy("notes")) == (False, ("no", 0))
    assert forwards.target == EDGE
    found = placement.load("notes")
    assert found is not None
    assert (found.owner, found.epoch, found.diverged) == (DEVICE, 4, True)


SILENT = replace(
    RECORD,
    ways=({"port": 61000, "container_port": 61000, "sni": "p61000.app-notes.kraf-pi1.svc", "probe": "/epoch"},),
    doors=("192.0.2.1:1",),
)


def test_mig_02_an_app_without_ports_is_asked_for_by_what_stands_for_it(
    engine: Docker, forwards: Forwards, edge: list[str], tmp_path: Path
) -> None:
    path = host_config(tmp_path)
    forwards.all.clear()
    placement.save(SILENT)
    takeover.install()
    takeover.main("boot")
    takeover.main("watch")
    assert '"always"' in path.read_text()
    assert engine.running("notes")
    edge.append(SILENT.ways[0]["sni"])
    takeover.main("boot")
    assert json.loads(path.read_text())["RestartPolicy"]["Name"] == "no"
    takeover.main("watch")
    assert (engine.running("notes"), engine.policy("notes")) == (False, ("no", 0))
    assert placement.load("notes") == replace(SILENT, diverged=True)
    assert forwards.moves == []


@pytest.mark.parametrize(
    "record",
    [
        replace(RECORD, ways=()),
        replace(RECORD, owner=EDGE),
        replace(RECORD, phase=MOVING, to=EDGE),
        replace(RECORD, phase=READY, to=EDGE),
        replace(RECORD, overlap=True),
    ],
)
def test_others_are_left_alone(engine: Docker, forwards: Forwards, edge: list[str], record: Record) -> None:
    placement.save(record)
    edge.append(WAYS[0]["sni"])
    takeover.main("watch")
    assert engine.running("notes")
    assert not engine.calls


def test_its_units_are_written_once(engine: Docker, tmp_path: Path) -> None:
    takeover.install()
    assert "ExecStartPre=-" in (tmp_path / "units/docker.service.d/kraf-takeover.conf").read_text()
    assert (tmp_path / "units/kraf-takeover.timer").exists()
    assert (tmp_path / "library/takeover").stat().st_mode & 0o111


def test_before_a_unit_starts_at_boot_it_is_kept_down(
    engine: Docker, forwards: Forwards, edge: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "AWAY", tmp_path / "away")
    name = "unit:notes.service"
    placement.save(replace(RECORD, container=name, container_id=name, restart_policy="enabled"))
    takeover.install()
    text = (tmp_path / "units/kraf-takeover-boot.service").read_text()
    assert f"ExecStart=-/usr/bin/python3 {tmp_path}/library/takeover boot" in text
    assert (tmp_path / "units/multi-user.target.wants/kraf-takeover-boot.service").is_symlink()
    takeover.main("boot")
    assert not (tmp_path / "away").exists()
    edge.append(WAYS[0]["sni"])
    takeover.main("boot")
    assert [path.name for path in (tmp_path / "away").iterdir()] == ["notes.service"]


def test_a_device_without_docker_is_guarded_too(
    engine: Docker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker, "SOCKET", str(tmp_path / "none"))
    takeover.install()
    assert (tmp_path / "units/kraf-takeover-boot.service").exists()


def test_while_paused_the_file_says_so_and_the_timer_runs(engine: Docker) -> None:
    record = placement.save(RECORD)
    found = from_inspect(engine.containers["notes"])
    with standby.paused(record, found, 10):
        assert placement.load("notes") == replace(record, paused=True)
        assert engine.containers["notes"]["State"]["Paused"]
    assert engine.calls == ["armed notes", "pause notes", "unpause notes", "cleared notes"]
    assert placement.load("notes") == record


def test_a_copy_that_fails_lets_the_app_go_on(engine: Docker) -> None:
    record = placement.save(RECORD)
    with pytest.raises(KrafError), standby.paused(record, from_inspect(engine.containers["notes"]), 10):
        raise KrafError("copy", None, "it takes too long")
    assert not engine.containers["notes"]["State"]["Paused"]


def test_what_does_not_run_is_not_paused(engine: Docker) -> None:
    engine.add("notes", running=False)
    with standby.paused(placement.save(RECORD), from_inspect(engine.containers["notes"]), 10):
        pass
    assert not engine.calls


@pytest.mark.parametrize("way", ["timer", "next run"])
def test_a_pause_that_nobody_ended_is_ended(engine: Docker, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    engine.containers["notes"]["State"]["Paused"] = True
    placement.save(replace(RECORD, paused=True))
    if way == "timer":
        deadman.fire("notes")
    else:
        handover.admit(handover.Task("notes", 4, 9, container="notes"))
    assert not engine.containers["notes"]["State"]["Paused"]
    found = placement.load("notes")
    assert found is not None
    assert not found.paused


def test_what_was_written_since_the_copy_is_named(tmp_path: Path, engine: Docker) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("same", "written", "removed"):
        (folder / name).write_text(name)
        os.utime(folder / name, (1, 1))
    known = manifest.make(str(folder))
    # Files that were changed within the tick before count as written; these are older.
    known = replace(known, moment=known.moment + 10**9)
    standby.remember("notes", {"results": known})
    (folder / "written").write_text("again")
    (folder / "removed").unlink()
    (folder / "new").touch()
    record = replace(RECORD, data=(("results", str(folder)),))
    found = standby.divergence(record)["results"]
    assert set(found) >= {"written", "removed", "new"}


def test_a_long_list_is_cut(tmp_path: Path, engine: Docker) -> None:
    standby.remember("notes", {"results": manifest.make(str(tmp_path))})
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(standby.NAMED + 5):
        (folder / str(number)).touch()
    found = standby.divergence(replace(RECORD, data=(("results", str(folder)),)))["results"]
    assert len(found) == standby.NAMED + 1
    assert found[-1].endswith("more")


def test_nothing_to_compare_with_is_nothing_to_tell(tmp_path: Path, engine: Docker) -> None:
    assert standby.divergence(replace(RECORD, data=(("results", str(tmp_path)),))) == {}


def test_names_of_any_bytes_survive_the_file(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/\xff\xfe"
    with open(name, "wb"):
        pass
    found = manifest.make(str(tmp_path))
    assert manifest.from_json(json.loads(json.dumps(manifest.as_json(found)))) == found


def test_a_lost_device_s_data_are_kept_for_good(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    for path, text in ((folder, "edge's"), (tmp_path / "data.kraf-before-6", "device's")):
        path.mkdir()
        (path / "log").write_text(text)
    tree.set_aside(str(folder), 6)
    tree.purge(str(folder), 9)
    assert tree.set_asides(str(folder)) == [f"{folder}.kraf-lost-6"]
    assert (tmp_path / "data.kraf-lost-6/log").read_text() == "device's"
    tree.set_aside(str(folder), 6)  # after a crash between the rename and what follows


def test_what_a_move_did_not_use_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    for name in ("data", "data.kraf-5", "data.kraf-3", "data.kraf-before-4"):
        (tmp_path / name).mkdir()
    assert tree.abandon(str(folder), 4) == [f"{folder}.kraf-5"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "data.kraf-3", "data.kraf-before-4"]
    assert tree.abandon(str(folder), 4) == []


LOST = handover.Task("notes", 5, 9, container="notes", owner=EDGE, lost=DEVICE)


def test_a_lost_device_is_told_and_stops(engine: Docker) -> None:
    placement.save(RECORD)
    told = handover.fence_off(LOST)
    assert (engine.running("notes"), told["diverged"]) == (False, {})


@pytest.mark.parametrize("lost", ["", EDGE])
def test_an_old_epoch_is_refused_unless_the_placement_says_who_was_lost(engine: Docker, lost: str) -> None:
    placement.save(RECORD)
    with pytest.raises(KrafError, match="epoch 5"):
        handover.fence_off(replace(LOST, lost=lost))
    assert engine.running("notes")


EDGES = replace(RECORD, owner=EDGE, ways=(), verified=1.0)
TAKE = handover.Task("notes", 0, 9, container="notes", ways=(ways.Way(**WAYS[0]),))


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch, engine: Docker) -> None:
    """The app answers on the device once it runs there."""
    monkeypatch.setattr(handover.ways, "probe_device", lambda *given, **more: None)
    engine.add("notes", "no", running=False)


@pytest.mark.parametrize(
    ("record", "epoch"),
    [(EDGES, 5), (replace(EDGES, phase=MOVING, to=DEVICE), 5), (replace(EDGES, phase=READY, to=DEVICE), 7)],
)
def test_an_edge_that_is_lost_is_taken_over(
    engine: Docker, forwards: Forwards, edge: list[str], answers: None, record: Record, epoch: int
) -> None:
    placement.save(record)
    done = handover.take_over(TAKE)
    assert (engine.running("notes"), engine.policy("notes")[0], forwards.target) == (True, "always", DEVICE)
    found = placement.load("notes")
    assert found is not None
    assert (found.owner, found.epoch, found.phase, found.lost) == (DEVICE, epoch, "idle", True)
    assert (done["copy_age_seconds"] is None) == (record.phase == READY)


def test_an_edge_that_answers_is_not_taken_over(
    engine: Docker, forwards: Forwards, edge: list[str], answers: None
) -> None:
    before = placement.save(EDGES)
    edge.append(WAYS[0]["sni"])
    with pytest.raises(KrafError, match="it answers at the edge"):
        handover.take_over(TAKE)
    found = placement.load("notes")
    assert found is not None
    assert replace(found, fence=before.fence) == before
    assert not engine.running("notes")


@pytest.mark.parametrize("there", [False, True])
def test_an_edge_that_runs_an_app_without_ports_is_not_taken_over(
    engine: Docker, forwards: Forwards, edge: list[str], answers: None, there: bool
) -> None:
    """Without an API server nobody tells the device where the doors are: it remembers."""
    forwards.all.clear()
    placement.save(replace(EDGES, doors=SILENT.doors))
    take = replace(TAKE, ways=(), presence=(ways.Way(**SILENT.ways[0]),))
    if there:
        edge.append(SILENT.ways[0]["sni"])
        with pytest.raises(KrafError, match="it answers at the edge"):
            handover.take_over(take)
    else:
        handover.take_over(take)
    assert engine.running("notes") is not there


def test_an_app_that_the_device_owns_stays_as_it_is(engine: Docker, forwards: Forwards, edge: list[str]) -> None:
    placement.save(RECORD)
    assert handover.take_over(TAKE)["changed"] is False
