# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rows as lines of text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .coerce import printable

WIDEST = 60


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], widest: int = WIDEST) -> list[str]:
    """A heading and a line for each row; columns without any value are left out.

    Args:
        rows: values by column; a missing one, None and an empty text are shown as ``-``. They may be hostile.
        columns: the columns in their order; a heading is the column's name in upper case.
        widest: how many characters of a value are shown.
    """
    cells = [[_cell(row.get(column), widest) for column in columns] for row in rows]
    shown = [number for number in range(len(columns)) if any(cell[number] != "-" for cell in cells)]
    lines = [[columns[number].upper() for number in shown], *([cell[number] for number in shown] for cell in cells)]
    widths = [max(len(line[number]) for line in lines) for number in range(len(shown))]
    return (
        ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines] if rows else []
    )


def _cell(value: Any, widest: int) -> str:
    if isinstance(value, (list, tuple)):
        value = ", ".join(str(element) for element in value)
    return "-" if value is None or value == "" else printable(value, widest)
