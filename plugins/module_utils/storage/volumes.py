# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Volumes as they are wanted: read, decided as a whole, then written. Nothing is written before all was checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..cluster.client import Cluster
from ..cluster.converge import Change, by_key, converge, fingerprinted, key
from ..cluster.kinds import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM
from ..core import names, sizes
from ..core.errors import KrafError
from ..manifests import volume as manifest
from ..manifests.labels import APP, check_owner
from ..manifests.volume import Volume
from . import namespaces, resize
from .state import Object, State, is_bound, real, requested

NODE_ANNOTATION = "kraf.io/node"


@dataclass
class Plan:
    """What is to be done for a list of volumes."""

    volumes: list[Volume] = field(default_factory=list)
    objects: list[Object] = field(default_factory=list)
    current: dict[str, Object] = field(default_factory=dict)
    recreate: list[Object] = field(default_factory=list)
    adopt: list[Object] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def parse(entries: Sequence[Mapping[str, Any]], sized: bool = True) -> list[Volume]:
    """The volumes of a module's list.

    Args:
        entries: as the option ``volumes`` has them.
        sized: whether a size is needed, which it is unless they are to be removed.

    Raises:
        KrafError: for a name, a size or an access mode that cannot be, or a volume named twice.
    """
    found: dict[tuple[str, str], Volume] = {}
    for entry in entries:
        device, uid = names.check("device", entry.get("device")), str(entry.get("device_uid") or "")
        # An app's data are made by its migration, and go when their owner does.
        name = names.check("volume" if sized else "claim", entry.get("name"))
        title = f"volume {name} of {device}"
        if not uid:
            why = "without it a new device of the same name would inherit the old one's data"
            raise KrafError(f"device_uid of {title}", uid, why, "Take uid from module device_info")
        if (device, name) in found:
            raise KrafError(title, None, "it is in the list twice", "Name each volume once")
        found[device, name] = Volume(
            device,
            uid,
            name,
            sizes.parse(entry.get("size"), f"size of {title}") if sized else 0,
            str(entry.get("storage_class") or ""),
            tuple(_access_mode(mode, title) for mode in entry.get("access_modes") or ()),
            str(entry.get("node") or ""),
        )
    return list(found.values())


def _access_mode(mode: object, title: str) -> str:
    known = {**manifest.ACCESS_MODES, **{value: value for value in manifest.ACCESS_MODES.values()}}
    if mode not in known:
        raise KrafError(
            f"access mode of {title}", mode, "Kubernetes has none of this name", f"One of {', '.join(known)}"
        )
    return known[str(mode)]


def plan(cluster: Cluster, state: State, volumes: Sequence[Volume], adopt: bool = False) -> Plan:
    """Decide for each volume what has to be done; everything that must be refused is refused here.

    Raises:
        KrafError: for the first volume that cannot be as it is wanted.
    """
    made = Plan()
    new: list[Volume] = []
    claims: list[Object] = []
    for volume in volumes:
        _check_modes(volume, state)
        claim = state.claim(volume)
        if claim is None:
            whole, local = _resolve_new(state, volume, adopt, made)
            new.append(whole)
        else:
            whole, local = _resolve_existing(state, volume, claim, made)
            made.current[key(claim)] = claim
        made.volumes.append(whole)
        if local:
            existing = state.persistent_volumes.get(whole.persistent_volume)
            if existing:
                made.current[key(existing)] = existing
            claims.append(manifest.persistent_volume(whole, None if claim is None else existing))
        claims.append(manifest.claim(whole, local))
    if new:
        made.objects = namespaces.wanted(cluster, [(item.device, item.device_uid) for item in new], made.current)
    made.objects += claims
    return made


def _check_modes(volume: Volume, state: State) -> None:
    if "ReadWriteOncePod" in volume.access_modes and state.version < (1, 27):
        found = ".".join(str(part) for part in state.version)
        why = f"the cluster has Kubernetes {found}, which knows this mode from 1.27 on"
        raise KrafError(f"access mode of {volume.title}", "ReadWriteOncePod", why, "Use ReadWriteOnce")


def _resolve_new(state: State, volume: Volume, adopt: bool, made: Plan) -> tuple[Volume, bool]:
    storage_class = state.storage_class(volume.storage_class, volume.title)
    left = state.persistent_volume(volume)
    if left is not None:
        _check_left(volume, left, adopt)
        made.adopt.append(left)
    whole = replace(
        volume,
        storage_class=storage_class["metadata"]["name"],
        access_modes=volume.access_modes or (manifest.READ_WRITE_ONCE,),
    )
    if not manifest.is_local(storage_class):
        return whole, False
    return replace(whole, node=_node(state, volume, storage_class, left)), True


def _check_left(volume: Volume, left: Object, adopt: bool) -> None:
    """A PersistentVolume whose claim is gone holds data: whose, and is it to be used again?"""
    check_owner(left, volume.device, volume.device_uid)
    name, size = left["metadata"]["name"], sizes.from_kubernetes(left["spec"]["capacity"]["storage"])
    if not adopt and (left["spec"].get("claimRef") or {}).get("uid"):
        why = f"PersistentVolume {name} still holds the data of an earlier volume of this name"
        raise KrafError(
            volume.title, None, why, "Set adopt: true to use them again, or remove them (state absent, purge)"
        )
    if volume.size < size:
        raise _shrink(volume, size, f"PersistentVolume {name} has")


def _node(state: State, volume: Volume, storage_class: Object, left: Object | None) -> str:
    lies_on = manifest.node_of(left)
    annotations = storage_class["metadata"].get("annotations") or {}
    node = volume.node or lies_on or str(annotations.get(NODE_ANNOTATION) or "")
    if lies_on and node != lies_on:
        raise KrafError(f"node of {volume.title}", node, f"its data lie on {lies_on}", f"Use {lies_on}")
    if not node:
        why = f"volumes of class {storage_class['metadata']['name']} are files on one node"
        raise KrafError(f"node of {volume.title}", None, why, "Name the node (node)")
    if not state.has_node(node):
        raise KrafError(f"node of {volume.title}", node, "the cluster has no such node", "See kubectl get nodes")
    return node


def _resolve_existing(state: State, volume: Volume, claim: Object, made: Plan) -> tuple[Volume, bool]:
    check_owner(claim, volume.device, volume.device_uid)
    spec = claim["spec"]
    if claim["metadata"].get("deletionTimestamp"):
        why = f"its claim is being deleted and waits for {', '.join(state.users(volume)) or 'the cluster'}"
        raise KrafError(volume.title, None, why, "Wait until it is gone, or stop what uses it")
    whole = replace(
        volume,
        storage_class=spec.get("storageClassName") or "",
        access_modes=tuple(spec["accessModes"]),
        app=volume.app or claim["metadata"]["labels"].get(APP, ""),
    )
    if volume.storage_class not in ("", whole.storage_class):
        made.warnings.append(_kept(volume, "class", whole.storage_class, volume.storage_class))
    if volume.access_modes and set(volume.access_modes) != set(whole.access_modes):
        made.warnings.append(_kept(volume, "access modes", list(whole.access_modes), list(volume.access_modes)))
    asked = requested(claim)
    if volume.size < asked:
        raise _shrink(volume, asked, "it has")
    local = spec.get("volumeName") == volume.persistent_volume
    if volume.size > asked:
        resize.check(state, whole, claim, local)
        if not is_bound(claim):
            made.recreate.append(claim)
    if not local:
        return whole, False
    lies_on = manifest.node_of(state.persistent_volumes.get(volume.persistent_volume))
    if not lies_on:
        why = f"its PersistentVolume {volume.persistent_volume} is gone"
        raise KrafError(volume.title, None, why, "Remove the volume (state absent) and create it again")
    if volume.node not in ("", lies_on):
        raise KrafError(f"node of {volume.title}", volume.node, f"its data lie on {lies_on}", f"Use {lies_on}")
    return replace(whole, node=lies_on), True


def _shrink(volume: Volume, size: int, subject: str) -> KrafError:
    why = f"{subject} {size} bytes ({sizes.human(size)}), asked are {volume.size} ({sizes.human(volume.size)})"
    fix = "A volume can only grow: create a smaller one and copy the data, or ask for at least its present size"
    return KrafError(f"size of {volume.title}", sizes.to_kubernetes(volume.size), why, fix, has=size, asked=volume.size)


def _kept(volume: Volume, what: str, present: object, other: object) -> str:
    return f"{volume.title} keeps its {what} {present}; {other} was asked for and applies to new volumes only."


def execute(cluster: Cluster, state: State, made: Plan, check_mode: bool, wait: float) -> Change:
    """Do what was planned.

    Args:
        cluster: where.
        state: what was read for the plan.
        made: the plan.
        check_mode: predict only.
        wait: limit in seconds for each volume; 0 does not wait.
    """
    change = Change()
    again = {key(claim) for claim in made.recreate}
    for left in made.adopt:
        change.add(_adopt(cluster, left, check_mode, made.current))
    for claim in made.recreate:
        _remove_unbound(cluster, claim, check_mode, wait)
        wanted = next(obj for obj in made.objects if key(obj) == key(claim))
        if check_mode:
            change.note(claim, {**claim, **fingerprinted(wanted)})
        made.current.pop(key(claim), None)
    objects = [obj for obj in made.objects if not (check_mode and key(obj) in again)]
    change.add(converge(cluster, objects, check_mode, made.current))
    if not check_mode:
        stored = by_key(change.objects)
        for volume in made.volumes:
            claim = stored[f"PersistentVolumeClaim/{volume.namespace}/{names.claim(volume.name)}"]
            if resize.finish(cluster, state, volume, claim, wait):
                change.changed = True
    return change


def _adopt(cluster: Cluster, left: Object, check_mode: bool, current: dict[str, Object]) -> Change:
    """Make a released PersistentVolume available to a claim of the same name again: only the old claim's uid goes."""
    change = Change()
    body = {"spec": {"claimRef": {"uid": None, "resourceVersion": None}}}
    after = cluster.patch(PERSISTENT_VOLUME, left["metadata"]["name"], "", body, dry_run=check_mode)
    change.note(left, after)
    change.objects.clear()
    current[key(after)] = after
    return change


def _remove_unbound(cluster: Cluster, claim: Object, check_mode: bool, wait: float) -> None:
    """Kubernetes grows bound claims only; one that is not bound has no data and can be made anew."""
    metadata = claim["metadata"]
    place = metadata["name"], metadata["namespace"]
    cluster.delete(PERSISTENT_VOLUME_CLAIM, *place, uid=metadata["uid"], dry_run=check_mode)
    if not check_mode:
        cluster.wait(PERSISTENT_VOLUME_CLAIM, *place, lambda obj: obj is None, wait or 30)


def report(volume: Volume, claim: Object | None, existing: Object | None) -> dict[str, Any]:
    """One row of a module's result."""
    spec = (claim or {}).get("spec") or {}
    asked = requested(claim) if claim else 0
    return {
        "device": volume.device,
        "name": volume.name,
        "namespace": volume.namespace,
        "claim": names.claim(volume.name),
        "persistent_volume": str(spec.get("volumeName") or (existing or {}).get("metadata", {}).get("name", "")),
        "storage_class": str(spec.get("storageClassName") or volume.storage_class),
        "access_modes": list(spec.get("accessModes") or volume.access_modes),
        "node": manifest.node_of(existing) or volume.node,
        "phase": str(((claim or {}).get("status") or {}).get("phase") or ("Pending" if claim else "Absent")),
        "asked_bytes": asked,
        "real_bytes": real(claim) if claim else 0,
    }


def rows(state: State, volumes: Sequence[Volume], predicted: Sequence[Object]) -> list[dict[str, Any]]:
    """The rows of a module's result: as stored, or in check mode as predicted."""
    foreseen = by_key(predicted)
    found = []
    for volume in volumes:
        wanted = f"PersistentVolumeClaim/{volume.namespace}/{names.claim(volume.name)}"
        claim = foreseen.get(wanted) or state.claim(volume)
        existing = state.persistent_volume(volume) if volume.node else None
        found.append(report(volume, claim, existing))
    return found
