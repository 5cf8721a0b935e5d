# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module app_handover: what a job has said stays out of what is shown and logged, and takes nothing else with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible.module_utils import basic

from ansible_collections.kraf.edge.plugins.module_utils.on_device import placement, units
from ansible_collections.kraf.edge.plugins.module_utils.on_device.handover import Task
from ansible_collections.kraf.edge.plugins.module_utils.placement.outcome import Outcome
from ansible_collections.kraf.edge.plugins.modules import app_handover
from tests.integration.modules import run


def test_the_log_of_a_job_is_neither_shown_nor_logged_and_hides_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tasks: list[Task] = []
    logged: list[str] = []

    def settle(task: Task) -> dict[str, object]:
        tasks.append(task)
        return {"changed": True, "record": {"app": "train", "owner": "device", "epoch": 3}}

    monkeypatch.setitem(app_handover.STEPS, "settle", settle)
    monkeypatch.setattr(placement, "ROOT", tmp_path)
    monkeypatch.setattr(units, "running", lambda: False)
    monkeypatch.setattr(
        basic.AnsibleModule, "log", lambda _self, text, log_args=None: logged.append(f"{text} {log_args}")
    )
    # Words that stand in the module's own answer, too: hiding each of them would hide the answer.
    ended = Outcome("failed", "Error", 3, 1, log="device\ntrain\nhunter2 {{ 7 * 7 }} 3")
    options = {"step": "settle", "app": "train", "container": "train", "owner": "device", "epoch": 3, "job": True}
    for log in (ended.log, "device"):
        told = Outcome("failed", "Error", 3, 1, log=log).told()
        result = run(app_handover, {**options, "outcome": told}, False, monkeypatch, capsys)
        assert json.loads(tasks[-1].outcome)["log"] == log
        assert result["record"] == {"app": "train", "owner": "device", "epoch": 3}
        assert "hunter2" not in json.dumps(result)
        assert result["invocation"]["module_args"]["outcome"] != told
        assert result["invocation"]["module_args"]["owner"] == "device"
    assert logged, "a module logs that it was called"
    assert not [one for one in logged if "hunter2" in one]
    assert "hunter2" not in repr(tasks[0])
