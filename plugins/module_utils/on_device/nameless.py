# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Open files that lost their name: they were removed, or another was renamed over them (proc(5): ``(deleted)``).

Of all programs of the device, in containers and not. The files themselves are never asked: on a mount that is to wait
for its server, and davfs2 has nothing to say of those without a name.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from . import mountinfo
from .mountinfo import Mounted

PROC = Path("/proc")
MARK = b" (deleted)"
_MOUNT = re.compile(rb"^mnt_id:\s*(\d+)$", re.MULTILINE)
_GONE = (FileNotFoundError, ProcessLookupError)


@dataclass
class Found:
    """What is open: paths below the directory, and the programs (``name (pid)``) that could not be looked at."""

    paths: set[bytes] = field(default_factory=set)
    unseen: list[str] = field(default_factory=list)


def below(folder: str, device: int, proc: Path = PROC) -> Found:
    """Files below a directory that are open and have no name any more.

    Args:
        folder: the directory, without links in its path.
        device: number of its file system (``st_dev``).
        proc: where the kernel's tables are.
    """
    found = Found()
    here = _mounts(proc / "self", device)
    top = _path(os.fsencode(folder), here.values()).rstrip(b"/") + b"/"
    for process in (one for one in proc.iterdir() if one.name.isdecimal()):
        try:
            every = [_path(path, [mount]) for path, mount in _open(process, device, here)]
        except _GONE:
            continue
        except OSError as error:
            if error.errno != errno.EINVAL:  # what the kernel says of one that has just ended
                found.unseen.append(_name(process))
            continue
        found.paths.update(path[len(top) :] for path in every if path.startswith(top))
    return found


def _open(process: Path, device: int, here: Mapping[bytes, Mounted]) -> list[tuple[bytes, Mounted]]:
    """Files without a name that a process has open on a file system: where it sees them, and the mount."""
    lost = []
    for descriptor in os.listdir(process / "fd"):
        try:
            link = os.readlink(os.fsencode(process / "fd" / descriptor))
            if link.startswith(b"/") and link.endswith(MARK):
                told = _MOUNT.search((process / "fdinfo" / descriptor).read_bytes())
                if told is None:
                    raise OSError(errno.ENODATA, "the kernel does not say on which mount a file is")
                lost.append((link[: -len(MARK)], told.group(1)))
        except _GONE:
            continue
    if not lost:
        return []
    # A mount that is ours, too, is taken as we see it: links are as we see them, and the process may be in a chroot.
    mounted = {**_mounts(process, device), **here}
    return [(path, mounted[number]) for path, number in lost if number in mounted]


def _mounts(process: Path, device: int) -> dict[bytes, Mounted]:
    """Mounts of one file system that a process sees, by their numbers."""
    return {one.number: one for one in mountinfo.of(device, process)}


def _path(path: bytes, mounts: Iterable[Mounted]) -> bytes:
    """A path within its file system, of which any folder may be mounted where the path leads."""
    for one in sorted(mounts, key=lambda one: len(one.point), reverse=True):
        point = one.point.rstrip(b"/")
        if path == one.point or path.startswith(point + b"/"):
            return one.root.rstrip(b"/") + path[len(point) :]
    return path


def _name(process: Path) -> str:
    try:
        return f"{(process / 'comm').read_text(errors='replace').strip()} ({process.name})"
    except OSError:
        return process.name
