# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The protocol as a table. The action plugin walks it, ``--check`` prints it, the model check explores it.

A step is done when its effect is there; doing it twice is doing it once. ``requires`` is what the step itself checks at
the place where it acts, so that a run which slept too long changes nothing. What undoes a step is not the run that made
it, which may be dead, but ``settle`` of the next run: it brings both sides to what the Placement says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Callable

from .world import DEVICE, EDGE, HELD, IDLE, MOVING, READY, Run, World, other

CLUSTER = "cluster"
BOTH = "both"


@dataclass(frozen=True)
class Step:
    """One row.

    Attributes:
        name: what the plan, the progress and the fault harness call it.
        where: the side on which it acts: ``cluster``, ``device`` or ``both``.
        does: one sentence for a person.
        requires: checked where the step acts; False means refuse and settle.
        effect: what it changes.
        undo: how it is taken back before the release, one sentence.
        held: whether clients wait while it runs.
    """

    name: str
    where: str
    does: str
    requires: Callable[[World, Run], bool]
    effect: Callable[[World, Run], World]
    undo: str = "nothing to undo"
    held: bool = False


def _always(world: World, run: Run) -> bool:
    return True


def _nothing(world: World, run: Run) -> World:
    return world


def _fresh(world: World, run: Run) -> bool:
    """The device takes orders only of the newest run that it has heard of."""
    return run.fence >= world.fence


def _in_hand(world: World, run: Run) -> bool:
    return _fresh(world, run) and world.record_phase == MOVING and world.armed and world.record_epoch == run.epoch


def _heard(world: World, run: Run, **changes: object) -> World:
    return replace(world, fence=max(world.fence, run.fence), **changes)  # type: ignore[arg-type]


def _marks(world: World, run: Run) -> bool:
    """The marker is replaced only by a run that is not older than its writer."""
    return run.fence >= world.marker_fence


def agrees(world: World, owner: str, epoch: int) -> bool:
    """Whether the device's file can belong to this owner and epoch; if not, nobody may guess."""
    if world.record_phase == READY:
        committed = epoch == world.record_epoch + 1 and owner == world.record_to
        given_back = epoch == world.record_epoch + 2 and owner == world.record_owner
        if committed or given_back:
            return True
    if world.overlap and epoch == world.record_epoch + 1:
        return True
    if world.lost == DEVICE and owner == EDGE and epoch > world.record_epoch:
        return True  # a device that was lost when the owner changed has not heard of it
    return epoch == world.record_epoch and owner == world.record_owner


def took_over(world: World, epoch: int) -> bool:
    """Whether the device has taken the app over from an edge that was lost, and the Placement has not heard of it."""
    return world.record_lost and world.record_owner == DEVICE and world.record_epoch > epoch


def record_agrees(world: World) -> bool:
    """Whether the device's file can belong to what the Placement says, or is known to be newer."""
    return agrees(world, world.owner, world.epoch) or took_over(world, world.epoch)


def _swapped(world: World) -> int:
    """The data on the device once the copy beside, if it still lies there, is in their place."""
    return world.device_data if world.incoming == -1 else world.incoming


# -- steps shared by both directions ------------------------------------------------------------------------------

RECOVER = Step("recover", BOTH, "read both sides and conclude; a mismatch is refused", _always, _nothing)
LOCK = Step(
    "lock",
    CLUSTER,
    "take the app's Lease and stamp the Placement, so that an earlier run that wakes up cannot commit",
    lambda w, r: r.fence >= w.stamp,
    lambda w, r: replace(w, stamp=r.fence, open=True),
    "the Lease ends with the run, or lapses",
)
DESCRIBE = Step("describe", DEVICE, "read what really runs; refuse what cannot move", _always, _nothing)
CONFIRM = Step(
    "confirm",
    BOTH,
    "ask the app through the device's own port; clear up",
    lambda w, r: w.stamp == r.fence,
    lambda w, r: replace(w, open=False, lost=""),
)
COPY = Step(
    "copy",
    DEVICE,
    "copy what changed since the first copy",
    _in_hand,
    lambda w, r: _heard(w, r, incoming=w.device_data if r.to == EDGE else w.edge_data),
    "the copy lies beside the good one and is not used",
    held=True,
)
COMPARE = Step(
    "compare",
    DEVICE,
    "make the copy durable, compare it with the original, disarm the dead-man's timer",
    lambda w, r: _in_hand(w, r) and not w.running and w.incoming == (w.device_data if r.to == EDGE else w.edge_data),
    lambda w, r: _heard(w, r, record_phase=READY, armed=False),
    "settle gives the app back to its owner",
    held=True,
)
HOLD = Step(
    "hold",
    DEVICE,
    "arm the dead-man's timer, hold the forward, let open requests end",
    lambda w, r: _fresh(w, r) and w.record_phase == IDLE and w.record_epoch == r.epoch,
    lambda w, r: _heard(w, r, record_phase=MOVING, record_to=r.to, armed=True, forward=HELD, incoming=-1),
    "the forward leads to the owner again; the dead-man's timer does it if nobody else does",
    held=True,
)


def _commit(world: World, run: Run) -> World:
    data = world.incoming if run.to == EDGE else world.edge_data
    return replace(world, owner=run.to, epoch=world.epoch + 1, edge_data=data)


COMMIT = Step(
    "commit",
    CLUSTER,
    "change owner and epoch of the Placement by compare-and-swap",
    lambda w, r: w.stamp == r.fence and w.epoch == r.epoch and w.owner == other(r.to),
    _commit,
    "the owner is given back under a new epoch",
    held=True,
)

# -- device to edge -----------------------------------------------------------------------------------------------

PREPARE_EDGE = Step(
    "prepare",
    BOTH,
    "image, volume, Secret, Service, workload behind its gate; mover; first copy while the app runs",
    _always,
    lambda w, r: replace(w, workload=r.epoch + 1),
    "the gated workload is deleted",
)
STOP_DEVICE = Step(
    "stop",
    DEVICE,
    "record and clear the restart policy, stop the container",
    _in_hand,
    lambda w, r: _heard(w, r, running=False, restart=False),
    "restart policy and container as they were; the dead-man's timer does it if nobody else does",
    held=True,
)
START_EDGE = Step(
    "start",
    CLUSTER,
    "write the epoch's marker on the volume: the gate opens",
    _marks,
    lambda w, r: replace(w, marker=r.epoch + 1, marker_fence=r.fence),
    "the pod is taken away, and the marker is moved on, before the owner is given back",
    held=True,
)
READY_EDGE = Step(
    "ready",
    BOTH,
    "wait for the app's own probe through the door",
    lambda w, r: w.begun(r.epoch + 1),
    _nothing,
    held=True,
)
RELEASE_EDGE = Step(
    "release",
    DEVICE,
    "let the forward lead to the edge: from here on there is no undo",
    lambda w, r: _fresh(w, r) and w.record_phase == READY and w.record_to == EDGE and w.record_epoch == r.epoch,
    lambda w, r: _heard(w, r, record_owner=EDGE, record_epoch=r.epoch + 1, record_phase=IDLE, forward=EDGE),
)

# -- edge to device -----------------------------------------------------------------------------------------------

PREPARE_DEVICE = Step(
    "prepare",
    BOTH,
    "check the container and the space on the device; mover; first copy beside the old data",
    _always,
    _nothing,
    "the copy beside is left for the next try",
)
STOP_EDGE = Step(
    "stop",
    CLUSTER,
    "delete the workload at the edge",
    _always,
    lambda w, r: replace(w, workload=0),
    "the workload is made again",
    held=True,
)
GONE = Step("gone", CLUSTER, "wait until the pod object is gone", lambda w, r: w.pod == 0, _nothing, held=True)
FENCE = Step(
    "fence",
    CLUSTER,
    "move the marker on, so that no workload of an older epoch can start",
    _marks,
    lambda w, r: replace(w, marker=r.epoch + 1, marker_fence=r.fence),
    "settle writes the owner's marker again",
    held=True,
)
START_DEVICE = Step(
    "start",
    DEVICE,
    "put the copy in the old data's place (those are kept), restart policy and container as they were",
    lambda w, r: _fresh(w, r) and w.record_phase == READY and w.record_to == DEVICE and w.record_epoch == r.epoch,
    lambda w, r: _heard(w, r, device_data=_swapped(w), incoming=-1, running=not w.job, restart=not w.job),
    "the container is stopped and the old data are put back",
    held=True,
)
RELEASE_DEVICE = Step(
    "release",
    DEVICE,
    "the app's own probe on the device, then let the forward lead to it: from here on there is no undo",
    lambda w, r: (
        _fresh(w, r)
        and w.record_phase == READY
        and w.record_to == DEVICE
        and w.record_epoch == r.epoch
        and w.running == (not w.job)
    ),
    lambda w, r: _heard(w, r, record_owner=DEVICE, record_epoch=r.epoch + 1, record_phase=IDLE, forward=DEVICE),
)

# -- jobs: they run once, at the edge; what they leave comes back ----------------------------------------------------

JOB_START_EDGE = replace(
    START_EDGE,
    does="write the epoch's marker on the volume and resume the Job: the gate opens",
    undo="a job that has begun is left to end; otherwise it is taken away before the owner is given back",
)
JOB_READY_EDGE = replace(READY_EDGE, does="wait until the job runs, or has run")
JOB_RELEASE_EDGE = replace(RELEASE_EDGE, does="write down that the edge owns the job")
FINISH = Step(
    "finish",
    CLUSTER,
    "wait until the job has ended; keep its exit code and the end of its log",
    lambda w, r: w.ended == r.epoch,
    _nothing,
)
JOB_START_DEVICE = replace(
    START_DEVICE,
    does="keep exit code and log in a folder of root's, put the copy in the old data's place (those are kept); the "
    "container is not started, for the job has run",
    undo="nothing has to be taken back: it is done to its end by the next run",
)
JOB_RELEASE_DEVICE = replace(RELEASE_DEVICE, does="write down that the device owns the job")
JOB_CONFIRM = replace(CONFIRM, does="clear up")

# -- apps that may run on both sides: nobody waits ------------------------------------------------------------------

PLACE = Step(
    "prepare",
    BOTH,
    "image, Secret, Service",
    _always,
    _nothing,
)
OVER_START_EDGE = Step(
    "start",
    CLUSTER,
    "start the workload at the edge beside the container",
    _always,
    lambda w, r: replace(w, workload=r.epoch + 1),
    "the workload is deleted",
)
OVER_READY_EDGE = replace(READY_EDGE, held=False)
OVER_COMMIT = replace(COMMIT, held=False)
OVER_RELEASE_EDGE = Step(
    "release",
    DEVICE,
    "let the forward lead to the edge, let open requests end, then stop the container",
    lambda w, r: _fresh(w, r) and w.record_epoch == r.epoch,
    lambda w, r: _heard(
        w, r, record_owner=EDGE, record_epoch=r.epoch + 1, record_phase=IDLE, forward=EDGE, running=False, restart=False
    ),
)
OVER_START_DEVICE = Step(
    "start",
    DEVICE,
    "start the container beside the workload",
    lambda w, r: _fresh(w, r) and w.record_epoch == r.epoch,
    lambda w, r: _heard(w, r, running=True),
    "the container is stopped",
)
OVER_RELEASE_DEVICE = Step(
    "release",
    DEVICE,
    "the app's own probe on the device, then the forward leads to it, restart policy as it was",
    lambda w, r: _fresh(w, r) and w.record_epoch == r.epoch and w.running,
    lambda w, r: _heard(
        w, r, record_owner=DEVICE, record_epoch=r.epoch + 1, record_phase=IDLE, forward=DEVICE, restart=True
    ),
)
OVER_STOP_EDGE = Step(
    "stop",
    CLUSTER,
    "delete the workload at the edge",
    _always,
    lambda w, r: replace(w, workload=0),
)

# -- settle: the end of whatever an earlier run left, as the Placement says -----------------------------------------

SETTLE_UNSCHEDULE = Step(
    "settle",
    CLUSTER,
    "the device owns the app: delete what is left of it at the edge",
    _always,
    lambda w, r: replace(w, workload=0),
)


def _settled_device(world: World, run: Run) -> World:
    taken = world.record_phase == READY and world.record_to == DEVICE and run.epoch == world.record_epoch + 1
    data = _swapped(world) if taken else world.device_data
    return _heard(
        world,
        run,
        device_data=data,
        running=not world.job,
        restart=not world.job,
        armed=False,
        forward=DEVICE,
        record_owner=DEVICE,
        record_epoch=run.epoch,
        record_phase=IDLE,
        record_lost=False,
    )


SETTLE_DEVICE = Step(
    "settle",
    DEVICE,
    "the device owns the app: container, restart policy and forward as they were",
    lambda w, r: _fresh(w, r) and agrees(w, DEVICE, r.epoch),
    _settled_device,
)
SETTLE_FENCE_DEVICE = Step(
    "settle",
    DEVICE,
    "the edge owns the app: the container stays stopped",
    lambda w, r: _fresh(w, r) and agrees(w, EDGE, r.epoch),
    lambda w, r: _heard(w, r, running=False, restart=False, armed=False),
)
SETTLE_MARK = Step(
    "settle",
    CLUSTER,
    "the edge owns the app: the marker of its epoch",
    _marks,
    lambda w, r: replace(w, marker=r.epoch, marker_fence=r.fence),
)
SETTLE_SCHEDULE = Step(
    "settle",
    CLUSTER,
    "the edge owns the app: its workload",
    _always,
    lambda w, r: replace(w, workload=r.epoch),
)
SETTLE_READY = Step("settle", BOTH, "wait for the app", lambda w, r: w.begun(r.epoch), _nothing)
SETTLE_RELEASE = Step(
    "settle",
    DEVICE,
    "the edge owns the app: the forward leads there",
    lambda w, r: _fresh(w, r) and not w.running and agrees(w, EDGE, r.epoch),
    lambda w, r: _heard(w, r, record_owner=EDGE, record_epoch=r.epoch, record_phase=IDLE, forward=EDGE),
)

# An app that may run on both sides is answered all the time: the owner's side first, then the forward, then the other.
OVER_SETTLE_EDGE = Step(
    "settle",
    DEVICE,
    "the edge owns the app: the forward leads there, then the container stops",
    lambda w, r: _fresh(w, r) and agrees(w, EDGE, r.epoch),
    lambda w, r: _heard(
        w, r, record_owner=EDGE, record_epoch=r.epoch, record_phase=IDLE, forward=EDGE, running=False, restart=False
    ),
)
OVER_SETTLE_DEVICE = replace(SETTLE_DEVICE, does="the device owns the app: its container, then the forward leads to it")

# -- give back: the new side did not start, and no client has spoken to it -------------------------------------------

GIVE_BACK_HOLD = Step(
    "give back",
    DEVICE,
    "make sure that the forward was not released",
    lambda w, r: _fresh(w, r) and w.forward == HELD and w.record_phase == READY and w.record_epoch == r.epoch,
    _heard,
)
GIVE_BACK_STOP = Step(
    "give back",
    CLUSTER,
    "delete the workload at the edge, unless it is a job that has begun",
    # The gate is shut by now: what has not begun does not begin any more.
    lambda w, r: not (w.job and w.begun(r.epoch + 1)),
    lambda w, r: replace(w, workload=0),
)
GIVE_BACK_FENCE = Step(
    "give back",
    CLUSTER,
    "move the marker on",
    _marks,
    lambda w, r: replace(w, marker=r.epoch + 2, marker_fence=r.fence),
)
GIVE_BACK_COMMIT = Step(
    "give back",
    CLUSTER,
    "change the owner back under a new epoch",
    lambda w, r: w.stamp == r.fence and w.owner == EDGE and w.epoch == r.epoch + 1,
    lambda w, r: replace(w, owner=DEVICE, epoch=w.epoch + 1),
)

SETTLE_CLOSE = replace(CONFIRM, name="settle", where=CLUSTER, does="nothing is left of the earlier run")

GIVE_BACK_UNSTART = Step(
    "give back",
    DEVICE,
    "make sure that the forward was not released; stop the container, put the old data back",
    lambda w, r: (
        _fresh(w, r)
        and w.forward == HELD
        and w.record_phase == READY
        and w.record_to == DEVICE
        and w.record_epoch == r.epoch
    ),
    lambda w, r: _heard(w, r, running=False, restart=False, incoming=_swapped(w)),
)
GIVE_BACK_TO_EDGE = Step(
    "give back",
    CLUSTER,
    "change the owner back under a new epoch",
    lambda w, r: w.stamp == r.fence and w.owner == DEVICE and w.epoch == r.epoch + 1,
    lambda w, r: replace(w, owner=EDGE, epoch=w.epoch + 1),
)

# -- standby: the edge is kept ready to take over, while the device owns the app ---------------------------------------


def _owns_here(world: World, run: Run) -> bool:
    return world.owner == DEVICE and world.epoch == run.epoch


STANDBY_PREPARE = Step(
    "prepare",
    BOTH,
    "image, volume, mover; what the app runs with, for a day when the device cannot be asked",
    _owns_here,
    _nothing,
    "it is left for the next try",
)
STANDBY_COPY = Step(
    "copy",
    DEVICE,
    "copy the data beside the last good copy; if the app writes meanwhile, pause it for the rest; compare",
    lambda w, r: _fresh(w, r) and w.record_phase == IDLE and w.record_owner == DEVICE and w.record_epoch == r.epoch,
    lambda w, r: _heard(w, r, incoming=w.device_data),
    "the copy lies beside the good one and is not used",
)
STANDBY_KEEP = Step(
    "keep",
    CLUSTER,
    "the verified copy is the good one from now on",
    lambda w, r: _owns_here(w, r) and w.stamp == r.fence and w.incoming != -1,
    lambda w, r: replace(w, edge_data=w.incoming),
)

# -- the device is lost: the operator says that it does not run, and will not be asked --------------------------------

LOST_PREPARE = Step(
    "prepare",
    CLUSTER,
    "the workload that standby has prepared, behind its gate",
    _always,
    lambda w, r: replace(w, workload=r.epoch + 1),
    "the gated workload is deleted",
)
LOST_COMMIT = Step(
    "commit",
    CLUSTER,
    "change owner and epoch of the Placement by compare-and-swap, and note there that the device is lost",
    lambda w, r: w.stamp == r.fence and _owns_here(w, r) and (w.overlap or w.edge_data != -1),
    lambda w, r: replace(w, owner=EDGE, epoch=w.epoch + 1, lost=DEVICE),
)
LOST_READY = Step(
    "ready",
    CLUSTER,
    "wait until the app is ready",
    lambda w, r: w.passed and w.pod == r.epoch + 1,
    _nothing,
)
LOST_SETTLE_READY = replace(SETTLE_READY, where=CLUSTER)
LOST_CLOSE = replace(
    CONFIRM,
    where=CLUSTER,
    does="clear up; the device is told when it is back",
    effect=lambda w, r: replace(w, open=False),
)

# -- the edge is lost: the operator says that nothing of it runs ------------------------------------------------------

EDGE_LOST_STOP = Step(
    "stop",
    CLUSTER,
    "delete the workload at the edge; a node that is away is not waited for",
    _always,
    lambda w, r: replace(w, workload=0),
)
EDGE_LOST_START = Step(
    "start",
    DEVICE,
    "the container as it was, with the device's own last copy; then the forward leads to it",
    lambda w, r: _fresh(w, r) and w.record_owner == EDGE and w.record_phase == IDLE,
    lambda w, r: _heard(
        w,
        r,
        record_owner=DEVICE,
        record_epoch=max(w.record_epoch, r.epoch) + 1,
        record_lost=True,
        running=True,
        restart=True,
        forward=DEVICE,
    ),
)
RECONCILE = Step(
    "reconcile",
    CLUSTER,
    "the Placement learns that the device has taken over from an edge that was lost",
    lambda w, r: w.stamp == r.fence and took_over(w, w.epoch),
    lambda w, r: replace(w, owner=DEVICE, epoch=w.record_epoch, lost=EDGE),
)
SETTLE_ASIDE = Step(
    "settle",
    CLUSTER,
    "keep aside the edge's copy of the data, which the device did not go on from",
    lambda w, r: w.pod == 0,
    lambda w, r: replace(w, edge_data=-1),
)

# -- abandon: what was prepared and is not used ------------------------------------------------------------------------

ABANDON_DEVICE = Step(
    "abandon", DEVICE, "remove copies beside that were not used; nothing asks the edge any more", _fresh, _heard
)
ABANDON_EDGE = Step(
    "abandon",
    CLUSTER,
    "remove what the edge is kept ready with; its copies of the data, if the device owns the app",
    lambda w, r: w.stamp == r.fence,
    lambda w, r: replace(w, edge_data=-1) if w.owner == DEVICE else w,
)

OPENING = (RECOVER, LOCK)


# A job that has ended writes nothing more and cannot start again, so its workload is what tells of it until the end. It
# is taken away last: were it gone before, a run that was cut off would have to make it again, and it would run twice.
_JOB_TO_EDGE = (
    DESCRIBE,
    PREPARE_EDGE,
    HOLD,
    STOP_DEVICE,
    COPY,
    COMPARE,
    COMMIT,
    JOB_START_EDGE,
    JOB_READY_EDGE,
    JOB_RELEASE_EDGE,
    JOB_CONFIRM,
)
_JOB_TO_DEVICE = (
    DESCRIBE,
    FINISH,
    PREPARE_DEVICE,
    HOLD,
    FENCE,
    COPY,
    COMPARE,
    COMMIT,
    JOB_START_DEVICE,
    JOB_RELEASE_DEVICE,
    OVER_STOP_EDGE,
    GONE,
    JOB_CONFIRM,
)


def plan(to: str, overlap: bool = False, job: bool = False) -> tuple[Step, ...]:
    """The steps that move a settled app to a side, after ``OPENING`` and ``settle``."""
    if job:
        return _JOB_TO_EDGE if to == EDGE else _JOB_TO_DEVICE
    if overlap:
        if to == EDGE:
            return (DESCRIBE, PLACE, OVER_START_EDGE, OVER_READY_EDGE, OVER_COMMIT, OVER_RELEASE_EDGE, CONFIRM)
        return (DESCRIBE, PLACE, OVER_START_DEVICE, OVER_COMMIT, OVER_RELEASE_DEVICE, OVER_STOP_EDGE, GONE, CONFIRM)
    if to == EDGE:
        return (
            DESCRIBE,
            PREPARE_EDGE,
            HOLD,
            STOP_DEVICE,
            COPY,
            COMPARE,
            COMMIT,
            START_EDGE,
            READY_EDGE,
            RELEASE_EDGE,
            CONFIRM,
        )
    return (
        DESCRIBE,
        PREPARE_DEVICE,
        HOLD,
        FENCE,
        STOP_EDGE,
        GONE,
        COPY,
        COMPARE,
        COMMIT,
        START_DEVICE,
        RELEASE_DEVICE,
        CONFIRM,
    )


def standby() -> tuple[Step, ...]:
    """The steps that keep the edge ready for a settled app of the device."""
    return (DESCRIBE, STANDBY_PREPARE, STANDBY_COPY, STANDBY_KEEP, SETTLE_CLOSE)


def abandon() -> tuple[Step, ...]:
    """The steps that remove what was prepared for a settled app."""
    return (ABANDON_DEVICE, ABANDON_EDGE, SETTLE_CLOSE)


def device_lost(owner: str, overlap: bool = False) -> tuple[Step, ...]:
    """The steps that let an app of a lost device run at the edge, without asking the device anything."""
    gate: tuple[Step, ...]
    if owner == EDGE:
        gate = () if overlap else (SETTLE_MARK,)
        return (*gate, SETTLE_SCHEDULE, LOST_SETTLE_READY, LOST_CLOSE)
    gate = () if overlap else (START_EDGE,)
    return (LOST_PREPARE, LOST_COMMIT, *gate, LOST_READY, LOST_CLOSE)


def edge_lost(reached: bool) -> tuple[Step, ...]:
    """The steps that let a device run an app of a lost edge. It decides alone; an API server that answers is told."""
    return (EDGE_LOST_START, RECONCILE, EDGE_LOST_STOP) if reached else (EDGE_LOST_START,)


def settle(owner: str, overlap: bool = False, lost: str = "") -> tuple[Step, ...]:
    """The steps that bring both sides to what the Placement says.

    Of a job they start nothing on the device, and nothing at the edge that is there.
    """
    if lost == EDGE:
        found = settle(owner, overlap)
        gone = found.index(GONE) + 1
        return (*found[:gone], SETTLE_ASIDE, *found[gone:])
    if overlap:
        if owner == DEVICE:
            return (OVER_SETTLE_DEVICE, SETTLE_UNSCHEDULE, GONE, SETTLE_CLOSE)
        return (SETTLE_SCHEDULE, SETTLE_READY, OVER_SETTLE_EDGE, SETTLE_CLOSE)
    if owner == DEVICE:
        return (SETTLE_UNSCHEDULE, GONE, SETTLE_DEVICE, SETTLE_CLOSE)
    return (SETTLE_FENCE_DEVICE, SETTLE_MARK, SETTLE_SCHEDULE, SETTLE_READY, SETTLE_RELEASE, SETTLE_CLOSE)


def give_back(to: str) -> tuple[Step, ...]:
    """The steps that undo a commit to a side, before its release."""
    if to == EDGE:
        return (GIVE_BACK_HOLD, GIVE_BACK_FENCE, GIVE_BACK_STOP, GONE, GIVE_BACK_COMMIT)
    return (GIVE_BACK_UNSTART, GIVE_BACK_TO_EDGE)


def revocable(world: World, to: str, epoch: int) -> bool:
    """Whether a commit to a side, by a run that had settled at this epoch, can still be given back.

    A job is not killed halfway for that, and one that came back has nothing left to start: both are settled instead.
    """
    committed = (world.owner, world.epoch) == (to, epoch + 1) and world.record_phase == READY and world.forward == HELD
    return committed and not (world.job and (to == DEVICE or world.begun(epoch + 1)))


def settled(world: World) -> bool:
    """Whether nothing is left of an earlier run."""
    at_edge = world.owner == EDGE
    # A job that its owner runs on the device is no business of a move.
    here = (world.job and not at_edge) or world.running == world.restart == (not at_edge)
    return (
        record_agrees(world)
        and not world.open
        and world.record_phase == IDLE
        and world.record_epoch == world.epoch
        and not world.armed
        and not world.lost
        and not world.record_lost
        and world.forward == world.owner
        and here
        and world.workload == (world.epoch if at_edge else 0)
    )


def at_rest(world: World) -> bool:
    """Whether nothing is left but that its owner, the device, does not run it: somebody stopped it there."""
    return settled(world) or (world.owner == DEVICE and settled(replace(world, running=True, restart=True)))


def describe(steps: Sequence[Step]) -> list[dict[str, object]]:
    """The rows as plain data, for the plan of a check run."""
    return [
        {"step": step.name, "where": step.where, "does": step.does, "undo": step.undo, "held": step.held}
        for step in steps
    ]
