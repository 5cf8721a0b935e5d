# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""on_device/nameless: open files that lost their name, by the kernel's own tables here, and by made ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.on_device import nameless
from ansible_collections.kraf.edge.plugins.module_utils.on_device.nameless import Found

DEVICE = os.makedev(0, 52)
SELF = "30 25 0:52 / /srv/kraf/photos rw - fuse http://127.0.0.1:18400/ rw\n"
OTHER = "31 25 254:0 / / rw - ext4 /dev/vda rw\n"
FOLDER = "/srv/kraf/photos/faces"


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    process(tmp_path, "self", OTHER + SELF)
    return tmp_path


def process(proc: Path, pid: str, mountinfo: str, **opened: tuple[str, int]) -> None:
    """A process in made tables; of each descriptor what its link says, and the number of the mount."""
    folder = proc / pid
    for name in ("fd", "fdinfo"):
        (folder / name).mkdir(parents=True)
    (folder / "comm").write_text("hub\n")
    (folder / "mountinfo").write_bytes(mountinfo.encode())
    for descriptor, (link, number) in opened.items():
        (folder / "fd" / descriptor).symlink_to(link)
        (folder / "fdinfo" / descriptor).write_text(f"pos:\t0\nflags:\t02\nmnt_id:\t{number}\nino:\t7\n")


@pytest.mark.parametrize("how", ["renamed over", "removed"])
def test_dav_10_file_that_is_open_and_lost_its_name_is_found(tmp_path: Path, how: str) -> None:
    folder = tmp_path / "with \\ blank"
    (folder / "below").mkdir(parents=True)
    device = folder.stat().st_dev
    for name in ("old", "new", "kept"):
        (folder / "below" / name).touch()
    with (folder / "below/old").open(), (folder / "below/kept").open():
        assert nameless.below(str(folder), device).paths == set()
        if how == "removed":
            (folder / "below/old").unlink()
        else:
            (folder / "below/new").replace(folder / "below/old")
        assert nameless.below(str(folder), device).paths == {b"below/old"}
        assert nameless.below(str(folder / "below"), device).paths == {b"old"}
        assert nameless.below(str(tmp_path / "other"), device).paths == set()
    assert nameless.below(str(folder), device).paths == set()


@pytest.mark.parametrize(
    ("mountinfo", "link", "path"),
    [
        ("77 60 0:52 / /data rw - fuse x rw\n", "/data/faces/a/b (deleted)", b"a/b"),
        ("77 60 0:52 /faces /data rw - fuse x rw\n", "/data/b (deleted)", b"b"),
        ("77 60 0:52 /faces/a\\040b /data rw - fuse x rw\n", "/data/c (deleted)", b"a b/c"),
        ("77 60 0:52 /faces / rw - fuse x rw\n", "/b (deleted)", b"b"),
        ("77 60 0:52 /faces/only /only rw - fuse x rw\n", "/only (deleted)", b"only"),
        ("77 60 0:52 /faces /data rw - fuse x rw\n", "/data/b (deleted) (deleted)", b"b (deleted)"),
        ("78 60 254:0 / /a\rb rw - ext4 x rw\n77 60 0:52 /faces /c\rd rw - fuse x rw\n", "/c\rd/b (deleted)", b"b"),
    ],
)
def test_path_is_told_as_the_device_has_it_wherever_a_container_has_the_folder(
    proc: Path, mountinfo: str, link: str, path: bytes
) -> None:
    process(proc, "12", OTHER + mountinfo, **{"3": (link, 77)})
    assert nameless.below(FOLDER, DEVICE, proc) == Found({path})


def test_program_in_a_chroot_of_the_device_is_told_by_the_device_s_own_mounts(proc: Path) -> None:
    process(proc, "12", "30 25 0:52 / /photos rw - fuse x rw\n", **{"3": (f"{FOLDER}/b (deleted)", 30)})
    assert nameless.below(FOLDER, DEVICE, proc) == Found({b"b"})


@pytest.mark.parametrize(
    "opened",
    [
        (f"{FOLDER}/b", 30),
        ("/srv/kraf/photos/other/b (deleted)", 30),
        ("/srv/kraf/photos/faces2/b (deleted)", 30),
        ("/srv/kraf/photos/faces/b (deleted)", 31),
        ("/memfd:x (deleted)", 1),
        ("pipe:[7]", 1),
    ],
)
def test_other_files_are_not_told(proc: Path, opened: tuple[str, int]) -> None:
    process(proc, "12", OTHER + SELF, **{"3": opened})
    assert nameless.below(FOLDER, DEVICE, proc) == Found()


def test_program_that_ends_meanwhile_is_none(proc: Path) -> None:
    (proc / "11").mkdir()
    process(proc, "12", SELF, **{"3": (f"{FOLDER}/b (deleted)", 30), "4": (f"{FOLDER}/c (deleted)", 30)})
    (proc / "12/fdinfo/4").unlink()
    assert nameless.below(FOLDER, DEVICE, proc) == Found({b"b"})


def test_kernel_that_does_not_tell_the_mount_leaves_it_unknown(proc: Path) -> None:
    process(proc, "12", SELF, **{"3": (f"{FOLDER}/b (deleted)", 30)})
    (proc / "12/fdinfo/3").write_text("pos:\t0\n")
    assert nameless.below(FOLDER, DEVICE, proc).unseen == ["hub (12)"]


@pytest.mark.parametrize("entry", ["fd", "fdinfo/3", "mountinfo"])
def test_program_that_cannot_be_looked_at_is_named(proc: Path, entry: str) -> None:
    process(proc, "12", SELF, **{"3": (f"{FOLDER}/b (deleted)", 30)})
    (proc / "12" / entry).rename(proc / "away")
    # A file in the place of a folder, and the other way round: errors that root meets, too.
    if entry == "fd":
        (proc / "12/fd").touch()
    else:
        (proc / "12" / entry).mkdir()
    assert nameless.below(FOLDER, DEVICE, proc) == Found(set(), ["hub (12)"])
