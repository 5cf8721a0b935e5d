# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a connection needs of the package ``kubernetes``, without its thousand models.

``import kubernetes`` loads every API and most models, which takes longer than all else that a module with nothing to do
does. Configuration, kubeconfig and connection pool need none of them.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from ..core.imports import require

TOP, CLIENT = "kubernetes", "kubernetes.client"


@dataclass(frozen=True)
class Parts:
    """The modules ``kubernetes.client.configuration``, ``kubernetes.client.rest`` and ``kubernetes.config``."""

    configuration: ModuleType
    rest: ModuleType
    config: ModuleType


@functools.cache
def parts() -> Parts:
    """These modules, and only what they themselves import.

    They are copies of their own: whoever imports the whole package, before or after, gets it as ever.

    Raises:
        KrafError: when the package is missing.
    """
    if TOP in sys.modules or importlib.util.find_spec(TOP) is None:
        return _load()
    try:
        _bare(TOP)
        client = _bare(CLIENT)
        # All that kubernetes.config asks of kubernetes.client.
        configuration = require(f"{CLIENT}.configuration").Configuration
        vars(client).update(Configuration=configuration, ApiClient=_api_client)
        return _load()
    finally:
        for name in [one for one in sys.modules if one.split(".", maxsplit=1)[0] == TOP]:
            del sys.modules[name]


def _load() -> Parts:
    return Parts(require(f"{CLIENT}.configuration"), require(f"{CLIENT}.rest"), require(f"{TOP}.config"))


def _bare(name: str) -> ModuleType:
    """A package that finds its modules, but has not run its own ``__init__``."""
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(name)
    sys.modules[name] = importlib.util.module_from_spec(spec)
    return sys.modules[name]


def _api_client(*args: Any, **options: Any) -> Any:
    return require(CLIENT).ApiClient(*args, **options)
