# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The resources Placement and Migration of one app: who owns it, and the account of a change of owner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from ..catalog.records import TIME
from ..cluster.client import Cluster
from ..cluster.errors import AlreadyExists, Conflict
from ..cluster.kinds import MIGRATION, PLACEMENT
from ..core import names
from ..core.errors import KrafError
from ..manifests.labels import check_owner, labels
from ..migration.world import DEVICE, EDGE
from .outcome import Outcome

MOVING, SETTLED = "Moving", "Settled"
KEEP_SECONDS = 7 * 86400.0
"""How long what is prepared and not used counts, unless somebody says otherwise."""
RUNNING, DONE, UNDONE, FAILED = "Running", "Done", "Undone", "Failed"
MESSAGE = 4000
SLOT = "kraf.io/slot"
PURGED = "kraf.io/purged"
"""When copies that were not used were removed: of those of an earlier move nothing is kept."""


@dataclass(frozen=True)
class Placement:
    """A Placement as it was read.

    Attributes:
        owner: ``device`` or ``edge``.
        epoch: number of the ownership.
        tree: epoch of the good copy at the edge; 0 is none.
        run: number of the run that last took the app in hand.
        open: whether a run began something that none has brought to its end.
        lost: the side that was declared lost when the owner was last changed, and has not been told; empty is none.
        standby: what the edge is kept ready with; empty is nothing.
        slot: of a cronjob, the one that was begun last, a minute since 1970; 0 is none.
        version: resourceVersion; a write on any other one is refused.
    """

    owner: str = DEVICE
    epoch: int = 1
    tree: int = 0
    run: int = 0
    open: bool = False
    lost: str = ""
    standby: Mapping[str, Any] = field(default_factory=dict)
    slot: int = 0
    version: str = ""


class Records:
    """Placement and Migration of one app.

    Args:
        cluster: where.
        device: name of the device; ``device_uid`` its uid.
        app: name of the app.
    """

    def __init__(self, cluster: Cluster, device: str, device_uid: str, app: str) -> None:
        self._cluster = cluster
        self._app = app
        self._device = device
        self._uid = device_uid
        self.namespace = names.namespace(device)
        self.labels = labels(device, device_uid, app)

    def read(self) -> Placement | None:
        """The Placement; None when there is none.

        Raises:
            KrafError: when it is another device's.
        """
        found = self._cluster.get(PLACEMENT, self._app, self.namespace)
        if found is None:
            return None
        check_owner(found, self._device, self._uid)
        return _placement(found)

    def create(self, overlap: bool) -> Placement:
        """A first Placement: the device owns the app."""
        metadata = {"name": self._app, "namespace": self.namespace, "labels": self.labels}
        spec = {"device": self._device, "app": self._app, "owner": DEVICE, "epoch": 1, "tree": 0, "overlap": overlap}
        wanted = {"apiVersion": PLACEMENT.api_version, "kind": PLACEMENT.kind, "metadata": metadata, "spec": spec}
        try:
            return _placement(self._cluster.create(wanted))
        except AlreadyExists:
            found = self.read()
            if found is None:
                raise
            return found

    def stamp(self, placement: Placement, run: int, holder: str) -> Placement:
        """Take the app in hand: from here on an earlier run can commit nothing.

        Raises:
            KrafError: when a later run has done so.
        """
        if run < placement.run:
            why = f"run {placement.run} has it in hand, this is run {run}"
            raise KrafError(f"app {self._app}", None, why, "Nothing was changed; see what that run did")
        return self._patch(placement, {"status": {"phase": MOVING, "run": run, "holder": holder}})

    def commit(self, placement: Placement, owner: str, tree: int, lost: str = "") -> Placement:
        """Change the owner: the one write that decides. What was kept ready for the owner before is worth nothing."""
        spec = {"owner": owner, "epoch": placement.epoch + 1, "tree": tree, "lost": lost or None}
        return self._patch(placement, {"spec": spec, "status": {"standby": None}})

    def reconcile(self, placement: Placement, epoch: int) -> Placement:
        """Learn what the device did without the edge: it has owned the app since, under this epoch."""
        spec = {"owner": DEVICE, "epoch": epoch, "lost": EDGE}
        return self._patch(placement, {"spec": spec, "status": {"standby": None}})

    def keep(self, placement: Placement, tree: int, standby: Mapping[str, Any]) -> Placement:
        """Name a verified copy as the good one, and what it is ready with."""
        return self._patch(placement, {"spec": {"tree": tree}, "status": {"standby": dict(standby)}})

    def forget(self, placement: Placement, tree: int) -> Placement:
        """Nothing is kept any more; of the copies at the edge only this one is left, 0 is none."""
        return self._patch(placement, {**_purged(), "spec": {"tree": tree}, "status": {"standby": None}})

    def purged(self, placement: Placement) -> Placement:
        """Copies that were not used are gone."""
        return self._patch(placement, _purged())

    def close(self, placement: Placement, told: bool = True) -> Placement:
        """Nothing is left to be done; but a lost side that is still away is yet to be told."""
        spec = {"spec": {"lost": None}} if placement.lost and told else {}
        return self._patch(placement, {**spec, "status": {"phase": SETTLED}})

    def begun(self, placement: Placement, slot: int) -> Placement:
        """Write down the slot that a cronjob has begun last, if it is a later one."""
        if slot <= placement.slot:
            return placement
        return self._patch(placement, {"metadata": {"annotations": {SLOT: str(slot)}}})

    def _patch(self, placement: Placement, body: dict[str, Any]) -> Placement:
        body["metadata"] = {**body.get("metadata", {}), "resourceVersion": placement.version}
        try:
            return _placement(self._cluster.patch(PLACEMENT, self._app, self.namespace, body))
        except Conflict as error:
            why = "another run has taken the app in hand since this one read it"
            raise KrafError(f"app {self._app}", None, why, "Nothing more was changed; run it again") from error

    def begin(self, to: str, epoch: int, holder: str, portability: list[dict[str, Any]]) -> None:
        """The account of a change of owner, or a further try at the same."""
        name = names.migration(self._app, epoch)
        spec = {"device": self._device, "app": self._app, "to": to, "epoch": epoch}
        status = {"result": RUNNING, "started": _now(), "holder": holder, "portability": portability}
        wanted = {
            "apiVersion": MIGRATION.api_version,
            "kind": MIGRATION.kind,
            "metadata": {"name": name, "namespace": self.namespace, "labels": self.labels},
            "spec": spec,
            "status": status,
        }
        try:
            self._cluster.create(wanted)
        except AlreadyExists:
            # How a job has ended stays known: Kubernetes may have forgotten it since the earlier try.
            empty = {"finished": None, "message": None, "step": None, **({"job": None} if to == EDGE else {})}
            body = {"spec": spec, "status": {**status, **empty}}
            self._cluster.patch(MIGRATION, name, self.namespace, body)

    def outcome(self, epoch: int) -> Outcome | None:
        """How a job, or the last run of a cronjob, had ended that came back with this epoch."""
        found = self._cluster.get(MIGRATION, names.migration(self._app, epoch), self.namespace)
        row = ((found or {}).get("status") or {}).get("job")
        return Outcome.of_stored(row) if row else None

    def note(self, epoch: int, **status: Any) -> None:
        """Add to the account."""
        if "message" in status:
            status["message"] = str(status["message"])[:MESSAGE]
        if status.get("result") in (DONE, UNDONE, FAILED):
            status["finished"] = _now()
        name = names.migration(self._app, epoch)
        self._cluster.patch(MIGRATION, name, self.namespace, {"status": status})


def expired(standby: Mapping[str, Any]) -> bool:
    """Whether what the edge is kept ready with counts as too old."""
    return _now() > str(standby.get("expires") or "")


def _placement(found: Mapping[str, Any]) -> Placement:
    spec, status = found["spec"], found.get("status") or {}
    return Placement(
        owner=str(spec["owner"]),
        epoch=int(spec["epoch"]),
        tree=int(spec.get("tree") or 0),
        run=int(status.get("run") or 0),
        open=status.get("phase") == MOVING,
        lost=str(spec.get("lost") or ""),
        standby=dict(status.get("standby") or {}),
        slot=int((found["metadata"].get("annotations") or {}).get(SLOT) or 0),
        version=str(found["metadata"]["resourceVersion"]),
    )


def _now() -> str:
    return datetime.now(timezone.utc).strftime(TIME)


def _purged() -> dict[str, Any]:
    return {"metadata": {"annotations": {PURGED: _now()}}}
