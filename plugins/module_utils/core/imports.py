# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Third-party packages: asked for where they are used, missed with a clear message."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

from .errors import KrafError

PACKAGES = {
    "kubernetes": "kubernetes",
    "sqlalchemy": "SQLAlchemy",
    "jmespath": "jmespath",
    "bcrypt": "bcrypt",
    "cryptography": "cryptography",
}


def require(name: str) -> ModuleType:
    """Import a third-party module, ``kubernetes.client`` say.

    Raises:
        KrafError: naming the package to install and the Python that lacks it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as missing:
        top = name.split(".", maxsplit=1)[0]
        package = PACKAGES.get(top, top)
        why = f"the interpreter {sys.executable} has no module {missing.name or name}"
        fix = f"Install it there (pip install {package}), or set ansible_python_interpreter to a Python that has it"
        raise KrafError("Python package", package, why, fix) from missing
