"""The device's part of a job's moves: a container of a real Docker Engine, its data by real rsync to a real mover."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.on_device import deadman, docker, handover, outcome, placement
from ansible_collections.kraf.edge.plugins.module_utils.on_device.placement import Record
from ansible_collections.kraf.edge.plugins.module_utils.placement.outcome import Outcome
from tests.integration.device.engine import Create

from . import devices
from .devices import Device
from .movers import Running

GOOD = Outcome("succeeded", "", 0, 1, "2026-05-04T10:00:00Z", "2026-05-04T10:01:00Z", "well done")
BAD = Outcome("failed", "OOMKilled", 137, 2, "2026-05-04T12:00:00Z", "2026-05-04T12:01:00Z", "no good")


@pytest.fixture
def device(mover: Running, create: Create, tmp_path: Path) -> Iterator[Device]:
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "input").write_text("of the device")
    name = create(
        Cmd=["sh", "-c", "echo again >>/data/runs"], HostConfig={"Binds": [f"{folder}:/data"], "PortBindings": {}}
    )
    with devices.playing(mover, tmp_path, name, job=True) as found:
        yield found


def kept() -> tuple[Any, ...]:
    """Of what the device has of the job's last run: reason, exit code, epoch and log; nothing if there is nothing."""
    folder = outcome.path("notes")
    if not folder.exists():
        return ()
    found = json.loads((folder / "result.json").read_text())
    return found["reason"], found["exit_code"], found["epoch"], (folder / "log").read_text()


def test_a_job_goes_and_comes_back_with_its_results_and_is_not_started(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[tuple[str, tuple[Any, ...]]] = []
    save = placement.save

    def seen(record: Record) -> Record:
        saved.append((record.owner, kept()))
        return save(record)

    device.to_edge().result(30)
    assert kept() == ()
    assert (device.mover.data / "2/results/input").read_text() == "of the device"
    (device.mover.data / "2/results/model").write_text("learnt at the edge")

    monkeypatch.setattr(placement, "save", seen)
    record = device.to_device(ended=GOOD).result(30)["record"]
    assert (record["owner"], record["epoch"], record["phase"], record["job"]) == ("device", 3, "idle", True)
    assert sorted(path.name for path in device.folder.iterdir()) == ["input", "model"]
    found = device.container()
    assert (found["status"], found["running"], found["restart_policy"]) == ("created", False, "no")
    left = ("", 0, 3, "well done\n")
    assert kept() == left
    assert {one for owner, one in saved if owner == "device"} == {left}, "before the device counts as the owner"


def test_how_a_job_ended_is_not_the_devices_before_the_commit_and_comes_with_the_next_run(device: Device) -> None:
    device.to_edge().result(30)
    device.to_device(ended=GOOD).result(30)
    device.to_edge(epoch=3, fence=9).result(30)

    coming = device.to_device("disarm", 4, 10, BAD)
    device.say("aborted", "the play is gone")
    with pytest.raises(KrafError, match="the play is gone"):
        coming.result(30)
    assert kept() == ("", 0, 3, "well done\n")
    settled = replace(device.task(5, 11, 4, "device"), outcome=BAD.told())
    for _run in range(2):
        assert handover.settle(settled)["record"]["owner"] == "device"
        assert kept() == ("OOMKilled", 137, 5, "no good\n")


def test_a_job_that_was_never_let_go_is_undone_by_the_timer_and_not_started(device: Device) -> None:
    moving = device.to_edge("disarm")
    device.hear("ready")
    device.say("aborted", "called off")
    with pytest.raises(KrafError, match="called off"):
        moving.result(30)
    assert deadman.fire("notes") == 0
    record = handover.settle(device.task(1, 8, 0, "device"))["record"]
    assert (record["owner"], record["phase"]) == ("device", "idle")
    assert device.container()["status"] == "created"
    assert not (device.folder / "runs").exists()
    assert kept() == ()


def test_a_job_that_is_started_on_the_device_meanwhile_is_not_stopped(device: Device, create: Create) -> None:
    device.name = create(Cmd=["sleep", "1000"], HostConfig={"Binds": [f"{device.folder}:/data"], "PortBindings": {}})
    moving = device.begin(handover.move_to_edge, device.task(1, 7, 0))
    device.hear("prepared")
    docker.start(device.name)
    device.say("go")
    with pytest.raises(KrafError, match="started on the device meanwhile"):
        moving.result(30)
    assert device.container()["running"]
    record = placement.load("notes")
    assert record is not None
    assert record.phase == "idle"
