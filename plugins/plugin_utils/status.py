# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The tables of the playbook status: what the catalog, the cluster and the devices say, side by side."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from ansible_collections.kraf.edge.plugins.module_utils.core.coerce import printable
from ansible_collections.kraf.edge.plugins.module_utils.core.sizes import human
from ansible_collections.kraf.edge.plugins.module_utils.core.table import table
from ansible_collections.kraf.edge.plugins.module_utils.hosts import judge
from ansible_collections.kraf.edge.plugins.module_utils.hosts.kubernetes import not_after

Row = Mapping[str, Any]
DEVICE_COLUMNS = ("name", "state", "address", "architecture", "memory", "labels", "reason", "expires")
APP_COLUMNS = ("device", "name", "owner", "ports", "data", "overlap")
PLACEMENT_COLUMNS = (
    "device",
    "app",
    "owner",
    "epoch",
    "phase",
    "last move",
    "ended",
    "clients waited",
    "prepared",
    "why",
    "held by",
)
VOLUME_COLUMNS = ("device", "name", "app", "size", "phase", "class", "node", "used by")
EXPORT_COLUMNS = ("device", "volume", "ready", "image")
MOUNT_COLUMNS = ("device", "mount point", "from")
CERTIFICATE_COLUMNS = ("of", "certificate", "days", "state")
SOON = 30
"""Days; what ends earlier should have been renewed by its owner."""


def lines(found: Row) -> list[str]:
    """All tables, each after its heading.

    Args:
        found: ``devices``, ``apps``, ``volumes``, ``placements`` as the ``_info`` modules return them; ``exports`` as
            objects of Kubernetes; ``mounts``, results of findmnt by device; ``unread``, why the cluster was not;
            ``certificates``, results of module host_info by host, and ``secrets`` with certificates of the service CA.
    """
    result = _part("Devices", table([_device(row) for row in found["devices"]], DEVICE_COLUMNS))
    result += _part("Apps", table(_apps(found["apps"], found["placements"]), APP_COLUMNS))
    if found["unread"]:
        result += ["", f"The cluster was not read: {printable(found['unread'], 300)}"]
    else:
        with_data = {(app["device"], app["name"]) for app in found["apps"] if app["data"]}
        result += _part(
            "Placements", table([_placement(row, with_data) for row in found["placements"]], PLACEMENT_COLUMNS)
        )
        result += _part("Volumes", table([_volume(row) for row in found["volumes"]], VOLUME_COLUMNS))
        result += _part("Exports", table([_export(row) for row in found["exports"]], EXPORT_COLUMNS))
    ends = _ends(found.get("certificates") or {}, found.get("secrets") or [])
    result += _part("Certificates", table(ends, CERTIFICATE_COLUMNS))
    mounts, silent = _mounts(found["mounts"])
    result += _part("Mounts", table(mounts, MOUNT_COLUMNS))
    return [*result, "", f"Did not answer: {', '.join(printable(name) for name in silent)}"] if silent else result


def _part(heading: str, rows: Sequence[str]) -> list[str]:
    return ["", heading, *(f"  {line}" for line in rows or ["none"])]


def _device(row: Row) -> Row:
    labels = [f"{key}={value}" for key, value in row["labels"].items()]
    return {**row, "memory": human(row["memory_bytes"]) if row["memory_bytes"] else "", "labels": labels}


def _apps(apps: Sequence[Row], placements: Sequence[Row]) -> list[Row]:
    """Every app of the catalog with its owner, and every placement whose app the catalog does not know."""
    placed: dict[tuple[str, str], Row] = {(row["device"], row["app"]): {"owner": row["owner"]} for row in placements}
    rows: list[Row] = []
    for app in apps:
        where = placed.pop((app["device"], app["name"]), {"owner": "device"})
        ports = [
            f"{port['device_port']}/udp" if port["protocol"] == "UDP" else port["device_port"] for port in app["ports"]
        ]
        overlap = "yes" if app["overlap"] else ""
        rows.append(
            {**app, **where, "ports": ports, "data": [data["path"] for data in app["data"]], "overlap": overlap}
        )
    return rows + [
        {"device": device, "name": f"{name} (not in the catalog)", **where} for (device, name), where in placed.items()
    ]


def _placement(row: Row, with_data: Collection[tuple[str, str]]) -> Row:
    """A placement with the last of its moves. Who holds it is worth a look only while it is not settled."""
    last: Row = next(iter(row["migrations"]), {})
    held = last.get("held_seconds") or 0
    return {
        **row,
        "last move": " ".join(part for part in (f"to {last['to']}", last["result"]) if part) if last else "",
        "ended": last.get("finished"),
        "clients waited": f"{held:.1f} s" if held else "",
        "phase": f"{row['phase']}, {row['lost']} is lost" if row.get("lost") else row["phase"],
        "prepared": _prepared(row, (row["device"], row["app"]) in with_data),
        "why": printable(last.get("message") or "", 120),
        "held by": "" if row["phase"] == "Settled" else row["holder"],
    }


def _prepared(row: Row, data: bool) -> str:
    """What is prepared and not used, and until when: what the edge is kept ready with, or the copy of a move that was
    undone, with which the next one goes on."""
    kinds = (("standby", row.get("standby"), "verified"), ("copy", data and row.get("undone"), "finished"))
    for what, known, since in kinds:
        if known:
            return f"{what} {known[since]}, {'expired' if known.get('expired') else 'until'} {known['expires']}"
    return ""


def _volume(row: Row) -> Row:
    asked, real = row["asked_bytes"], row["real_bytes"]
    size = human(real or asked) + (f" of {human(asked)}" if real and real != asked else "")
    return {**row, "size": size, "class": row["storage_class"], "used by": row["used_by"]}


def _export(item: Row) -> Row:
    labels = item["metadata"]["labels"]
    containers = item["spec"]["template"]["spec"]["containers"]
    return {
        "device": labels.get("kraf.io/device"),
        "volume": labels.get("kraf.io/volume"),
        "ready": "yes" if (item.get("status") or {}).get("readyReplicas") else "no",
        "image": containers[0].get("image"),
    }


def _ends(answers: Mapping[str, Row], secrets: Sequence[Row]) -> list[Row]:
    """Of each host the certificate that ends first, and those in Secrets; the first to end first."""
    found: list[tuple[float, str, str]] = []
    for name, answer in answers.items():
        first = judge.certificate_days({name: answer["host"]}) if answer.get("host") else {}
        if first:
            found.append((first["days"], name, first["path"]))
    for secret in secrets:
        where = secret["metadata"]
        end = not_after(base64.b64decode((secret.get("data") or {}).get("tls.crt") or "").decode(errors="replace"))
        if end:
            left = round((end - datetime.now(timezone.utc)).total_seconds() / 86400, 1)
            found.append((left, where["namespace"], where["name"]))
    return [
        {"of": owner, "certificate": name, "days": f"{days:g}", "state": _ending(days)}
        for days, owner, name in sorted(found)
    ]


def _ending(days: float) -> str:
    if days >= SOON:
        return ""
    return f"{'has ended' if days < 0 else 'ends soon'}: run playbook kraf.edge.certificates_renew"


def _mounts(answers: Mapping[str, Row]) -> tuple[list[Row], list[str]]:
    """Mounts by device, and the devices of which nothing is known."""
    rows: list[Row] = []
    silent = []
    for device, answer in sorted(answers.items()):
        if answer.get("unreachable") or answer.get("rc") not in (0, 1):
            silent.append(device)
            continue
        for mount in _file_systems(answer.get("stdout") or ""):
            rows.append({"device": device, "mount point": mount.get("target"), "from": mount.get("source")})
    return rows, silent


def _file_systems(text: str) -> list[Row]:
    """What findmnt wrote; a device may write anything, and findmnt writes nothing where there is no such mount."""
    try:
        found = json.loads(text).get("filesystems")
    except (ValueError, AttributeError):
        return []
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
