# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""on_device/deadman: a hand-over that stopped halfway is undone by the device alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.on_device import deadman, docker, placement, units
from ansible_collections.kraf.edge.plugins.module_utils.on_device import library as code
from ansible_collections.kraf.edge.plugins.module_utils.on_device.forward_store import TARGETS, Forward
from ansible_collections.kraf.edge.plugins.module_utils.on_device.placement import (
    DEVICE,
    EDGE,
    IDLE,
    MOVING,
    READY,
    Record,
)

from .docker_api import Docker, device


class Forwards:
    """The device's forwards, as strict as the real ones."""

    def __init__(self) -> None:
        self.all = {"notes": Forward("notes", 8000, target=DEVICE, device_address="127.0.0.1:1", edge=("192.0.2.1:1",))}
        self.moves: list[str] = []

    def members(self, name: str) -> list[Forward]:
        return [self.all[name]] if name in self.all else []

    def release(self, name: str, target: str) -> None:
        if name not in self.all or target not in TARGETS:
            raise KrafError("forward", name, "this device has none of this name", "")
        self.all[name] = replace(self.all[name], target=target)
        self.moves.append(target)

    @property
    def target(self) -> str:
        return self.all["notes"].target


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Docker]:
    with device(tmp_path, monkeypatch) as found:
        found.add("notes", "on-failure", 4)
        yield found


@pytest.fixture
def forwards(monkeypatch: pytest.MonkeyPatch) -> Forwards:
    found = Forwards()
    for module in (deadman, deadman.ways):
        monkeypatch.setattr(module, "forward", found)
    monkeypatch.setattr(deadman.door, "probe_device", lambda address, path, limit: found.moves.append("answers"))
    monkeypatch.setattr(deadman.door, "probe_edge", lambda doors, sni, path, limit: found.moves.append("edge answers"))
    return found


def moving(to: str, phase: str = MOVING) -> Record:
    owner = EDGE if to == DEVICE else DEVICE
    return placement.save(
        Record(
            "notes",
            owner,
            4,
            phase,
            to,
            fence=9,
            container="notes",
            container_id="id-of-notes",
            restart_policy="on-failure",
            restart_maximum=4,
        )
    )


def hand_over(to: str, steps: int, engine: Docker, forwards: Forwards) -> Record:
    """As far as a hand-over had come when it died, before its data were verified."""
    forwards.all["notes"] = replace(forwards.all["notes"], target=EDGE if to == DEVICE else DEVICE)
    if to == DEVICE:
        engine.add("notes", "no", running=False)
    record = moving(to)
    if steps > 0:
        forwards.all["notes"] = replace(forwards.all["notes"], target="held")
    if steps > 1 and to == EDGE:
        docker.set_restart_policy("id-of-notes", "no")
    if steps > 2 and to == EDGE:
        docker.stop("id-of-notes")
    engine.calls.clear()
    return record


@pytest.mark.parametrize("steps", range(4))
def test_hand_over_to_the_edge_is_undone(engine: Docker, forwards: Forwards, steps: int) -> None:
    before = hand_over(EDGE, steps, engine, forwards)
    assert deadman.fire("notes") == 0
    assert engine.running("notes")
    assert engine.policy("notes") == ("on-failure", 4)
    assert forwards.target == DEVICE
    assert placement.load("notes") == replace(before, phase=IDLE, to=DEVICE)


@pytest.mark.parametrize("steps", range(2))
def test_hand_over_to_the_device_is_undone_and_nothing_is_started(
    engine: Docker, forwards: Forwards, steps: int
) -> None:
    before = hand_over(DEVICE, steps, engine, forwards)
    assert deadman.fire("notes") == 0
    assert not engine.running("notes")
    assert engine.policy("notes") == ("no", 0)
    assert engine.calls == []
    assert forwards.target == EDGE
    assert placement.load("notes") == replace(before, phase=IDLE, to=EDGE)


@pytest.mark.parametrize("to", [DEVICE, EDGE])
@pytest.mark.parametrize("phase", [IDLE, READY])
def test_what_is_not_halfway_is_left_alone(engine: Docker, forwards: Forwards, to: str, phase: str) -> None:
    before = moving(to, phase)
    assert deadman.fire("notes") == 0
    assert (engine.calls, forwards.moves) == ([], [])
    assert placement.load("notes") == before


def test_app_that_was_never_moved_is_left_alone(engine: Docker, forwards: Forwards) -> None:
    assert deadman.fire("notes") == 0
    assert (engine.calls, forwards.moves) == ([], [])


def test_clients_wait_until_the_app_answers_again(engine: Docker, forwards: Forwards) -> None:
    hand_over(EDGE, 3, engine, forwards)
    deadman.fire("notes")
    assert forwards.moves == ["answers", DEVICE]


def test_clients_wait_until_the_edge_answers_again(engine: Docker, forwards: Forwards) -> None:
    hand_over(DEVICE, 1, engine, forwards)
    deadman.fire("notes")
    assert forwards.moves == ["edge answers", EDGE]


def test_clients_of_an_app_that_ran_on_do_not_wait(engine: Docker, forwards: Forwards) -> None:
    hand_over(EDGE, 1, engine, forwards)
    deadman.fire("notes")
    assert forwards.moves == [DEVICE]


def test_undoing_that_fails_is_tried_again(engine: Docker, forwards: Forwards) -> None:
    """The unit is started again after a failure; until then the record says that there is something to undo."""
    hand_over(EDGE, 3, engine, forwards)
    container = engine.containers.pop("notes")
    with pytest.raises(KrafError, match="No such container"):
        deadman.fire("notes")
    assert (placement.load("notes") or Record("")).phase == MOVING
    engine.containers["notes"] = container
    deadman.fire("notes")
    assert engine.running("notes")
    assert (placement.load("notes") or Record("")).phase == IDLE


def test_container_that_was_made_anew_is_started_with_its_own_policy(engine: Docker, forwards: Forwards) -> None:
    hand_over(EDGE, 3, engine, forwards)
    engine.add("notes", "always", running=False)["Id"] = "another"
    deadman.fire("notes")
    assert engine.running("notes")
    assert engine.policy("notes") == ("always", 0)


def test_hand_over_that_is_at_work_is_waited_for(
    engine: Docker, forwards: Forwards, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = moving(EDGE)
    monkeypatch.setattr(deadman, "LOCK_LIMIT", 0.1)
    with placement.exclusive("notes"), pytest.raises(KrafError, match="another process"):
        deadman.fire("notes")
    assert placement.load("notes") == before


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the device keeps what the timer runs."""
    monkeypatch.setattr(code, "FOLDER", tmp_path / "library")
    monkeypatch.setattr(units, "UNITS", tmp_path / "units")
    monkeypatch.setattr(units, "running", lambda: False)
    deadman.install()
    return tmp_path / "library"


RUN = """
import sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.kraf.edge.plugins.module_utils.on_device import deadman, docker, forward, placement
from pathlib import Path
docker.SOCKET, placement.ROOT, placement.LOCKS = sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4])
forward.members = lambda name: [forward.Forward(name, 80)]
forward.release = lambda name, target: print("released", name, target)
assert not [name for name in sys.modules if name.split(".")[0] == "ansible"]
sys.exit(deadman.fire("notes"))
"""


def test_what_is_installed_runs_by_pythons_own_library_alone(engine: Docker, library: Path, tmp_path: Path) -> None:
    moving(EDGE)
    engine.add("notes", "no", running=False)
    argv = [sys.executable, "-I", "-S", "-c", RUN, library, engine.socket, placement.ROOT, placement.LOCKS]
    done = subprocess.run(list(map(str, argv)), cwd="/", env={}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "released notes device" in done.stdout
    assert engine.running("notes")
    assert engine.policy("notes") == ("on-failure", 4)


def test_script_of_the_unit_finds_what_is_installed(library: Path) -> None:
    """It is run for an app that no device has: it reads, and ends."""
    argv = [sys.executable, "-I", "-S", str(library / "deadman")]
    done = subprocess.run(argv, cwd="/", env={}, capture_output=True, text=True, check=False)
    assert "IndexError" in done.stderr.splitlines()[-1]
    assert "ImportError" not in done.stderr
    unit = (units.UNITS / "kraf-deadman@.service").read_text()
    assert f"ExecStart=/usr/bin/python3 {library / 'deadman'} %i" in unit
    assert (library / "deadman").stat().st_mode & 0o111


def test_installing_again_changes_nothing(library: Path) -> None:
    before = {path: path.stat().st_ino for path in library.rglob("*")}
    deadman.install()
    assert {path: path.stat().st_ino for path in library.rglob("*") if "__pycache__" not in path.parts} == before


@pytest.fixture(name="asked")
def fixture_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What systemd was asked to do; it needs no reload, unless a test says so."""
    asked: list[str] = []
    monkeypatch.setattr(units, "UNITS", tmp_path)
    monkeypatch.setattr(placement, "LOCKS", tmp_path / "run")
    monkeypatch.setattr(units, "properties", lambda name, *wanted: dict.fromkeys(wanted, "no"))
    monkeypatch.setattr(units, "reload_units", lambda: asked.append("reload"))
    monkeypatch.setattr(units, "restart", lambda *given, **more: asked.append(f"restart {given[0]}"))
    monkeypatch.setattr(units, "stop", lambda *given, **more: asked.append(f"stop {given[0]}"))
    return asked


def test_timer_counts_from_when_it_is_armed(tmp_path: Path, asked: list[str]) -> None:
    """OnBootSec fires at once on a device that has been up for longer (systemd.timer(5))."""
    deadman.arm("notes", 90)
    text = (tmp_path / "kraf-deadman@notes.timer").read_text()
    assert "OnActiveSec=90" in text
    assert "OnBootSec" not in text
    assert "WantedBy=timers.target" in text
    timer = "kraf-deadman@notes.timer"
    assert (tmp_path / "timers.target.wants" / timer).resolve() == tmp_path / timer
    assert asked == [f"restart {timer}"]


def test_timer_is_gone_without_a_reload(tmp_path: Path, asked: list[str]) -> None:
    """It goes while clients that waited are let through, and on a weak device a reload takes seconds from them."""
    deadman.arm("notes", 90)
    asked.clear()
    deadman.clear("notes")
    assert asked == ["stop kraf-deadman@notes.timer"]
    assert not [path for path in tmp_path.rglob("*") if "notes" in path.name]
    deadman.clear("notes")
    assert len(asked) == 1


@pytest.mark.parametrize("again", [False, True], ids=["cleared", "armed again"])
def test_timer_that_systemd_has_read_at_boot_is_forgotten(tmp_path: Path, asked: list[str], again: bool) -> None:
    deadman.arm("notes", 90)
    shutil.rmtree(tmp_path / "run")
    if again:
        deadman.arm("notes", 90)
    asked.clear()
    deadman.clear("notes")
    assert asked == ["stop kraf-deadman@notes.timer", "reload"]
    deadman.arm("notes", 90)
    asked.clear()
    deadman.clear("notes")
    assert asked == ["stop kraf-deadman@notes.timer"]


def test_timer_that_systemd_has_with_another_time_is_read_again(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "properties", lambda name, *wanted: dict.fromkeys(wanted, "yes"))
    deadman.arm("notes", 90)
    assert asked == ["reload", "restart kraf-deadman@notes.timer"]


@pytest.mark.parametrize("to", [DEVICE, EDGE])
def test_a_job_is_never_started_by_the_timer(engine: Docker, forwards: Forwards, to: str) -> None:
    engine.add("notes", "no", running=False)
    before = placement.save(replace(moving(to), job=True, restart_policy="no"))
    engine.calls.clear()
    assert deadman.fire("notes") == 0
    assert engine.calls == []
    assert placement.load("notes") == replace(before, phase=IDLE, to=before.owner)
