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
from ansible_collections.kraf.edge.plugins.module_utils.placement.job import Job, Limits, Site
from ansible_collections.kraf.edge.plugins.module_utils.placement.outcome import Outcome
from ansible_collections.kraf.edge.plugins.module_utils.placement.records import Placement
from ansible_collections.kraf.edge.plugins.module_utils.placement.steps import Steps

PLANS = {
    **{
        f"plan {to} {kind}": table.plan(to, kind == "overlap", kind == "job")
        for to in ("edge", "device")
        for kind in ("service", "overlap", "job")
    },
    **{f"settle {to} {over}": table.settle(to, over) for to in ("edge", "device") for over in (False, True)},
    **{f"give back {to}": table.give_back(to) for to in ("edge", "device")},
}


@pytest.mark.parametrize("name", PLANS)
def test_each_step_of_a_plan_is_done_by_something(name: str) -> None:
    nothing: Any = Mock()
    assert set(PLANS[name]) <= set(Steps(nothing, nothing, nothing).perform)


LAST = Outcome("failed", "Error", 3, 1, "2026-05-04T10:00:00Z", "2026-05-04T10:01:00Z", "no good")


def cronjob(monkeypatch: pytest.MonkeyPatch, last: Outcome | None, kept: Outcome | None) -> tuple[Any, Any, Steps]:
    """Calls to the device, the records and the steps of a cronjob on its way back."""
    device, records, edge = Mock(return_value={}), Mock(), Mock()
    edge.last_run.return_value, records.outcome.return_value = last, kept
    records.begun.return_value = Placement("edge", 4)
    site = Site(("192.0.2.7:8843",), "edge:1", "192.0.2.7:5000", ("amd64",))
    where = Device("pi1", "6a0cbb2e-38a4-4a9f-9d2f-5a1f0f6c9d11")
    app = App("pi1", "report", kind="cronjob", schedule="* * * * *")
    nothing: Any = Mock()
    job = Job(nothing, app, where, "device", "me", site, Limits(), device, records.begun(), epoch=4)
    steps = Steps(job, records, edge)
    monkeypatch.setattr(steps, "start_mover", Mock())
    monkeypatch.setattr(steps, "_begin", lambda step: job.on_device(step))
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
