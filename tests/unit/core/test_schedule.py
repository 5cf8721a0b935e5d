# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a cronjob is due: as Kubernetes reads its five fields, and the same for systemd."""

from __future__ import annotations

import re
import shutil
import subprocess
from datetime import datetime, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.core.schedule import Schedule, parse


def minute(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp()) // 60


def at(slot: int | None) -> str:
    return "" if slot is None else datetime.fromtimestamp(slot * 60, timezone.utc).strftime("%Y-%m-%d %H:%M")


@pytest.mark.parametrize(
    ("text", "until", "latest"),
    [
        ("* * * * *", "2026-11-27 10:38", "2026-11-27 10:38"),
        ("*/15 * * * *", "2026-11-27 10:38", "2026-11-27 10:30"),
        ("7/20 * * * *", "2026-11-27 10:26", "2026-11-27 10:07"),
        ("0 3 * * *", "2026-11-27 02:59", "2026-11-26 03:00"),
        ("30 2 29 2 *", "2026-11-27 10:00", "2024-02-29 02:30"),
        ("0 0 13 * 5", "2026-11-27 10:00", "2026-11-27 00:00"),  # either day will do
        ("0 0 13 * *", "2026-11-27 10:00", "2026-11-13 00:00"),
        ("0 0 * * 1", "2026-11-27 10:00", "2026-11-23 00:00"),
        ("0 0 */2 * 1", "2026-11-27 10:00", "2026-11-27 00:00"),  # steps are a restriction
        ("0 0 */1 * 1", "2026-11-27 10:00", "2026-11-23 00:00"),
        ("59 23 31 dec SUN-tue", "2026-12-01 00:00", "2025-12-31 23:59"),
        ("@hourly", "2026-11-27 10:38", "2026-11-27 10:00"),
        ("@weekly", "2026-11-27 10:38", "2026-11-22 00:00"),
    ],
)
def test_the_last_slot_is_that_of_kubernetes(text: str, until: str, latest: str) -> None:
    assert at(parse(text).latest(0, minute(until))) == latest


def test_a_slot_that_was_begun_is_not_due_again() -> None:
    schedule, now = parse("*/5 * * * *"), minute("2026-11-27 10:38")
    begun = schedule.latest(0, now)
    assert begun is not None
    assert schedule.latest(begun, now) is None
    assert at(schedule.latest(begun, now + 2)) == "2026-11-27 10:40"


@pytest.mark.parametrize(
    "text",
    [
        "", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 7", "5-1 * * * *",
        "*/0 * * * *", "a * * * *", "* * mon * *", "TZ=Asia/Seoul 0 3 * * *", "CRON_TZ=UTC 0 3 * * *", "@every 5m",
        "? * * * *", "9" * 5000 + " * * * *", "* * * " + "j" * 5000 + " *",
        "0 0 30 2 *", "0 0 31 4,6 *", "-1 * * * *", "1,,2 * * * *", "*-5 * * * *", "٣ * * * *",
    ],
)  # fmt: skip
def test_what_is_no_schedule_or_never_due_is_refused(text: str) -> None:
    with pytest.raises(KrafError) as caught:
        parse(text, "schedule of app pi1/report")
    assert "schedule of app pi1/report" in str(caught.value)


def items(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    span = st.tuples(number, number).map(lambda two: f"{min(two)}-{max(two)}")
    stepped = st.tuples(st.one_of(st.just("*"), span), st.integers(1, 9)).map(lambda two: f"{two[0]}/{two[1]}")
    item = st.one_of(st.just("*"), number.map(str), span, stepped)
    return st.lists(item, min_size=1, max_size=3).map(",".join)


SCHEDULES = st.tuples(items(0, 59), items(0, 23), items(1, 28), items(1, 12), items(0, 6)).map(" ".join)


@settings(max_examples=150, deadline=None)
@given(SCHEDULES, st.integers(minute("2020-01-01"), minute("2030-01-01")), st.integers(0, 3000))
def test_the_last_slot_is_the_last_minute_that_fits(text: str, until: int, wide: int) -> None:
    schedule = parse(text)
    fits = [one for one in range(until - wide + 1, until + 1) if _fits(schedule, one)]
    assert schedule.latest(until - wide, until) == (fits[-1] if fits else None)


def _fits(schedule: Schedule, slot: int) -> bool:
    when = datetime.fromtimestamp(slot * 60, timezone.utc)
    return when.minute in schedule.fields[0] and when.hour in schedule.fields[1] and schedule.on(when.date())


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze on this machine")
@settings(max_examples=25, deadline=None)
@given(SCHEDULES, st.integers(minute("2020-01-01"), minute("2030-01-01")))
def test_systemd_reads_the_same(text: str, until: int) -> None:
    """The next time that systemd names is a slot, and there is none before it."""
    schedule = parse(text)
    base = datetime.fromtimestamp(until * 60, timezone.utc).strftime("%Y-%m-%d %H:%M:00 UTC")
    found = []
    for event in schedule.calendar():
        command = ["systemd-analyze", "calendar", f"--base-time={base}", event]
        told = subprocess.run(command, check=True, capture_output=True, text=True, env={"TZ": "UTC", "LC_ALL": "C"})
        match = re.search(r"Next elapse: \w+ ([-0-9]+ [:0-9]+) UTC", told.stdout)
        assert match, told.stdout
        found.append(minute(match.group(1)))
    assert schedule.latest(until, min(found)) == min(found)
