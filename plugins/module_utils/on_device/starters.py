# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What on the device would start a container again, apart from its restart policy: units, cron, scripts at boot."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import units

UNIT_FOLDERS = (
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
)
CRON = ("etc/crontab", "etc/rc.local")
CRON_FOLDERS = (
    "etc/cron.d",
    "etc/cron.hourly",
    "etc/cron.daily",
    "etc/cron.weekly",
    "etc/cron.monthly",
    "var/spool/cron",
    "var/spool/cron/crontabs",
)
SYSTEM_PROGRAMS = ("/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/")
LARGEST = 256 * 1024
TRIGGERS = (".timer", ".path", ".socket")
RUNNING = ("active", "activating", "reloading")
"""States in which a unit starts a program that ends again."""

_ENGINE = re.compile(r"\b(docker|docker-compose|podman|compose)\b")
_EXEC = re.compile(r"^\s*Exec(?:Start|StartPre|StartPost|Reload|Condition)\s*=", re.MULTILINE)
_PROGRAM = re.compile(r"(?<![\w.-])/[^\s'\";|&<>]+")


def find(container: Mapping[str, Any], root: Path = Path("/")) -> list[dict[str, Any]]:
    """Units and entries that name Docker together with the container or its compose project.

    Args:
        container: its description: ``name``, ``id``, ``compose``.
        root: of the file systems to be looked at.

    Returns:
        Each with ``kind`` (unit, cron), ``source`` (name of the unit, or the path of the file) and ``starts``: whether
        it does so by itself, at boot, by a timer or as it runs now.
    """
    marks = _marks(container)
    if not marks:
        return []
    named = re.compile("|".join(rf"(?<![\w.-]){re.escape(mark)}(?![\w.-])" for mark in marks))
    found = [{"kind": "unit", "source": name, "starts": _started(root, name)} for name in _units(root, named)]
    return found + [{"kind": "cron", "source": path, "starts": True} for path in _entries(root, named)]


def _marks(container: Mapping[str, Any]) -> list[str]:
    compose = container.get("compose") or {}
    identity = str(container.get("id") or "")
    given = [container.get("name"), identity, identity[:12], compose.get("project"), compose.get("folder")]
    return [str(one).rstrip("/") for one in (*given, *(compose.get("files") or ())) if one and str(one).rstrip("/")]


def _units(root: Path, named: re.Pattern[str]) -> list[str]:
    found: dict[str, None] = {}
    for folder in UNIT_FOLDERS:
        for path in _files(root / folder, (".service",)):
            _note(found, path.name, _read(path), root, named)
        for place in _folders(root / folder, ".service.d"):
            for path in _files(place, (".conf",)):
                _note(found, place.name[: -len(".d")], _read(path), root, named)
    return sorted(found)


def _note(found: dict[str, None], name: str, text: str, root: Path, named: re.Pattern[str]) -> None:
    # What the collection itself puts there names apps, and starts none but by its own record.
    if not name.startswith("kraf-") and _EXEC.search(text) and _starts(text, root, named):
        found[name] = None


def _entries(root: Path, named: re.Pattern[str]) -> list[str]:
    paths = [root / one for one in CRON]
    paths += [path for folder in CRON_FOLDERS for path in _files(root / folder, ("",))]
    return sorted({f"/{path.relative_to(root)}" for path in paths if _starts(_read(path), root, named)})


def _starts(text: str, root: Path, named: re.Pattern[str]) -> bool:
    """Whether a text, or a script that it calls, names Docker and the container; comments do not count."""
    told = _told(text)
    if _both(told, named):
        return True
    scripts = {one for one in _PROGRAM.findall(told) if not one.startswith(SYSTEM_PROGRAMS)}
    return any(_both(_told(_read(root / one.lstrip("/"))), named) for one in sorted(scripts))


def _both(text: str, named: re.Pattern[str]) -> bool:
    return bool(_ENGINE.search(text) and named.search(text))


def _told(text: str) -> str:
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith(("#", ";")))


def _started(root: Path, name: str) -> bool:
    stem = name[: -len(".service")]
    wanted = {name, *(stem + suffix for suffix in TRIGGERS)}
    if any(link.name in wanted for folder in UNIT_FOLDERS for link in _links(root / folder)):
        return True
    return root == Path("/") and units.running() and units.properties(name, "ActiveState")["ActiveState"] in RUNNING


def _links(folder: Path) -> Iterator[Path]:
    for suffix in (".wants", ".requires"):
        for place in _folders(folder, suffix):
            yield from _listed(place)


def _folders(folder: Path, suffix: str) -> list[Path]:
    return [path for path in _listed(folder) if path.name.endswith(suffix) and path.is_dir()]


def _files(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    # A unit that is masked is a link to /dev/null.
    return [path for path in _listed(folder) if path.name.endswith(tuple(suffixes)) and path.is_file()]


def _listed(folder: Path) -> Iterable[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _read(path: Path) -> str:
    """Text of a file that a person wrote; nothing of programs, and of what is not there."""
    try:
        if not path.is_file() or os.path.getsize(path) > LARGEST:
            return ""
        content = path.read_bytes()
    except FileNotFoundError:
        return ""
    return "" if b"\0" in content else content.decode(errors="replace")
