# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator reads after a move."""

from __future__ import annotations

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.placement import summary

MOVED = {
    "app": "pi1/faces",
    "changed": True,
    "owner": "edge",
    "epoch": 2,
    "address": "pi1:8000",
    "held_seconds": 3.25,
    "portability": [
        {"property": "argv", "verdict": "kept", "why": "as they run"},
        {"property": "address of clients", "verdict": "lost", "why": "the app sees the door's address"},
    ],
}


def test_it_says_where_the_app_is_and_how_long_clients_waited() -> None:
    lines = summary.lines([MOVED])
    assert lines[1].split() == ["pi1/faces", "moved", "edge", "2", "pi1:8000", "3.25", "s"]


def test_it_says_what_the_move_sent() -> None:
    moved = {**MOVED, "requests": 57, "waits": 14, "device_calls": 2, "copied_bytes": {"first": 3 << 30, "held": 2048}}
    sent = "its data 3 GiB over the line before, and 2 KiB while clients waited"
    assert (
        f"pi1/faces took 43 requests to the API server (14 more while it waited) and 2 calls to the device; {sent}"
        in summary.lines([moved])
    )


def test_it_says_which_step_made_the_requests() -> None:
    steps = [
        {"step": "lock", "requests": 4, "waits": 0},
        {"step": "ready", "requests": 9, "waits": 9},
        {"step": "commit", "requests": 3, "waits": 1},
    ]
    moved = {**MOVED, "requests": 16, "waits": 10, "device_calls": 2, "steps": steps}
    took = "pi1/faces took 6 requests to the API server (lock 4, commit 2; 10 more while it waited)"
    assert took in "\n".join(summary.lines([moved]))


def test_it_says_what_the_device_pushed() -> None:
    moved = {
        **MOVED,
        "requests": 57,
        "device_calls": 2,
        "pushed_bytes": 3 << 20,
        "pushed_layers": {"sent": 1, "there": 4},
    }
    assert "; its image 3 MiB in 1 layers, 4 were there already" in "\n".join(summary.lines([moved]))


@pytest.mark.parametrize("owner", ["device", "edge"])
def test_it_says_which_side_went_on_from_which_copy(owner: str) -> None:
    lines = summary.lines([{**MOVED, "owner": owner, "copy_age_seconds": 40.4}])
    assert f"pi1/faces: the {owner} went on from a copy verified 40 s before" in lines


def test_it_tells_only_what_is_different() -> None:
    text = "\n".join(summary.lines([MOVED]))
    assert "the door's address" in text
    assert "argv" not in text


def test_a_failure_stands_there_with_its_reason() -> None:
    lines = summary.lines([{"app": "pi1/faces", "changed": False, "failed": True, "msg": "no room"}])
    assert "pi1/faces was not moved: no room" in lines


def test_a_plan_names_the_steps() -> None:
    plan = [{"step": "commit", "does": "change the owner"}]
    lines = summary.lines([{**MOVED, "plan": plan}])
    assert "  commit     change the owner" in lines
    assert "would move" in lines[1]


def test_a_job_says_how_it_ended_and_what_it_said_last() -> None:
    job = {"result": "failed", "reason": "OOMKilled", "exit_code": 137, "runs": 2, "seconds": 71.2}
    lines = summary.lines([{**MOVED, "job": job, "log": ["loading", "epoch 1"]}])
    assert "pi1/faces failed (OOMKilled): exit code 137 after 71 s and 2 run(s)" in lines
    assert lines[lines.index("Its log ends with") + 1 :][:2] == ["  loading", "  epoch 1"]


def test_a_job_without_a_pod_has_no_exit_code() -> None:
    job = {"result": "failed", "reason": "DeadlineExceeded", "exit_code": None, "runs": 1, "seconds": 60.0}
    assert "no exit code" in "\n".join(summary.lines([{**MOVED, "job": job, "log": []}]))
