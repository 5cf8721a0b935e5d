# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs of a job or a cronjob at the edge, as far as a move has to do with them: they end first, and how is kept."""

from __future__ import annotations

from ..core.errors import KrafError
from ..migration.world import DEVICE, EDGE
from .edge import Edge
from .job import Job
from .outcome import Outcome
from .records import Records


class Runs:
    """The runs of one app.

    Args:
        job: the app on its way.
        records: Placement and Migration of the app.
        edge: the app at the edge.
    """

    def __init__(self, job: Job, records: Records, edge: Edge) -> None:
        self.job, self.records, self.edge = job, records, edge

    def check(self) -> None:
        """A job moves while it is at rest: it is not stopped halfway, on neither side, unless that is asked for.

        Raises:
            KrafError: when it is not.
        """
        job = self.job
        if job.to == EDGE and job.found.get("running"):
            why = f"its container {job.container} runs on the device, and would begin anew at the edge"
            raise KrafError(f"job {job.app.key}", None, why, "Wait until it has ended, or stop it (docker stop)")
        if job.to == DEVICE and job.limits.job <= 0 and not job.limits.kill:
            self._refuse_running(self.edge.account())

    def _refuse_running(self, seen: Outcome | None) -> None:
        if seen is not None and not seen.over:
            since = f"it has run for {seen.seconds():.0f} s" if seen.started else "it has not begun yet"
            fix = "Wait for it (job_timeout), or have it ended unfinished (job_kill); it goes on meanwhile"
            raise KrafError(f"job {self.job.app.key} at the edge", None, f"{since} and has not ended", fix)

    def finish(self) -> None:
        """Wait for a job's end, and keep what it leaves beside its files before anything of it is taken away."""
        job = self.job
        before = self.edge.account()
        if before is not None and not before.over:
            # If it does not end by itself, Kubernetes takes its pod away, and its log with it.
            self._keep(before)
            job.say(f"the job has run for {before.seconds():.0f} s; waiting up to {job.limits.job:.0f} s for its end")
            if not self.edge.finish(job.limits.job):
                before = self.edge.account()
                if not job.limits.kill:
                    self._refuse_running(before)
                if before is not None:
                    self._keep(before)
                self.edge.kill()
        # Before its data are read: the Job may count as ended while its pod still writes.
        self.edge.rest(job.limits.wait)
        found = self.edge.account()
        if found is None:
            fix = "Run it again: the job is then made again, and its runs are counted on its volume"
            raise KrafError(f"job {job.app.key} at the edge", None, "its Job is gone", fix)
        if not found.log:
            found = found.completed(self.records.outcome(job.epoch + 1))
        self._keep(found)

    def _keep(self, found: Outcome) -> None:
        """For the device, and in the Migration for whoever goes on from here."""
        self.job.outcome = found
        self.records.note(self.job.epoch + 1, job=found.stored())

    def suspend(self) -> None:
        """Write down which slot a cronjob has begun last at the edge, before anything takes that away."""
        self.job.placement = self.records.begun(
            self.job.placed, self.edge.suspend(self.job.limits.job, self.job.limits.kill)
        )

    def keep_last(self) -> None:
        """How a cronjob's last run has ended, before it is taken away; an earlier try may have done that."""
        found = self.edge.last_run()
        if found is None:
            self.job.outcome = self.records.outcome(self.job.epoch + 1)
        else:
            self._keep(found)
