# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the rows of the protocol's table do: one method a row, by the row itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any, Callable

from ..catalog.records import SERVICE, TIME
from ..cluster.converge import converge
from ..cluster.errors import WaitTimeout
from ..cluster.kinds import PERSISTENT_VOLUME_CLAIM, SECRET
from ..core import names, sizes
from ..core.errors import KrafError
from ..manifests import standby
from ..manifests.mover import Mover
from ..manifests.volume import Volume
from ..manifests.workload import Workload, device_url, nodes
from ..migration import table
from ..migration.table import Step
from ..migration.world import DEVICE, EDGE
from ..on_device.manifest import SMALL
from ..storage import volumes
from ..storage.state import State, real, requested
from . import disks, edge_image, image, kinds, portability, verdicts
from . import mover as movers
from .edge import Edge
from .job import Background, Job
from .mover import MoverPod
from .outcome import Outcome
from .records import Records

SLACK = 32 * 2**20
"""Bytes that a volume needs beside the data: its file system's own, and what the app writes meanwhile."""


STANDBY_TREES = 10**9
"""Copies of a standby are numbered from here on by their run, those of moves by their epoch."""


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
    """The steps of one run for one app.

    Args:
        job: what they share.
        records: Placement and Migration of the app.
        edge: the app at the edge.
    """

    def __init__(self, job: Job, records: Records, edge: Edge) -> None:
        self.job, self.records, self.edge = job, records, edge
        self._kind = kinds.of(job.app)
        self.mover: MoverPod | None = None
        self._chosen: tuple[str, image.Choice] | None = None
        self._choices: list[image.Choice] = []
        self._images: list[str] = []
        self.perform: Mapping[Step, Callable[[], None]] = {
            table.DESCRIBE: self.describe,
            table.PREPARE_EDGE: self.prepare_edge,
            table.PREPARE_DEVICE: self.prepare_device,
            table.HOLD: lambda: self._await("held", put="go"),
            table.STOP_DEVICE: lambda: self._await("halted"),
            table.FENCE: lambda: self._mark(self.job.epoch + 1),
            table.STOP_EDGE: self.stop_edge,
            table.GONE: self._gone,
            table.COPY: self.copy,
            table.COMPARE: lambda: self._await("ready", put="disarm"),
            table.COMMIT: self.commit,
            table.START_EDGE: self.start_edge,
            table.READY_EDGE: self.ready_edge,
            table.RELEASE_EDGE: self.join,
            table.START_DEVICE: self.start_device,
            table.RELEASE_DEVICE: self.join,
            table.CONFIRM: self.confirm,
            table.STANDBY_PREPARE: self.standby_prepare,
            table.STANDBY_COPY: self.join,
            table.STANDBY_KEEP: self.standby_keep,
            table.RECONCILE: self.reconcile,
            table.SETTLE_ASIDE: self.settle_aside,
            table.ABANDON_DEVICE: self.abandon_device,
            table.ABANDON_EDGE: self.abandon_edge,
            table.PLACE: self.place,
            table.OVER_START_EDGE: self.over_start_edge,
            table.OVER_READY_EDGE: lambda: self.edge.ready(self.job.epoch + 1, self.job.limits.wait),
            table.OVER_COMMIT: self.commit,
            table.OVER_RELEASE_EDGE: lambda: self._take(self.job.on_device("switch", EDGE, self.job.epoch + 1)),
            table.OVER_START_DEVICE: lambda: self._take(self.job.on_device("start_beside", EDGE)),
            table.OVER_RELEASE_DEVICE: lambda: self._take(self.job.on_device("switch", DEVICE, self.job.epoch + 1)),
            table.OVER_STOP_EDGE: self.edge.stop,
            table.FINISH: self.finish,
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

    # -- before anything is changed ---------------------------------------------------------------------------------

    def compare(self) -> None:
        """What is another at the edge."""
        job = self.job
        job.report = self._kind.examine(job.app, job.found, job.accept)

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
            self._job_can_move()
        self.compare()
        # What the edge does not give is no reason to keep the app there.
        verdicts.refuse(job.app, job.report if job.to == EDGE else portability.returning(job.found))
        if job.to == EDGE:
            disks.check(job)
            choice = self._choice()
            job.report += [one for each in self._choices for one in each.report]
            self._room_at_edge()
            if not job.run:
                # Once, before anything is changed; the image need not be there to be judged.
                references = [one.reference or job.site.image for one in self._choices]
                self.edge.check(self._workload(choice, references, job.epoch + 1, 0))
        else:
            self._container_is_there()
        for one in () if job.run else job.disks:
            job.say(f"data {one.name}: nothing is copied, it lies on the volume {one.volume}")

    def _job_can_move(self) -> None:
        """A job moves while it is at rest: it is not stopped halfway, on neither side, unless that is asked for."""
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

    def _suspend(self) -> None:
        """Write down which slot a cronjob has begun last at the edge, before anything takes that away."""
        self.job.placement = self.records.begun(
            self.job.placed, self.edge.suspend(self.job.limits.job, self.job.limits.kill)
        )

    def _keep_last_run(self) -> None:
        """How a cronjob's last run has ended, before it is taken away; an earlier try may have done that."""
        found = self.edge.last_run()
        if found is None:
            self.job.outcome = self.records.outcome(self.job.epoch + 1)
        else:
            self._keep(found)

    def stop_edge(self) -> None:
        """The workload away."""
        if self.job.app.cron:
            self._suspend()
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
        disks.take(self.job)
        self._mark(self.job.epoch + 1, put="committed")
        self.edge.resume()

    def _container_is_there(self) -> None:
        record = self.job.look.get("record") or {}
        wanted, found = record.get("container_id"), self.job.found.get("id")
        if wanted and wanted != found:
            why = f"the one that was moved had the id {str(wanted)[:12]}, this one has {str(found)[:12]}"
            fix = "Remove this one, or move the app's record; the app's data at the edge are untouched"
            raise KrafError(f"container of app {self.job.app.key}", self.job.container, why, fix)

    def _room_at_edge(self) -> None:
        needed = self._needed()
        if needed > self.job.limits.volume_bytes:
            asked = sizes.human(self.job.limits.volume_bytes)
            why = (
                f"the app's data take {sizes.human(needed - SLACK)} with the copy before, the volume would have {asked}"
            )
            size = sizes.human(2 * needed)
            raise KrafError(
                f"volume of app {self.job.app.key}", asked, why, f"Ask for more, such as {size} (volume_size)"
            )

    def _needed(self) -> int:
        data = self.job.found.get("data") or {}
        trees = 2 if self.job.placed.tree else 1
        return trees * sum(int(one["bytes"]) for one in data.values()) + SLACK if self.job.app.data else 0

    # -- prepare -------------------------------------------------------------------------------------------------------

    def prepare_edge(self) -> None:
        """Everything that can be done while the app runs."""
        job, epoch = self.job, self.job.epoch + 1
        self.volume()
        workload = self.workload(epoch, epoch)
        self.edge.place(workload, job.seen.workload, job.limits.wait)
        if job.app.kind != SERVICE:
            # It is suspended: the mover is the first pod that the volume meets.
            self.start_mover("", job.image, nodes(workload))
        else:
            self.start_mover(self.edge.scheduled(epoch, job.limits.wait), job.image)
            self.edge.gated(epoch, job.limits.wait)
        self._outrun()
        job.data_bytes = sum(int(one["bytes"]) for one in (job.found.get("data") or {}).values())
        self._begin("move_to_edge")

    def _outrun(self) -> None:
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
            self._suspend()
            self._keep_last_run()
        mover = self.start_mover(job.seen.node)
        if job.app.data:
            job.data_bytes = mover.bytes_of(job.tree)
            self._room_on_device(job.data_bytes)
            if job.data_bytes >= SMALL:
                mover.remember(job.tree)
        self._begin("move_to_device")

    def _room_on_device(self, needed: int) -> None:
        for name, one in (self.job.found.get("data") or {}).items():
            if not one.get("volume") and needed + SLACK > int(one["free_bytes"]):
                free = sizes.human(int(one["free_bytes"]))
                why = f"the copy of {sizes.human(needed)} is made beside {one['folder']}, where {free} are free"
                raise KrafError(f"data {name} of app {self.job.app.key}", None, why, "Make room on the device")

    def _begin(self, step: str) -> None:
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
            tuple(self._images[1:]) if app_image else (),
        )
        self.mover = MoverPod(job.cluster, wanted)
        self.mover.start(job.limits.wait)
        return self.mover

    def volume(self) -> None:
        """The volume of the app's data, large enough."""
        job = self.job
        if not job.app.data:
            return
        state, claim, plan = self._volume()
        has, needed = real(claim) if claim is not None else 0, self._needed()
        try:
            # What is asked for is enough; one that has less is still to grow.
            volumes.execute(job.cluster, state, plan, False, job.limits.wait if 0 < has < needed else 0)
        except WaitTimeout as late:
            why = f"it has {sizes.human(has)}, the data need {sizes.human(needed)}, and it does not grow: {late.why}"
            raise KrafError(f"volume of app {job.app.key}", None, why, late.fix, **late.facts) from late

    def _volume(self) -> tuple[State, dict[str, Any] | None, volumes.Plan]:
        """What there is, the claim of the app's volume if it has one, and what is to be done for it."""
        job = self.job
        name, size = names.workload(job.app.name), job.limits.volume_bytes
        state = State(job.cluster, [job.device.name])
        wanted = Volume(job.device.name, job.device.uid, name, size, job.limits.storage_class, app=job.app.name)
        claim = state.claim(wanted)
        if claim is None and job.disks:
            # A pod has both: one that lies on a node has to lie on the same.
            wanted = replace(wanted, node=disks.node(state, job))
        if claim is not None:
            # It may have grown by other hands; a volume never shrinks.
            wanted = replace(wanted, size=max(size, requested(claim)))
        return state, claim, volumes.plan(job.cluster, state, [wanted], adopt=True)

    def workload(self, epoch: int, tree: int) -> Workload:
        """The workload as it is wanted."""
        job = self.job
        choice = self._choice()
        if not job.image:
            self._images = self._kind.bring(job, self._choices)
            job.image = self._images[0]
        return self._workload(choice, self._images, epoch, tree)

    def _workload(self, choice: image.Choice, references: Sequence[str], epoch: int, tree: int) -> Workload:
        job = self.job
        return Workload(
            job.app,
            job.device.uid,
            self._kind.process(job.app, job.found),
            references[0],
            job.site.image,
            choice.architectures,
            epoch,
            tree,
            emulated=choice.emulated,
            disks=job.disks,
            companions=self._kind.companions(job.app, job.found, references),
            names=self._kind.names(job.app, job.found),
            device_url=device_url(job.app, job.device.address),
        )

    def _choice(self) -> image.Choice:
        """Which image, of a group of the app's own container; chosen once in a run, unless somebody made the container
        anew meanwhile."""
        job = self.job
        runs = str(job.found.get("image_id"))
        if self._chosen is None or self._chosen[0] != runs:
            node = ""
            if job.app.data and edge_image.differ(job.site.target):
                node = self._volume()[2].volumes[0].node
            self._choices = self._kind.choose(job, node)
            self._chosen = runs, self._choices[0]
        return self._chosen[1]

    # -- while clients wait -----------------------------------------------------------------------------------------

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

    def _gone(self) -> None:
        self.edge.gone(self.job.limits.wait)

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

    # -- apps that may run on both sides ----------------------------------------------------------------------------

    def place(self) -> None:
        """What the app needs at the edge before it starts there."""
        if self.job.to == EDGE:
            self.workload(self.job.epoch + 1, 0)

    def over_start_edge(self) -> None:
        """The workload beside the container."""
        epoch = self.job.epoch + 1
        self.edge.place(self.workload(epoch, 0), self.job.seen.workload, self.job.limits.wait)

    # -- standby ----------------------------------------------------------------------------------------------------

    def standby_prepare(self) -> None:
        """All that the edge needs to take over, and the first copy; the app goes on."""
        job = self.job
        self.volume()
        if job.app.data:
            job.new_tree = STANDBY_TREES + job.run
        workload = self.workload(job.epoch + 1, job.new_tree)
        node = "" if job.app.data else str(job.placed.standby.get("node") or "")
        self.start_mover(node, workload.image, nodes(workload))
        self._outrun()
        job.data_bytes = sum(int(one["bytes"]) for one in (job.found.get("data") or {}).values())
        self._begin("keep_ready")

    def standby_keep(self) -> None:
        """The verified copy is the good one, and what would run with it is known."""
        job = self.job
        node = self.mover.node() if self.mover is not None else ""
        workload = replace(self.workload(job.epoch + 1, job.new_tree), node="" if job.app.data else node)
        converge(job.cluster, standby.objects(workload), False)
        now = datetime.now(timezone.utc)
        known = {"epoch": job.epoch, "node": node, "image": workload.image, "bytes": job.data_bytes}
        times = {"verified": now.strftime(TIME), "expires": (now + timedelta(seconds=job.limits.keep)).strftime(TIME)}
        job.placement = self.records.keep(job.placed, job.new_tree, {**known, **times})
        if self.mover is not None and job.app.data:
            self.mover.purge(job.new_tree)

    def abandon_device(self) -> None:
        """Copies on the device that were not used."""
        self.job.removed += self.job.on_device("abandon").get("removed") or []

    def abandon_edge(self) -> None:
        """What the edge is kept ready with, and copies that are not the owner's."""
        job = self.job
        place = standby.secret_name(job.app.name), self.records.namespace
        if job.cluster.get(SECRET, *place) is not None:
            job.cluster.delete(SECRET, *place)
            job.removed.append(f"Secret {place[0]}")
        good = job.placed.tree if job.placed.owner == EDGE else 0
        if (
            job.app.data
            and job.cluster.get(PERSISTENT_VOLUME_CLAIM, names.workload(job.app.name), self.records.namespace)
            is not None
        ):
            job.removed += [f"copy {tree} on the volume" for tree in self.start_mover(job.seen.node).purge(good)]
        if job.placed.standby or job.placed.tree != good:
            job.placement = self.records.forget(job.placed, good)

    # -- the end ----------------------------------------------------------------------------------------------------

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

    # -- an edge that was lost --------------------------------------------------------------------------------------

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

    def give_back_stop(self) -> None:
        """The workload away before its owner is given back; the gate is shut by now."""
        if self.job.app.job:
            seen = self.edge.look()
            if seen.passed or seen.ended:
                why = "it has begun at the edge meanwhile, and is left to end there"
                raise KrafError(f"job {self.job.app.key}", None, why, "Run it again; it goes on from there")
        self.stop_edge()

    # -- settle -----------------------------------------------------------------------------------------------------

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
            self.edge.place(self.workload(job.epoch, job.placed.tree), job.seen.workload, job.limits.wait)

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
