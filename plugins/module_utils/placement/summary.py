"""What an operator reads after a move: where each app is, what clients saw, what is different. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..core.coerce import printable
from ..core.sizes import human
from ..core.table import table
from .verdicts import KEPT

Row = Mapping[str, Any]
COLUMNS = ("app", "changed", "owner", "epoch", "address", "held")
REPORT_COLUMNS = ("verdict", "property", "why")
REPORT_WIDTH = 160


def lines(rows: Sequence[Row]) -> list[str]:
    """The lines for rows of the module migrate."""
    found = list(table([_move(row) for row in rows], COLUMNS))
    for row in rows:
        if row.get("changed") and row.get("device_calls"):
            found += ["", f"{row['app']} took {_cost(row)}"]
        found += _standing(row)
        if row.get("job"):
            found += ["", *_job(row)]
        if row.get("failed"):
            found += ["", f"{row['app']} was not moved: {printable(row['msg'], 2000)}"]
        if row.get("plan"):
            found += ["", *planned(row["plan"], f"{row['app']} would be moved in these steps")]
        different = [_different(one) for one in row.get("portability") or [] if one["verdict"] != KEPT]
        if different:
            found += ["", f"What is different for {row['app']} at the edge"]
            found += [f"  {line}" for line in table(different, REPORT_COLUMNS, REPORT_WIDTH)]
    return found


def planned(plan: Sequence[Row], heading: str = "goes through these steps") -> list[str]:
    """The steps of a plan, a line each below the heading."""
    return [heading, *(f"  {step['step']:<10} {step['does']}" for step in plan)]


def _standing(row: Row) -> list[str]:
    """What is prepared, and what a device that was lost has left."""
    found = []
    known = row.get("standby") or {}
    if known:
        size = f", {human(int(known['bytes']))} of data" if known.get("bytes") else ""
        found += ["", f"{row['app']}: the edge is ready to take over since {known['verified']}{size}"]
    if row.get("copy_age_seconds") is not None:
        since = f"a copy verified {row['copy_age_seconds']:.0f} s before"
        found += ["", f"{row['app']}: the {row['owner']} went on from {since}"]
    for name, paths in sorted((row.get("diverged") or {}).items()):
        listed = ", ".join(printable(path, 200) for path in paths)
        since = "after the copy that the edge went on from"
        found += ["", f"{row['app']}: the device wrote to {name} {since}: {listed or 'nothing'}"]
    if row.get("removed"):
        found += ["", f"{row['app']}: removed {', '.join(printable(one, 200) for one in row['removed'])}"]
    return found


def _job(row: Row) -> list[str]:
    """How a job ended, and what it said last."""
    job = row["job"]
    code = "no exit code" if job["exit_code"] is None else f"exit code {job['exit_code']}"
    reason = f" ({printable(job['reason'])})" if job["reason"] else ""
    text = f"{row['app']} {job['result']}{reason}: {code} after {job['seconds']:.0f} s and {job['runs']} run(s)"
    log = [f"  {printable(line, REPORT_WIDTH)}" for line in row.get("log") or []]
    return [text, *(["Its log ends with", *log] if log else [])]


def _move(row: Row) -> Row:
    held = row.get("held_seconds") or 0
    changed = (
        "failed" if row.get("failed") else "would move" if row.get("plan") else _done(row) if row["changed"] else "no"
    )
    return {**row, "changed": changed, "held": f"{held:.2f} s" if held else ""}


def _done(row: Row) -> str:
    if row.get("removed"):
        return "cleared"
    return "prepared" if row.get("standby") and row["owner"] == "device" else "moved"


def _cost(row: Row) -> str:
    """What the move sent."""
    copied = row.get("copied_bytes") or {}
    waits = int(row.get("waits") or 0)
    counts = ((one["step"], one.get("requests", 0) - one.get("waits", 0)) for one in row.get("steps") or [])
    by_step = ", ".join(f"{step} {count}" for step, count in counts if count)
    asked = f"{row['requests'] - waits} requests to the API server ({by_step}{'; ' if by_step else ''}"
    asked += f"{waits} more while it waited)"
    text = f"{asked} and {row['device_calls']} calls to the device"
    if copied:
        first, held = (human(int(copied.get(key, 0))) for key in ("first", "held"))
        text += f"; its data {first} over the line before, and {held} while clients waited"
    layers = row.get("pushed_layers")
    if layers:
        text += (
            f"; its image {human(row['pushed_bytes'])} in {layers['sent']} layers, {layers['there']} were there already"
        )
    return text


def _different(one: Row) -> Row:
    return {key: printable(one[key], REPORT_WIDTH) for key in REPORT_COLUMNS}
