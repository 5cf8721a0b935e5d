# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a server wants to be left alone, in whatever way it says so."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kraf.edge.plugins.module_utils.core import retry_after

NOW = datetime(2026, 5, 4, 10, 0, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("7", 7),
        (" 7 ", 7),
        ("0", 0),
        ("1.5", 1.5),
        ("120", 60),
        ("9" * 400, 60),
        ("Mon, 04 May 2026 10:00:30 GMT", 30),
        ("Monday, 04-May-26 10:00:30 GMT", 30),
        ("Mon May  4 10:00:30 2026", 30),
        ("Mon, 04 May 2026 09:59:00 GMT", 0),
        ("Tue, 05 May 2026 10:00:00 GMT", 60),
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("\u0667", None),
        ("1e3", None),
    ],
)
def test_seconds_and_dates_are_understood_and_bounded(value: str | None, wait: float | None) -> None:
    assert retry_after.seconds(value, 60.0, NOW) == wait


@given(st.none() | st.text())
def test_whatever_it_says_is_a_time_that_can_be_waited_or_nothing(value: str | None) -> None:
    found = retry_after.seconds(value, 60.0)
    assert found is None or 0 <= found <= 60
