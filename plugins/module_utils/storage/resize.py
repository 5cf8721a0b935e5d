# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Growing a volume: may it, and when is it done?"""

from __future__ import annotations

from ..cluster.client import Cluster
from ..cluster.errors import WaitTimeout
from ..cluster.kinds import PERSISTENT_VOLUME_CLAIM, POD
from ..core import names, sizes
from ..core.errors import KrafError
from ..manifests.labels import COMPONENT, VOLUME
from ..manifests.volume import Volume
from .state import Object, State, is_bound, is_provisioned, real


def check(state: State, volume: Volume, claim: Object, local: bool) -> None:
    """Refuse to grow what cannot grow, before anything is written.

    Raises:
        KrafError: with the way to a larger volume.
    """
    what, size = f"size of {volume.title}", sizes.to_kubernetes(volume.size)
    fix = "Create a new volume of this size under another name, copy the data, remove the old one"
    storage_class = state.classes.get(volume.storage_class)
    if not storage_class or not storage_class.get("allowVolumeExpansion"):
        why = f"its class {volume.storage_class or '(none)'} does not allow expansion (allowVolumeExpansion)"
        raise KrafError(what, size, why, fix)
    if local or not is_bound(claim):
        if not is_bound(claim) and (users := state.users(volume)):
            why = f"it is not bound yet, and {', '.join(users)} waits for it"
            raise KrafError(what, size, why, "Wait until it is bound, or remove its export first")
        return
    existing = state.persistent_volume(volume)
    if existing is None or not is_provisioned(existing):
        why = f"PersistentVolume {claim['spec']['volumeName']} was made by hand, and nobody can grow it"
        raise KrafError(what, size, why, fix)


def finish(cluster: Cluster, state: State, volume: Volume, claim: Object, wait: float) -> bool:
    """Wait until a volume is bound and as large as it was asked for.

    Returns:
        True when something was written on the way.

    Raises:
        WaitTimeout: with conditions and events, asked and real bytes.
    """
    if volume.node:
        return _finish_local(cluster, volume, claim)
    if not wait or _is_done(claim, volume) or (not is_bound(claim) and _binds_late(state, volume)):
        return False
    place = names.claim(volume.name), volume.namespace
    try:
        cluster.wait(PERSISTENT_VOLUME_CLAIM, *place, lambda obj: _is_settled(cluster, obj, volume), wait / 2)
    except WaitTimeout:
        # Some drivers grow the file system only when a pod mounts it again.
        restarted = _restart_export(cluster, volume) if _waits_for_pod(cluster, volume) else False
        try:
            cluster.wait(PERSISTENT_VOLUME_CLAIM, *place, lambda obj: _is_settled(cluster, obj, volume), wait / 2)
        except WaitTimeout as limit:
            limit.facts.update(asked_bytes=volume.size, real_bytes=real(_current(cluster, volume)), seconds=wait)
            raise
        return restarted
    return False


def _finish_local(cluster: Cluster, volume: Volume, claim: Object) -> bool:
    """The local class has no resizer but this: role storage_local grew the file, so the claim may say so."""
    if not is_bound(claim) or real(claim) >= volume.size:
        return False
    body = {"status": {"capacity": {"storage": sizes.to_kubernetes(volume.size)}}}
    place = names.claim(volume.name), volume.namespace
    cluster.patch(PERSISTENT_VOLUME_CLAIM, *place, body, subresource="status")
    return True


def _is_done(claim: Object, volume: Volume) -> bool:
    return is_bound(claim) and real(claim) >= volume.size


def _is_settled(cluster: Cluster, claim: Object | None, volume: Volume) -> bool:
    """Done, or as far as it can get while no pod mounts it."""
    if claim is None:
        return False
    return _is_done(claim, volume) or (_is_pending_on_pod(claim) and not _pods(cluster, volume))


def _is_pending_on_pod(claim: Object) -> bool:
    conditions = (claim.get("status") or {}).get("conditions") or []
    return any(item["type"] == "FileSystemResizePending" and item["status"] == "True" for item in conditions)


def _current(cluster: Cluster, volume: Volume) -> Object:
    return cluster.get(PERSISTENT_VOLUME_CLAIM, names.claim(volume.name), volume.namespace) or {}


def _waits_for_pod(cluster: Cluster, volume: Volume) -> bool:
    return _is_pending_on_pod(_current(cluster, volume))


def _pods(cluster: Cluster, volume: Volume) -> list[Object]:
    return cluster.list(POD, volume.namespace, {VOLUME: volume.name})


def _restart_export(cluster: Cluster, volume: Volume) -> bool:
    pods = cluster.list(POD, volume.namespace, {VOLUME: volume.name, COMPONENT: "export"})
    for pod in pods:
        cluster.delete(POD, pod["metadata"]["name"], volume.namespace)
    return bool(pods)


def _binds_late(state: State, volume: Volume) -> bool:
    """True for a class that binds only when a pod comes: then waiting for it here would never end."""
    storage_class = state.classes.get(volume.storage_class) or {}
    return storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"
