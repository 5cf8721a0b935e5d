# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""on_device/cron: a cronjob of the device, each slot once."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.kraf.edge.plugins.module_utils.core import schedule
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.on_device import cron, docker, library, placement, runner, units
from ansible_collections.kraf.edge.plugins.module_utils.on_device.placement import DEVICE, EDGE, IDLE, MOVING, Record

from .docker_api import Docker, device

NAME = "cron:*/5 * * * *|report|report-1"
NOON = 1795780800 // 60
"""2026-11-27 12:00 UTC, in minutes."""


class Clock:
    """The time, as the device has it."""

    def __init__(self) -> None:
        self.minute = NOON

    def time(self) -> float:
        return self.minute * 60.0 + 1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(cron.time, "time", found.time)
    return found


@contextlib.contextmanager
def cronjob(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Docker]:
    """A device with the container of a cronjob."""
    with device(tmp_path, monkeypatch) as found:
        monkeypatch.setattr(units, "UNITS", tmp_path / "units")
        monkeypatch.setattr(library, "FOLDER", tmp_path / "code")
        monkeypatch.setattr(units, "systemctl", lambda *words, timeout=0: "")
        monkeypatch.setattr(units, "restart", lambda *names, timeout=0: None)
        monkeypatch.setattr(units, "stop", lambda *names, timeout=0: None)
        monkeypatch.setattr(cron, "run", lambda argv, limit: None)
        found.add("report-1", "no", running=False)
        yield found


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Docker]:
    with cronjob(tmp_path, monkeypatch) as found:
        yield found


@pytest.fixture
def record(engine: Docker, clock: Clock) -> Record:
    """The cronjob, scheduled at noon on the device that owns it."""
    first = Record("report", DEVICE, 1, container=NAME, container_id="id-of-report-1")
    found = placement.save(first)
    assert runner.of(found).start(found)
    return found


def starts(engine: Docker) -> int:
    return engine.calls.count("start report-1")


def test_a_schedule_counts_as_running_while_its_timer_is_enabled(engine: Docker, record: Record) -> None:
    runs = runner.of(record)
    found = runs.describe()
    assert (found.running, found.restart_policy) == (True, "always")
    assert not runs.start(record)
    runs.stop(record)
    found = runs.describe()
    assert (found.running, found.restart_policy) == (False, "no")
    assert record.noted(NAME, found).container == NAME


def test_another_schedule_is_another_runner(engine: Docker, record: Record) -> None:
    other = runner.named(NAME.replace("*/5", "*/7"))
    assert not other.describe().running
    other.start(record)
    assert other.describe().running
    assert not runner.named(NAME).describe().running


def test_a_slot_runs_once(engine: Docker, record: Record, clock: Clock) -> None:
    assert cron.fire("report") == 0
    assert starts(engine) == 0, "what was due before it was scheduled is not made up for"
    clock.minute += 5
    cron.fire("report")
    cron.fire("report")
    assert (starts(engine), cron.last("report")) == (1, NOON + 5)


def test_of_missed_slots_the_last_one_is_made_up_for(engine: Docker, record: Record, clock: Clock) -> None:
    clock.minute += 63
    cron.fire("report")
    assert (starts(engine), cron.last("report")) == (1, NOON + 60)


@pytest.mark.parametrize("said", [{"owner": EDGE}, {"phase": MOVING, "to": EDGE}])
def test_only_the_owner_runs_it(engine: Docker, record: Record, clock: Clock, said: dict[str, str]) -> None:
    placement.save(replace(record, **said))
    clock.minute += 5
    cron.fire("report")
    assert starts(engine) == 0
    placement.save(replace(record, owner=DEVICE, phase=IDLE))
    cron.fire("report")
    assert (starts(engine), cron.last("report")) == (1, NOON + 5), "a slot inside a move runs after it"


def test_a_slot_of_the_edge_is_not_run_again(engine: Docker, record: Record, clock: Clock) -> None:
    clock.minute += 12
    cron.remember("report", NOON + 10)
    cron.remember("report", NOON + 5)
    cron.fire("report")
    assert (starts(engine), cron.last("report")) == (0, NOON + 10)


def test_one_that_runs_is_left_alone(engine: Docker, record: Record, clock: Clock) -> None:
    docker.start("report-1")
    clock.minute += 5
    cron.fire("report")
    assert starts(engine) == 1


def fire_and_cut(monkeypatch: pytest.MonkeyPatch, started: bool) -> None:
    """The timer, and a power cut before or after the start of the container."""
    start = docker.start

    def cut(name: str) -> bool:
        if started:
            start(name)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(docker, "start", cut)
        with pytest.raises(KeyboardInterrupt):
            cron.fire("report")


def test_a_power_cut_before_the_start_loses_no_slot(
    engine: Docker, record: Record, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.minute += 5
    fire_and_cut(monkeypatch, started=False)
    cron.fire("report")
    assert (starts(engine), cron.last("report")) == (1, NOON + 5)


def test_a_power_cut_after_the_start_runs_no_slot_twice(
    engine: Docker, record: Record, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.minute = int(time.time() // 60) // 5 * 5 + 5
    fire_and_cut(monkeypatch, started=True)
    engine.containers["report-1"]["State"].update(Running=False)
    cron.fire("report")
    assert starts(engine) == 1


def test_a_slot_that_a_power_cut_took_is_not_told_to_the_edge(
    engine: Docker, record: Record, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.minute += 5
    fire_and_cut(monkeypatch, started=False)
    assert cron.last("report") == NOON, "its run is the edge's to begin"


def test_a_container_that_is_gone_is_named(engine: Docker, record: Record, clock: Clock) -> None:
    engine.containers.clear()
    clock.minute += 5
    with pytest.raises(KrafError, match="report-1"):
        cron.fire("report")


class Sides:
    """A cronjob between a device, whose power may be cut at any moment, and an edge that does as it is told."""

    def __init__(self, engine: Docker, clock: Clock, patch: pytest.MonkeyPatch) -> None:
        self.engine, self.clock = engine, clock
        self.begun: list[int] = []
        self.cut, self.edge = "", False
        start = docker.start

        def cut_or_start(name: str) -> bool:
            if self.cut == "before the start":
                raise KeyboardInterrupt
            self.begun.append(int(cron._load("report")["next"]))
            found = start(name)
            if self.cut:
                raise KeyboardInterrupt
            return found

        patch.setattr(docker, "start", cut_or_start)

    def fire(self, cut: str) -> None:
        """The timer, at once with the power cut that is given."""
        self.cut = cut
        with contextlib.suppress(KeyboardInterrupt):
            cron.fire("report")
        self.cut = ""
        if cut:
            self.engine.containers["report-1"]["State"].update(Running=False)

    def move(self) -> None:
        """To the other side, which makes up for what is due; at the edge its controller does."""
        record = placement.load("report")
        assert record is not None
        self.edge = not self.edge
        if self.edge:
            runner.of(record).stop(record)
            placement.save(replace(record, owner=EDGE))
            self.run_at_edge(cron.last("report"))
        else:
            cron.remember("report", max(self.at_edge, cron.last("report")))
            record = placement.save(replace(record, owner=DEVICE))
            runner.of(record).start(record)

    def run_at_edge(self, last: int) -> None:
        """What Kubernetes' controller begins."""
        self.at_edge = last
        due = schedule.parse("*/5 * * * *").latest(last, self.clock.minute)
        if due is not None:
            self.begun.append(due)
            self.at_edge = due


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(st.integers(1, 12), st.sampled_from(["", "before the start", "after the start"]), st.just("move")),
        max_size=20,
    )
)
def test_each_slot_is_begun_at_most_once_and_the_last_one_is(steps: list[int | str]) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        clock = Clock()
        patch.setattr(cron.time, "time", clock.time)
        with cronjob(Path(folder), patch) as engine:
            found = placement.save(Record("report", DEVICE, 1, container=NAME, container_id="id-of-report-1"))
            runner.of(found).start(found)
            sides = Sides(engine, clock, patch)
            for step in steps:
                if isinstance(step, int):
                    clock.minute += step
                    if sides.edge:
                        sides.run_at_edge(sides.at_edge)
                elif step == "move":
                    sides.move()
                elif not sides.edge:
                    sides.fire(step)
            if not sides.edge:
                sides.fire("")
        assert sides.begun == sorted(set(sides.begun)), "none twice, and in their order"
        due = schedule.parse("*/5 * * * *").latest(NOON, clock.minute)
        assert due is None or sides.begun[-1] == due


def test_it_moves_once_its_run_has_ended(
    engine: Docker, record: Record, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker.start("report-1")
    monkeypatch.setattr(cron, "STOP_LIMIT", 0.0)
    with pytest.raises(KrafError, match="has not ended"):
        runner.of(record).stop(record)
    assert engine.running("report-1")


def test_a_cronjob_has_no_clients_and_is_not_frozen(engine: Docker, record: Record) -> None:
    with pytest.raises(KrafError, match="no clients"):
        runner.of(record).address(8000, "tcp")
    with pytest.raises(KrafError, match="not kept ready"):
        runner.of(record).pause(record)
