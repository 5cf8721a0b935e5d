# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every row of the protocol's table has something that does it."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.migration import table
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
