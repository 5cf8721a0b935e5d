# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Small files of a host, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile


def text(path: str) -> str:
    """The file's text; empty when there is none."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def mode(path: str) -> int | None:
    """Permission bits of a file; None when there is none."""
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except FileNotFoundError:
        return None


def write(path: str, content: str, bits: int) -> None:
    """Put a file in place by renaming; a reader sees the old one or the new one."""
    handle, partial = tempfile.mkstemp(dir=os.path.dirname(path), prefix=f".{os.path.basename(path)}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(partial, bits)
        os.replace(partial, path)
    except BaseException:
        os.unlink(partial)
        raise


def remove(path: str) -> None:
    """Take a file away; it may be gone already."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
