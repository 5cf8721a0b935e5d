"""The device's part of a job's moves: a container of a real Docker Engine, its data by real rsync to a real mover."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.manifests import mover as manifests
from ansible_collections.kraf.edge.plugins.module_utils.on_device import (
    adopt,
    deadman,
    docker,
    forward_store,
    handover,
    library,
    outcome,
    placement,
    units,
)
from ansible_collections.kraf.edge.plugins.module_utils.on_device.handover import Task
from ansible_collections.kraf.edge.plugins.module_utils.on_device.placement import Record
from ansible_collections.kraf.edge.plugins.module_utils.placement.outcome import Outcome
from tests.integration.device import parts
from tests.integration.device.engine import Create, Engine

from . import movers
from .movers import Running

GOOD = Outcome("succeeded", "", 0, 1, "2026-05-04T10:00:00Z", "2026-05-04T10:01:00Z", "well done")
BAD = Outcome("failed", "OOMKilled", 137, 2, "2026-05-04T12:00:00Z", "2026-05-04T12:01:00Z", "no good")


class Device:
    """A device with one job, and the words that the controller leaves in the mover's box."""

    def __init__(self, mover: Running, folder: Path, name: str) -> None:
        self.mover, self.folder, self.name = mover, folder, name
        self.box = mover.folder / "box/files" / movers.TOKEN
        self.pool = ThreadPoolExecutor(1)

    def task(self, epoch: int, fence: int, tree: int, owner: str = "") -> Task:
        boxes = self.mover.sni(manifests.BOX_PORT), self.mover.sni(manifests.RSYNC_PORT)
        data = (("results", str(self.folder)),)
        return Task(
            "notes",
            epoch,
            fence,
            self.name,
            (),
            self.mover.doors,
            *boxes,
            movers.TOKEN,
            data,
            tree,
            job=True,
            owner=owner,
            limit=20,
        )

    def begin(self, step: Any, task: Task) -> Future[Any]:
        for left in self.box.iterdir():
            left.unlink()
        return self.pool.submit(step, task)

    def say(self, word: str, text: str = "") -> None:
        (self.box / f".{word}").write_text(text)
        (self.box / f".{word}").rename(self.box / word)

    def hear(self, word: str) -> None:
        failed = self.box / "failed"
        parts.until(lambda: (self.box / word).exists() or failed.exists(), what=word)
        assert not failed.exists(), failed.read_text()

    def kept(self) -> tuple[Any, ...]:
        """Of what it has of the job's last run: reason, exit code, epoch and log; nothing if there is nothing."""
        folder = outcome.path("notes")
        if not folder.exists():
            return ()
        found = json.loads((folder / "result.json").read_text())
        return found["reason"], found["exit_code"], found["epoch"], (folder / "log").read_text()

    def container(self) -> dict[str, Any]:
        data = [("results", "/data", "")]
        found: dict[str, Any] = adopt.look("notes", self.name, data, secrets=False)["container"]
        return found


@pytest.fixture
def device(
    mover: Running, engine: Engine, create: Create, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Device]:
    monkeypatch.setattr(placement, "ROOT", tmp_path / "lib")
    monkeypatch.setattr(forward_store, "ETC", tmp_path / "etc")
    monkeypatch.setattr(library, "FOLDER", tmp_path / "library")
    monkeypatch.setattr(units, "UNITS", tmp_path / "units")
    monkeypatch.setattr(units, "properties", lambda name, *wanted: dict.fromkeys(wanted, "no"))
    for verb in ("restart", "stop"):
        monkeypatch.setattr(units, verb, lambda *names, **more: None)
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "input").write_text("of the device")
    name = create(
        Cmd=["sh", "-c", "echo again >>/data/runs"], HostConfig={"Binds": [f"{folder}:/data"], "PortBindings": {}}
    )
    found = Device(mover, folder, name)
    found.box.mkdir(parents=True, exist_ok=True)
    yield found
    found.pool.shutdown()


def there(device: Device, step: str = "committed", epoch: int = 1, fence: int = 7) -> Future[Any]:
    """To the edge, as far as a word of the controller."""
    moving = device.begin(handover.move_to_edge, device.task(epoch, fence, epoch - 1))
    for heard, said in (("prepared", "go"), ("verified", "disarm"), ("ready", "committed")):
        device.hear(heard)
        device.say(said)
        if said == step:
            break
    return moving


def back(device: Device, epoch: int, fence: int, ended: Outcome, step: str = "committed") -> Future[Any]:
    """To the device, as far as a word of the controller."""
    task = replace(device.task(epoch, fence, epoch), outcome=ended.told())
    coming = device.begin(handover.move_to_device, task)
    for heard, said in (("prepared", "go"), ("held", "stopped"), ("verified", "disarm"), ("ready", "committed")):
        device.hear(heard)
        if said == "committed" != step:
            break
        device.say(said, "{}" if said == "stopped" else "")
    return coming


def test_a_job_goes_and_comes_back_with_its_results_and_is_not_started(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[tuple[str, tuple[Any, ...]]] = []
    save = placement.save

    def seen(record: Record) -> Record:
        saved.append((record.owner, device.kept()))
        return save(record)

    moving = there(device)
    device.say("running")
    moving.result(30)
    assert device.kept() == ()
    assert (device.mover.data / "2/results/input").read_text() == "of the device"
    (device.mover.data / "2/results/model").write_text("learnt at the edge")

    monkeypatch.setattr(placement, "save", seen)
    record = back(device, 2, 8, GOOD).result(30)["record"]
    assert (record["owner"], record["epoch"], record["phase"], record["job"]) == ("device", 3, "idle", True)
    assert sorted(path.name for path in device.folder.iterdir()) == ["input", "model"]
    found = device.container()
    assert (found["status"], found["running"], found["restart_policy"]) == ("created", False, "no")
    left = ("", 0, 3, "well done\n")
    assert device.kept() == left
    assert {kept for owner, kept in saved if owner == "device"} == {left}, "before the device counts as the owner"


def test_how_a_job_ended_is_not_the_devices_before_the_commit_and_comes_with_the_next_run(device: Device) -> None:
    moving = there(device)
    device.say("running")
    moving.result(30)
    back(device, 2, 8, GOOD).result(30)
    moving = there(device, epoch=3, fence=9)
    device.say("running")
    moving.result(30)

    coming = back(device, 4, 10, BAD, "disarm")
    device.say("aborted", "the play is gone")
    with pytest.raises(KrafError, match="the play is gone"):
        coming.result(30)
    assert device.kept() == ("", 0, 3, "well done\n")
    settled = replace(device.task(5, 11, 4, "device"), outcome=BAD.told())
    for _run in range(2):
        assert handover.settle(settled)["record"]["owner"] == "device"
        assert device.kept() == ("OOMKilled", 137, 5, "no good\n")


def test_a_job_that_was_never_let_go_is_undone_by_the_timer_and_not_started(device: Device) -> None:
    moving = there(device, "disarm")
    device.hear("ready")
    device.say("aborted", "called off")
    with pytest.raises(KrafError, match="called off"):
        moving.result(30)
    assert deadman.fire("notes") == 0
    record = handover.settle(device.task(1, 8, 0, "device"))["record"]
    assert (record["owner"], record["phase"]) == ("device", "idle")
    assert device.container()["status"] == "created"
    assert not (device.folder / "runs").exists()
    assert device.kept() == ()


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
