# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mount points: whether a volume may be mounted at a path. Only reads: it is asked before anything is changed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ..core.errors import KrafError
from .davfs import Mount


def check(name: str, path: str, known: Iterable[Mount], table: str | None = None) -> None:
    """Refuse a path that is another volume's, or where something else is.

    Args:
        name: the volume.
        path: its mount point.
        known: all mounts of this device.
        table: the kernel's table of mounts, proc(5).

    Raises:
        KrafError: naming what is there.
    """
    for one in known:
        if one.name == name and one.path != path:
            raise KrafError(f"mount {name}", path, f"it is at {one.path}", "Remove it there first (state: absent)")
        if one.name != name and (_within(path, one.path) or _within(one.path, path)):
            why = f"the volume {one.name} is mounted at {one.path}"
            raise KrafError(f"mount point of {name}", path, why, f"Choose another path, for example /srv/kraf/{name}")
    kinds = kinds_at(path, table)
    foreign = [kind for kind in kinds if kind not in ("fuse", "autofs")]
    if foreign:
        why = f"a file system of type {foreign[0]} is mounted there"
        raise KrafError(f"mount point of {name}", path, why, f"Choose another path, for example /srv/kraf/{name}")
    # Looking into a path that systemd watches would mount it.
    if not kinds:
        _check_empty(path)


def kinds_at(path: str, table: str | None = None) -> list[str]:
    """Types of the file systems that are mounted exactly at a path, the lowest first."""
    text = Path("/proc/self/mounts").read_text() if table is None else table
    rows = [line.split(" ") for line in text.splitlines()]
    return [row[2] for row in rows if len(row) > 2 and row[1].encode().decode("unicode_escape") == path]


def _check_empty(path: str) -> None:
    try:
        hidden = sorted(os.listdir(path))
    except FileNotFoundError:
        return
    except NotADirectoryError as error:
        raise KrafError("mount point", path, "it is no directory", "Move it away, or choose another path") from error
    if hidden:
        why = f"it holds {len(hidden)} entries ({', '.join(hidden[:3])}) that a mount would hide"
        raise KrafError("mount point", path, why, "Move them away first")


def _within(path: str, other: str) -> bool:
    return f"{path}/".startswith(f"{other}/")
