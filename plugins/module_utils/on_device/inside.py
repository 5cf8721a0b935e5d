# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What lies inside a container, running or not: who its users are, and what was written into it.

Through Docker's API: the container's file system is its own, and may be mounted nowhere.
"""

from __future__ import annotations

import io
import posixpath
import tarfile
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

from ..core.errors import KrafError
from . import docker

LARGEST_TABLE = 2**20
LINKS = 8
SHOWN = 20
"""Paths of changes that are shown by name."""
PASSING = ("/dev", "/proc", "/run", "/sys", "/tmp", "/var/run", "/var/tmp")  # noqa: S108
"""Directories whose content nobody counts on after a restart."""
DOCKERS = ("/.dockerenv", "/etc/hostname", "/etc/hosts", "/etc/mtab", "/etc/resolv.conf")
"""What Docker itself puts into every container."""


def read(container: str, path: str, most: int = LARGEST_TABLE) -> bytes | None:
    """Content of a file in a container; None when there is none.

    Raises:
        KrafError: when it is no regular file, or larger than ``most`` bytes.
    """
    for _link in range(LINKS):
        where = f"/containers/{quote(container, safe='')}/archive?path={quote(path, safe='/')}"
        status, content = docker.raw("GET", where, most=most + 64 * 1024)
        if status == 404:
            return None
        what = f"file {path} in container {container}"
        if status != 200:
            raise KrafError(what, None, f"Docker answered {status}: {content[:300].decode(errors='replace')}")
        try:
            with tarfile.open(fileobj=io.BytesIO(content), mode="r|") as archive:
                entry = archive.next()
                if entry is not None and entry.issym():
                    path = posixpath.normpath(posixpath.join(posixpath.dirname(path), entry.linkname))
                    continue
                if entry is None or not entry.isreg() or entry.size > most:
                    raise KrafError(what, None, f"it is no file of at most {most} bytes", "Give the user by its number")
                stream = archive.extractfile(entry)
                return stream.read() if stream else b""
        except tarfile.TarError as error:
            raise KrafError(what, None, f"Docker sent no archive that can be read: {error}") from error
    raise KrafError(
        f"file {path} in container {container}", None, "links lead in a circle", "Give the user by its number"
    )


def identity(container: str, user: str, groups: Sequence[str]) -> dict[str, Any]:
    """Numbers of the user and the groups that Docker starts the container's first process with.

    Args:
        container: its id.
        user: ``name``, ``uid``, ``name:group`` or the like; must not be empty.
        groups: further groups (``--group-add``), names or numbers.
    """
    tables = [(read(container, path) or b"").decode(errors="replace") for path in ("/etc/passwd", "/etc/group")]
    return resolve(user, groups, *tables)


def resolve(user: str, groups: Sequence[str], passwd: str, group: str) -> dict[str, Any]:
    """Numbers for names, by the rules of runc (libcontainer/user, GetExecUser).

    Returns:
        ``user`` and ``group`` (None when unknown), ``groups``, and ``unknown``: the names that the tables do not have.
    """
    name, _colon, primary = user.partition(":")
    unknown: list[str] = []
    entry = next((one for one in _rows(passwd, 4) if name in (one[0], one[2])), None)
    uid, gid = (_number(entry[2]), _number(entry[3])) if entry else (_number(name), 0)
    if uid is None:
        unknown.append(name)
    known = _rows(group, 3)
    more: list[int | None] = []
    if primary:
        gid = _group(primary, known)
        if gid is None:
            unknown.append(primary)
    elif entry:
        more = [_number(one[2]) for one in known if len(one) > 3 and entry[0] in one[3].split(",")]
    for one in groups:
        number = _group(one, known)
        more.append(number)
        if number is None:
            unknown.append(one)
    found = sorted({number for number in more if number is not None})
    return {"user": uid, "group": gid if uid is not None else None, "groups": found, "unknown": unknown}


def _rows(text: str, least: int) -> list[list[str]]:
    rows = (line.strip().split(":") for line in text.splitlines() if line and not line.startswith("#"))
    return [row for row in rows if len(row) >= least]


def _group(name: str, known: Iterable[Sequence[str]]) -> int | None:
    return next((_number(one[2]) for one in known if name in (one[0], one[2])), _number(name))


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def changes(container: str, elsewhere: Iterable[str]) -> dict[str, Any]:
    """What the container's writable layer holds that its image does not.

    Args:
        container: its id.
        elsewhere: directories that are no part of the layer, or are moved: mounts and data.

    Returns:
        ``total`` number of files, and ``paths``: the first of them.

    Raises:
        KrafError: when Docker does not say.
    """
    status, answer = docker.call("GET", f"/containers/{quote(container, safe='')}/changes", timeout=120)
    if status != 200:
        raise KrafError("changes of container", container, f"Docker answered {status}: {answer}")
    return summarised([str(one.get("Path", "")) for one in answer or ()], elsewhere)


def summarised(paths: Sequence[str], elsewhere: Iterable[str]) -> dict[str, Any]:
    """The number of changed files, without directories that are only on the way, and the first ones by name."""
    apart = tuple(one.rstrip("/") for one in (*PASSING, *elsewhere))
    kept = sorted(
        path for path in set(paths) if path not in DOCKERS and not any(_within(path, folder) for folder in apart)
    )
    # Sorted, what lies in a directory need not follow it at once: /a, /a-b, /a/c.
    parents = {parent for path in paths for parent in _parents(path)}
    leaves = [path for path in kept if path not in parents]
    return {"total": len(leaves), "paths": leaves[:SHOWN]}


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _parents(path: str) -> Iterable[str]:
    while path not in ("/", ""):
        path = posixpath.dirname(path)
        yield path
