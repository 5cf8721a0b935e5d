# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What placements there are, for those who only look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from ..catalog.records import TIME
from ..cluster.client import Cluster
from ..cluster.kinds import MIGRATION, PLACEMENT
from ..core import names
from ..manifests.labels import APP, DEVICE, DEVICE_UID, OURS
from .outcome import Outcome, parsed
from .records import KEEP_SECONDS, PURGED, UNDONE, expired


def placements(cluster: Cluster, device: str = "", app: str = "") -> list[dict[str, Any]]:
    """Rows of the placements of one device or of all, by device and app."""
    namespace = names.namespace(device) if device else ""
    wanted = {**OURS, **({DEVICE: device} if device else {}), **({APP: app} if app else {})}
    found = cluster.list(PLACEMENT, namespace, wanted)
    if not found:
        return []
    moves: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for item in cluster.list(MIGRATION, namespace, wanted):
        moves.setdefault((item["spec"]["device"], item["spec"]["app"]), []).append(_move(item))
    rows = [_row(item, moves.get((item["spec"]["device"], item["spec"]["app"]), [])) for item in found]
    return sorted(rows, key=lambda row: (row["device"], row["app"]))


def _row(item: Mapping[str, Any], moves: list[dict[str, Any]]) -> dict[str, Any]:
    spec, status = item["spec"], item.get("status") or {}
    moves = sorted(moves, key=lambda move: -move["epoch"])
    return {
        "device": spec["device"],
        "device_uid": (item["metadata"].get("labels") or {}).get(DEVICE_UID, ""),
        "app": spec["app"],
        "owner": spec["owner"],
        "epoch": spec["epoch"],
        "overlap": bool(spec.get("overlap")),
        "lost": spec.get("lost") or "",
        "standby": _standby(spec, status),
        "undone": _undone(moves, (item["metadata"].get("annotations") or {}).get(PURGED, "")),
        "phase": status.get("phase") or "Settled",
        "holder": status.get("holder") or "",
        "migrations": moves,
    }


def _standby(spec: Mapping[str, Any], status: Mapping[str, Any]) -> dict[str, Any]:
    """What the edge is kept ready with, and whether it counts as too old."""
    known = status.get("standby") or {}
    if not known or known.get("epoch") != spec["epoch"]:
        return {}
    return {**known, "expired": expired(known)}


def _undone(moves: Sequence[Mapping[str, Any]], purged: str) -> dict[str, Any]:
    """Of a last move that was undone, what it has copied is kept for the next one, and for how long."""
    last = next(iter(moves), {})
    if last.get("result") != UNDONE or not last.get("finished") or last["finished"] <= purged:
        return {}
    expires = (parsed(last["finished"]) + timedelta(seconds=KEEP_SECONDS)).strftime(TIME)
    return {
        "to": last["to"],
        "finished": last["finished"],
        "expires": expires,
        "expired": expired({"expires": expires}),
    }


def _move(item: Mapping[str, Any]) -> dict[str, Any]:
    spec, status = item["spec"], item.get("status") or {}
    ended = Outcome.of_stored(status.get("job") or {})
    job = {"job": ended.as_dict()} if ended.over else {}
    return {
        "to": spec["to"],
        "epoch": spec["epoch"],
        "result": status.get("result") or "",
        "message": status.get("message") or "",
        "finished": status.get("finished") or "",
        "held_seconds": status.get("heldSeconds") or 0.0,
        **job,
    }
