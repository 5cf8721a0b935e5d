# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the processes of a control group listen, by the kernel's own tables (proc(5), cgroups(7))."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HIERARCHIES = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup/systemd"))
"""Where systemd keeps a unit's processes: version 2 alone, beside version 1, and version 1."""
LISTEN, UNCONNECTED = "0A", "07"
FIRST_EPHEMERAL = 32768
"""UDP ports from here on are those of questions that a program asks, not of what it serves (ip(7))."""


@dataclass(frozen=True)
class Socket:
    """A socket as the kernel's table has it: where it is bound, its state (tcp_states.h), its inode."""

    address: str
    port: int
    state: str
    inode: str


def listening(group: str) -> list[dict[str, Any]]:
    """``address``, ``port`` and ``protocol`` of each of their open ports."""
    pids = sorted(processes(group))
    mine = {inode for pid in pids for inode in _inodes(pid)}
    found = set()
    for name, state in (("tcp", LISTEN), ("tcp6", LISTEN), ("udp", UNCONNECTED), ("udp6", UNCONNECTED)):
        for one in table(pids, name):
            if one.state == state and one.inode in mine and (state == LISTEN or one.port < FIRST_EPHEMERAL):
                found.add((one.address, one.port, name[:3]))
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


def table(pids: Sequence[int], name: str) -> list[Socket]:
    """Sockets of one protocol (tcp, tcp6, udp, udp6) in the network of processes.

    Of the first that still lives: all of them are in one network unless their unit says otherwise. None for processes
    that are not there.
    """
    for pid in pids:
        with contextlib.suppress(OSError):
            return [_socket(line) for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]]
    return []


def _socket(line: str) -> Socket:
    fields = line.split()
    address, _colon, port = fields[1].partition(":")
    return Socket(_address(address), int(port, 16), fields[3], fields[9])


def _address(text: str) -> str:
    """From words of 32 bits, each in the machine's own order of bytes."""
    words = [int(text[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(text), 8)]
    return str(ipaddress.ip_address(b"".join(words)))
