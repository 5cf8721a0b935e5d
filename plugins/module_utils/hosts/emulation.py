# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which other architectures' programs a host runs, by what its kernel says.

https://docs.kernel.org/admin-guide/binfmt-misc.html, and for the numbers elf(5).
"""

from __future__ import annotations

from .reading import Root

FOLDER = "/proc/sys/fs/binfmt_misc"
_MACHINES = {(2, 0xB7): "arm64", (1, 0x28): "arm", (2, 0x3E): "amd64"}
"""Architecture, as images name it, by class and machine of an ELF header."""


def emulated(root: Root) -> list[str]:
    """Architectures whose programs start in a container, too: those whose interpreter is held open (flag F).

    Without that flag the kernel looks for the interpreter's path inside the container, where it is not.
    """
    if root.text(f"{FOLDER}/status").strip() != "enabled":
        return []
    names = [name for name in root.names(FOLDER) if name not in ("register", "status")]
    return sorted({_architecture(root.text(f"{FOLDER}/{name}")) for name in names} - {""})


def _architecture(text: str) -> str:
    """The architecture that one registration is for; empty for one that is off, or does not reach into containers."""
    lines = text.splitlines()
    fields = dict(line.partition(" ")[::2] for line in lines)
    if lines[:1] != ["enabled"] or "F" not in fields.get("flags:", "") or fields.get("offset") != "0":
        return ""
    try:
        magic = bytes.fromhex(fields.get("magic", ""))
    except ValueError:
        return ""
    # Little-endian alone: no image is built for the others.
    if len(magic) < 20 or magic[:4] != b"\x7fELF" or magic[5] != 1:
        return ""
    return _MACHINES.get((magic[4], int.from_bytes(magic[18:20], "little")), "")
