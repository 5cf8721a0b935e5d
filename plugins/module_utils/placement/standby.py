# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Walks that move nothing: the edge is kept ready to take over an app, or is no longer."""

from __future__ import annotations

import contextlib
from typing import Any

from ..catalog.records import SERVICE
from ..core.errors import KrafError
from ..migration import table
from ..migration.world import EDGE
from ..storage import namespaces
from .walk import Walk


class Standby(Walk):
    """One app of a device: a verified copy of its data at the edge, and all that it would run with there."""

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
