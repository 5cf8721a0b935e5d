# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Walks the protocol's table for one app: recover, lock, settle, then the steps to the other side."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Callable

from ..core import names
from ..core.errors import KrafError
from ..migration import table
from ..migration.table import Step
from ..migration.world import HELD, READY, World
from ..storage import namespaces
from . import fault, reading, verdicts
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
        self.done: list[dict[str, Any]] = []
        self._left = False
        lock = names.workload(job.app.name)
        self.lease = Lease(job.cluster, self.records.namespace, lock, self.records.labels, job.holder)

    def run(self, check_mode: bool) -> dict[str, Any]:
        """Move the app.

        Returns:
            The app's row of the module's result.

        Raises:
            KrafError: when it could not be moved; it then runs where it ran, or the error says what is left to do.
        """
        job = self.job
        state = self._recover(fresh=True)
        if table.settled(state):
            if state.owner == job.to:
                return self._report(changed=False)
            self.steps.describe()
        if check_mode:
            return self._report(changed=True, plan=table.describe(self._plan(state)))
        namespaces.ensure(job.cluster, job.device.name, job.device.uid, False)
        self._lock()
        try:
            return self._move()
        finally:
            with contextlib.suppress(KrafError):  # it lapses by itself
                self.lease.release()

    def _plan(self, state: World) -> tuple[Step, ...]:
        settling = () if table.settled(state) else table.settle(state.owner, self.job.app.overlap)
        moving = () if state.owner == self.job.to else table.plan(self.job.to, self.job.app.overlap)
        return (*table.OPENING, *settling, *moving)

    def _recover(self, fresh: bool) -> World:
        """Read both sides and conclude."""
        job = self.job
        with self._timed(table.RECOVER, fresh):
            job.placement = self.records.read()
            job.seen = self.edge.look()
            data = [{"name": one.name, "path": one.path} for one in job.app.data]
            job.look = job.call("look", app=job.app.name, container=job.container, data=data, secrets=True)
            state = self._world()
            reading.check(job.app.key, job.placement, state, job.seen)
            job.epoch, job.tree = job.placed.epoch, job.placed.tree
        return state

    def _world(self) -> World:
        job = self.job
        return reading.world(job.placement, job.seen, job.look, job.app.overlap, bool(job.app.ports))

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
        # The stamp has opened it; what counts is whether an earlier run left anything.
        state = replace(self._world(), open=self._left)
        changed = not table.settled(state)
        if changed:
            self._settle(state)
        if job.placed.owner == job.to:
            if not changed:
                job.placement = self.records.close(job.placed)
            return self._report(changed)
        self.steps.describe()
        if changed:
            job.placement = self.records.stamp(job.placed, job.run, job.holder)
        self.records.begin(job.to, job.epoch + 1, job.holder, verdicts.stored(job.report))
        try:
            self._walk(table.plan(job.to, job.app.overlap))
        except KrafError as error:
            self._undo(error)
            raise
        self.records.note(job.placed.epoch, result=DONE, heldSeconds=job.held_seconds, image=job.image)
        return self._report(changed=True)

    def _settle(self, state: World) -> None:
        self._walk(table.settle(state.owner, self.job.app.overlap))
        self._recover(fresh=False)

    def _walk(self, steps: Sequence[Step]) -> None:
        for step in steps:
            self.lease.check()
            with fault.around(step), self._timed(step):
                self.steps.perform[step]()

    @contextlib.contextmanager
    def _timed(self, step: Step, told: bool = True) -> Iterator[None]:
        begin, before = time.monotonic(), self.job.cluster.requests
        yield
        seconds, requests = round(time.monotonic() - begin, 3), self.job.cluster.requests - before
        self.done.append({"step": step.name, "where": step.where, "seconds": seconds, "requests": requests})
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
            if (state.owner, state.epoch) == (to, epoch + 1) and state.record_phase == READY and state.forward == HELD:
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
            "clock": job.clock,
            "steps": self.done,
            "portability": job.report,
            "requests": job.cluster.requests,
        }
        if plan is not None:
            report["plan"] = plan
        return report
