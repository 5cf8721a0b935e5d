# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what both sides say to the state of the protocol."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.migration import table
from ansible_collections.kraf.edge.plugins.module_utils.placement import reading
from ansible_collections.kraf.edge.plugins.module_utils.placement.edge import Seen
from ansible_collections.kraf.edge.plugins.module_utils.placement.records import Placement

from .containers import APP, container

NEVER: dict[str, Any] = {"record": None, "forward": None}
RECORD = {"owner": "device", "epoch": 1, "phase": "idle", "to": "device", "fence": 1, "restart_policy": "always"}


def look(record: dict[str, Any] | None = None, forward: str = "device", **changes: Any) -> dict[str, Any]:
    return {
        "record": {**RECORD, **(record or {})},
        "forward": {"target": forward},
        "container": container(**{"restart_policy": "always", **changes}),
    }


def test_an_app_that_never_moved_is_settled_on_its_device() -> None:
    state = reading.world(None, Seen(), {**NEVER, "container": container()}, APP)
    assert table.settled(state)
    assert state.owner == "device"


def test_an_app_at_the_edge_is_settled_there() -> None:
    said = look({"owner": "edge", "epoch": 2}, "edge", running=False, restart_policy="no")
    assert table.settled(reading.world(Placement("edge", 2), Seen(2, 2, True, "worker1"), said, APP))


@pytest.mark.parametrize(
    ("placement", "seen", "said"),
    [
        (Placement("edge", 2), Seen(), look({"owner": "edge", "epoch": 2}, "edge", running=False, restart_policy="no")),
        (
            Placement("edge", 2),
            Seen(2),
            look({"owner": "edge", "epoch": 2}, "held", running=False, restart_policy="no"),
        ),
        (Placement("edge", 2), Seen(2), look({"owner": "edge", "epoch": 2}, "edge")),
        (Placement("device", 1), Seen(), look({"phase": "moving", "to": "edge"}, "held", running=False)),
        (Placement("device", 1, open=True), Seen(), look()),
        (Placement("device", 1), Seen(2), look()),
        (Placement("device", 1), Seen(), look(running=False)),
    ],
    ids=["no workload", "held", "runs on both", "stopped halfway", "open", "workload left", "stopped"],
)
def test_what_an_earlier_run_left_is_not_settled(placement: Placement, seen: Seen, said: dict[str, Any]) -> None:
    assert not table.settled(reading.world(placement, seen, said, APP))


def test_mig_02_a_stopped_container_that_docker_would_start_again_is_not_settled() -> None:
    said = look({"owner": "edge", "epoch": 2}, "edge", running=False, restart_policy="always")
    assert not table.settled(reading.world(Placement("edge", 2), Seen(2), said, APP))


@pytest.mark.parametrize(
    ("placement", "seen", "record", "named"),
    [
        (Placement("device", 7), Seen(), {"owner": "edge", "epoch": 2}, "owner device, epoch 7"),
        (None, Seen(), {"owner": "edge", "epoch": 2}, "there is no Placement"),
        (None, Seen(3), {}, "the edge has its workload of epoch 3"),
        (Placement("edge", 2), Seen(2), {}, "device, epoch 1"),
    ],
    ids=["etcd restored", "namespace deleted", "placement deleted", "device written anew"],
)
def test_a_mismatch_is_refused_and_shows_both_sides(
    placement: Placement | None, seen: Seen, record: dict[str, Any], named: str
) -> None:
    said = look(record)
    state = reading.world(placement, seen, said, APP)
    with pytest.raises(KrafError) as caught:
        reading.check("pi1/faces", placement, state, seen)
    assert named in str(caught.value)
    assert "the device says owner" in str(caught.value)
