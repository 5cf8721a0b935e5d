"""The device's part of a job's moves: a container of a real Docker Engine, its data by real rsync to a real mover."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.on_device import deadman, docker, handover, placement
from tests.integration.device.engine import Create

from . import devices
from .devices import Device
from .movers import Running


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


def test_a_job_goes_and_comes_back_with_its_results_and_is_not_started(device: Device) -> None:
    device.to_edge().result(30)
    assert (device.mover.data / "2/results/input").read_text() == "of the device"
    (device.mover.data / "2/results/model").write_text("learnt at the edge")

    record = device.to_device().result(30)["record"]
    assert (record["owner"], record["epoch"], record["phase"], record["job"]) == ("device", 3, "idle", True)
    assert sorted(path.name for path in device.folder.iterdir()) == ["input", "model"]
    found = device.container()
    assert (found["status"], found["running"], found["restart_policy"]) == ("created", False, "no")


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
