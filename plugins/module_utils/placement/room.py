# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether an app's data have room where they are copied to: beside the copy before, on both sides."""

from __future__ import annotations

from ..cluster.kinds import PERSISTENT_VOLUME_CLAIM
from ..core import names, sizes
from ..core.errors import KrafError
from ..storage.state import requested
from .job import Job

SLACK = 32 * 2**20
"""Bytes that a volume needs beside the data: its file system's own, and what the app writes meanwhile."""


def needed(job: Job) -> int:
    """Bytes that the volume of the app's data has to have: for them, and for the copy before where there is one."""
    trees = 2 if job.placed.tree else 1
    return trees * job.device_bytes + SLACK if job.app.data else 0


def check_at_edge(job: Job) -> None:
    """Before anything is made.

    Raises:
        KrafError: with both sizes.
    """
    bytes_, has = needed(job), job.limits.volume_bytes
    if bytes_ > has:
        # One that is there may be larger than what is asked for now; a volume never shrinks.
        volume = names.claim(names.workload(job.app.name))
        claim = job.cluster.get(PERSISTENT_VOLUME_CLAIM, volume, names.namespace(job.device.name))
        has = max(has, requested(claim)) if claim is not None else has
    if bytes_ > has:
        would = sizes.human(has)
        why = f"the app's data take {sizes.human(bytes_ - SLACK)} with the copy before, the volume would have {would}"
        fix = f"Ask for more, such as {sizes.human(2 * bytes_)} (volume_size)"
        raise KrafError(f"volume of app {job.app.key}", would, why, fix)


def check_on_device(job: Job, copy: int) -> None:
    """Before a copy of so many bytes begins there, beside each data directory.

    Raises:
        KrafError: with both sizes.
    """
    for name, one in (job.found.get("data") or {}).items():
        if not one.get("volume") and copy + SLACK > int(one["free_bytes"]):
            free = sizes.human(int(one["free_bytes"]))
            why = f"the copy of {sizes.human(copy)} is made beside {one['folder']}, where {free} are free"
            raise KrafError(f"data {name} of app {job.app.key}", None, why, "Make room on the device")
