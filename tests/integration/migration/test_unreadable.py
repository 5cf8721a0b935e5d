"""A single file that cannot be read, of a real file system: it is named, nothing counts, and the owner stays."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.on_device import docker, handover, manifest, placement, tree
from ansible_collections.kraf.edge.plugins.module_utils.on_device.tree import Pair
from tests.integration.device import parts
from tests.integration.device.engine import SLEEP, Create

from . import devices, trees, unreadable
from .devices import Device
from .movers import Running

LIMIT = 60.0
BROKEN = "deep/er/still/file"
Copy = Callable[[list[Pair], Running], object]
COPIES: dict[str, Copy] = {
    "first": lambda pairs, mover: tree.first("notes", 1, pairs, mover.remote, LIMIT),
    "final": lambda pairs, mover: tree.final("notes", pairs, mover.remote, LIMIT),
    "compare": lambda pairs, mover: tree.compare("notes", pairs, mover.remote, LIMIT),
}


def by_list(pairs: list[Pair], mover: Running) -> object:
    changes = {"store": tree.listed("notes", "store", [BROKEN.encode()])}
    return tree.final("notes", pairs, mover.remote, LIMIT, changes)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "device/data"
    trees.fill(found)
    return found


@pytest.mark.parametrize("copy", [*COPIES.values(), by_list], ids=[*COPIES, "by-list"])
@pytest.mark.parametrize("way", unreadable.WAYS)
def test_mig_01_a_file_of_the_device_that_cannot_be_read_is_named(
    mover: Running, folder: Path, way: str, copy: Copy
) -> None:
    before = trees.seen(folder)
    pairs = tree.to_edge([("store", str(folder))], mover.remote, 2, 0)
    COPIES["first"](pairs, mover)
    with unreadable.file(folder / BROKEN, way), pytest.raises(KrafError, match=BROKEN):
        copy(pairs, mover)
    assert trees.seen(folder) == before


@pytest.mark.parametrize("copy", COPIES)
@pytest.mark.parametrize("way", unreadable.WAYS)
def test_mig_01_a_file_of_the_edge_that_cannot_be_read_is_named(
    mover: Running, folder: Path, way: str, copy: str
) -> None:
    COPIES["first"](tree.to_edge([("store", str(folder))], mover.remote, 2, 0), mover)
    edge = mover.data / "2/store"
    (edge / BROKEN).write_text("written at the edge")
    before = trees.seen(edge), trees.seen(folder)
    pairs = tree.to_device([("store", str(folder))], mover.remote, 2, 3)
    COPIES["first"](pairs, mover)
    with unreadable.file(edge / BROKEN, way), pytest.raises(KrafError, match=BROKEN):
        COPIES[copy](pairs, mover)
    assert (trees.seen(edge), trees.seen(folder)) == before


def test_mig_01_it_is_named_although_an_app_removes_hundreds_of_others_meanwhile(mover: Running, folder: Path) -> None:
    cache = [folder / f"x-cache-of-the-app-{number}" for number in range(300)]
    for path in (folder / "x", *cache):
        path.write_text("x")
    pairs = tree.to_edge([("store", str(folder))], mover.remote, 2, 0)
    with (
        unreadable.file(folder / "x", "not-opened", lambda: [path.unlink(missing_ok=True) for path in cache]),
        pytest.raises(KrafError, match=f'open "{folder}/x"'),
    ):
        tree.first("notes", 1, pairs, mover.remote, LIMIT)


def test_files_that_an_app_removes_meanwhile_fail_no_first_copy(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def late(path: bytes) -> Iterator[os.DirEntry[bytes]]:
        if path.endswith(b"/empty-dir"):
            os.rmdir(path)
        return scandir(path)

    monkeypatch.setattr(manifest.os, "scandir", late)
    assert b"plain" in manifest.make(str(folder)).files


# -- whole moves -------------------------------------------------------------------------------------------------------


@pytest.fixture
def device(mover: Running, create: Create, tmp_path: Path) -> Iterator[Device]:
    folder = tmp_path / "results"
    trees.fill(folder)
    binds = {"Binds": [f"{folder}:/data"], "PortBindings": {}, "RestartPolicy": {"Name": "always"}}
    name = create(start=True, Cmd=SLEEP, StopTimeout=1, HostConfig=binds)
    with devices.playing(mover, tmp_path, name) as found:
        yield found


def owner() -> tuple[str, int, str]:
    record = placement.load("notes")
    assert record is not None
    return record.owner, record.epoch, record.phase


@pytest.mark.parametrize("way", unreadable.WAYS)
def test_mig_01_an_app_with_a_file_that_cannot_be_read_is_not_even_stopped(device: Device, way: str) -> None:
    pid = docker.pid(device.name)
    with unreadable.file(device.folder / BROKEN, way):
        moving = device.begin(handover.move_to_edge, device.task(1, 7, 0))
        with pytest.raises(KrafError, match=BROKEN):
            moving.result(30)
        assert BROKEN in (device.box / "failed").read_text()
    assert docker.pid(device.name) == pid
    assert owner() == ("device", 1, "idle")


def test_mig_01_an_app_whose_file_cannot_be_read_any_more_at_the_end_runs_again_on_its_device(device: Device) -> None:
    before = docker.describe(device.name)
    moving = device.begin(handover.move_to_edge, device.task(1, 7, 0))
    device.hear("prepared")
    (device.folder / BROKEN).write_text("written after the first copy")
    with unreadable.file(device.folder / BROKEN, "not-read"):
        device.say("go")
        parts.until((device.box / "halted").exists)
        with pytest.raises(KrafError, match=BROKEN):
            moving.result(30)
    found = docker.describe(device.name)
    assert (found.running, found.restart_policy, found.id) == (True, "always", before.id)
    assert found.started_at != before.started_at
    assert owner() == ("device", 1, "idle")


def test_mig_01_on_the_way_back_the_edge_stays_the_owner_and_the_device_s_data_stay(device: Device) -> None:
    device.to_edge().result(30)
    before = trees.seen(device.folder)
    coming = device.begin(handover.move_to_device, device.task(2, 8, 2))
    device.hear("prepared")
    edge = device.mover.data / "2/results" / BROKEN
    edge.write_text("written at the edge")
    device.say("go")
    device.hear("held")
    with unreadable.file(edge, "not-read"):
        device.say("stopped", json.dumps({}))
        with pytest.raises(KrafError, match=BROKEN):
            coming.result(30)
    record = placement.load("notes")
    assert record is not None
    assert (record.owner, record.epoch, record.to) == ("edge", 2, "device")
    assert record.phase != "ready"
    assert trees.seen(device.folder) == before
    assert not docker.running(device.name)
