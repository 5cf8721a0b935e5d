# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""bench/migrations: clients go on until they have made as many requests as the target wants."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.bench import migrations


class Clients:
    """Some that make 100 requests a second."""

    def window(self, begin: float, end: float) -> SimpleNamespace:
        return SimpleNamespace(requests=int((end - begin) * 100))


@pytest.mark.parametrize(("wanted", "patience", "seconds"), [(5000, 180.0, 50), (1000, 180.0, 40), (5000, 3.0, 43)])
def test_clients_go_on_until_there_are_enough_requests(
    monkeypatch: pytest.MonkeyPatch, wanted: int, patience: float, seconds: int
) -> None:
    now = [40.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda pause: now.__setitem__(0, now[0] + pause))
    monkeypatch.setattr(migrations, "PATIENCE", patience)
    assert migrations._reached(cast(Any, Clients()), 0.0, wanted) == seconds
