# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Caches of davfs2 mounts: how large they are and may be, what in them the server may not have."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from ..core import sizes
from ..core.errors import KrafError
from .davfs import Mount

QUARANTINE = Path("/var/lib/kraf/davfs2-quarantine")
MIB = 2**20


def check(mount: Mount) -> None:
    """Refuse a cache that would fill its file system: then davfs2 cannot even list a folder until somebody makes room.

    Raises:
        KrafError: with the sizes.
    """
    total = _statvfs(mount).f_blocks * _statvfs(mount).f_frsize
    if mount.cache_mib * MIB * 2 > total:
        why = (
            f"the file system of {mount.cache} has {sizes.human(total)}, and davfs2 exceeds the size of its cache by "
            "the files that it works on"
        )
        fix = f"Take at most {total // 2 // MIB}, or a cache_dir on a larger disk"
        raise KrafError(f"cache_mib of mount {mount.name}", mount.cache_mib, why, fix, total=total)


def measure(mount: Mount) -> dict[str, int]:
    """Bytes of the cache: ``limit``, to which davfs2 returns when all is sent; ``used``; ``free`` on its disk."""
    used = 0
    for folder, _dirs, names in os.walk(mount.cache):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                used += (Path(folder) / name).stat().st_blocks * 512
    disk = _statvfs(mount)
    return {"limit": mount.cache_mib * MIB, "used": used, "free": disk.f_bavail * disk.f_frsize}


def warnings(mount: Mount, found: dict[str, int]) -> list[str]:
    """What an operator should know of a cache as ``measure`` found it."""
    said = []
    limit, used, free = (sizes.human(found[key]) for key in ("limit", "used", "free"))
    if found["used"] > found["limit"]:
        said.append(f"the cache {mount.cache} holds {used}, its limit is {limit}: the rest is open or not sent yet")
    if found["free"] < found["limit"] - found["used"]:
        said.append(
            f"the disk of the cache {mount.cache} has {free} free, and the cache may take {limit}: "
            "files that do not fit cannot be written or read through the mount"
        )
    return said


def _statvfs(mount: Mount) -> os.statvfs_result:
    """The file system that holds the cache, or will."""
    path = Path(mount.cache)
    return os.statvfs(next(one for one in (path, *path.parents) if one.is_dir()))


def pending(cache: str) -> int:
    """Files that the server may not have while davfs2 runs: those newer than the index of the last clean exit."""
    count = 0
    for folder, _dirs, names in os.walk(cache):
        index = Path(folder) / "index"
        since = index.stat().st_mtime if "index" in names else 0.0
        count += sum(1 for name in names if name != "index" and (Path(folder) / name).stat().st_mtime >= since)
    return count


def unsent(cache: str) -> int:
    """Files that davfs2 had not sent when it ended; it sends them when it is mounted again."""
    texts = (path.read_text(errors="replace") for path in Path(cache).glob("*/index"))
    return sum(text.count("<d:dirty>") for text in texts)


def quarantined(name: str) -> list[str]:
    """Caches that unclean exits left, one directory each."""
    return sorted(str(one) for one in (QUARANTINE / name).glob("*") if one.is_dir())
