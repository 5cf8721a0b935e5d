# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules of the catalog, run in the test's own process on a database of the test's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.integration.modules import run


class Call(Protocol):
    def __call__(self, module: Any, *, check: bool = False, **options: Any) -> dict[str, Any]: ...


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "catalog.sqlite")


@pytest.fixture
def call(path: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs a module with options as a play gives them, and returns its result."""

    def call(module: Any, *, check: bool = False, **options: Any) -> dict[str, Any]:
        return run(module, {"catalog": path, **options}, check, monkeypatch, capsys)

    return call
