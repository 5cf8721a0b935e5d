# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a cronjob is due: the five fields of cron as Kubernetes reads them, in UTC, and the same for systemd.

The controller of Kubernetes 1.22 reads a schedule by robfig/cron (https://pkg.go.dev/github.com/robfig/cron/v3), in the
time zone of kube-controller-manager, whose image knows UTC alone. A slot is a minute since 1970.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone

from .errors import KrafError

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
SHORT = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of the month", 1, 31), ("month", 1, 12), ("day of the week", 0, 6))
_VALUE = "[a-z]{3}|[0-9]{1,4}"
_ITEM = re.compile(rf"(\*|{_VALUE})(?:-({_VALUE}))?(?:/([0-9]{{1,2}}))?\Z", re.ASCII)
LONGEST = 366 * 9
"""Days within which every schedule that is ever due is: 29 February, across a year like 2100."""


@dataclass(frozen=True)
class Schedule:
    """When something is due.

    Attributes:
        text: its five fields.
        fields: the values of each field: minutes, hours, days of the month, months, days of the week (0 is Sunday).
        every_day: whether the day of the month is ``*``; ``every_weekday`` likewise.
    """

    text: str
    fields: tuple[frozenset[int], ...]
    every_day: bool
    every_weekday: bool

    def on(self, day: date) -> bool:
        """Whether there is a slot on a day: if both kinds of day are restricted, either will do."""
        in_month, in_week = day.day in self.fields[2], day.isoweekday() % 7 in self.fields[4]
        days = in_month and in_week if self.every_day or self.every_weekday else in_month or in_week
        return days and day.month in self.fields[3]

    def latest(self, after: int, until: int) -> int | None:
        """The last slot later than ``after`` and not later than ``until``; None when there is none."""
        last = datetime.fromtimestamp(until * 60, timezone.utc)
        for back in range(LONGEST):
            day = (last - timedelta(days=back)).date()
            begin = int(datetime(day.year, day.month, day.day, tzinfo=timezone.utc).timestamp()) // 60
            if begin + 24 * 60 <= after:
                return None
            if self.on(day):
                slots = (begin + hour * 60 + minute for hour in self.fields[1] for minute in self.fields[0])
                found = max((one for one in slots if after < one <= until), default=None)
                if found is not None:
                    return found
        return None

    def calendar(self) -> list[str]:
        """The same as calendar events of systemd.time(7): several are due when either is."""
        minutes, hours, days, months, weekdays = self.fields
        at = f"{_listed(hours, 24)}:{_listed(minutes, 60)}:00 UTC"
        in_month = f"*-{_listed(months, 12)}-{_listed(days, 31)}"
        every_month_day = f"*-{_listed(months, 12)}-*"
        in_week = ",".join(WEEKDAYS[one].capitalize() for one in sorted(weekdays))
        if len(weekdays) == len(WEEKDAYS):
            in_week = ""
        if self.every_day or self.every_weekday:
            return [" ".join(filter(None, (in_week, in_month, at)))]
        return [f"{in_month} {at}", " ".join(filter(None, (in_week, every_month_day, at)))]


def parse(text: str, what: str = "schedule") -> Schedule:
    """Read a schedule.

    Args:
        text: five fields, or one of ``SHORT``.
        what: names it in an error.

    Raises:
        KrafError: naming the field.
    """
    fix = "Write five fields, minute hour day month weekday, such as '*/15 * * * *'; the time zone is UTC"
    given = " ".join(str(text).split())
    if "TZ=" in given:
        raise KrafError(what, text, "Kubernetes 1.22 knows no time zone but that of its controller, UTC", fix)
    words = SHORT.get(given.lower(), given).lower().split(" ")
    if len(words) != len(_FIELDS):
        raise KrafError(what, text, f"it has {len(words)} fields", fix)
    fields, stars = [], []
    for word, (name, low, high) in zip(words, _FIELDS):
        values: set[int] = set()
        star = False
        for item in word.split(","):
            found, every = _item(item, name, low, high, what, text)
            values |= found
            star |= every
        fields.append(frozenset(values))
        stars.append(star)
    schedule = Schedule(" ".join(words), tuple(fields), stars[2], stars[4])
    if schedule.latest(0, LONGEST * 24 * 60) is None:
        raise KrafError(what, text, "there is no such day in any year", fix)
    return schedule


def _item(item: str, name: str, low: int, high: int, what: str, text: str) -> tuple[set[int], bool]:
    """The values of one item of a field, and whether it leaves the field open."""
    match = _ITEM.match(item)
    if match is None:
        raise KrafError(what, text, f"the {name} {item!r} is none", "Write *, a number, a range a-b, with /n for steps")
    first, last, step_text = match.groups()
    step = int(step_text) if step_text else 1
    if first == "*" and last is None:
        begin, end = low, high
    else:
        begin = _number(first, name, low, high, what, text)
        end = _number(last, name, low, high, what, text) if last else high if step_text else begin
    if step < 1 or end < begin:
        raise KrafError(what, text, f"the {name} {item!r} holds no value", "Write the lower end first, steps from 1 on")
    return set(range(begin, end + 1, step)), first == "*" and step == 1


def _number(word: str, name: str, low: int, high: int, what: str, text: str) -> int:
    names = {"month": MONTHS, "day of the week": WEEKDAYS}.get(name, ())
    if word in names:
        return names.index(word) + low
    if not word.isdigit() or not low <= int(word) <= high:
        why = f"the {name} {word!r} is none from {low} to {high}"
        fix = "Write 0 for Sunday" if name == "day of the week" and word == "7" else "Correct the field"
        raise KrafError(what, text, why, fix)
    return int(word)


def _listed(values: frozenset[int], all_of_them: int) -> str:
    return "*" if len(values) == all_of_them else ",".join(f"{one:02d}" for one in sorted(values))
