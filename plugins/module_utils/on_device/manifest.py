# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which files have to be read again while clients wait: those that may have changed since the first copy began.

An entry's inode, size and times are written down after a sync, before the first copy reads it. The time of its last
change (ctime) cannot be set by a program, and after the sync even a write through ``mmap`` sets it (page_mkwrite of the
file systems in ``TRUSTED``). So what has the same tuple has the same content; an entry that was changed so shortly
before its tuple was read that another change would show the same time is *racy* and read again, as git does with its
index (https://git-scm.com/docs/racy-git). The mover does the same on the way back (manifests/mover.py).
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..core.coerce import printable
from ..core.errors import KrafError
from . import mountinfo, tree

TRUSTED = ("ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "overlay")
"""tmpfs and what lies on other machines do not tell of every write."""
TICK_NS = 50_000_000
"""Times are as fine as the kernel's tick, 10 ms at most; the rest is for clocks that are set meanwhile."""
SMALL = 64 << 20
"""Bytes: what takes less is read whole, which is sooner done than asking for a part of it."""
Tuple = tuple[int, int, int, int]


@dataclass(frozen=True)
class Manifest:
    """A data directory at one moment.

    Attributes:
        moment: when its reading began, nanoseconds since 1970.
        files: inode, size, mtime and ctime (nanoseconds) of each regular file, by its path below the directory.
        trusted: whether its file system tells of every write.
    """

    moment: int
    files: dict[bytes, Tuple]
    trusted: bool


def make(folder: str) -> Manifest:
    """Write down what the directory holds, durable first.

    Raises:
        KrafError: when it cannot be synced or read.
    """
    tree.durable(folder)
    moment = time.time_ns()
    try:
        return Manifest(moment, dict(_files(os.fsencode(folder))), file_system(folder) in TRUSTED)
    except OSError as error:
        name = printable(os.fsdecode(error.filename or folder), 1024)
        why = f"{name} cannot be read: {error.strerror}"
        raise KrafError("data directory", folder, why, "The source is still the owner's; see the disk") from error


def changed(folder: str, before: Manifest) -> list[bytes] | None:
    """Regular files whose content may differ from what the first copy read; None when all have to be read.

    Args:
        folder: the directory, in which nothing writes any more.
        before: of the same directory, made before the first copy.
    """
    now = make(folder)
    if not before.trusted:
        return None
    racy = before.moment - TICK_NS
    again = [path for path, entry in now.files.items() if entry != before.files.get(path) or entry[3] >= racy]
    kept = sum(entry[1] for entry in now.files.values()) - sum(now.files[path][1] for path in again)
    return again if kept >= SMALL else None


def differences(folder: str, before: Manifest) -> list[bytes]:
    """Regular files that were written, made or removed since; those that nobody can tell of count as written."""
    now = make(folder)
    racy = before.moment - TICK_NS
    found = [path for path, entry in now.files.items() if entry != before.files.get(path) or entry[3] >= racy]
    return sorted({*found, *(before.files.keys() - now.files.keys())})


def same(folder: str, before: Manifest) -> bool:
    """Whether nothing was written since, as far as the file system tells."""
    return before.trusted and not differences(folder, before)


def as_json(manifest: Manifest) -> dict[str, object]:
    """To be kept in a file; names are bytes, which JSON has not."""
    files = [[os.fsdecode(path), *entry] for path, entry in sorted(manifest.files.items())]
    return {"moment": manifest.moment, "trusted": manifest.trusted, "files": files}


def from_json(found: Mapping[str, Any]) -> Manifest:
    """What ``as_json`` has made."""
    files = {os.fsencode(path): (inode, size, mtime, ctime) for path, inode, size, mtime, ctime in found["files"]}
    return Manifest(found["moment"], files, found["trusted"])


def _files(folder: bytes, below: bytes = b"") -> Iterator[tuple[bytes, Tuple]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            path = below + entry.name
            try:
                if entry.is_dir(follow_symlinks=False):
                    yield from _files(entry.path, path + b"/")
                    continue
                found = entry.stat(follow_symlinks=False)
            except (FileNotFoundError, NotADirectoryError):
                continue  # the app removed it meanwhile
            if stat.S_ISREG(found.st_mode):
                yield path, (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def file_system(folder: str) -> str:
    """Type of the file system that a directory lies on; empty if unknown."""
    return next((one.kind.decode() for one in mountinfo.of(os.stat(folder).st_dev)), "")
