# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the device keeps for the day when the edge takes over without it: what its copy there holds, and a short pause.

A copy of data that are being written is no copy of any moment. The container is frozen (cgroup freezer) for the end of
it: what is copied then is what a power cut would leave, which programs that keep data are made for.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from . import deadman, files, manifest, placement, runner
from .container import Container
from .manifest import Manifest
from .placement import Record

GRACE = 10
"""Seconds after the end of a pause until the dead-man's timer takes it that nobody will end it."""
NAMED = 20
"""Files that are named of those that differ."""


@contextlib.contextmanager
def paused(record: Record, found: Container, limit: float) -> Iterator[None]:
    """Freeze the container while the body runs; if this process dies, the dead-man's timer lets it go on."""
    if not found.running:
        yield
        return
    # Before the container is frozen: the file says so, and the timer runs.
    record = placement.save(replace(record.noted(record.container, found), paused=True))
    deadman.arm(record.app, int(limit * 2) + GRACE)
    try:
        runner.of(record).pause(record)
        yield
    finally:
        deadman.resume(record)
        deadman.clear(record.app)


def _path(app: str) -> Path:
    return placement.ROOT / "standby" / f"{app}.json"


def remember(app: str, seen: Mapping[str, Manifest]) -> None:
    """Keep what the verified copy holds."""
    files.save_json(_path(app), {name: manifest.as_json(one) for name, one in seen.items()}, 0o600)


def forget(app: str) -> None:
    """Keep it no longer."""
    files.remove(_path(app))


def divergence(record: Record) -> dict[str, list[str]]:
    """Files written since the last verified copy, by the data directory's name; the first of many."""
    known = files.load_json(_path(record.app)) or {}
    found = {}
    for name, folder in record.data:
        if name in known and os.path.isdir(folder):
            paths = manifest.differences(folder, manifest.from_json(known[name]))
            more = [f"and {len(paths) - NAMED} more"] if len(paths) > NAMED else []
            found[name] = [os.fsdecode(path).encode("utf-8", "replace").decode() for path in paths[:NAMED]] + more
    return found
