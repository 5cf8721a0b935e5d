# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report: figures as a table for a person and the same figures as JSON for a program."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def flat(figures: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested figures with dotted names."""
    rows: dict[str, Any] = {}
    for name, value in figures.items():
        if isinstance(value, Mapping) and value:
            rows.update(flat(value, f"{prefix}{name}."))
        else:
            rows[prefix + name] = value
    return rows


def table(figures: Mapping[str, Any], notes: Mapping[str, str] | None = None) -> str:
    """Rows of name, value and, where there is one, a note."""
    notes = notes or {}
    rows = flat(figures)
    width = max(map(len, rows))
    lines = []
    for name, value in rows.items():
        text = f"{value:.2f}" if isinstance(value, float) else json.dumps(value)
        lines.append(f"  {name:<{width}}  {text:>14}  {notes.get(name, '')}".rstrip())
    return "\n".join(lines)


def write(figures: Mapping[str, Any], path: Path) -> None:
    """Write the figures as JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)
