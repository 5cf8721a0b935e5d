# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what both sides say to the state that the protocol's table speaks of. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..catalog.records import CRONJOB, JOB, SERVICE, App
from ..core.errors import KrafError
from ..migration import table
from ..migration.world import DEVICE, EDGE, HELD, IDLE, MOVING, World
from ..on_device import cron, group
from .edge import Seen
from .records import Placement


def world(placement: Placement | None, seen: Seen, look: Mapping[str, Any], app: App) -> World:
    """The state of one app.

    Args:
        placement: None when the app was never moved.
        seen: what there is at the edge.
        look: what the device says (module app_handover, step look).
        app: its row in the catalog; without ports it has no clients, and its forward is wherever it would have to be.
    """
    said = placement or Placement()
    record, container = look.get("record") or {}, look.get("container") or {}
    running = bool(container.get("running"))
    owner, phase = str(record.get("owner", DEVICE)), str(record.get("phase", IDLE))
    without = owner if phase == IDLE else HELD
    policy = str(container.get("restart_policy") or "no")
    if owner == DEVICE and phase == IDLE:
        restart = running  # its own policy, whatever it is
    else:
        restart = running and policy == record.get("restart_policy") if said.owner == DEVICE else policy != "no"
    return World(
        owner=said.owner,
        epoch=said.epoch,
        stamp=said.run,
        open=said.open,
        record_owner=owner,
        record_epoch=int(record.get("epoch", 1)),
        record_phase=phase,
        record_to=str(record.get("to", DEVICE)),
        fence=int(record.get("fence", 0)),
        running=running,
        restart=restart,
        forward=str((look.get("forward") or {}).get("target") or (DEVICE if app.ports else without)),
        armed=phase == MOVING,
        workload=seen.workload,
        pod=seen.pod,
        passed=seen.passed,
        overlap=app.overlap,
        job=app.job,
        ended=seen.ended,
        lost=said.lost,
        record_lost=bool(record.get("lost")),
    )


def same_kind(app: App, look: Mapping[str, Any]) -> None:
    """Refuse an app whose kind was changed while the edge owns it: its workload there is another one.

    Raises:
        KrafError: naming both kinds.
    """
    record = look.get("record") or {}
    found, now = str(record.get("container") or ""), app.runs_as
    if record.get("owner") == EDGE and found != now and (group.is_group(found) or app.members):
        why, fix = f"it went to the edge as {found}", "Write the members as they were, move it back, then change them"
        raise KrafError(f"members of app {app.key}", now, why, fix)
    before = JOB if record.get("job") else CRONJOB if cron.is_cron(found) else SERVICE
    if record.get("owner") == EDGE and before != app.kind:
        why = f"it went to the edge as a {before}"
        fix = f"Write kind: {before} in the catalog, move it back, then change it"
        raise KrafError(f"kind of app {app.key}", app.kind, why, fix)


def check(app: str, placement: Placement | None, state: World, seen: Seen) -> None:
    """Refuse what cannot belong together; nobody may guess which side is right.

    Raises:
        KrafError: naming what each side says.
    """
    device = f"the device says owner {state.record_owner}, epoch {state.record_epoch}, {state.record_phase}"
    if placement is None and seen.workload:
        why = f"the edge has its workload of epoch {seen.workload}, but there is no Placement; {device}"
        fix = "Restore the Placement, or delete the workload, once it is clear which side's data are good"
        raise KrafError(f"owner of app {app}", None, why, fix)
    if not table.record_agrees(state):
        here = (
            "there is no Placement"
            if placement is None
            else f"the Placement says owner {state.owner}, epoch {state.epoch}"
        )
        fix = (
            "Was etcd restored, the namespace deleted, or the device written anew? Find out which side's data are good,"
            " then correct the Placement or the device's /var/lib/kraf/placements"
        )
        raise KrafError(f"owner of app {app}", None, f"{here}; {device}", fix)
