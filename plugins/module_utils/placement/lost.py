# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The walk for an app whose device is lost: the edge takes over from the last verified copy, the device is not asked.

The operator says that the device does not run. Nobody can prove it, so the Placement says whom nobody has told, and the
device finds its epoch old when it comes back (``on_device/takeover``, and the first step of the next run).
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any, Callable

from ..catalog.records import SERVICE
from ..cluster.kinds import SECRET
from ..core.errors import KrafError
from ..manifests import standby
from ..manifests.workload import Workload
from ..migration import table
from ..migration.table import Step
from ..migration.world import DEVICE, EDGE
from . import disks, outcome
from .records import DONE, FAILED, expired
from .walk import Walk

FIX = "Run the playbook kraf.edge.standby for it while its device answers"


def age(placed: Mapping[str, Any], now: datetime | None = None) -> float:
    """Seconds since a standby's copy was verified, by the clocks of the controllers of then and now."""
    made = outcome.parsed(str(placed["verified"]))
    return round(((now or datetime.now(timezone.utc)) - made).total_seconds(), 1)


class LostDevice(Walk):
    """One app of a device that is lost, to the edge. No step calls the device."""

    def _own(self) -> Mapping[Step, Callable[[], None]]:
        return {
            table.LOST_PREPARE: self._prepare,
            table.LOST_COMMIT: self._commit,
            table.START_EDGE: lambda: self._open_gate(self.job.epoch + 1),
            table.LOST_READY: lambda: self.edge.ready(self.job.epoch + 1, self.job.limits.wait),
            table.SETTLE_MARK: lambda: self._open_gate(self.job.epoch, wait=False),
            table.SETTLE_SCHEDULE: self._schedule,
            table.LOST_SETTLE_READY: self.steps.settle_ready,
            table.LOST_CLOSE: lambda: self.steps.close(told=False),
        }

    def run(self, check_mode: bool) -> dict[str, Any]:
        """Let the edge take over.

        Returns:
            The app's row of the module's result; with ``copy_age_seconds``.

        Raises:
            KrafError: when the edge is not ready to, or the app does not start there. In the latter case the edge
                owns it, and the same call goes on.
        """
        job = self.job
        if job.app.kind != SERVICE:
            fix = "Run it at the edge from another device, or wait for this one"
            raise KrafError(f"kind of app {job.app.key}", job.app.kind, "a job at rest cannot be taken over", fix)
        self._look()
        if job.placed.owner == EDGE and self._runs() and not job.placed.open:
            return self._report(changed=False)
        if job.placed.owner == DEVICE:
            self._refuse_unready()
        plan = (*table.OPENING, *table.device_lost(job.placed.owner, job.app.overlap))
        if check_mode:
            return self._report(changed=True, plan=table.describe(plan))
        self._announce(plan)
        with self._locked():
            return self._take_over()

    def _look(self) -> None:
        job = self.job
        with self._timed(table.RECOVER):
            job.placement = self.records.read()
            if job.placement is None:
                why = "it was never moved and the edge was never made ready for it"
                raise KrafError(f"app {job.app.key}", None, why, FIX)
            job.seen = self.edge.look()
            job.epoch, job.tree = job.placed.epoch, job.placed.tree
            job.was_ready = bool(job.placed.standby or job.placed.lost)

    def _runs(self) -> bool:
        seen = self.job.seen
        return seen.workload == seen.pod == self.job.epoch and seen.passed

    def _refuse_unready(self) -> None:
        """Only what was verified can be gone on from."""
        job, known = self.job, self.job.placed.standby
        if not known or int(known.get("epoch") or 0) != job.epoch:
            raise KrafError(f"app {job.app.key}", None, "the edge is not kept ready for it", FIX)
        if job.app.data and not job.tree:
            raise KrafError(f"data of app {job.app.key}", None, "there is no copy of them at the edge", FIX)
        job.copy_age = age(known)
        late = " and is past its time" if expired(known) else ""
        self._say(f"the copy at the edge was verified {job.copy_age:.0f} s ago ({known['verified']}){late}")

    def _lock(self) -> None:
        job = self.job
        with self._timed(table.LOCK):
            number = self.lease.acquire(job.limits.lock, self._say)
            self._look()
            # What the device has heard of cannot be asked; the standby's run is in the Placement.
            job.run = max(number, job.placed.run + 1)
            job.placement = self.records.stamp(job.placed, job.run, job.holder)

    def _take_over(self) -> dict[str, Any]:
        job, owner = self.job, self.job.placed.owner
        if owner == DEVICE:
            self._refuse_unready()
            self.records.begin(EDGE, job.epoch + 1, job.holder, [])
        try:
            self._walk(table.device_lost(owner, job.app.overlap))
        except KrafError as error:
            self._call_off(str(error))
            with contextlib.suppress(KrafError):
                self.records.note(job.epoch + 1, result=FAILED, message=str(error))
            raise
        if owner == DEVICE:
            said = f"the device was declared lost; the edge went on from a copy verified {job.copy_age:.0f} s before"
            self.records.note(job.placed.epoch, result=DONE, image=job.image, message=said)
        return self._report(changed=True)

    def _stored(self) -> Workload:
        job = self.job
        found = job.cluster.get(SECRET, standby.secret_name(job.app.name), self.records.namespace)
        if found is None:
            why = f"the Secret {standby.secret_name(job.app.name)} with what it runs with is gone"
            raise KrafError(f"app {job.app.key}", None, why, FIX)
        stored = standby.read(found)
        job.image, job.disks = stored.image, stored.disks
        return stored

    def _prepare(self) -> None:
        job = self.job
        wanted = replace(self._stored(), epoch=job.epoch + 1, tree=job.tree)
        for disk in wanted.disks:
            self._say(f"data {disk.name}: on the volume {disk.volume}; what davfs2 on the device had not sent is lost")
        self.edge.place(wanted, job.seen.workload, job.limits.wait)

    def _commit(self) -> None:
        self.job.placement = self.records.commit(self.job.placed, EDGE, self.job.tree, lost=DEVICE)

    def _open_gate(self, epoch: int, wait: bool = True) -> None:
        job = self.job
        disks.take(job)
        if job.app.data:
            self.steps.start_mover(job.seen.node).mark(epoch)
            return
        if wait:
            self.edge.gated(epoch, job.limits.wait)
        self.edge.open_gate(epoch, job.run, there=wait)

    def _schedule(self) -> None:
        job = self.job
        if job.seen.workload != job.epoch:
            wanted = replace(self._stored(), epoch=job.epoch, tree=job.tree)
            self.edge.place(wanted, job.seen.workload, job.limits.wait)

    def _report(self, changed: bool, plan: list[dict[str, object]] | None = None) -> dict[str, Any]:
        job = self.job
        ports = [f"{self.edge.name}.{self.edge.namespace}.svc:{port.port}" for port in job.app.ports]
        return {**super()._report(changed, plan), "address": ", ".join(ports)}


class LostEdge(Walk):
    """One app of an edge that is lost, to its device. Without an API server the device alone decides, and the Placement
    learns of it when the edge is back (``Walk``, first step)."""

    def _own(self) -> Mapping[Step, Callable[[], None]]:
        return {table.EDGE_LOST_STOP: self.edge.stop, table.EDGE_LOST_START: self._start}

    @property
    def _reached(self) -> bool:
        return bool(self.job.site.doors)

    def run(self, check_mode: bool) -> dict[str, Any]:
        """Let the device take over.

        Returns:
            The app's row of the module's result; with ``copy_age_seconds``.

        Raises:
            KrafError: when the app answers at the edge, or does not start here.
        """
        job = self.job
        if job.app.kind != SERVICE:
            fix = "Bring the edge back, or register the job under another name to run it again"
            raise KrafError(f"kind of app {job.app.key}", job.app.kind, "a job may have run at the edge already", fix)
        with self._timed(table.RECOVER):
            data = job.app.places()
            job.look = job.call("look", app=job.app.name, container=job.container, data=data)
        record = job.look.get("record") or {}
        if record.get("owner", DEVICE) == DEVICE and record.get("phase", "idle") == "idle":
            return self._report(changed=False)
        plan = table.edge_lost(self._reached)
        if check_mode:
            return self._report(changed=True, plan=table.describe((table.RECOVER, *plan)))
        self._announce((table.RECOVER, *plan))
        if not self._reached:
            self._say("the API server does not answer: the device decides alone")
            job.run, job.epoch = int(record["fence"]) + 1, 0
            for step in plan:
                with self._timed(step):
                    self._perform[step]()
            return self._report(changed=True)
        with self._locked():
            self._walk(plan)
            said = "the edge was declared lost; the device went on from its own copy"
            self.records.note(job.epoch + 1, result=DONE, message=said)
        return self._report(changed=True)

    def _lock(self) -> None:
        job = self.job
        with self._timed(table.LOCK):
            number = self.lease.acquire(job.limits.lock, self._say)
            job.placement = self.records.read()
            if job.placed.owner != EDGE:
                why, fix = "its Placement says that the device owns it", "Run it again without edge_lost"
                raise KrafError(f"app {job.app.key}", None, why, fix)
            heard = int((job.look.get("record") or {}).get("fence", 0))
            job.run = max(number, heard + 1, job.placed.run + 1)
            job.placement = self.records.stamp(job.placed, job.run, job.holder)
            job.epoch = job.placed.epoch
        self.records.begin(DEVICE, job.epoch + 1, job.holder, [])

    def _start(self) -> None:
        result = self.job.on_device("take_over")
        self.job.copy_age = result.get("copy_age_seconds")
        self.job.look = {**self.job.look, "record": result["record"]}

    def _report(self, changed: bool, plan: list[dict[str, object]] | None = None) -> dict[str, Any]:
        record = self.job.look.get("record") or {}
        owner, epoch = str(record.get("owner", DEVICE)), int(record.get("epoch", 1))
        return {**super()._report(changed, plan), "owner": owner, "epoch": epoch}
