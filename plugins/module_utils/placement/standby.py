# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Walks that move nothing: the edge is kept ready to take over an app, or is no longer."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any, Callable

from ..catalog.records import SERVICE, TIME
from ..cluster.converge import converge
from ..cluster.kinds import PERSISTENT_VOLUME_CLAIM, SECRET
from ..core import names
from ..core.errors import KrafError
from ..manifests import standby
from ..manifests.workload import nodes
from ..migration import table
from ..migration.table import Step
from ..migration.world import EDGE
from ..storage import namespaces
from .walk import Walk

TREES = 10**9
"""Copies of a standby are numbered from here on by their run, those of moves by their epoch."""


class Standby(Walk):
    """One app of a device: a verified copy of its data at the edge, and all that it would run with there."""

    def _own(self) -> Mapping[Step, Callable[[], None]]:
        return {
            table.STANDBY_PREPARE: self._prepare,
            table.STANDBY_COPY: self.steps.join,
            table.STANDBY_KEEP: self._keep_copy,
        }

    def run(self, check_mode: bool) -> dict[str, Any]:
        """Make the edge ready.

        Returns:
            The app's row of the module's result.

        Raises:
            KrafError: when it could not be made ready; the copy before stays the good one.
        """
        job = self.job
        if job.app.kind != SERVICE:
            fix = "Run it at the edge (playbook kraf.edge.job)"
            raise KrafError(f"kind of app {job.app.key}", job.app.kind, "a job at rest cannot be taken over", fix)
        job.to = EDGE
        state = self._recover(fresh=True)
        if table.settled(state) and state.owner == EDGE:
            return self._report(changed=False)
        self.steps.describe()
        plan = (*table.OPENING, *self._settling(state), *table.standby())
        if check_mode:
            return self._report(changed=True, plan=table.describe(plan))
        self._announce(plan)
        namespaces.ensure(job.cluster, job.device.name, job.device.uid, False)
        with self._locked():
            return self._keep()

    def _keep(self) -> dict[str, Any]:
        job = self.job
        changed = self._settle_first()
        if job.placed.owner == EDGE:
            job.placement = self.records.close(job.placed)
            return self._report(changed)
        self.steps.describe()
        if changed:
            job.placement = self.records.stamp(job.placed, job.run, job.holder)
        try:
            self._walk(table.standby())
        except KrafError as error:
            self._undo(error)
            raise
        return self._report(changed=True)

    def _prepare(self) -> None:
        """All that the edge needs to take over, and the first copy; the app goes on."""
        job, steps = self.job, self.steps
        steps.wanted.volume()
        if job.app.data:
            job.new_tree = TREES + job.run
        workload = steps.wanted.workload(job.epoch + 1, job.new_tree)
        node = "" if job.app.data else str(job.placed.standby.get("node") or "")
        mover = steps.start_mover(node, workload.image, nodes(workload))
        steps.outrun()
        # Each run has a number of its own: what failed ones have left would fill the volume.
        if job.app.data and mover.purge(job.placed.tree):
            job.placement = self.records.purged(job.placed)
        job.data_bytes = job.device_bytes
        steps.begin("keep_ready")

    def _keep_copy(self) -> None:
        """The verified copy is the good one, and what would run with it is known."""
        job, mover = self.job, self.steps.mover
        node = mover.node() if mover is not None else ""
        workload = self.steps.wanted.workload(job.epoch + 1, job.new_tree)
        converge(job.cluster, standby.objects(replace(workload, node="" if job.app.data else node)), False)
        now = datetime.now(timezone.utc)
        known = {"epoch": job.epoch, "node": node, "image": workload.image, "bytes": job.data_bytes}
        times = {"verified": now.strftime(TIME), "expires": (now + timedelta(seconds=job.limits.keep)).strftime(TIME)}
        job.placement = self.records.keep(job.placed, job.new_tree, {**known, **times})
        if mover is not None and job.app.data:
            mover.purge(job.new_tree)

    def _undo(self, error: KrafError) -> None:
        """The app was at most paused; the copy that was begun is not used."""
        self._say(f"failed: {error}")
        self._call_off(str(error))
        with contextlib.suppress(KrafError):  # the next run does it
            self.lease.check()
            state = self._recover(fresh=False)
            if not table.settled(state):
                self._settle(state)


class Abandon(Walk):
    """One app: what was prepared for it and is not used goes away, on both sides."""

    def _own(self) -> Mapping[Step, Callable[[], None]]:
        return {table.ABANDON_DEVICE: self._on_device, table.ABANDON_EDGE: self._at_edge}

    def run(self, check_mode: bool) -> dict[str, Any]:
        """Remove what is prepared; the app stays where it is.

        Returns:
            The app's row of the module's result.
        """
        job = self.job
        state = self._recover(fresh=True)
        if job.placement is None:
            return self._report(changed=False)
        settling = self._settling(state)
        plan = (*table.OPENING, *settling, *table.abandon())
        if check_mode:
            return self._report(changed=bool(job.placed.standby or settling), plan=table.describe(plan))
        self._announce(plan)
        with self._locked():
            changed = self._settle_first()
            if changed:
                job.placement = self.records.stamp(job.placed, job.run, job.holder)
            self._walk(table.abandon())
        return self._report(changed=changed or bool(job.removed))

    def _on_device(self) -> None:
        """Copies that were not used."""
        self.job.removed += self.job.on_device("abandon").get("removed") or []

    def _at_edge(self) -> None:
        """What the edge is kept ready with, and copies that are not the owner's."""
        job = self.job
        secret, claim = standby.secret_name(job.app.name), names.claim(names.workload(job.app.name))
        if job.cluster.get(SECRET, secret, self.records.namespace) is not None:
            job.cluster.delete(SECRET, secret, self.records.namespace)
            job.removed.append(f"Secret {secret}")
        good = job.placed.tree if job.placed.owner == EDGE else 0
        if job.app.data and job.cluster.get(PERSISTENT_VOLUME_CLAIM, claim, self.records.namespace) is not None:
            purged = self.steps.start_mover(job.seen.node).purge(good)
            job.removed += [f"copy {tree} on the volume" for tree in purged]
        if job.placed.standby or job.placed.tree != good or job.removed:
            job.placement = self.records.forget(job.placed, good)
