# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What volumes and exports there are, for those who only look."""

from __future__ import annotations

from typing import Any

from ..cluster.client import Cluster
from ..cluster.kinds import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, POD, STATEFUL_SET
from ..core import names
from ..manifests.export import Export
from ..manifests.labels import APP, DEVICE, DEVICE_UID, OURS, VOLUME
from ..manifests.volume import Volume
from . import exports as server
from .state import Object, requested
from .volumes import report


def volumes(cluster: Cluster, device: str = "", name: str = "") -> list[dict[str, Any]]:
    """Rows of the volumes of one device or of all, by device and name."""
    namespace = names.namespace(device) if device else ""
    wanted = {**OURS, **({VOLUME: name} if name else {}), **({DEVICE: device} if device else {})}
    claims = cluster.list(PERSISTENT_VOLUME_CLAIM, namespace, wanted)
    if not claims:
        return []
    persistent = {item["metadata"]["name"]: item for item in cluster.list(PERSISTENT_VOLUME)}
    users = _users(cluster.list(POD, namespace))
    rows = [_row(claim, persistent, users) for claim in claims]
    return sorted(rows, key=lambda row: (row["device"], row["name"]))


def exports(cluster: Cluster, device: str = "", volume: str = "") -> list[dict[str, Any]]:
    """Rows of the exports of one device or of all, by device and volume."""
    namespace = names.namespace(device) if device else ""
    wanted = {**server.OURS_HERE, **({VOLUME: volume} if volume else {}), **({DEVICE: device} if device else {})}
    rows = []
    for item in cluster.list(STATEFUL_SET, namespace, wanted):
        marks = item["metadata"]["labels"]
        export = Export(marks.get(DEVICE, ""), marks.get(DEVICE_UID, ""), marks.get(VOLUME, ""))
        rows.append({**server.row(export, item), "device_uid": export.device_uid})
    return sorted(rows, key=lambda row: (row["device"], row["volume"]))


def _users(pods: list[Object]) -> dict[tuple[str, str], list[str]]:
    """Pods by namespace and name of the claims that they mount."""
    found: dict[tuple[str, str], list[str]] = {}
    for pod in pods:
        for source in pod["spec"].get("volumes") or []:
            claim = (source.get("persistentVolumeClaim") or {}).get("claimName")
            if claim:
                found.setdefault((pod["metadata"]["namespace"], claim), []).append(pod["metadata"]["name"])
    return found


def _row(claim: Object, persistent: dict[str, Object], users: dict[tuple[str, str], list[str]]) -> dict[str, Any]:
    metadata, marks = claim["metadata"], claim["metadata"]["labels"]
    volume = Volume(marks.get(DEVICE, ""), marks.get(DEVICE_UID, ""), metadata["name"], requested(claim))
    return {
        **report(volume, claim, persistent.get(claim["spec"].get("volumeName", ""))),
        "device_uid": volume.device_uid,
        "app": marks.get(APP, ""),
        "used_by": sorted(users.get((metadata["namespace"], metadata["name"]), [])),
    }
