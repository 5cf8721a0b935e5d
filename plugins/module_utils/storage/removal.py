# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Removing volumes: never what is in use, and data only when that was said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..cluster.client import Cluster
from ..cluster.converge import Change
from ..cluster.kinds import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM
from ..core.errors import KrafError
from ..manifests.labels import check_owner, labels
from ..manifests.volume import Volume
from . import volumes
from .state import Object, State, is_bound, is_provisioned


@dataclass(frozen=True)
class Removal:
    """What there is of a volume, and what of it goes."""

    volume: Volume
    claim: Object | None
    persistent_volume: Object | None
    purge: bool

    @property
    def keeps(self) -> bool:
        """True when the data stay."""
        return self.persistent_volume is not None and not self.purge


def plan(state: State, wanted: Sequence[Volume], purge: bool) -> list[Removal]:
    """Check that each volume may go.

    Raises:
        KrafError: for another device's volume, one in use (naming by whom), or data that would be lost unasked.
    """
    found = []
    for volume in wanted:
        claim, existing = state.claim(volume), state.persistent_volume(volume)
        if claim:
            check_owner(claim, volume.device, volume.device_uid)
            _check_unused(state, volume)
        elif existing:
            check_owner(existing, volume.device, volume.device_uid)
        if claim and is_bound(claim) and not purge:
            _check_kept(volume, existing)
        found.append(Removal(volume, claim, existing, purge))
    return found


def _check_unused(state: State, volume: Volume) -> None:
    users = state.users(volume)
    if users:
        fix = "Unmount it and remove its export, or stop these pods, then run this again"
        raise KrafError(volume.title, None, f"it is in use by {', '.join(users)}", fix, users=users)


def _check_kept(volume: Volume, existing: Object | None) -> None:
    policy = (existing or {}).get("spec", {}).get("persistentVolumeReclaimPolicy", "Delete")
    if policy != "Retain":
        name = (existing or {}).get("metadata", {}).get("name", "")
        why = f"PersistentVolume {name} has the policy {policy}: the data would go with the claim"
        raise KrafError(volume.title, None, why, "Set purge: true if the data may go, or the policy to Retain")


def execute(cluster: Cluster, removals: Sequence[Removal], check_mode: bool, wait: float) -> Change:
    """Delete what was planned, claims first, and wait until they are gone (limit in seconds, each)."""
    change = Change()
    for removal in removals:
        claim, existing = removal.claim, removal.persistent_volume
        if existing and is_provisioned(existing):
            change.note(existing, _settle(cluster, removal, existing, check_mode))
        if claim:
            place = claim["metadata"]["name"], claim["metadata"]["namespace"]
            cluster.delete(PERSISTENT_VOLUME_CLAIM, *place, uid=claim["metadata"]["uid"], dry_run=check_mode)
            if wait and not check_mode:
                cluster.wait(PERSISTENT_VOLUME_CLAIM, *place, lambda obj: obj is None, wait)
            change.note(claim, None)
        if existing and removal.purge and not is_provisioned(existing):
            cluster.delete(PERSISTENT_VOLUME, existing["metadata"]["name"], dry_run=check_mode)
            change.note(existing, None)
    return change


def _settle(cluster: Cluster, removal: Removal, existing: Object, check_mode: bool) -> Object:
    """Tell the provisioner what becomes of the data, and whoever looks at kept data later whose they are."""
    volume, body = removal.volume, dict[str, Any]()
    mine = labels(volume.device, volume.device_uid, volume=volume.name)
    if removal.purge and existing["spec"].get("persistentVolumeReclaimPolicy") != "Delete":
        body["spec"] = {"persistentVolumeReclaimPolicy": "Delete"}
    if not removal.purge and not mine.items() <= (existing["metadata"].get("labels") or {}).items():
        body["metadata"] = {"labels": mine}
    if not body:
        return existing
    return cluster.patch(PERSISTENT_VOLUME, existing["metadata"]["name"], "", body, dry_run=check_mode)


def report(removal: Removal) -> dict[str, Any]:
    """One row of a module's result: what there was, and what still holds the data."""
    existing = removal.persistent_volume
    row = volumes.report(removal.volume, removal.claim, existing)
    kept = existing["metadata"]["name"] if existing and removal.keeps else ""
    return {**row, "phase": "Absent", "kept": kept}
