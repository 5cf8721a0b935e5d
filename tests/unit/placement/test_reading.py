# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what both sides say to the state of the protocol."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import App
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


JOB = App("pi1", "faces", kind="job")
RESTS = {"job": True, "restart_policy": "no"}


def job_at_edge(seen: Seen) -> Any:
    said = look({**RESTS, "owner": "edge", "epoch": 2}, running=False, restart_policy="no")
    return reading.world(Placement("edge", 2), seen, {**said, "forward": None}, JOB)


def test_a_job_at_rest_is_settled_on_its_device_and_so_is_one_that_was_started_there() -> None:
    for running in (False, True):
        said = {**NEVER, "container": container(running=running, restart_policy="no")}
        assert table.settled(reading.world(None, Seen(), said, JOB))


@pytest.mark.parametrize(
    "seen", [Seen(2), Seen(2, 2, True), Seen(2, 2, False, ended=2)], ids=["waits", "runs", "ended"]
)
def test_a_job_is_settled_at_the_edge_whether_it_runs_or_has_run(seen: Seen) -> None:
    assert table.settled(job_at_edge(seen))


def test_a_job_that_has_begun_is_not_given_back() -> None:
    held = replace(job_at_edge(Seen(2, 2, True)), record_epoch=1, record_phase="ready", forward="held")
    assert not table.revocable(held, "edge", 1)
    assert not table.revocable(replace(held, passed=False, ended=2), "edge", 1)
    assert table.revocable(replace(held, passed=False), "edge", 1)


def test_a_job_that_came_back_is_not_given_back_to_run_again() -> None:
    back = replace(
        job_at_edge(Seen(2, 2, False, ended=2)), owner="device", epoch=3, record_phase="ready", forward="held"
    )
    assert not table.revocable(back, "device", 2)
    assert table.revocable(replace(back, job=False), "device", 2)


def test_a_kind_that_was_changed_while_the_edge_owns_the_app_is_refused() -> None:
    with pytest.raises(KrafError, match="went to the edge as a service"):
        reading.same_kind(JOB, look({"owner": "edge"}))
    with pytest.raises(KrafError, match="went to the edge as a job"):
        reading.same_kind(APP, look({"owner": "edge", "job": True}))
    reading.same_kind(JOB, look({"owner": "device"}))
