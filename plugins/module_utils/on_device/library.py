# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""This very code, put on the device, for what runs there without Ansible and without the network."""

from __future__ import annotations

import sys
from pathlib import Path

from . import files

FOLDER = Path("/usr/local/lib/kraf")
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
    """Put every module of ours that this process has loaded on the device; True when any was not there like that."""
    changed = False
    for name, module in list(sys.modules.items()):
        get_source = getattr(getattr(module, "__loader__", None), "get_source", None)
        if not name.startswith(PACKAGE) or name.endswith(".module") or get_source is None:
            continue
        parts = name.split(".")
        file = FOLDER.joinpath(*parts, "__init__.py")
        if not hasattr(module, "__path__"):
            file = FOLDER.joinpath(*parts[:-1], parts[-1] + ".py")
        changed |= files.write(file, get_source(name) or "")
    parts = PACKAGE.split(".")
    for length in range(1, len(parts)):
        changed |= files.write(FOLDER.joinpath(*parts[:length], "__init__.py"), "")
    return changed


def install_script(name: str, says: str, call: str) -> Path:
    """Put a program beside the code that it runs; where it lies.

    Args:
        name: of the program.
        says: what it does, for whoever reads it.
        call: a function of a module of ``on_device``, called: ``deadman.fire(sys.argv[1])``.
    """
    path = FOLDER / name
    about = "\n# ".join(f"Written by kraf.edge: {says}".splitlines())
    module = call.partition(".")[0]
    text = _SCRIPT.format(about=about, library=str(FOLDER), package=PACKAGE, module=module, call=call)
    files.write(path, text, 0o755)
    return path
