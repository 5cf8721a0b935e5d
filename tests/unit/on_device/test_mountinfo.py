"""The kernel's table of mounts, with names that are no text."""

from __future__ import annotations

import os
from pathlib import Path

from ansible_collections.kraf.edge.plugins.module_utils.on_device import manifest, mountinfo
from ansible_collections.kraf.edge.plugins.module_utils.on_device.mountinfo import Mounted

TABLE = b"""22 1 8:1 / / rw - ext4 /dev/sda1 rw
40 22 0:52 /a\\040b /srv/c\\134d rw,nosuid shared:1 master:2 - fuse.davfs x rw
41 22 0:52 / /srv/\xff\r\xe2\x80\xa8 rw - fuse x rw
"""


def test_mounts_of_a_file_system_whatever_they_are_called(tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_bytes(TABLE)
    assert mountinfo.of(os.makedev(0, 52), tmp_path) == [
        Mounted(b"40", b"/a b", b"/srv/c\\d", b"fuse.davfs"),
        Mounted(b"41", b"/", b"/srv/\xff\r\xe2\x80\xa8", b"fuse"),
    ]
    assert mountinfo.of(os.makedev(0, 53), tmp_path) == []


def test_the_type_of_a_file_system_is_known() -> None:
    assert manifest.file_system("/proc") == "proc"
