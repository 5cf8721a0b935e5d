# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Walks the protocol's table for one app: recover, lock, settle, then the steps to the other side."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Callable

from ..core import names
from ..core.errors import KrafError
from ..migration import table
from ..migration.table import Step
from ..migration.world import DEVICE, EDGE, World
from ..storage import namespaces
from . import disks, fault, reading, summary, verdicts
from .edge import Edge
from .job import Job
from .lease import Lease
from .records import DONE, FAILED, UNDONE, Records
from .steps import Steps


class Walk:
    """One app, from wherever it is to where it is to be.

    Args:
        job: the app and all that a run needs.
        say: told each step as it is done.
    """

    def __init__(self, job: Job, say: Callable[[str], None]) -> None:
        self.job = job
        self._say = job.say = say
        self.records = Records(job.cluster, job.device.name, job.device.uid, job.app.name)
        self.edge = Edge(job.cluster, job.app, job.device.uid)
        self.steps = Steps(job, self.records, self.edge)
        self._perform = {**self.steps.perform, **self._own()}
        self.done: list[dict[str, Any]] = []
        self._left = False
        lock = names.workload(job.app.name)
        self.lease = Lease(job.cluster, self.records.namespace, lock, self.records.labels, job.holder)

    def _own(self) -> Mapping[Step, Callable[[], None]]:
        """Steps of this kind of walk, beside the common ones and in their place."""
        return {}

    def run(self, check_mode: bool) -> dict[str, Any]:
        """Move the app.

        Returns:
            The app's row of the module's result.

        Raises:
            KrafError: when it could not be moved; it then runs where it ran, or the error says what is left to do.
        """
        job = self.job
        state = self._recover(fresh=True)
        if state.owner == DEVICE and (job.look.get("container") or {}).get("absent"):
            # Of a group that is not whole nothing is started, stopped, or made at the edge.
            self.steps.describe()
        if table.settled(state) and state.owner == job.to:
            return self._report(changed=False)
        if state.owner != job.to:
            if table.at_rest(state):
                self.steps.describe()
            elif check_mode:
                # Whether it can move shows once it is settled.
                self.steps.compare()
        plan = self._plan(state)
        if check_mode:
            return self._report(changed=True, plan=table.describe(plan))
        self._announce(plan)
        namespaces.ensure(job.cluster, job.device.name, job.device.uid, False)
        with self._locked():
            return self._move()

    def _plan(self, state: World) -> tuple[Step, ...]:
        settling = self._settling(state)
        moving = () if state.owner == self.job.to else table.plan(self.job.to, self.job.app.overlap, self.job.app.job)
        return (*table.OPENING, *settling, *moving)

    def _announce(self, steps: Sequence[Step]) -> None:
        """Say what is done before it is."""
        for line in summary.planned(table.describe(steps)):
            self._say(line)

    def _settling(self, state: World) -> tuple[Step, ...]:
        if table.settled(state):
            return ()
        overlap, lost = self.job.app.overlap, self.job.placed.lost
        if table.took_over(state, state.epoch):
            return (table.RECONCILE, *table.settle(DEVICE, overlap, EDGE))
        return table.settle(state.owner, overlap, lost)

    def _recover(self, fresh: bool) -> World:
        """Read both sides and conclude."""
        job = self.job
        with self._timed(table.RECOVER, fresh):
            job.placement = self.records.read()
            job.seen = self.edge.look()
            data = job.app.places()
            job.look = job.call("look", app=job.app.name, container=job.container, data=data, secrets=True)
            reading.same_kind(job.app, job.look)
            state = self._world()
            reading.check(job.app.key, job.placement, state, job.seen)
            job.epoch, job.tree = job.placed.epoch, job.placed.tree
            job.disks = disks.read(job.app, job.look, job.disks)
            job.was_ready = job.was_ready or bool(job.placed.standby or job.placed.lost)
        return state

    def _world(self) -> World:
        job = self.job
        return reading.world(job.placement, job.seen, job.look, job.app)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the app's Lease while the body runs."""
        try:
            self._lock()
            yield
        finally:
            with contextlib.suppress(KrafError):  # it lapses by itself
                self.lease.release()

    def _lock(self) -> None:
        job = self.job
        with self._timed(table.LOCK):
            before = job.placement
            number = self.lease.acquire(job.limits.lock, self._say)
            job.placement = self.records.read() or self.records.create(job.app.overlap)
            self._left = job.placement.open or self.lease.waited
            changed = before is not None and job.placement.version != before.version
            heard = int((job.look.get("record") or {}).get("fence", 0))
            # The Lease may be younger than what the device and the Placement remember.
            job.run = max(number, heard + 1, job.placement.run + 1)
            job.placement = self.records.stamp(job.placement, job.run, job.holder)
        if changed or self.lease.waited:
            # Someone was at work in between, or may still be: what was read before is worth nothing.
            self._recover(fresh=False)

    def _move(self) -> dict[str, Any]:
        job = self.job
        changed = self._settle_first()
        if job.placed.owner == job.to:
            if not changed:
                job.placement = self.records.close(job.placed)
            return self._report(changed)
        self.steps.describe()
        if changed:
            job.placement = self.records.stamp(job.placed, job.run, job.holder)
        self.records.begin(job.to, job.epoch + 1, job.holder, verdicts.stored(job.report))
        try:
            self._walk(table.plan(job.to, job.app.overlap, job.app.job))
        except KrafError as error:
            self._undo(error)
            raise
        self.records.note(job.placed.epoch, result=DONE, heldSeconds=job.held_seconds, image=job.image)
        return self._report(changed=True)

    def _settle_first(self) -> bool:
        """Bring what an earlier run left to its end; whether there was anything."""
        # The stamp has opened it; what counts is what was there before.
        state = replace(self._world(), open=self._left)
        if table.settled(state):
            return False
        if table.took_over(state, state.epoch):
            self._walk((table.RECONCILE,))
            state = self._recover(fresh=False)
        self._settle(state)
        return True

    def _settle(self, state: World) -> None:
        lost = self.job.placed.lost
        self._walk(table.settle(state.owner, self.job.app.overlap, lost))
        if lost == DEVICE:
            self._tell_divergence()
        self._recover(fresh=False)

    def _tell_divergence(self) -> None:
        """A device that was lost is back: what it wrote after the edge had taken over."""
        job = self.job
        files = [f"{name}: {', '.join(paths)}" for name, paths in sorted(job.diverged.items()) if paths]
        text = "the device is back, its container stays stopped"
        if files:
            text += f"; there it wrote after the copy that the edge went on from: {'; '.join(files)}"
        self._say(text)
        self.records.note(job.epoch, message=text)

    def _walk(self, steps: Sequence[Step]) -> None:
        for step in steps:
            self.lease.check()
            with fault.around(step), self._timed(step):
                self._perform[step]()

    @contextlib.contextmanager
    def _timed(self, step: Step, told: bool = True) -> Iterator[None]:
        cluster = self.job.cluster
        begin, requests, waits = time.monotonic(), cluster.requests, cluster.waits
        yield
        seconds = round(time.monotonic() - begin, 3)
        counted = {"requests": cluster.requests - requests, "waits": cluster.waits - waits}
        self.done.append({"step": step.name, "where": step.where, "seconds": seconds, **counted})
        if told:
            self._say(f"{step.name:<10} {seconds:7.2f} s  {step.does}")

    def _undo(self, error: KrafError) -> None:
        """Leave the app with an owner that runs it; what cannot be undone now is the next run's first step."""
        job = self.job
        epoch, to = job.epoch, job.to
        self._say(f"failed: {error}")
        self._call_off(str(error))
        try:
            self.lease.check()
            state = self._recover(fresh=False)
            if table.revocable(state, to, epoch):
                job.epoch = epoch
                self._walk(table.give_back(to))
                state = self._recover(fresh=False)
            if not table.settled(state):
                self._settle(state)
            kept = job.placed.owner == to
            self.records.note(epoch + 1, result=DONE if kept else UNDONE, message=str(error))
        except KrafError as further:
            error.facts["left"] = str(further)
            if self.lease.lost and self.steps.mover is not None:
                with contextlib.suppress(KrafError):  # the next run removes it
                    self.steps.mover.withdraw()
            with contextlib.suppress(KrafError):
                self.records.note(epoch + 1, result=FAILED, message=f"{error} {further}")

    def _call_off(self, why: str) -> None:
        """Tell the device, and wait until its part has ended."""
        job = self.job
        if job.background is None:
            return
        if self.steps.mover is not None and job.background.is_alive():
            with contextlib.suppress(KrafError):
                self.steps.mover.say("aborted", why)
        with contextlib.suppress(KrafError):
            job.background.result(job.limits.wait)
        job.background = None

    def _report(self, changed: bool, plan: list[dict[str, object]] | None = None) -> dict[str, Any]:
        job = self.job
        report: dict[str, Any] = {
            "app": job.app.key,
            "changed": changed,
            "owner": job.placed.owner,
            "epoch": job.placed.epoch,
            "address": ", ".join(
                f"{job.device.name}:{port.device_port}{'/udp' * (port.protocol == 'UDP')}" for port in job.app.ports
            ),
            "image": job.image,
            "held_seconds": job.held_seconds,
            "copied_bytes": job.copied,
            "pushed_bytes": job.pushed_bytes,
            "pushed_layers": job.pushed_layers,
            "clock": job.clock,
            "steps": self.done,
            "portability": job.report,
            "standby": dict(job.placed.standby),
            "lost": job.placed.lost,
            "diverged": job.diverged,
            "removed": job.removed,
            "disks": [{"name": one.name, "volume": one.volume, "node": one.node} for one in job.disks],
        }
        if job.copy_age is not None:
            report["copy_age_seconds"] = job.copy_age
        if plan is not None:
            report["plan"] = plan
        elif job.app.job and job.placed.owner == DEVICE:
            # Also of an earlier run, which may have been cut off before it could tell.
            found = job.outcome or self.records.outcome(job.placed.epoch)
            if found is not None:
                report.update(job=found.as_dict(), exit_code=found.exit_code, log=found.log.splitlines())
        return report
