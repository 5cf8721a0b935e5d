# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a process sees a file system mounted, by the kernel's table ``mountinfo`` (proc(5))."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

_ESCAPED = re.compile(rb"\\([0-7]{3})")


class Mounted(NamedTuple):
    """A line of the table.

    Attributes:
        number: of the mount, as the kernel's other tables name it.
        root: the folder of the file system that is mounted.
        point: where.
        kind: type of the file system.
    """

    number: bytes
    root: bytes
    point: bytes
    kind: bytes


def of(device: int, process: Path = Path("/proc/self")) -> list[Mounted]:
    """Mounts of one file system, in the order in which they were made.

    Args:
        device: number of the file system (``st_dev``).
        process: folder of the process in /proc.
    """
    number = f"{os.major(device)}:{os.minor(device)}".encode()
    # Of what ends a line for Python the kernel escapes the line feed alone, and a name need not be UTF-8.
    rows = [line.split(b" ") for line in (process / "mountinfo").read_bytes().split(b"\n") if line]
    return [
        Mounted(row[0], _plain(row[3]), _plain(row[4]), row[row.index(b"-") + 1]) for row in rows if row[2] == number
    ]


def _plain(text: bytes) -> bytes:
    return _ESCAPED.sub(lambda found: bytes([int(found.group(1), 8)]), text)
