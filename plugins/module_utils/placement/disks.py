# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Volumes of a device that an app takes along: who may use them, and who is told of it.

While the edge owns the app, the volume's export has no pod, so that connections are refused: davfs2 waits then, on any
answer such as 404 it would give files up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..catalog.records import App
from ..cluster.kinds import PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, POD, STATEFUL_SET
from ..core import names
from ..core.errors import KrafError
from ..manifests.export import Export
from ..manifests.labels import check_owner
from ..manifests.volume import READ_WRITE_ONCE, Volume, node_of
from ..manifests.workload import Disk
from ..migration.world import EDGE, IDLE
from ..storage import exports
from ..storage.state import State
from .job import Job

KINDS = {"f": "hard link", "l": "symbolic link", "p": "FIFO", "s": "socket", "c": "device file", "b": "device file"}


def read(app: App, look: Mapping[str, Any], known: Sequence[Disk] = ()) -> tuple[Disk, ...]:
    """Data directories on volumes, by what the device sees and what it remembers.

    Args:
        look: of the device.
        known: what this run knows of them already.

    Raises:
        KrafError: when one lay on a volume when it was moved, and is elsewhere now.
    """
    nodes = {one.volume: one.node for one in known}
    found: dict[str, Disk] = {}
    for name, one in ((look.get("container") or {}).get("data") or {}).items():
        if one.get("volume"):
            volume = str(one["volume"])
            found[name] = Disk(name, volume, str(one.get("inside") or ""), nodes.get(volume, ""))
    record = look.get("record") or {}
    if record.get("owner") == EDGE or record.get("phase", IDLE) != IDLE:
        for name, volume in record.get("disks") or ():
            if look.get("container") and (name not in found or found[name].volume != volume):
                why = f"it lay on the mount of volume {volume} when the app was moved, and does no more"
                fix = f"Mount the volume {volume} there again (playbook kraf.edge.volume)"
                raise KrafError(f"data {name} of app {app.key}", None, why, fix)
    return tuple(found[name] for name in sorted(found))


def check(job: Job) -> None:
    """Before a move to the edge: each volume is there, the device's, and free; where it can be mounted is noted.

    Raises:
        KrafError: naming what is in the way.
    """
    if job.disks and job.app.overlap:
        why = "one side at a time uses a volume"
        raise KrafError(f"overlap of app {job.app.key}", True, why, "Register it without overlap")
    job.disks = tuple(replace(disk, node=_checked(job, disk)) for disk in job.disks)


def _checked(job: Job, disk: Disk) -> str:
    export = _export(job, disk)
    claim = job.cluster.get(PERSISTENT_VOLUME_CLAIM, names.claim(disk.volume), export.namespace)
    if claim is None:
        why = f"the device has it mounted, but namespace {export.namespace} has no such claim"
        raise KrafError(f"volume {disk.volume} of {job.device.name}", None, why, "See the playbook kraf.edge.volume")
    check_owner(claim, job.device.name, job.device.uid)
    exports.refuse_held(export, job.cluster.get(STATEFUL_SET, export.name, export.namespace), job.app.name)
    if claim["spec"]["accessModes"] != [READ_WRITE_ONCE]:
        return ""
    volume = job.cluster.get(PERSISTENT_VOLUME, str(claim["spec"].get("volumeName") or ""))
    pod = job.cluster.get(POD, f"{export.name}-0", export.namespace) or {}
    # Its export is beside it until the app has it alone.
    return node_of(volume) or str((pod.get("spec") or {}).get("nodeName") or "") or disk.node


def node(state: State, job: Job) -> str:
    """The node that the app's own volume has to lie on, where the others lie on one; empty where they do not."""
    for disk in job.disks:
        found = node_of(state.persistent_volume(Volume(job.device.name, job.device.uid, disk.volume, 0)))
        if found:
            return found
    return ""


def take(job: Job) -> None:
    """The edge has the volumes alone: their exports refuse connections."""
    for disk in job.disks:
        exports.hold(job.cluster, _export(job, disk), job.app.name, job.limits.wait)


def held(job: Job) -> list[Disk]:
    """Volumes that the app has at the edge."""
    found = []
    for disk in job.disks:
        export = _export(job, disk)
        if exports.held_by(job.cluster.get(STATEFUL_SET, export.name, export.namespace)) == job.app.name:
            found.append(disk)
    return found


def give(job: Job, disks: Sequence[Disk]) -> None:
    """The device may mount the volumes: their exports serve."""
    for disk in disks:
        exports.serve(job.cluster, _export(job, disk), job.app.name, job.limits.wait)


def refuse_differing(job: Job, disk: Disk, entries: Sequence[str]) -> None:
    """Stop when the volume does not hold what the device's mount has shown.

    Raises:
        KrafError: naming the first entries.
    """
    if entries:
        why = f"the volume {disk.volume} does not hold what the mount has shown: {'; '.join(entries)}"
        fix = "Run it again; the device is still the owner"
        raise KrafError(f"data {disk.name} of app {job.app.key}", None, why, fix)


def warn(job: Job, disk: Disk, entries: Sequence[str]) -> None:
    """Say what the device will not see as it is."""
    for entry in entries:
        kind, _blank, path = entry.partition(" ")
        job.say(f"data {disk.name}: {KINDS.get(kind, 'entry')} {path}: the device does not see it as it is, by WebDAV")


def _export(job: Job, disk: Disk) -> Export:
    return Export(job.device.name, job.device.uid, disk.volume)
