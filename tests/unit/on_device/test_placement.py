# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""on_device/placement: what the device knows of an app's owner, and who may change it."""

from __future__ import annotations

import itertools
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.migration import table, world
from ansible_collections.kraf.edge.plugins.module_utils.on_device import placement
from ansible_collections.kraf.edge.plugins.module_utils.on_device.placement import Record

RECORD = Record(
    "notes", fence=5, container="notes", container_id="c1", data=(("store", "/srv/notes"),), doors=("192.0.2.1:8843",)
)


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(placement, "ROOT", tmp_path)
    monkeypatch.setattr(placement, "LOCKS", tmp_path / "run")
    return tmp_path


def test_record_is_read_as_it_was_written_and_is_roots_alone() -> None:
    placement.save(RECORD)
    assert placement.load("notes") == RECORD
    assert placement.path("notes").stat().st_mode & 0o777 == 0o600


def test_record_of_a_newer_release_is_read_too(root: Path) -> None:
    placement.save(RECORD)
    path = placement.path("notes")
    path.write_text(path.read_text().replace("{", '{"later": 1,', 1))
    assert placement.load("notes") == RECORD


def test_app_nobody_has_moved_has_no_record() -> None:
    assert placement.load("notes") is None
    assert placement.admit("notes", 1) is None


def test_damaged_record_is_refused_and_not_guessed() -> None:
    placement.save(RECORD)
    placement.path("notes").write_text("")
    with pytest.raises(KrafError, match="not JSON"):
        placement.load("notes")


@pytest.mark.parametrize(("fence", "kept"), [(5, 5), (6, 6), (99, 99)])
def test_newest_run_is_admitted_and_remembered(fence: int, kept: int) -> None:
    placement.save(RECORD)
    found = placement.admit("notes", fence)
    assert found == placement.load("notes") == replace(RECORD, fence=kept)


@pytest.mark.parametrize("fence", [0, 4])
def test_overtaken_run_is_refused_and_changes_nothing(fence: int) -> None:
    placement.save(RECORD)
    with pytest.raises(KrafError, match="run 5 has taken the app in hand") as caught:
        placement.admit("notes", fence)
    assert caught.value.facts["overtaken"]
    assert placement.load("notes") == RECORD


def test_record_agrees_with_a_placement_exactly_where_the_protocols_table_says_so() -> None:
    sides, phases = (world.DEVICE, world.EDGE), (world.IDLE, world.MOVING, world.READY)
    agreed = 0
    for owner, to, phase, overlap, epoch in itertools.product(sides, sides, phases, (False, True), range(1, 4)):
        record = Record("notes", owner, epoch, phase, to, overlap=overlap)
        model = world.World(record_owner=owner, record_epoch=epoch, record_phase=phase, record_to=to, overlap=overlap)
        for wanted, number in itertools.product(sides, range(7)):
            found = placement.agrees(record, wanted, number)
            assert found == table.agrees(model, wanted, number), (record, wanted, number)
            agreed += found
    assert agreed


HOLD = """
import sys
from pathlib import Path
from ansible_collections.kraf.edge.plugins.module_utils.on_device import placement
placement.LOCKS = Path(sys.argv[1])
with placement.exclusive("notes"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_process_at_a_time_acts_on_an_app_and_a_dead_one_holds_nothing() -> None:
    argv = [sys.executable, "-c", HOLD, str(placement.LOCKS)]
    environment = {"PYTHONPATH": ":".join(sys.path)}
    with subprocess.Popen(argv, stdin=-1, stdout=-1, env=environment) as other:
        assert other.stdout
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(KrafError, match="another process on the device"), placement.exclusive("notes", 0.2):
            pytest.fail("two at a time")
        with placement.exclusive("photos", 0.2):
            pass
        other.kill()
        other.wait()
        with placement.exclusive("notes", 5):
            pass


def test_units_of_one_app_are_not_anothers() -> None:
    """systemctl stop takes a pattern: the dot is in no app's name."""
    from fnmatch import fnmatchcase

    assert fnmatchcase(f"{placement.unit('notes', 3)}.77.scope", "kraf-copy-notes.*.scope")
    assert not fnmatchcase(f"{placement.unit('notes-b', 3)}.77.scope", "kraf-copy-notes.*.scope")
