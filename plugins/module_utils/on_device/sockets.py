# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the processes of a control group listen, by the kernel's own tables (proc(5), cgroups(7))."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HIERARCHIES = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup/systemd"))
"""Where systemd keeps a unit's processes: version 2 alone, beside version 1, and version 1."""
LISTEN, UNCONNECTED = "0A", "07"
FIRST_EPHEMERAL = 32768
"""UDP ports from here on are those of questions that a program asks, not of what it serves (ip(7))."""


def listening(group: str) -> list[dict[str, Any]]:
    """``address``, ``port`` and ``protocol`` of each of their open ports."""
    pids = sorted(processes(group))
    mine = {inode for pid in pids for inode in _inodes(pid)}
    found = set()
    for name, state in (("tcp", LISTEN), ("tcp6", LISTEN), ("udp", UNCONNECTED), ("udp6", UNCONNECTED)):
        for line in _table(pids, name):
            local, inode = line[1], line[9]
            address, _colon, port = local.partition(":")
            if line[3] != state or inode not in mine:
                continue
            if state == LISTEN or int(port, 16) < FIRST_EPHEMERAL:
                found.add((_address(address), int(port, 16), name[:3]))
    return [{"address": one, "port": port, "protocol": protocol} for one, port, protocol in sorted(found)]


def processes(group: str) -> set[int]:
    """Ids of the processes of a control group and of those in it."""
    found: set[int] = set()
    for root in HIERARCHIES if group.strip("/") else ():
        for path in Path(f"{root}/{group.strip('/')}").glob("**/cgroup.procs"):
            with contextlib.suppress(OSError):
                found.update(map(int, path.read_text().split()))
    return found


def freezer(group: str) -> Path | None:
    """The file by which version 2 freezes a control group; None where the kernel has none."""
    paths = [Path(f"{root}/{group.strip('/')}/cgroup.freeze") for root in HIERARCHIES]
    return next((path for path in paths if path.exists()), None) if group.strip("/") else None


def _inodes(pid: int) -> Iterator[str]:
    with contextlib.suppress(OSError):
        for one in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                target = os.readlink(f"/proc/{pid}/fd/{one}")
                if target.startswith("socket:["):
                    yield target[len("socket:[") : -1]


def _table(pids: list[int], name: str) -> list[list[str]]:
    """The table of the first that still lives: all of them are in one network unless the unit says otherwise."""
    for pid in pids:
        with contextlib.suppress(OSError):
            return [line.split() for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]]
    return []


def _address(text: str) -> str:
    """From words of 32 bits, each in the machine's own order of bytes."""
    words = [int(text[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(text), 8)]
    return str(ipaddress.ip_address(b"".join(words)))
