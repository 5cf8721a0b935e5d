# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files on a device: whole or not at all, with their mode from the first byte on."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import tempfile
from pathlib import Path
from typing import Any

from ..core.errors import KrafError


def read(path: Path) -> str | None:
    """Text of a file; None when there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def differs(path: Path, content: str, mode: int = 0o644) -> bool:
    """Whether ``write`` would change anything."""
    try:
        found = path.lstat()
        same = stat.S_ISREG(found.st_mode) and stat.S_IMODE(found.st_mode) == mode and found.st_uid == os.geteuid()
        return not same or path.read_bytes() != content.encode()
    except FileNotFoundError:
        return True


def write(path: Path, content: str, mode: int = 0o644) -> bool:
    """Put a file in place at once, owned by the caller; True when it was not like that.

    The new content is durable before it gets its name, so that a power cut leaves the old file or the new one.
    """
    if not differs(path, content, mode):
        return False
    make_directory(path.parent)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content.encode())
            os.fchmod(stream.fileno(), mode)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    sync_directory(path.parent)
    return True


def remove(path: Path) -> bool:
    """Take a file away; False when it was not there."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    sync_directory(path.parent)
    return True


def link(path: Path, target: Path) -> bool:
    """Make a symbolic link, durably; True when it was not there."""
    if path.is_symlink() and path.readlink() == target:
        return False
    make_directory(path.parent)
    remove(path)
    path.symlink_to(target)
    sync_directory(path.parent)
    return True


def make_directory(path: Path, mode: int = 0o755) -> bool:
    """Make a directory and its parents; True when it was not there. An existing one keeps its mode."""
    if path.is_dir():
        return False
    path.mkdir(mode=mode, parents=True, exist_ok=True)
    path.chmod(mode)
    return True


def load_json(path: Path) -> Any:
    """Content of a JSON file; None when there is none.

    Raises:
        KrafError: when it is not JSON, since guessing what it said is worse.
    """
    text = read(path)
    if text is None:
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        raise KrafError("file on the device", str(path), f"it is not JSON ({error})", "Restore or remove it") from None


def save_json(path: Path, content: Any, mode: int = 0o644) -> bool:
    """Write JSON in the one form that compares equal when its content is."""
    return write(path, json.dumps(content, indent=2, sort_keys=True) + "\n", mode)


def sync_directory(path: Path) -> None:
    """Make durable which names a directory holds."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
