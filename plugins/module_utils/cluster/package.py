# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a connection needs of the package ``kubernetes``, without its thousand models.

``import kubernetes`` loads every API, most models, and what a renewal by OpenID Connect needs. That takes longer than
all else that a module with nothing to do does. Configuration, kubeconfig and connection pool need none of it.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Callable

from ..core.imports import require

TOP, CLIENT = "kubernetes", "kubernetes.client"
LATER = {"oauthlib": (), "oauthlib.oauth2": (), "requests_oauthlib": ("OAuth2Session",)}
"""Modules that kubernetes.config imports for a renewal by OpenID Connect only, and what it takes of them by name."""


@dataclass(frozen=True)
class Parts:
    """The modules ``kubernetes.client.configuration``, ``kubernetes.client.rest`` and ``kubernetes.config``."""

    configuration: ModuleType
    rest: ModuleType
    config: ModuleType


class Later(ModuleType):
    """Stands for a module until something of it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or sys.modules.get(self.__name__) is self:
            raise AttributeError(name)
        try:
            return getattr(require(self.__name__), name)
        except AttributeError:
            return require(f"{self.__name__}.{name}")


@functools.cache
def parts() -> Parts:
    """These modules, and only what they themselves need.

    They are copies of their own: whoever imports the whole package, before or after, gets it as ever. With a release of
    the package that is built otherwise, it is the whole package.

    Raises:
        KrafError: when the package is missing.
    """
    if TOP not in sys.modules:
        try:
            with _stand_ins():
                return _load(importlib.import_module)
        except (ImportError, AttributeError):
            pass
    return _load(require)


def _load(load: Callable[[str], ModuleType]) -> Parts:
    return Parts(load(f"{CLIENT}.configuration"), load(f"{CLIENT}.rest"), load(f"{TOP}.config"))


@contextmanager
def _stand_ins() -> Iterator[None]:
    before = {name: sys.modules[name] for name in LATER if name in sys.modules}
    try:
        for name, taken in LATER.items():
            sys.modules[name] = Later(name)
            vars(sys.modules[name]).update({one: _call(name, one) for one in taken}, __path__=[])
        _bare(TOP)
        client = _bare(CLIENT)
        # All that kubernetes.config asks of kubernetes.client.
        configuration = importlib.import_module(f"{CLIENT}.configuration").Configuration
        vars(client).update(Configuration=configuration, ApiClient=_call(CLIENT, "ApiClient"))
        yield
    finally:
        for name in [one for one in sys.modules if one in LATER or one.split(".", maxsplit=1)[0] == TOP]:
            del sys.modules[name]
        sys.modules.update(before)


def _bare(name: str) -> ModuleType:
    """A package that finds its modules, but has not run its own ``__init__``."""
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(name)
    sys.modules[name] = importlib.util.module_from_spec(spec)
    return sys.modules[name]


def _call(module: str, name: str) -> Callable[..., Any]:
    def call(*args: Any, **options: Any) -> Any:
        return getattr(require(module), name)(*args, **options)

    return call
