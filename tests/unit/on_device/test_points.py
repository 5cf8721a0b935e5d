# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mount points: what may be mounted where."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.on_device import points
from ansible_collections.kraf.edge.plugins.module_utils.on_device.davfs import Mount

PHOTOS = Mount("photos", "/srv/kraf/photos", 18400, "pi1")


@pytest.mark.parametrize("path", ["/srv/kraf/photos", "/srv/kraf/photos/raw", "/srv/kraf"])
def test_path_of_another_volume_is_refused(path: str) -> None:
    with pytest.raises(KrafError, match="the volume photos is mounted at /srv/kraf/photos"):
        points.check("music", path, [PHOTOS], "")


def test_neighbour_whose_name_begins_alike_is_taken(tmp_path: Path) -> None:
    points.check("photos2", "/srv/kraf/photos2", [PHOTOS], "")
    points.check("photos", str(tmp_path), [Mount("photos", str(tmp_path), 18400, "pi1")], "")


def test_volume_that_is_mounted_elsewhere_is_refused() -> None:
    with pytest.raises(KrafError, match="it is at /srv/kraf/photos"):
        points.check("photos", "/media/photos", [PHOTOS], "")


def test_place_of_a_file_system_is_refused() -> None:
    with pytest.raises(KrafError, match="a file system of type ext4 is mounted there"):
        points.check("photos", "/data", [], "/dev/sda1 /data ext4 rw 0 0\n")


def test_own_mount_and_its_automount_are_not_looked_into() -> None:
    table = "systemd-1 /srv/kraf/photos autofs rw 0 0\nhttp://127.0.0.1:18400/ /srv/kraf/photos fuse rw 0 0\n"
    points.check("photos", "/srv/kraf/photos", [PHOTOS], table)
    assert points.kinds_at("/srv/kraf/photos", table) == ["autofs", "fuse"]
    assert points.kinds_at("/srv/a b", "x /srv/a\\040b fuse rw 0 0\n") == ["fuse"]


def test_what_a_mount_would_hide_is_named(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("dear")
    with pytest.raises(KrafError, match=r"1 entries \(letter\) that a mount would hide"):
        points.check("photos", str(tmp_path), [], "")
    with pytest.raises(KrafError, match="it is no directory"):
        points.check("photos", str(tmp_path / "letter"), [], "")
    points.check("photos", str(tmp_path / "nothing"), [], "")
