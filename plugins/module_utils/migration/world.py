# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the protocol is about: the state of one app on both sides, as far as it decides who may run."""

from __future__ import annotations

from dataclasses import dataclass

DEVICE = "device"
EDGE = "edge"
HELD = "held"

IDLE = "idle"
MOVING = "moving"
READY = "ready"


def other(side: str) -> str:
    """The other side."""
    return EDGE if side == DEVICE else DEVICE


@dataclass(frozen=True)
class World:
    """Everything that outlives a play.

    Attributes:
        owner: of the Placement.
        epoch: of the Placement; grows by one with each change of owner.
        stamp: number of the run that last took the Placement in hand; a commit of an earlier run is refused.
        open: whether a run has begun something that none has brought to its end (the Placement's phase).
        record_owner: what the device's own file says; ``record_epoch`` likewise.
        record_phase: ``idle``; ``moving`` from the hold on; ``ready`` once the new side's data are verified.
        record_to: the side that a hand-over on the device leads to, while it is not idle.
        fence: the highest run that the device has heard of; a lower one is refused.
        running: whether the container runs on the device.
        restart: whether its restart policy would start it again.
        forward: where the device's port leads, ``device``, ``edge`` or ``held``.
        armed: whether the dead-man's timer runs.
        workload: epoch of the workload object at the edge; 0 is none.
        pod: epoch of its pod object; 0 when the object is gone.
        passed: whether the pod's gate has let the app start.
        marker: epoch on the volume for which the gate opens.
        marker_fence: number of the run that wrote the marker; an earlier run cannot write it again.
        device_data: version of the data on the device.
        edge_data: version of the data in the tree that the Placement names.
        incoming: version of the copy beside, on the side that is being copied to; -1 is none.
        latest: version that clients were last told was stored.
        overlap: whether the app may run on both sides for a moment; it has no data and no gate.
        lost: side that the operator declared lost when the owner was last changed, until it has been told; empty is
            none.
        record_lost: whether the device took the app over without the edge; its file is then the newer story.
        job: whether the app runs once: on the device it is at rest, and coming back does not start it there again.
        ended: of a job, the epoch of the workload that has ended at the edge; 0 is none. It never runs again.
    """

    owner: str = DEVICE
    epoch: int = 1
    stamp: int = 0
    open: bool = False
    record_owner: str = DEVICE
    record_epoch: int = 1
    record_phase: str = IDLE
    record_to: str = DEVICE
    fence: int = 0
    running: bool = True
    restart: bool = True
    forward: str = DEVICE
    armed: bool = False
    workload: int = 0
    pod: int = 0
    passed: bool = False
    marker: int = 0
    marker_fence: int = 0
    device_data: int = 0
    edge_data: int = -1
    incoming: int = -1
    latest: int = 0
    overlap: bool = False
    lost: str = ""
    record_lost: bool = False
    job: bool = False
    ended: int = 0

    def begun(self, epoch: int) -> bool:
        """Whether the app of this epoch runs at the edge, or has run there."""
        return epoch > 0 and ((self.passed and self.pod == epoch) or (self.job and self.ended == epoch))


@dataclass(frozen=True)
class Run:
    """What one run of the protocol knows by itself.

    Attributes:
        to: the side that is to own the app.
        epoch: the Placement's epoch when the run had settled; its commit is refused on any other.
        fence: number of the run, from the Lease; grows with each holder.
    """

    to: str
    epoch: int
    fence: int
