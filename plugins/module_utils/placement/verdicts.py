# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rows of a portability report: what becomes of each property of a container at the edge. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..catalog.records import App
from ..core.coerce import printable
from ..core.errors import KrafError

KEPT, TRANSLATED, LOST, REFUSED = "kept", "translated", "lost", "refused"
ORDER = (REFUSED, LOST, TRANSLATED, KEPT)
MOST = 100
"""Rows that a Migration holds (its CRD's maxItems)."""

Row = dict[str, str]


def row(name: str, verdict: str, why: str, override: str = "") -> Row:
    """One line of the report.

    Args:
        name: the property, as an operator names it to accept its refusal: without commas, which separate such names.
        verdict: kept, translated (Kubernetes has other words for it), lost (the app runs without it), or refused (it
            would not be the same app; nothing is changed then).
        why: one sentence.
        override: of what is refused, what the app is like if that is accepted; empty where it cannot be.
    """
    found = {
        "property": printable(name.replace(",", ";"), 256).strip(),
        "verdict": verdict,
        "why": printable(why, 1024),
    }
    return {**found, "override": override} if override else found


def accepted(rows: Sequence[Row], accept: Sequence[str]) -> list[Row]:
    """The report once the operator has accepted the refusal of some properties, by their names."""
    return [
        row(one["property"], LOST, f"accepted: {one['override']} ({one['why']})")
        if one["verdict"] == REFUSED and one.get("override") and one["property"] in accept
        else one
        for one in rows
    ]


def refuse(app: App, rows: Sequence[Mapping[str, str]]) -> None:
    """Stop when a property is refused.

    Raises:
        KrafError: naming every refused property, and those among them whose refusal may be accepted.
    """
    refused = [one for one in rows if one["verdict"] == REFUSED]
    if not refused:
        return
    told = "; ".join(f"{one['property']}: {one['why']}" for one in refused)
    fix = "Change the container or the app's row in the catalog; nothing was changed"
    if all(one.get("override") for one in refused):
        listed = ", ".join(one["property"] for one in refused)
        effects = "; ".join(dict.fromkeys(one["override"] for one in refused))
        fix += f". Or accept (kraf_accept: {listed!r}) that {effects}"
    elif any(one.get("override") for one in refused):
        listed = ", ".join(one["property"] for one in refused if one.get("override"))
        fix += f". Only these could be accepted (kraf_accept): {listed}"
    raise KrafError(f"app {app.key}", None, f"it cannot run at the edge as it is: {told}", fix)


def stored(rows: Sequence[Row]) -> list[Row]:
    """The report as a Migration holds it: what differs most comes first, and what has no room is counted."""
    keys = ("property", "verdict", "why")
    ordered = [{key: one[key] for key in keys} for one in sorted(rows, key=lambda one: ORDER.index(one["verdict"]))]
    if len(ordered) <= MOST:
        return ordered
    rest = ordered[MOST - 1 :]
    return [*ordered[: MOST - 1], row(f"{len(rest)} more", rest[0]["verdict"], "the result of the task has them all")]
