"""The device's part of a job's moves: a container of a real Docker Engine, its data by real rsync to a real mover."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
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
    placement,
    units,
)
from ansible_collections.kraf.edge.plugins.module_utils.on_device.handover import Task
from tests.integration.device import parts
from tests.integration.device.engine import Create, Engine

from . import movers
from .movers import Running


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


def there(device: Device, step: str = "committed") -> Future[Any]:
    """To the edge, as far as a word of the controller."""
    moving = device.begin(handover.move_to_edge, device.task(1, 7, 0))
    for heard, said in (("prepared", "go"), ("verified", "disarm"), ("ready", "committed")):
        device.hear(heard)
        device.say(said)
        if said == step:
            break
    return moving


def test_a_job_goes_and_comes_back_with_its_results_and_is_not_started(device: Device) -> None:
    moving = there(device)
    device.say("running")
    moving.result(30)
    assert (device.mover.data / "2/results/input").read_text() == "of the device"
    (device.mover.data / "2/results/model").write_text("learnt at the edge")

    coming = device.begin(handover.move_to_device, device.task(2, 8, 2))
    device.hear("prepared")
    device.say("go")
    device.hear("held")
    device.say("stopped", "{}")
    for heard, said in (("verified", "disarm"), ("ready", "committed")):
        device.hear(heard)
        device.say(said)
    record = coming.result(30)["record"]
    assert (record["owner"], record["epoch"], record["phase"], record["job"]) == ("device", 3, "idle", True)
    assert sorted(path.name for path in device.folder.iterdir()) == ["input", "model"]
    found = device.container()
    assert (found["status"], found["running"], found["restart_policy"]) == ("created", False, "no")


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
