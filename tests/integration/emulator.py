# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Emulation of arm64 by the kernel's own means: Debian's emulator, unpacked, and a program that needs it.

The package is not installed: it would register its emulators for this whole machine.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.steps import LabError, run

FOLDER = Path(__file__).parents[2] / "build/emulator"
NAME = "kraf-test-arm64"
SAYS = b"arm64 speaks\n"
MAGIC = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00"
MASK = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff"


def interpreter() -> Path:
    """Debian's static emulator of arm64, fetched once."""
    found = FOLDER / "qemu-aarch64-static"
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not found.exists():
            debs = FOLDER / "debs"
            shutil.rmtree(debs, ignore_errors=True)
            debs.mkdir()
            run(["apt-get", "update", "-q"])
            run(["apt-get", "download", "-q", "qemu-user-static"], cwd=debs)
            run(["dpkg-deb", "-x", next(debs.glob("*.deb")), debs / "root"])
            os.replace(debs / "root/usr/bin/qemu-aarch64-static", found)
            shutil.rmtree(debs)
    return found


def line(flags: str = "F", name: str = NAME) -> str:
    """What registers it (https://docs.kernel.org/admin-guide/binfmt-misc.html)."""
    return f":{name}:M::{MAGIC}:{MASK}:{interpreter()}:{flags}"


def program() -> bytes:
    """A static program for arm64 that says so and ends, made by hand: no compiler for it is at hand everywhere.

    write(1, SAYS); exit(0), as https://arm64.syscall.sh has the calls.
    """
    # mov x0, 1; adr x1, text; mov x2, length; mov x8, 64; svc 0; mov x0, 0; mov x8, 93; svc 0; text
    length = 0xD2800002 | len(SAYS) << 5
    code = (0xD2800020, 0x100000E1, length, 0xD2800808, 0xD4000001, 0xD2800000, 0xD2800BA8, 0xD4000001)
    body = struct.pack("<8I", *code) + SAYS
    base, start = 0x400000, 64 + 56
    end = start + len(body)
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header += struct.pack("<HHIQQQIHHHHHH", 2, 0xB7, 1, base + start, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    return header + struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, end, end, 0x1000) + body


@contextmanager
def registered(name: str = NAME) -> Iterator[None]:
    """The emulator at work on this machine, for containers of an engine that runs here; gone afterwards.

    Args:
        name: of the registration, which takes the place of one that was left under it.

    Raises:
        LabError: when the kernel has no such registrations, or they are switched off.
    """
    at = FOLDER / "binfmt_misc"
    at.mkdir(parents=True, exist_ok=True)
    try:
        run(["mount", "-t", "binfmt_misc", "none", at])
    except LabError as error:
        why = "the kernel of this machine has no binfmt_misc, or may not be told of emulators: see CONFIG_BINFMT_MISC"
        raise LabError(f"{why}\n{error}") from error
    try:
        if (at / "status").read_text().strip() != "enabled":
            raise LabError("binfmt_misc is switched off on this machine: write 1 to /proc/sys/fs/binfmt_misc/status")
        if (at / name).exists():
            (at / name).write_text("-1")
        (at / "register").write_text(line(name=name))
        try:
            yield
        finally:
            (at / name).write_text("-1")
    finally:
        subprocess.run(["umount", "-l", str(at)], check=True)
