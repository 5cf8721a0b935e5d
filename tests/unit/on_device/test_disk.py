# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""on_device/disk: which data lie on a mount, and whether both ends of it hold the same. A plain directory stands for
the mount where davfs2 itself does not matter; whole moves are tried in the lab."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.on_device import disk, mounts, placement
from ansible_collections.kraf.edge.plugins.module_utils.on_device.davfs import Mount
from ansible_collections.kraf.edge.plugins.module_utils.on_device.disk import Disk
from ansible_collections.kraf.edge.plugins.module_utils.on_device.placement import Record

MOUNT = Mount("photos", "/srv/kraf/photos", 18400, "kraf")


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "load_all", lambda: [MOUNT])


@pytest.fixture
def here(tmp_path: Path) -> Disk:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "one").write_bytes(b"1")
    (tmp_path / os.fsdecode(b"n\xc3\xa4me \n x")).write_bytes(b"22")
    (tmp_path / "lost+found").mkdir()
    (tmp_path / "lost+found" / "refused").write_bytes(b"x")
    return Disk("results", str(tmp_path), replace(MOUNT, path=str(tmp_path)))


def records(*given: bytes) -> str:
    return base64.b64encode(b"".join(one + b"\0" for one in given)).decode()


@pytest.mark.parametrize(
    ("folder", "inside"),
    [("/srv/kraf/photos", ""), ("/srv/kraf/photos/a/b", "a/b"), ("/srv/kraf/photos2", None), ("/srv/kraf", None)],
)
def test_directory_on_a_mount_is_known_by_its_path(known: None, folder: str, inside: str | None) -> None:
    found = disk.of([("results", folder)])
    assert [one.inside for one in found] == ([] if inside is None else [inside])
    data = (("results", folder), ("more", "/srv/more"))
    assert Record("app", data=data, disks=disk.named(found)).trees[-1] == ("more", "/srv/more")


@pytest.mark.parametrize("folder", ["/srv/elsewhere", "/srv/kraf/photos"])
def test_directory_that_lay_on_another_volume_is_refused(known: None, folder: str) -> None:
    with pytest.raises(KrafError, match="volume other"):
        disk.of([("results", folder)], [("results", "other")])


def test_only_what_is_not_on_a_mount_is_copied() -> None:
    record = placement.Record("app", data=(("a", "/a"), ("b", "/b")), disks=(("b", "photos"),))
    assert record.trees == (("a", "/a"),)


def test_record_keeps_what_lies_on_volumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "ROOT", tmp_path)
    record = placement.save(placement.Record("app", data=(("b", "/b"),), disks=(("b", "photos"),)))
    assert placement.load("app") == record


def test_what_the_server_refused_is_not_told(here: Disk) -> None:
    told = base64.b64decode(disk.told(disk.read(here)))
    one = hashlib.sha256(b"1").hexdigest().encode()
    two = hashlib.sha256(b"22").hexdigest().encode()
    entries = {b"d - below", b"f " + one + b" below/one", b"f " + two + b" n\xc3\xa4me \n x", b""}
    assert set(told.split(b"\0")) == entries


def test_same_on_both_ends_is_no_difference(here: Disk) -> None:
    disk.compare(here, disk.told(disk.read(here)))


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ([b"d - below", b"s 1 below/one"], "n\u00e4me"),
        ([b"d - below", b"s 1 below/one", b"s 2 n\xc3\xa4me \n x", b"s 1 more"], "more"),
        ([b"d - below", b"s 5 below/one", b"s 2 n\xc3\xa4me \n x"], "below/one"),
        ([b"d - below", b"f 00 below/one", b"s 2 n\xc3\xa4me \n x"], "below/one"),
        ([b"s 1 below", b"s 1 below/one", b"s 2 n\xc3\xa4me \n x"], "below"),
    ],
)
def test_difference_is_refused_by_its_name(here: Disk, given: list[bytes], named: str) -> None:
    with pytest.raises(KrafError, match=named):
        disk.compare(here, records(*given))


def test_what_webdav_does_not_show_as_it_is_is_left_out(here: Disk) -> None:
    disk.compare(here, records(b"x - below", b"s 2 n\xc3\xa4me \n x"))


def test_large_directory_is_read_again_only_where_it_changed(here: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "SMALL", 1)
    for path in (b"below/one", b"n\xc3\xa4me \n x"):
        os.utime(os.path.join(os.fsencode(here.folder), path), (1, 1))
    before = disk.read(here)
    (Path(here.folder) / "below" / "one").write_bytes(b"9")
    looked = []
    digest = disk._digest
    monkeypatch.setattr(disk, "_digest", lambda path: looked.append(os.path.basename(path)) or digest(path))
    assert disk.read(here, before)[b"below/one"][2] == hashlib.sha256(b"9").hexdigest()
    assert looked == [b"one"]


def test_file_that_is_young_is_read_again_whatever_its_time_says(here: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "SMALL", 1)
    before = disk.read(here)
    file = Path(here.folder) / "below" / "one"
    state = file.stat()
    file.write_bytes(b"9")
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert disk.read(here, before)[b"below/one"][2] == hashlib.sha256(b"9").hexdigest()


def test_what_a_mount_is_not_fit_for_is_named(here: Disk) -> None:
    base = sqlite3.connect(Path(here.folder) / "faces.data")
    base.execute("create table t (x)")
    base.commit()
    base.close()
    for name in ("faces.data-wal", "app.lock", "plain"):
        (Path(here.folder) / name).write_bytes(b"x")
    assert [one["path"] for one in disk.unsuited(here)] == ["app.lock", "faces.data", "faces.data-wal"]


def test_file_with_a_lock_is_named(here: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(Path(here.folder) / "below" / "one", "rb") as stream:
        fcntl.flock(stream, fcntl.LOCK_SH)
        assert [one["path"] for one in disk.unsuited(here)] == ["below/one"]


@pytest.mark.parametrize(("how", "why"), [("replace", "renamed over it"), ("unlink", "it was removed")])
def test_dav_10_open_file_that_lost_its_name_is_named(
    here: Disk, monkeypatch: pytest.MonkeyPatch, how: str, why: str
) -> None:
    monkeypatch.setattr(mounts, "mounted", lambda path: True)
    file = Path(here.folder) / "below/one"
    (Path(here.folder) / "new").touch()
    with file.open():
        if how == "replace":
            (Path(here.folder) / "new").replace(file)
        else:
            file.unlink()
        found = disk.state(here)["unsuited"]
    assert [one["path"] for one in found] == ["below/one"]
    assert why in found[0]["why"]
    assert disk.state(here)["unsuited"] == []


def test_of_many_files_the_first_are_named_and_the_others_counted(here: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "mounted", lambda path: True)
    for number in range(disk.NAMED + 3):
        (Path(here.folder) / f"{number}.lock").touch()
    found = disk.state(here)
    assert (len(found["unsuited"]), found["unnamed"]) == (disk.NAMED, 3)


def test_file_whose_name_says_that_it_was_deleted_is_none(here: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "mounted", lambda path: True)
    with (Path(here.folder) / "one (deleted)").open("w"):
        assert disk.state(here)["unsuited"] == []


def test_without_a_server_nothing_is_unmounted(known: None, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = []
    monkeypatch.setattr(mounts, "mounted", lambda path: True)
    monkeypatch.setattr(mounts, "release", lambda path, limit: gone.append(path))
    here = Disk("results", MOUNT.path, replace(MOUNT, port=1))
    with pytest.raises(KrafError, match="does not answer"):
        disk.leave([here], 0.6)
    assert gone == []


def test_mount_that_does_not_answer_is_an_error_in_words(here: Disk) -> None:
    with pytest.raises(KrafError, match="through the mount"):
        disk.read(replace(here, folder=f"{here.folder}/gone"))


def test_look_at_a_mount_whose_server_is_away_is_no_failure(here: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_arguments: object) -> None:
        raise BlockingIOError

    monkeypatch.setattr(mounts, "mounted", lambda path: True)
    assert disk.state(here)["mounted"]
    monkeypatch.setattr(disk, "unsuited", away)
    found = disk.state(here)
    assert (found["exists"], found["mounted"]) == (True, False)
