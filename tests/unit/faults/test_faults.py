# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fault harness: that it knows every step of the protocol, and that its checks find what is wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.manifests import presence
from ansible_collections.kraf.edge.plugins.module_utils.migration import table
from tests.faults import lost
from tests.faults.lab import App, Side, both, problems
from tests.faults.run import ECHO, LEDGER, OTHER, STEPS, Case, cases
from tests.faults.writer import complaints

GOOD = "1 a\n2 a\n3 b\n5 b\n"


@pytest.mark.parametrize("app", [LEDGER, ECHO], ids=lambda app: app.name)
@pytest.mark.parametrize("to", ["edge", "device"])
def test_every_step_of_the_protocols_table_has_its_cases(app: App, to: str) -> None:
    wanted = [step.name for step in table.plan(to, app.overlap)]
    assert list(STEPS[app.name, to]) == wanted
    names = {case.name for case in cases()}
    assert {f"{app.name}-to-{to}/{when}:{step}" for step in wanted for when in ("before", "after")} <= names


def test_cases_of_an_app_begin_where_the_one_before_has_ended() -> None:
    ledger = [case for case in cases() if case.app is LEDGER]
    assert all(one.to == OTHER[other.to] for one, other in zip(ledger[:40], ledger[1:41]))
    assert len({case.name for case in cases()}) == len(cases())
    assert Case(LEDGER, "edge", ("after:copy", "before:settle")).name == "ledger-to-edge/after:copy+before:settle"


def test_an_app_without_ports_is_asked_where_its_device_asks() -> None:
    assert (presence.PORT, presence.PATH.lstrip("/")) == lost.PRESENCE


def test_log_with_all_that_was_acknowledged_is_right() -> None:
    assert complaints(GOOD, [1, 2, 5], 6) == []
    assert complaints("", [], 1) == []


@pytest.mark.parametrize(
    ("log", "why"),
    [
        ("1 a\n3 b\n5 b\n", "acknowledged numbers are lost: [2]"),
        ("1 a\n2 a\n2 a\n5 b\n", "twice"),
        ("2 a\n1 a\n5 b\n", "out of order"),
        ("1 a\n2 b\n5 a\n", "two instances wrote at once"),
        ("1 a\n2 a\n5 b\n7 b\n", "number 7 was never sent"),
        ("1 a\n2 a\n5 b\n6", "broken lines"),
    ],
)
def test_log_that_lost_or_mixed_something_is_found(log: str, why: str) -> None:
    assert any(why in complaint for complaint in complaints(log, [1, 2, 5], 7))


AT_DEVICE = Side(
    "abc",
    True,
    "unless-stopped",
    [],
    [],
    "device",
    {"owner": "device", "phase": "idle", "epoch": 3},
    {"owner": "device", "epoch": 3, "phase": "Settled"},
)
AT_EDGE = replace(
    AT_DEVICE,
    running=False,
    policy="no",
    pods=["app-ledger-0"],
    workloads=["StatefulSet app-ledger"],
    forward="edge",
    device={"owner": "edge", "phase": "idle", "epoch": 3},
    placement={"owner": "edge", "epoch": 3, "phase": "Settled"},
)


def test_app_that_is_where_it_should_be_is_no_problem() -> None:
    assert problems(AT_DEVICE, "device", LEDGER) == []
    assert problems(AT_EDGE, "edge", LEDGER) == []


@pytest.mark.parametrize(
    "change",
    [
        {"running": True},
        {"policy": "unless-stopped"},
        {"pods": []},
        {"pods": ["app-ledger-0", "app-ledger-1"]},
        {"workloads": []},
        {"forward": "held"},
        {"device": {"owner": "edge", "phase": "ready", "epoch": 3}},
        {"device": {"owner": "edge", "phase": "idle", "epoch": 2}},
        {"placement": {"owner": "edge", "epoch": 3, "phase": "Moving"}},
        {"left": ["Pod mover-ledger"]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_anything_else_is_found(change: dict[str, object]) -> None:
    assert len(problems(replace(AT_EDGE, **change), "edge", LEDGER)) == 1


def test_app_on_both_sides_is_seen() -> None:
    assert both(replace(AT_EDGE, running=True))
    assert not both(AT_EDGE)
    assert not both(AT_DEVICE)
