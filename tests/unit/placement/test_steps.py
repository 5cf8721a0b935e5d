# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every row of the protocol's table has something that does it."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import Mock

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import App, Device
from ansible_collections.kraf.edge.plugins.module_utils.migration import table
from ansible_collections.kraf.edge.plugins.module_utils.placement import lost, standby
from ansible_collections.kraf.edge.plugins.module_utils.placement.job import Job, Limits, Site
from ansible_collections.kraf.edge.plugins.module_utils.placement.outcome import Outcome
from ansible_collections.kraf.edge.plugins.module_utils.placement.records import Placement
from ansible_collections.kraf.edge.plugins.module_utils.placement.steps import Steps, progress
from ansible_collections.kraf.edge.plugins.module_utils.placement.walk import Walk

from .containers import APP

GIB = 2**30
SITE = Site(("192.0.2.7:8843",), "edge:1", "192.0.2.7:5000", ("amd64",))

PLANS = {
    **{
        f"plan {to} {kind}": table.plan(to, kind == "overlap", kind == "job")
        for to in ("edge", "device")
        for kind in ("service", "overlap", "job")
    },
    **{f"settle {to} {over}": table.settle(to, over) for to in ("edge", "device") for over in (False, True)},
    **{f"give back {to}": table.give_back(to) for to in ("edge", "device")},
}


OF_THEIR_OWN: dict[str, tuple[type[Walk], tuple[table.Step, ...]]] = {
    "standby": (standby.Standby, table.standby()),
    "abandon": (standby.Abandon, table.abandon()),
    **{
        f"device lost, {owner} owns it {over}": (lost.LostDevice, table.device_lost(owner, over))
        for owner in ("edge", "device")
        for over in (False, True)
    },
    **{f"edge lost {reached}": (lost.LostEdge, table.edge_lost(reached)) for reached in (False, True)},
}


def done_by(walk: type[Walk]) -> set[table.Step]:
    nothing: Any = Mock()
    job = Job(nothing, APP, Device("pi1"), "edge", "me", SITE, Limits(), nothing)
    return set(walk(job, nothing)._perform)


@pytest.mark.parametrize("name", PLANS)
def test_each_step_of_a_plan_is_done_by_something(name: str) -> None:
    assert set(PLANS[name]) <= done_by(Walk)


@pytest.mark.parametrize("name", OF_THEIR_OWN)
def test_each_step_of_a_walk_with_steps_of_its_own_is_done_by_something(name: str) -> None:
    walk, plan = OF_THEIR_OWN[name]
    assert set(plan) <= done_by(walk)


LAST = Outcome("failed", "Error", 3, 1, "2026-05-04T10:00:00Z", "2026-05-04T10:01:00Z", "no good")


def cronjob(monkeypatch: pytest.MonkeyPatch, last: Outcome | None, kept: Outcome | None) -> tuple[Any, Any, Steps]:
    """Calls to the device, the records and the steps of a cronjob on its way back."""
    device, records, edge = Mock(return_value={}), Mock(), Mock()
    edge.last_run.return_value, records.outcome.return_value = last, kept
    records.begun.return_value = Placement("edge", 4)
    where = Device("pi1", "6a0cbb2e-38a4-4a9f-9d2f-5a1f0f6c9d11")
    app = App("pi1", "report", kind="cronjob", schedule="* * * * *")
    nothing: Any = Mock()
    job = Job(nothing, app, where, "device", "me", SITE, Limits(), device, records.begun(), epoch=4)
    steps = Steps(job, records, edge)
    monkeypatch.setattr(steps, "start_mover", Mock())
    monkeypatch.setattr(steps, "begin", job.on_device)
    return device, records, steps


def told(device: Mock) -> Any:
    given = device.call_args.kwargs["outcome"]
    return json.loads(given) if given else None


def test_a_cronjob_comes_back_with_how_its_last_run_at_the_edge_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    device, records, steps = cronjob(monkeypatch, LAST, None)
    steps.prepare_device()
    assert told(device) == LAST.as_dict()
    # Before its Jobs are taken away: the next run may have to settle it.
    assert records.note.call_args.args == (5,)
    assert records.note.call_args.kwargs == {"job": LAST.stored()}


def test_a_cronjob_whose_runs_an_earlier_try_has_taken_away_comes_back_with_what_that_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device, records, steps = cronjob(monkeypatch, None, LAST)
    steps.prepare_device()
    assert told(device) == LAST.as_dict()
    assert records.outcome.call_args.args == (5,)


def test_a_cronjob_that_has_not_run_at_the_edge_brings_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    device, records, steps = cronjob(monkeypatch, None, None)
    steps.prepare_device()
    assert told(device) is None
    assert not records.note.called


def test_a_cronjob_that_is_settled_on_its_device_has_what_its_migration_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    device, records, steps = cronjob(monkeypatch, None, LAST)
    steps.settle_device()
    assert told(device) == LAST.as_dict()
    assert records.outcome.call_args.args == (4,)


# -- how far it is -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0 1.0", "first copy   0 %, 0 B of 4 GiB"),
        (f"{GIB} 30.0", "first copy  25 %, 1 GiB of 4 GiB, about 90 s left"),
        (f"{3 * GIB} 30.4", "first copy  75 %, 3 GiB of 4 GiB, about 10 s left"),
        (f"{4 * GIB - 1} 30.0", "first copy  99 %, 4 GiB of 4 GiB, about 0 s left"),
        (f"{4 * GIB} 30.0", "first copy 100 %, 4 GiB of 4 GiB, about 0 s left"),
        (f"{5 * GIB} 30.0", "first copy 100 %, 4 GiB of 4 GiB, about 0 s left"),
    ],
)
def test_a_first_copy_tells_its_share_its_bytes_and_the_time_that_is_left(text: str, said: str) -> None:
    assert progress(text, 4 * GIB) == said


@pytest.mark.parametrize("text", ["", "7", "7 1.0 9", "x 1.0", "-7 1.0", "7 soon", "\u00b2 1.0"])
def test_what_cannot_be_understood_of_it_ends_no_copy(text: str) -> None:
    assert progress(text, 4 * GIB) == "first copy goes on"


def test_of_no_data_there_is_no_share() -> None:
    assert progress("0 1.0", 0) == "first copy goes on"
