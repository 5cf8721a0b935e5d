# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures beside their targets: one table for a person, the same as JSON for a program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """A figure.

    Args:
        name: what was measured, in lower case with underscores.
        value: a number, or a truth.
        limit: what it must reach; None for a figure that stands there to explain another.
        most: the limit is the most it may be; otherwise the least.
        note: what it was made of.
    """

    name: str
    value: float | int | bool
    limit: float | int | bool | None = None
    most: bool = True
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the target was reached; None without one."""
        if self.limit is None:
            return None
        return self.value <= self.limit if self.most else self.value >= self.limit

    @property
    def target(self) -> str:
        """The target as text."""
        if self.limit is None:
            return ""
        if isinstance(self.limit, bool):
            return "yes" if self.limit else "no"
        return f"{'<=' if self.most else '>='} {self.limit:g}"

    @property
    def text(self) -> str:
        """The value as text."""
        if isinstance(self.value, bool):
            return "yes" if self.value else "no"
        return str(self.value) if isinstance(self.value, int) else f"{self.value:.2f}"

    def report(self) -> dict[str, Any]:
        """The row as JSON."""
        return {**asdict(self), "reached": self.reached}


def table(rows: Sequence[Row]) -> str:
    """Name, value, target, verdict and note of each row."""
    verdicts = {None: "", True: "ok", False: "MISSED"}
    head = ("figure", "measured", "target", "", "")
    cells = [head, *((row.name, row.text, row.target, verdicts[row.reached], row.note) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(4)]
    return "\n".join(
        f"  {name:<{widths[0]}}  {text:>{widths[1]}}  {target:<{widths[2]}}  {verdict:<{widths[3]}}  {note}".rstrip()
        for name, text, target, verdict, note in cells
    )
