# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""on_device/handover: whose the container is, in single calls; whole moves are tried by tests/faults."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.on_device import docker, handover, placement
from ansible_collections.kraf.edge.plugins.module_utils.on_device.handover import Task
from ansible_collections.kraf.edge.plugins.module_utils.on_device.placement import DEVICE, EDGE, READY, Record

from .docker_api import Docker, device

TASK = Task("notes", 4, 9, container="notes", owner=EDGE)
RECORD = Record(
    "notes", EDGE, 4, fence=7, container="notes", container_id="id-of-notes", restart_policy="always", data=()
)


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Docker]:
    with device(tmp_path, monkeypatch) as found:
        found.add("notes", "always")
        yield found


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device without forwards and without a timer."""
    for name in ("members", "load"):
        monkeypatch.setattr(handover.forward, name, lambda app: [])
    monkeypatch.setattr(handover.ways, "ensure", lambda *parts: [])
    monkeypatch.setattr(handover.deadman, "clear", lambda app: None)


def test_container_of_an_app_that_the_edge_owns_is_stopped_for_good(engine: Docker) -> None:
    placement.save(RECORD)
    handover.fence_off(TASK)
    assert not engine.running("notes")
    assert engine.policy("notes") == ("no", 0)


def test_container_that_was_made_anew_under_its_name_is_stopped_too(engine: Docker) -> None:
    placement.save(replace(RECORD, container_id="gone"))
    handover.fence_off(TASK)
    assert not engine.running("notes")
    assert engine.policy("notes") == ("no", 0)


def test_no_container_is_nothing_to_stop(engine: Docker) -> None:
    engine.containers.clear()
    placement.save(RECORD)
    assert handover.fence_off(TASK)["record"]["fence"] == 9


@pytest.mark.parametrize("task", [replace(TASK, owner=DEVICE), replace(TASK, epoch=5), replace(TASK, epoch=3)])
def test_two_stories_are_refused_and_nothing_is_stopped(engine: Docker, task: Task) -> None:
    placement.save(RECORD)
    with pytest.raises(KrafError, match="the Placement says owner"):
        handover.fence_off(task)
    assert engine.running("notes")


def test_overtaken_run_stops_nothing(engine: Docker) -> None:
    placement.save(replace(RECORD, fence=10))
    with pytest.raises(KrafError, match="run 10 has taken the app in hand"):
        handover.fence_off(TASK)
    assert engine.running("notes")


def test_app_is_not_given_back_once_clients_have_spoken_to_the_new_side(
    engine: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    placement.save(replace(RECORD, phase=READY, to=DEVICE))
    monkeypatch.setattr(handover.forward, "members", lambda name: [handover.forward.Forward(name, 1, target=DEVICE)])
    with pytest.raises(KrafError, match="clients have spoken to the new side"):
        handover.still_held(TASK)
    assert engine.running("notes")


def test_first_record_says_what_the_container_was(engine: Docker) -> None:
    found = handover.admit(replace(TASK, epoch=1, fence=3))
    assert (found.owner, found.epoch, found.fence) == (DEVICE, 1, 3)
    assert (found.container_id, found.restart_policy) == ("id-of-notes", "always")
    assert placement.load("notes") == found


def test_mig_02_the_restart_policy_is_not_forgotten_when_a_switch_to_the_edge_was_cut_off(engine: Docker) -> None:
    task = replace(TASK, owner=EDGE, epoch=5, overlap=True)
    placement.save(replace(RECORD, owner=DEVICE, overlap=True, container_id="id-of-notes"))
    docker.set_restart_policy("notes", "no")  # as the cut-off run left it
    assert handover.fence_off(task)["record"]["restart_policy"] == "always"


JOB = replace(RECORD, job=True, restart_policy="no")


def test_a_job_that_came_back_is_not_started_again(engine: Docker, monkeypatch: pytest.MonkeyPatch) -> None:
    engine.add("notes", "no", running=False)
    swapped: list[tuple[str, int]] = []
    monkeypatch.setattr(handover.tree, "swap", lambda folder, epoch: swapped.append((folder, epoch)))
    record = replace(JOB, phase=READY, to=DEVICE, data=(("results", "/srv/results"),))
    handover.start_here(TASK, record)
    assert swapped == [("/srv/results", 5)]
    assert not engine.running("notes")
    assert not [call for call in engine.calls if call.startswith("start")]


def test_a_job_is_not_started_on_its_device_by_settling_it(engine: Docker, quiet: None) -> None:
    engine.add("notes", "no", running=False)
    placement.save(replace(JOB, owner=DEVICE))
    found = handover.settle(replace(TASK, owner=DEVICE, job=True))
    assert found["record"]["job"]
    assert not engine.running("notes")


TOLD = '{"result": "failed", "reason": "Error", "exit_code": 7, "log": "no good"}'


def test_how_a_job_ended_is_on_its_device_when_that_is_settled(
    engine: Docker, quiet: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.add("notes", "no", running=False)
    placement.save(replace(JOB, phase=READY, to=DEVICE))
    task = replace(TASK, epoch=5, owner=DEVICE, job=True, outcome=TOLD)

    def full(*_parts: object) -> bool:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(handover.outcome, "keep", full)
        with pytest.raises(OSError, match="no space left"):
            handover.settle(task)
    found = placement.load("notes")
    assert found is not None
    assert (found.owner, found.phase) == (EDGE, READY), "it is the device's only with what it has left"
    assert handover.settle(task)["record"]["owner"] == DEVICE
    folder = handover.outcome.path("notes")
    assert json.loads((folder / "result.json").read_text()) == {
        "result": "failed",
        "reason": "Error",
        "exit_code": 7,
        "epoch": 5,
    }
    assert (folder / "log").read_text() == "no good\n"
    assert handover.settle(task)["record"]["owner"] == DEVICE


def test_a_job_that_goes_to_the_edge_leaves_what_its_last_run_left(engine: Docker, quiet: None) -> None:
    placement.save(replace(JOB, owner=DEVICE))
    handover.settle(replace(TASK, owner=DEVICE, job=True, outcome=TOLD))
    later = TOLD.replace("no good", "of a run that the device does not own")
    placement.save(replace(JOB, epoch=5))
    handover.settle(replace(TASK, epoch=5, owner=EDGE, job=True, outcome=later))
    assert (handover.outcome.path("notes") / "log").read_text() == "no good\n"


def test_first_record_of_a_job_says_that_it_is_one(engine: Docker) -> None:
    assert handover.admit(replace(TASK, epoch=1, fence=3, job=True)).job
    assert not handover.admit(replace(TASK, epoch=1, fence=4, owner=DEVICE)).job
