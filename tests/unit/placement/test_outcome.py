# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""placement/outcome: what became of a job, from its Job and its pods as Kubernetes 1.22 leaves them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.placement import outcome
from ansible_collections.kraf.edge.plugins.module_utils.placement.outcome import Outcome

BEGIN, END = "2026-05-04T10:00:00Z", "2026-05-04T10:01:30Z"


def job(*conditions: str, reason: str = "", killed: str = "", **status: Any) -> dict[str, Any]:
    rows = [{"type": one, "status": "True", "reason": reason, "lastTransitionTime": END} for one in conditions]
    marks = {outcome.KILLED: killed} if killed else {}
    return {"metadata": {"annotations": marks}, "status": {"startTime": BEGIN, "conditions": rows, **status}}


def pod(
    name: str = "a", created: str = BEGIN, phase: str = "Running", gate: int | None = 0, **state: Any
) -> dict[str, Any]:
    gates = [{"name": "gate", "state": {} if gate is None else {"terminated": {"exitCode": gate}}}]
    return {
        "metadata": {"name": name, "creationTimestamp": created},
        "status": {
            "phase": phase,
            "initContainerStatuses": gates,
            "containerStatuses": [{"name": "app", "state": state or {"waiting": {}}}],
        },
    }


def ended(code: int, reason: str = "Error") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, "startedAt": BEGIN, "finishedAt": END}}


def test_a_job_that_runs_is_not_over_and_says_for_how_long() -> None:
    found = outcome.read(job(active=1), [pod(running={"startedAt": BEGIN})], "one\n")
    assert (found.result, found.over, found.exit_code, found.runs) == ("running", False, None, 1)
    assert found.seconds(datetime(2026, 5, 4, 10, 0, 42, tzinfo=timezone.utc)) == 42


def test_a_job_that_waits_for_its_pod_has_not_begun() -> None:
    found = outcome.read({**job(), "status": {}}, [pod(gate=None)], "")
    assert (found.started, found.seconds(), found.runs) == ("", 0.0, 0)


def test_a_job_that_succeeded_tells_code_time_and_log() -> None:
    found = outcome.read(job("Complete", succeeded=1), [pod(phase="Succeeded", **ended(0, "Completed"))], "a\nb\n")
    assert (found.result, found.reason, found.exit_code, found.log) == ("succeeded", "", 0, "a\nb")
    assert found.seconds() == 90


def test_the_last_try_tells_of_a_job_that_failed() -> None:
    tries = [pod("a", BEGIN, "Failed", **ended(1)), pod("b", END, "Failed", **ended(137, "OOMKilled"))]
    found = outcome.read(job("Failed", reason="BackoffLimitExceeded", failed=2), tries, "")
    assert (found.result, found.reason, found.exit_code, found.runs) == ("failed", "OOMKilled", 137, 2)


def test_an_exit_code_of_the_jobs_own_leaves_the_reason_to_kubernetes() -> None:
    found = outcome.read(job("Failed", reason="BackoffLimitExceeded"), [pod(phase="Failed", **ended(3))], "")
    assert (found.reason, found.exit_code) == ("Error", 3)


def test_a_job_at_its_deadline_has_no_pod_left() -> None:
    found = outcome.read(job("Failed", reason="DeadlineExceeded", failed=1), [], "")
    assert (found.result, found.reason, found.exit_code, found.runs, found.log) == (
        "failed",
        "DeadlineExceeded",
        None,
        1,
        "",
    )


def test_a_job_whose_gate_refuses_a_further_run_says_so() -> None:
    found = outcome.read(job("Failed", reason="BackoffLimitExceeded", failed=1), [pod(phase="Failed", gate=3)], "")
    assert found.reason == "its gate ended with 3"


def test_a_job_that_was_taken_back_is_over_and_never_resumed() -> None:
    found = outcome.read(job(killed=END), [], "")
    assert (found.result, found.over, found.finished) == ("killed", True, END)
    assert outcome.ended(job(killed=END))
    assert not outcome.ended(job())


def test_a_job_that_ended_while_it_was_taken_back_counts_as_it_ended() -> None:
    assert outcome.read(job("Complete", killed=END), [], "").result == "succeeded"


def test_a_log_is_made_fit_for_a_terminal_and_its_end_is_kept() -> None:
    found = outcome.read(job("Complete"), [], "\x1b[31mred\x1b[0m\a\n" + "x" * 40_000 + "\nlast")
    assert found.log.startswith("red\nxx")
    assert found.log.endswith("\nlast")
    long = outcome.read(job("Complete"), [], "\n".join(["y" * 499] * 50))
    assert len(long.log) == outcome.MOST


RAN = Outcome("running", runs=1, started=BEGIN, log="so far")
KILLED = Outcome("killed", "taken back before its end", finished=END)


@pytest.mark.parametrize(
    ("before", "started", "runs", "log"),
    [
        (RAN, BEGIN, 1, "so far"),
        (replace(KILLED, runs=2, started=BEGIN, log="its end"), BEGIN, 2, "its end"),
        (Outcome("killed", finished=BEGIN, started=BEGIN, runs=1, log="of another run"), "", 0, ""),
        (None, "", 0, ""),
    ],
)
def test_what_kubernetes_has_forgotten_is_known_from_an_earlier_look_at_the_same_run(
    before: Outcome | None, started: str, runs: int, log: str
) -> None:
    found = KILLED.completed(before)
    assert found == replace(KILLED, started=started, runs=runs, log=log)


def test_a_log_that_is_there_is_not_taken_from_an_earlier_look() -> None:
    found = Outcome("failed", "Error", 3, 2, END, END, "last try")
    assert found.completed(RAN) == found


def test_an_exit_code_that_is_known_stays_when_the_pod_is_gone() -> None:
    gone = Outcome("failed", "Error", None, 1, BEGIN, END)
    assert gone.completed(replace(gone, exit_code=3)).exit_code == 3
    assert replace(gone, exit_code=4).completed(replace(gone, exit_code=3)).exit_code == 4


def test_the_device_is_told_all_in_one_text() -> None:
    ended = Outcome("failed", "Error", 3, 2, BEGIN, END, 'a "b"\nc')
    assert json.loads(ended.told()) == {**vars(ended), "seconds": 90.0}


def test_what_an_earlier_try_has_left_in_a_migration_is_taken_away() -> None:
    assert Outcome("succeeded", exit_code=0).stored()["log"] is None


@pytest.mark.parametrize("found", [Outcome(), Outcome("failed", "Error", 0, 2, BEGIN, END, "a\nb"), Outcome("killed")])
def test_what_is_stored_is_read_back(found: Outcome) -> None:
    assert Outcome.of_stored(found.stored()) == found


@pytest.mark.parametrize(
    ("one", "begun", "over"),
    [
        (pod(), False, False),
        (pod(running={}), True, False),
        (pod(phase="Succeeded", **ended(0)), True, True),
        (pod(phase="Failed", gate=3), True, True),
    ],
)
def test_whether_a_pod_has_begun_is_read_off_it(one: dict[str, Any], begun: bool, over: bool) -> None:
    assert (outcome.started(one), outcome.over(one)) == (begun, over)
