# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""This very code, put on the device, for what runs there without Ansible and without the network."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from ..core import release
from ..core.errors import KrafError
from . import files

FOLDER = Path("/usr/local/lib/kraf")
STAMP = "release"
"""File that says of which release the code on the device is."""
PACKAGE = __name__.rsplit(".", 2)[0]

_SCRIPT = """\
#!/usr/bin/python3
# {about}
import sys

sys.path.insert(0, {library!r})

from {package}.on_device import {module}

sys.exit({call})
"""


def install() -> bool:
    """Put every module of ours that this process has loaded on the device; True when any was not there like that.

    Code of a later release stays: what it does for other apps, this one may not know. It reads what this one writes.

    Raises:
        KrafError: when the later release lacks what this one needs.
    """
    theirs = _later()
    if theirs:
        missing = [str(file) for file, _text in _sources() if not file.exists()]
        if missing:
            why = f"it lacks {missing[0]}, which this release, {release.RELEASE}, needs"
            fix = f"Run this from release {theirs} of the collection, or a later one"
            raise KrafError("code of kraf.edge on the device", f"release {theirs}", why, fix)
        return False
    changed = files.write(FOLDER / STAMP, release.RELEASE + "\n")
    for file, text in _sources():
        changed |= files.write(file, text)
    return changed


def _later() -> str:
    """The release on the device, if it is a later one."""
    theirs = (files.read(FOLDER / STAMP) or "").strip()
    return theirs if release.order(theirs) > release.order(release.RELEASE) else ""


def _sources() -> Iterator[tuple[Path, str]]:
    for name, module in list(sys.modules.items()):
        get_source = getattr(getattr(module, "__loader__", None), "get_source", None)
        if not name.startswith(PACKAGE) or name.endswith(".module") or get_source is None:
            continue
        parts = name.split(".")
        file = FOLDER.joinpath(*parts, "__init__.py")
        if not hasattr(module, "__path__"):
            file = FOLDER.joinpath(*parts[:-1], parts[-1] + ".py")
        yield file, get_source(name) or ""
    parts = PACKAGE.split(".")
    for length in range(1, len(parts)):
        yield FOLDER.joinpath(*parts[:length], "__init__.py"), ""


def install_script(name: str, says: str, call: str) -> Path:
    """Put a program beside the code that it runs; where it lies. A later release's stays.

    Args:
        name: of the program.
        says: what it does, for whoever reads it.
        call: a function of a module of ``on_device``, called: ``deadman.fire(sys.argv[1])``.
    """
    path = FOLDER / name
    about = "\n# ".join(f"Written by kraf.edge: {says}".splitlines())
    module = call.partition(".")[0]
    text = _SCRIPT.format(about=about, library=str(FOLDER), package=PACKAGE, module=module, call=call)
    if not (_later() and path.exists()):
        files.write(path, text, 0o755)
    return path
