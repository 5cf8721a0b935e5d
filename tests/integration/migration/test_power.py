"""Durable before it counts: what of a copy is on the disk at the moment at which the copy counts (see ``power``)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.on_device import handover, tree
from tests.integration.device.engine import SLEEP, Create

from . import devices, power, trees
from .devices import Device
from .movers import Running
from .power import Disk

LIMIT = 60.0


@pytest.fixture
def edge(mover: Running, tmp_path: Path) -> Iterator[Disk]:
    """The volume of the mover."""
    with power.disk(mover.data, tmp_path / "edge-disk") as found:
        yield found


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Disk]:
    """The device's own."""
    folder = tmp_path / "device"
    folder.mkdir()
    with power.disk(folder, tmp_path / "device-disk") as found:
        yield found


def test_a_cut_takes_what_nobody_made_durable(local: Disk) -> None:
    trees.fill(local.folder / "data")
    with local.after_a_cut() as found:
        assert not list(found.iterdir())
    tree.durable(str(local.folder))
    with local.after_a_cut() as found:
        assert trees.seen(found / "data") == trees.seen(local.folder / "data")


def test_the_first_copy_leaves_little_to_be_written_while_clients_wait(
    mover: Running, edge: Disk, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    big = os.urandom(8 << 20)
    (folder / "big").write_bytes(big)
    pairs = tree.to_edge([("store", str(folder))], mover.remote, 2, 0)
    tree.first("notes", 1, pairs, mover.remote, LIMIT)
    with edge.after_a_cut() as found:
        assert big in [path.read_bytes() for path in found.rglob("*") if path.is_file()]


def copied(folder: Path, mover: Running) -> list[tree.Pair]:
    """A tree in a folder, and its copy at the edge, which is not compared yet."""
    trees.fill(folder)
    pairs = tree.to_edge([("store", str(folder))], mover.remote, 2, 0)
    tree.first("notes", 1, pairs, mover.remote, LIMIT)
    tree.final("notes", pairs, mover.remote, LIMIT)
    return pairs


def test_a_copy_at_the_edge_is_durable_with_its_names_once_it_was_compared(
    mover: Running, edge: Disk, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    pairs = copied(folder, mover)
    tree.compare("notes", pairs, mover.remote, LIMIT)
    with edge.after_a_cut() as found:
        assert trees.seen(found / "2/store") == trees.seen(folder)


@pytest.fixture
def bad(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """While this file is there, a sync of the mover's disk fails."""
    mark, program = tmp_path / "bad", tmp_path / "bin/sync"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\n[ ! -e {mark} ] || {{ echo "sync: Input/output error" >&2; exit 1; }}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return mark


def test_a_copy_at_the_edge_that_cannot_be_made_durable_does_not_count(
    bad: Path, mover: Running, tmp_path: Path
) -> None:
    pairs = copied(tmp_path / "data", mover)
    bad.touch()
    with pytest.raises(KrafError, match=r"comparison of store(?s:.*)sync: Input/output error"):
        tree.compare("notes", pairs, mover.remote, LIMIT)


def test_a_cut_takes_back_no_tree_that_was_put_in_place_put_back_or_kept(local: Disk) -> None:
    folder = local.folder / "data"
    for path, text in ((folder, "old"), (Path(tree.beside(str(folder), 3)), "new")):
        path.mkdir()
        (path / "content").write_text(text)
    tree.durable(str(local.folder))
    tree.swap(str(folder), 3)
    with local.after_a_cut() as found:
        assert (found / "data/content").read_text() == "new"
        assert (found / "data.kraf-before-3/content").read_text() == "old"
    tree.unswap(str(folder), 3)
    with local.after_a_cut() as found:
        assert (found / "data/content").read_text() == "old"
        assert (found / "data.kraf-3/content").read_text() == "new"
    tree.swap(str(folder), 3)
    tree.set_aside(str(folder), 3)
    with local.after_a_cut() as found:
        assert (found / "data.kraf-lost-3/content").read_text() == "old"


# -- whole moves -------------------------------------------------------------------------------------------------------


@pytest.fixture
def device(mover: Running, create: Create, edge: Disk, local: Disk) -> Iterator[Device]:
    folder = local.folder / "results"
    trees.fill(folder)
    name = create(start=True, Cmd=SLEEP, StopTimeout=1, HostConfig={"Binds": [f"{folder}:/data"], "PortBindings": {}})
    with devices.playing(mover, local.folder, name) as found:
        yield found


def test_what_the_device_calls_verified_at_the_edge_survives_a_cut_there(device: Device, edge: Disk) -> None:
    moving = device.begin(handover.move_to_edge, device.task(1, 7, 0))
    device.hear("prepared")
    (device.folder / "plain").write_text("written after the first copy")
    (device.folder / "new").mkdir()
    (device.folder / "new/file").write_text("made after the first copy")
    device.say("go")
    device.hear("verified")
    with edge.after_a_cut() as found:
        assert trees.seen(found / "2/results") == trees.seen(device.folder)
    device.say("aborted", "that is enough")
    assert "that is enough" in str(moving.exception(30))


def test_what_the_device_calls_verified_of_its_own_survives_a_cut(device: Device, local: Disk) -> None:
    device.to_edge().result(30)
    coming = device.begin(handover.move_to_device, device.task(2, 8, 2))
    device.hear("prepared")
    edge = device.mover.data / "2/results"
    (edge / "plain").write_text("written at the edge")
    (edge / "new").mkdir()
    (edge / "new/file").write_text("made at the edge")
    device.say("go")
    device.hear("held")
    device.say("stopped", "{}")
    device.hear("verified")
    with local.after_a_cut() as found:
        assert trees.seen(found / "results.kraf-3") == trees.seen(edge)
    device.say("aborted", "that is enough")
    assert "that is enough" in str(coming.exception(30))
