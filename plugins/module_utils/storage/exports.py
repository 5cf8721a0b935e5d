# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Exports as they are wanted: read, decided, written, awaited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..cluster.client import Cluster
from ..cluster.converge import Change, by_key, converge, key
from ..cluster.kinds import CONFIG_MAP, PERSISTENT_VOLUME_CLAIM, POD, SECRET, SERVICE, STATEFUL_SET, kind_of
from ..core import names
from ..core.errors import KrafError
from ..manifests import export as manifest
from ..manifests.export import Export
from ..manifests.export_files import TLS_PORT
from ..manifests.labels import COMPONENT, OURS, check_owner
from . import credentials

Object = dict[str, Any]
KINDS = (SECRET, SERVICE, STATEFUL_SET)
OURS_HERE = {**OURS, COMPONENT: "export"}


def parse(entries: Sequence[Mapping[str, Any]]) -> list[Export]:
    """The exports of a module's list.

    Raises:
        KrafError: for a name that cannot be, or a volume named twice.
    """
    found: dict[tuple[str, str], Export] = {}
    for entry in entries:
        device, uid = names.check("device", entry.get("device")), str(entry.get("device_uid") or "")
        volume = names.check("volume", entry.get("volume"))
        export = Export(device, uid, volume)
        if not uid:
            why = "without it a new device of the same name would inherit the old one's data"
            raise KrafError(f"device_uid of the {export.title}", uid, why, "Take uid from module device_info")
        if (device, volume) in found:
            raise KrafError(export.title, None, "it is in the list twice", "Name each volume once")
        found[device, volume] = export
    return list(found.values())


def read(cluster: Cluster, exports: Sequence[Export]) -> dict[str, Object]:
    """What there is of exports, by key: one request for each kind."""
    spaces = {export.namespace for export in exports}
    namespace = spaces.pop() if len(spaces) == 1 else ""
    return by_key(obj for kind in KINDS for obj in cluster.list(kind, namespace, OURS_HERE))


def default_image(cluster: Cluster) -> str:
    """The image that the role image_registry built.

    Raises:
        KrafError: when it did not.
    """
    found = cluster.get(CONFIG_MAP, "kraf-cluster", names.SYSTEM_NAMESPACE) or {}
    image = str((found.get("data") or {}).get("image_edge") or "")
    if not image:
        why = f"ConfigMap {names.SYSTEM_NAMESPACE}/kraf-cluster has no image_edge"
        raise KrafError("image of exports", None, why, "Run playbook kraf.edge.cluster first, or name an image (image)")
    return image


def present(
    cluster: Cluster, exports: Sequence[Export], image: str, rotate: bool, check_mode: bool, wait: float
) -> tuple[Change, list[dict[str, Any]]]:
    """Make the exports run; returns what changed and the rows of the result.

    Raises:
        KrafError: when a volume is missing or another device's; WaitTimeout when a server does not get ready.
    """
    current = read(cluster, exports)
    image = image or default_image(cluster)
    held = {export: held_by(current.get(_place(export))) for export in exports}
    objects = [
        obj
        for export in exports
        for obj in _wanted(cluster, replace(export, image=image, held_by=held[export]), current, rotate)
    ]
    # One read of the claim per new export, so that no pod waits for ever for a volume that nobody makes.
    change = converge(cluster, objects, check_mode, current)
    stored = by_key(change.objects)
    rows = []
    for export in exports:
        place = _place(export)
        after = stored.get(place)
        if wait and not check_mode and not held_by(after) and not is_ready(after):
            _replace_stuck_pod(cluster, export, current.get(place), after)
            after = cluster.wait(STATEFUL_SET, export.name, export.namespace, is_ready, wait)
        rows.append(row(export, after))
    return change, rows


def _place(export: Export) -> str:
    return f"StatefulSet/{export.namespace}/{export.name}"


def held_by(obj: Object | None) -> str:
    """The app that has the volume at the edge, so that its export refuses connections; empty while it serves."""
    return str(((obj or {}).get("metadata", {}).get("annotations") or {}).get(manifest.HELD_BY) or "")


def hold(cluster: Cluster, export: Export, app: str, wait: float) -> None:
    """Let an export refuse connections: an app at the edge is to have its volume alone. Done already is done.

    Raises:
        KrafError: when another app has it; WaitTimeout when its pod does not go.
    """
    found = cluster.get(STATEFUL_SET, export.name, export.namespace)
    if found is None:
        return
    refuse_held(export, found, app)
    if not held_by(found):
        _switch(cluster, export, found, app)
    cluster.wait(POD, f"{export.name}-0", export.namespace, lambda pod: pod is None, wait)


def serve(cluster: Cluster, export: Export, app: str, wait: float) -> None:
    """Let an export serve again that an app has held; nobody else's is touched. Raises like ``present``."""
    found = cluster.get(STATEFUL_SET, export.name, export.namespace)
    if held_by(found) == app and found is not None:
        _switch(cluster, export, found, "")
    if not held_by(found) and (found is None or is_ready(found)):
        return
    cluster.wait(STATEFUL_SET, export.name, export.namespace, is_ready, wait)


def refuse_held(export: Export, found: Object | None, app: str = "") -> None:
    """Refuse when an app, other than the one named, has the volume at the edge.

    Raises:
        KrafError: naming that app.
    """
    holder = held_by(found)
    if holder and holder != app:
        why = f"app {export.device}/{holder} runs at the edge with this volume"
        raise KrafError(export.title, None, why, f"Move {holder} back to the device first (playbook kraf.edge.migrate)")


def _switch(cluster: Cluster, export: Export, found: Object, app: str) -> None:
    current = read(cluster, [export])
    image = str(found["spec"]["template"]["spec"]["containers"][0]["image"])
    wanted = _wanted(cluster, replace(export, image=image, held_by=app), current, False)
    converge(cluster, wanted, False, current)


def _wanted(cluster: Cluster, export: Export, current: dict[str, Object], rotate: bool) -> list[Object]:
    kinds = {kind.kind: current.get(f"{kind.kind}/{export.namespace}/{export.name}") for kind in KINDS}
    for kind in KINDS:
        found = kinds[kind.kind] or cluster.get(kind, export.name, export.namespace)
        if found is not None:
            check_owner(found, export.device, export.device_uid)
            current[key(found)] = found
    if kinds["StatefulSet"] is None:
        claim = cluster.get(PERSISTENT_VOLUME_CLAIM, names.claim(export.volume), export.namespace)
        if claim is None:
            why = f"there is no claim {export.volume} in namespace {export.namespace}"
            raise KrafError(export.title, None, why, "Create the volume first (module volume)")
        check_owner(claim, export.device, export.device_uid)
    secret = current.get(f"Secret/{export.namespace}/{export.name}")
    wanted = credentials.wanted(cluster, export, secret, rotate)
    return manifest.objects(export, wanted.data, wanted.annotations)


def is_ready(obj: Object | None) -> bool:
    """True when the pod of the present template is ready."""
    status = (obj or {}).get("status") or {}
    return bool(
        obj
        and status.get("observedGeneration", 0) >= obj["metadata"].get("generation", 1)
        and status.get("readyReplicas") == 1
        and status.get("updatedReplicas") == 1
        and status.get("currentRevision") == status.get("updateRevision")
    )


def _replace_stuck_pod(cluster: Cluster, export: Export, before: Object | None, after: Object | None) -> None:
    """A StatefulSet waits for ever for a pod that cannot get ready, even when a corrected template is there."""
    if before is None or after is None or is_ready(before):
        return
    if before["metadata"]["generation"] != after["metadata"]["generation"]:
        cluster.delete(POD, f"{export.name}-0", export.namespace)


def absent(cluster: Cluster, exports: Sequence[Export], check_mode: bool, wait: float) -> Change:
    """Take the servers away, and wait until their pods are gone. The volumes stay.

    Raises:
        KrafError: for another device's export.
    """
    change, current = Change(), read(cluster, exports)
    for export in exports:
        for kind in reversed(KINDS):
            found = current.get(f"{kind.kind}/{export.namespace}/{export.name}")
            if found is None:
                continue
            check_owner(found, export.device, export.device_uid)
            if kind == STATEFUL_SET:
                refuse_held(export, found)
            cluster.delete(kind_of(found), export.name, export.namespace, dry_run=check_mode)
            change.note(found, None)
            if kind == STATEFUL_SET and wait and not check_mode:
                cluster.wait(POD, f"{export.name}-0", export.namespace, lambda pod: pod is None, wait)
    return change


def row(export: Export, obj: Object | None) -> dict[str, Any]:
    """One row of a module's result."""
    containers = (obj or {}).get("spec", {}).get("template", {}).get("spec", {}).get("containers") or [{}]
    return {
        "device": export.device,
        "volume": export.volume,
        "namespace": export.namespace,
        "service": export.name,
        "port": TLS_PORT,
        "url": f"https://{export.host}:{TLS_PORT}/",
        "door_name": names.door_name(TLS_PORT, export.name, export.device),
        "pod": f"{export.name}-0",
        "ready": is_ready(obj),
        "held_by": held_by(obj),
        "image": str(containers[0].get("image", "")),
        "credentials_secret": export.name,
    }
