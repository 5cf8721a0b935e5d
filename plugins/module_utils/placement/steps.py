# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the rows of the protocol's table do: one method a row, by the row itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Callable

from ..catalog.records import SERVICE
from ..cluster.kinds import SECRET
from ..core import sizes
from ..core.errors import KrafError
from ..manifests import standby
from ..manifests.mover import Mover
from ..manifests.workload import nodes
from ..migration import table
from ..migration.table import Step
from ..migration.world import DEVICE, EDGE
from ..on_device.manifest import SMALL
from . import disks, kinds, portability, room, verdicts
from . import mover as movers
from .edge import Edge
from .job import Background, Job
from .mover import MoverPod
from .records import Records
from .runs import Runs
from .wanted import Wanted


def progress(text: str, total: int) -> str:
    """How far the first copy is, for a person.

    Args:
        text: of the device: bytes done, and seconds since it began.
        total: bytes of the data.
    """
    found = re.fullmatch(r"([0-9]+) ([0-9]+(?:\.[0-9]+)?)", text.strip())
    if not found or not total:
        return "first copy goes on"
    done, seconds = min(int(found[1]), total), float(found[2])
    left = f", about {seconds * (total - done) / done:.0f} s left" if done else ""
    return f"first copy {100 * done // total:3d} %, {sizes.human(done)} of {sizes.human(total)}{left}"


class Steps:
    """The steps of one run for one app; those of one kind of walk alone stand with it.

    Args:
        job: what they share.
        records: Placement and Migration of the app.
        edge: the app at the edge.
    """

    def __init__(self, job: Job, records: Records, edge: Edge) -> None:
        self.job, self.records, self.edge = job, records, edge
        self.runs = Runs(job, records, edge)
        self.wanted = Wanted(job)
        self.mover: MoverPod | None = None
        self.perform: Mapping[Step, Callable[[], None]] = {
            table.DESCRIBE: self.describe,
            table.PREPARE_EDGE: self.prepare_edge,
            table.PREPARE_DEVICE: self.prepare_device,
            table.HOLD: lambda: self._await("held", put="go"),
            table.STOP_DEVICE: lambda: self._await("halted"),
            table.FENCE: lambda: self._mark(self.job.epoch + 1),
            table.STOP_EDGE: self.stop_edge,
            table.GONE: lambda: self.edge.gone(self.job.limits.wait),
            table.COPY: self.copy,
            table.COMPARE: lambda: self._await("ready", put="disarm"),
            table.COMMIT: self.commit,
            table.START_EDGE: self.start_edge,
            table.READY_EDGE: self.ready_edge,
            table.RELEASE_EDGE: self.join,
            table.START_DEVICE: self.start_device,
            table.RELEASE_DEVICE: self.join,
            table.CONFIRM: self.confirm,
            table.RECONCILE: self.reconcile,
            table.SETTLE_ASIDE: self.settle_aside,
            table.PLACE: self.place,
            table.OVER_START_EDGE: self.over_start_edge,
            table.OVER_READY_EDGE: lambda: self.edge.ready(self.job.epoch + 1, self.job.limits.wait),
            table.OVER_COMMIT: self.commit,
            table.OVER_RELEASE_EDGE: lambda: self._take(self.job.on_device("switch", EDGE, self.job.epoch + 1)),
            table.OVER_START_DEVICE: lambda: self._take(self.job.on_device("start_beside", EDGE)),
            table.OVER_RELEASE_DEVICE: lambda: self._take(self.job.on_device("switch", DEVICE, self.job.epoch + 1)),
            table.OVER_STOP_EDGE: self.edge.stop,
            table.FINISH: self.runs.finish,
            table.JOB_START_EDGE: self.start_job,
            table.JOB_READY_EDGE: self.ready_edge,
            table.JOB_RELEASE_EDGE: self.join,
            table.JOB_START_DEVICE: self.start_device,
            table.JOB_RELEASE_DEVICE: self.join,
            table.JOB_CONFIRM: self.confirm,
            table.SETTLE_UNSCHEDULE: self.stop_edge,
            table.SETTLE_DEVICE: self.settle_device,
            table.SETTLE_FENCE_DEVICE: lambda: self._take(self.job.on_device("fence_off", EDGE)),
            table.SETTLE_MARK: self.settle_mark,
            table.SETTLE_SCHEDULE: self.settle_schedule,
            table.SETTLE_READY: self.settle_ready,
            table.SETTLE_RELEASE: lambda: self._take(self.job.on_device("settle", EDGE)),
            table.OVER_SETTLE_EDGE: lambda: self._take(self.job.on_device("switch", EDGE)),
            table.OVER_SETTLE_DEVICE: lambda: self._take(self.job.on_device("switch", DEVICE)),
            table.SETTLE_CLOSE: self.close,
            table.GIVE_BACK_HOLD: lambda: self._take(self.job.on_device("still_held", EDGE, self.job.epoch)),
            table.GIVE_BACK_FENCE: lambda: self._mark(self.job.epoch + 2),
            table.GIVE_BACK_STOP: self.give_back_stop,
            table.GIVE_BACK_COMMIT: lambda: self._commit(DEVICE, self.job.tree),
            table.GIVE_BACK_UNSTART: lambda: self._take(self.job.on_device("still_held", DEVICE, self.job.epoch)),
            table.GIVE_BACK_TO_EDGE: lambda: self._commit(EDGE, self.job.tree),
        }

    # -- before anything is changed -----------------------------------------------------------------------------------

    def compare(self) -> None:
        """What is another at the edge."""
        job = self.job
        job.report = kinds.of(job.app).examine(job.app, job.found, job.accept)

    def describe(self) -> None:
        """What runs, and whether it can move.

        Raises:
            KrafError: naming what cannot.
        """
        job = self.job
        missing = job.look.get("missing") or []
        if missing:
            fix = "Run the playbook kraf.edge.device for it"
            raise KrafError(f"device {job.device.name}", None, f"it lacks {', '.join(missing)}", fix)
        if job.app.job:
            self.runs.check()
        self.compare()
        # What the edge does not give is no reason to keep the app there.
        verdicts.refuse(job.app, job.report if job.to == EDGE else portability.returning(job.found))
        if job.to == EDGE:
            disks.check(job)
            job.report += [one for each in self.wanted.choices() for one in each.report]
            room.check_at_edge(job)
            if not job.run:
                # Once, before anything is changed.
                self.edge.check(self.wanted.proof())
        else:
            self._container_is_there()
        for one in () if job.run else job.disks:
            job.say(f"data {one.name}: nothing is copied, it lies on the volume {one.volume}")

    def _container_is_there(self) -> None:
        record = self.job.look.get("record") or {}
        wanted, found = record.get("container_id"), self.job.found.get("id")
        if wanted and wanted != found:
            why = f"the one that was moved had the id {str(wanted)[:12]}, this one has {str(found)[:12]}"
            fix = "Remove this one, or move the app's record; the app's data at the edge are untouched"
            raise KrafError(f"container of app {self.job.app.key}", self.job.container, why, fix)

    # -- prepare ------------------------------------------------------------------------------------------------------

    def prepare_edge(self) -> None:
        """Everything that can be done while the app runs."""
        job, epoch = self.job, self.job.epoch + 1
        self.wanted.volume()
        workload = self.wanted.workload(epoch, epoch)
        self.edge.place(workload, job.seen.workload, job.limits.wait)
        if job.app.kind != SERVICE:
            # It is suspended: the mover is the first pod that the volume meets.
            self.start_mover("", job.image, nodes(workload))
        else:
            self.start_mover(self.edge.scheduled(epoch, job.limits.wait), job.image)
            self.edge.gated(epoch, job.limits.wait)
        self.outrun()
        job.data_bytes = job.device_bytes
        self.begin("move_to_edge")

    def outrun(self) -> None:
        """A first Placement counts its runs anew, but the volume may be of one that was deleted.

        Raises:
            KrafError: before anything is held, when the volume's marker would refuse this run; not the next one.
        """
        job = self.job
        if self.mover is None or not job.app.data or job.placed.epoch > 1:
            return
        before = self.mover.marked()
        if before > job.run:
            job.placement = self.records.stamp(job.placed, before, job.holder)
            why = f"its marker is of run {before}, of a Placement that was deleted; this is run {job.run}"
            raise KrafError(
                f"volume of app {job.app.key}", None, why, "Run it again: the next run counts on from there"
            )

    def prepare_device(self) -> None:
        """The same on the way back."""
        job = self.job
        if job.app.cron:
            job.say("no slot begins at the edge from here on; waiting for the end of one that has begun")
            self.runs.suspend()
            self.runs.keep_last()
        mover = self.start_mover(job.seen.node)
        if job.app.data:
            job.data_bytes = mover.bytes_of(job.tree)
            room.check_on_device(job, job.data_bytes)
            if job.data_bytes >= SMALL:
                mover.remember(job.tree)
        self.begin("move_to_device")

    def begin(self, step: str) -> None:
        """The device's part, which goes on by itself; until its first copy is there."""
        job = self.job
        job.background = Background(lambda: job.on_device(step))
        self._await("prepared", limit=job.limits.copy, told=lambda text: job.say(progress(text, job.data_bytes)))

    def start_mover(self, node: str, app_image: str = "", fits: Mapping[str, Any] | None = None) -> MoverPod:
        """The run's mover, on a node if one is named, else on one that fits; the app's image is there before it is
        needed."""
        job = self.job
        if self.mover is not None:
            return self.mover
        wanted = Mover(
            job.device.name,
            job.device.uid,
            job.app.name,
            job.epoch,
            job.run,
            job.site.image,
            job.token,
            app_image,
            node,
            bool(job.app.data),
            fits or {},
            job.disks,
            tuple(self.wanted.images[1:]) if app_image else (),
        )
        self.mover = MoverPod(job.cluster, wanted)
        self.mover.start(job.limits.wait)
        return self.mover

    # -- while clients wait -------------------------------------------------------------------------------------------

    def copy(self) -> None:
        """Until the device has copied and compared; on the way back, once the edge has stopped."""
        if self.job.to == DEVICE and self.mover is not None:
            for disk in self.job.disks:
                disks.warn(self.job, disk, self.mover.show(disk))
            if self.job.app.data:
                self.mover.stopped(self.job.tree)
            else:
                self.mover.say("stopped", "{}")
        elif self.job.disks and self.mover is not None:
            self._await("unmounted")
            for disk in self.job.disks:
                disks.refuse_differing(self.job, disk, self.mover.differing(disk))
            self.mover.say("compared")
        self._await("verified", limit=self.job.limits.copy)

    def commit(self) -> None:
        """The one write that decides."""
        self._commit(self.job.to, self.job.epoch + 1 if self.job.to == EDGE and self.job.app.data else self.job.tree)

    def _commit(self, owner: str, tree: int) -> None:
        self.job.placement = self.records.commit(self.job.placed, owner, tree)

    def stop_edge(self) -> None:
        """The workload away."""
        if self.job.app.cron:
            self.runs.suspend()
        self.edge.stop()

    def start_edge(self) -> None:
        """The app's volumes are the edge's alone, then the marker."""
        disks.take(self.job)
        self._mark(self.job.epoch + 1, put="committed")

    def start_device(self) -> None:
        """The app's volumes are served to the device again, then it may start."""
        self._give_disks()
        self._await("answers", put="committed")

    def _give_disks(self) -> None:
        """Of volumes that are served already nothing is asked."""
        held = disks.held(self.job)
        if held:
            mover = self.start_mover(self.job.seen.node)
            for one in held:
                mover.give(one)
            disks.give(self.job, held)

    def start_job(self) -> None:
        """The marker, then the Job: its first pod meets an open gate."""
        self.start_edge()
        self.edge.resume()

    def ready_edge(self) -> None:
        """Until the app answers; whether one without ports runs, only the cluster can tell."""
        if not self.job.app.ports and self.mover is not None:
            self.edge.ready(self.job.epoch + 1, self.job.limits.wait)
            self.mover.say("running")
        self._await("answers")

    def join(self) -> None:
        """The end of the device's part."""
        if self.job.background is None:
            raise KrafError("device", None, "its part of the move was not begun", "Run it again")
        self._take(self.job.background.result(self.job.limits.wait + 30))

    def _take(self, result: Mapping[str, Any]) -> None:
        self.job.look = {**self.job.look, "record": result.get("record") or self.job.look.get("record")}
        self.job.clock = dict(result.get("clock") or self.job.clock)
        self.job.copied = dict(result.get("copied_bytes") or self.job.copied)
        self.job.diverged = dict(result.get("diverged") or self.job.diverged)
        self.job.held_seconds = float(result.get("held_seconds") or self.job.held_seconds)
        if result.get("slot"):
            self.job.placement = self.records.begun(self.job.placed, int(result["slot"]))
        datagrams = result.get("datagrams") or {}
        if datagrams.get("dropped"):
            self.job.say(f"{datagrams['dropped']} datagrams were dropped, for more came than can wait on the device")

    def _await(self, name: str, put: str = "", limit: float = 0, told: Callable[[str], None] | None = None) -> None:
        if self.mover is None or self.job.background is None:
            raise KrafError("mover at the edge", None, "this run did not start it", "Run it again")
        self.mover.wait(name, limit or self.job.limits.wait, self.job.background.check, put, told)

    def _mark(self, epoch: int, put: str = "") -> None:
        if self.mover is None:
            raise KrafError("mover at the edge", None, "this run did not start it", "Run it again")
        if self.job.app.data:
            self.mover.mark(epoch, put)
            return
        there = self.job.to == EDGE and epoch == self.job.epoch + 1 and self.job.app.kind == SERVICE
        self.edge.open_gate(epoch, self.job.run, there=there)
        if put:
            self.mover.say(put)

    # -- apps that may run on both sides ------------------------------------------------------------------------------

    def place(self) -> None:
        """What the app needs at the edge before it starts there."""
        if self.job.to == EDGE:
            self.wanted.workload(self.job.epoch + 1, 0)

    def over_start_edge(self) -> None:
        """The workload beside the container."""
        epoch = self.job.epoch + 1
        self.edge.place(self.wanted.workload(epoch, 0), self.job.seen.workload, self.job.limits.wait)

    # -- the end ------------------------------------------------------------------------------------------------------

    def confirm(self) -> None:
        """Nothing of the move is left."""
        if self.mover is not None and self.job.app.data and self.job.to == EDGE:
            self.mover.purge(self.job.placed.tree)
        self.close()

    def close(self, told: bool = True) -> None:
        """Clear up and say so; a device that is lost has not been told."""
        if self.job.placed.owner == DEVICE:
            self.edge.clear()
        elif self.job.app.cron:
            # Only now: until the device has let go, a move can be given back, and no slot with it.
            self.edge.unsuspend(self.job.placed.slot)
        if self.job.was_ready and not self.job.placed.standby and told:
            # It was for an ownership that is over.
            self.job.cluster.delete(SECRET, standby.secret_name(self.job.app.name), self.records.namespace)
        movers.remove(self.job.cluster, self.job.device.name, self.job.app.name)
        self.mover = None
        self.job.placement = self.records.close(self.job.placed, told)

    # -- an edge that was lost ----------------------------------------------------------------------------------------

    def reconcile(self) -> None:
        """The Placement says what the device has done."""
        epoch = int((self.job.look.get("record") or {})["epoch"])
        self.job.placement = self.records.reconcile(self.job.placed, epoch)

    def settle_aside(self) -> None:
        """The edge's copy, with what was written there after the device's, keeps another name on the volume."""
        job = self.job
        if job.app.data and job.placed.tree:
            name = self.start_mover("").set_aside(job.placed.tree)
            job.say(f"the edge's copy of the data is kept on its volume, as {name}")
            job.placement = self.records.forget(job.placed, 0)

    # -- settle -------------------------------------------------------------------------------------------------------

    def settle_device(self) -> None:
        """The device has its volumes, then the rest of what is its own; how a job ended, from whichever run kept it."""
        self._give_disks()
        if self.job.app.kind != SERVICE:
            self.job.outcome = self.records.outcome(self.job.epoch)
        self._take(self.job.on_device("settle", DEVICE))

    def settle_mark(self) -> None:
        """The marker of the owner's epoch."""
        disks.take(self.job)
        if self.job.app.data:
            self.start_mover(self.job.seen.node).mark(self.job.epoch)
        else:
            self.edge.open_gate(self.job.epoch, self.job.run, there=False)

    def settle_schedule(self) -> None:
        """The owner's workload, if it is not there."""
        job = self.job
        if job.seen.workload != job.epoch:
            self.edge.place(self.wanted.workload(job.epoch, job.placed.tree), job.seen.workload, job.limits.wait)

    def settle_ready(self) -> None:
        """The gate opened for a pod that waits, then the app ready."""
        job = self.job
        if job.app.job:
            self.edge.resume()
        elif job.app.cron:
            return
        elif not job.app.data and not job.app.overlap:
            self.edge.gated(job.epoch, job.limits.wait)
            if not self.edge.look().passed:
                self.edge.open_gate(job.epoch, job.run, there=True)
        self.edge.ready(job.epoch, job.limits.wait)

    # -- give back ----------------------------------------------------------------------------------------------------

    def give_back_stop(self) -> None:
        """The workload away before its owner is given back; the gate is shut by now."""
        if self.job.app.job:
            seen = self.edge.look()
            if seen.passed or seen.ended:
                why = "it has begun at the edge meanwhile, and is left to end there"
                raise KrafError(f"job {self.job.app.key}", None, why, "Run it again; it goes on from there")
        self.stop_edge()
