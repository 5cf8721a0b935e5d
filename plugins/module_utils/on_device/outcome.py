# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How an app's last run at the edge ended, kept on its device for root alone: ``result.json``, the end of its ``log``.

Both are replaced at once, by the rename of a link: nobody finds an old log beside a new result.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from pathlib import Path

from . import files, placement

SLOTS = ("a", "b")


def path(app: str) -> Path:
    """The folder of an app's files, a link."""
    return placement.ROOT / "jobs" / app


def keep(app: str, epoch: int, told: str) -> bool:
    """Write what the controller has told of a run, durably; True when it was not there like that.

    Args:
        app: name of the app, which has no dot.
        epoch: with which the app has come back.
        told: the text of a JSON object, its ``log`` among it; empty when nothing is known of a run.
    """
    if not told:
        return False
    known = json.loads(told)
    lines = str(known.pop("log", ""))
    result = json.dumps({**known, "epoch": epoch}, indent=2, sort_keys=True) + "\n"
    wanted = {"result.json": result, "log": lines + "\n" if lines else ""}
    place = path(app)
    if not any(files.differs(place / name, content, 0o600) for name, content in wanted.items()):
        return False
    _put(place, wanted)
    return True


def _put(place: Path, wanted: dict[str, str]) -> None:
    """The files in a folder that nobody knows, then the link to it; what it led to before goes."""
    if files.make_directory(place.parent, 0o700):
        files.sync_directory(place.parent.parent)
    used = os.readlink(place) if place.is_symlink() else ""
    folders = [place.parent / f".{place.name}.{slot}" for slot in SLOTS]
    new, old = sorted(folders, key=lambda one: one.name == used)
    with contextlib.suppress(FileNotFoundError):  # a write that was cut off
        shutil.rmtree(new)
    files.make_directory(new, 0o700)
    for name, content in wanted.items():
        files.write(new / name, content, 0o600)
    link = place.parent / f".{place.name}.new"
    files.remove(link)
    link.symlink_to(new.name)
    files.sync_directory(place.parent)
    os.replace(link, place)
    files.sync_directory(place.parent)
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(old)
