# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an app is to have at the edge: its images, its workload, the volume of its data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..cluster.errors import WaitTimeout
from ..core import names, sizes
from ..core.errors import KrafError
from ..manifests.volume import Volume
from ..manifests.workload import Workload, device_url
from ..storage import volumes
from ..storage.state import State, real, requested
from . import disks, edge_image, image, kinds, room
from .job import Job


class Wanted:
    """What one app is to have; what runs there is chosen and brought to the cluster once in a run.

    Attributes:
        images: of each container by digest, the app's own first; empty until they are there.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.images: list[str] = []
        self._kind = kinds.of(job.app)
        self._chosen: tuple[str, list[image.Choice]] | None = None

    def choices(self) -> list[image.Choice]:
        """Which image each container has, the app's own first; chosen anew when somebody made that container anew
        meanwhile."""
        job = self.job
        runs = str(job.found.get("image_id"))
        if self._chosen is None or self._chosen[0] != runs:
            node = ""
            if job.app.data and edge_image.differ(job.site.target):
                node = self._volume()[2].volumes[0].node
            self._chosen = runs, self._kind.choose(job, node)
        return self._chosen[1]

    def proof(self) -> Workload:
        """The workload before anything is made: the images need not be there for it to be judged."""
        references = [one.reference or self.job.site.image for one in self.choices()]
        return self._workload(references, self.job.epoch + 1, 0)

    def workload(self, epoch: int, tree: int) -> Workload:
        """The workload; its images are brought to the cluster."""
        job, choices = self.job, self.choices()
        if not job.image:
            self.images = self._kind.bring(job, choices)
            job.image = self.images[0]
        return self._workload(self.images, epoch, tree)

    def _workload(self, references: Sequence[str], epoch: int, tree: int) -> Workload:
        job, own = self.job, self.choices()[0]
        return Workload(
            job.app,
            job.device.uid,
            self._kind.process(job.app, job.found),
            references[0],
            job.site.image,
            own.architectures,
            epoch,
            tree,
            emulated=own.emulated,
            disks=job.disks,
            companions=self._kind.companions(job.app, job.found, references),
            names=self._kind.names(job.app, job.found),
            device_url=device_url(job.app, job.device.address),
        )

    def volume(self) -> None:
        """Make the volume of the app's data, large enough.

        Raises:
            KrafError: when one that is too small does not grow.
        """
        job = self.job
        if not job.app.data:
            return
        state, claim, plan = self._volume()
        has, needed = real(claim) if claim is not None else 0, room.needed(job)
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
