# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What became of a job: its Job object and its pods in, an account for people and for the Migration out. Pure.

https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/job-v1/#JobStatus
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

from ..catalog.records import TIME
from ..core.coerce import printable
from ..manifests.workload import GATE

KILLED = "kraf.io/killed"
"""Annotation of a Job that was taken back before its end: when."""

LINES, WIDTH = 50, 500
MOST = 16000
"""Characters of the log's end that a Migration holds (its CRD's maxLength)."""

RUNNING, SUCCEEDED, FAILED, ENDED = "running", "succeeded", "failed", "killed"


@dataclass(frozen=True)
class Outcome:
    """How far a job is, or how it has ended; of a cronjob, one run of it.

    Attributes:
        result: ``running``, ``succeeded``, ``failed``, or ``killed`` when it was taken back before its end.
        reason: in Kubernetes' words, why it failed; empty otherwise.
        exit_code: of its last try; None when there is none, since it runs or its pod was removed.
        runs: how often it was begun.
        started: time of the first begin, UTC; empty before. ``finished`` likewise.
        log: the last lines of the last try.
    """

    result: str = RUNNING
    reason: str = ""
    exit_code: int | None = None
    runs: int = 0
    started: str = ""
    finished: str = ""
    log: str = ""

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.result != RUNNING

    def seconds(self, until: datetime | None = None) -> float:
        """How long it has run so far, or did (timezone-aware ``until``; default: now)."""
        if not self.started:
            return 0.0
        end = parsed(self.finished) if self.finished else until or datetime.now(timezone.utc)
        return max(0.0, (end - parsed(self.started)).total_seconds())

    def as_dict(self) -> dict[str, Any]:
        """For a module's result."""
        return {**vars(self), "seconds": self.seconds()}

    def told(self) -> str:
        """As the device is told of it (``on_device/outcome``)."""
        return json.dumps(self.as_dict(), sort_keys=True)

    def completed(self, before: Outcome | None) -> Outcome:
        """With what an earlier look knew that saw no end yet, or this one, if the log is gone by now.

        Kubernetes removes the pods of a job that is ended before its time, and forgets when it began.
        """
        another = (
            before is not None and before.over and (before.result, before.finished) != (self.result, self.finished)
        )
        if before is None or another or self.log:
            return self
        code = before.exit_code if self.exit_code is None else self.exit_code
        started_ = before.started or self.started
        return replace(self, exit_code=code, runs=max(self.runs, before.runs), started=started_, log=before.log)

    def stored(self) -> dict[str, Any]:
        """As a Migration holds it; null takes away what an earlier try has left there."""
        row = {
            "result": self.result,
            "reason": self.reason,
            "exitCode": self.exit_code,
            "runs": self.runs,
            "started": self.started,
            "finished": self.finished,
            "log": self.log,
        }
        return {key: None if value == "" else value for key, value in row.items()}

    @classmethod
    def of_stored(cls, row: Mapping[str, Any]) -> Outcome:
        """The reverse of ``stored``."""
        code = row.get("exitCode")
        return cls(
            str(row.get("result") or RUNNING),
            str(row.get("reason") or ""),
            None if code is None else int(code),
            int(row.get("runs") or 0),
            str(row.get("started") or ""),
            str(row.get("finished") or ""),
            str(row.get("log") or ""),
        )


def now() -> str:
    """This moment, as Kubernetes writes times."""
    return datetime.now(timezone.utc).strftime(TIME)


def parsed(text: str) -> datetime:
    """A time as Kubernetes writes it."""
    return datetime.strptime(text, TIME).replace(tzinfo=timezone.utc)


def made(found: Mapping[str, Any]) -> tuple[str, int]:
    """By what pods or Jobs of one app are put in order; of two within a second, the one written last is the later."""
    metadata = found["metadata"]
    return str(metadata.get("creationTimestamp") or ""), int(metadata.get("resourceVersion") or 0)


def _state(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    return next((one.get("state") or {} for one in statuses if one["name"] == "app"), {})


def started(pod: Mapping[str, Any]) -> bool:
    """Whether the app itself runs in a pod, has run, or never will since the pod is over."""
    return bool(set(_state(pod)) & {"running", "terminated"}) or over(pod)


def over(pod: Mapping[str, Any]) -> bool:
    """Whether nothing runs in a pod any more, and nothing will."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _condition(job: Mapping[str, Any]) -> Mapping[str, Any] | None:
    conditions = (job.get("status") or {}).get("conditions") or []
    return next((one for one in conditions if one["type"] in ("Complete", "Failed") and one["status"] == "True"), None)


def ended(job: Mapping[str, Any]) -> bool:
    """Whether a job has ended, or was taken back: nothing starts it again."""
    return _condition(job) is not None or KILLED in (job["metadata"].get("annotations") or {})


def last(pods: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The pod of the last try that was begun; a pod whose gate refused it has begun nothing."""
    begun = [one for one in pods if set(_state(one)) & {"running", "terminated"}]
    return max(begun, key=made) if begun else None


def read(job: Mapping[str, Any], pods: Sequence[Mapping[str, Any]], log: str) -> Outcome:
    """How far a job is.

    Args:
        job: its Job.
        pods: what is left of its pods.
        log: the last lines of the pod of its last try.
    """
    condition, pod = _condition(job), last(pods)
    killed = str((job["metadata"].get("annotations") or {}).get(KILLED) or "")
    state = _state(pod) if pod else {}
    terminated = state.get("terminated") or {}
    result, reason, finished = RUNNING, "", ""
    if condition is not None:
        result = SUCCEEDED if condition["type"] == "Complete" else FAILED
        reason = "" if result == SUCCEEDED else _reason(condition, terminated, pods)
        finished = str(condition.get("lastTransitionTime") or terminated.get("finishedAt") or "")
    elif killed:
        result, reason, finished = ENDED, "taken back before its end", killed
    code = terminated.get("exitCode")
    begun = [_state(one) for one in pods if set(_state(one)) & {"running", "terminated"}]
    starts = [str((one.get("running") or one.get("terminated") or {}).get("startedAt") or "") for one in begun]
    status = job.get("status") or {}
    first = min((one for one in starts if one), default=str(status.get("startTime") or ""))
    runs = max(len(begun), int(status.get("failed") or 0) + int(status.get("succeeded") or 0))
    lines = "\n".join(printable(line, WIDTH) for line in log.splitlines())
    return Outcome(result, reason, None if code is None else int(code), runs, first, finished, lines[-MOST:])


def _reason(condition: Mapping[str, Any], terminated: Mapping[str, Any], pods: Sequence[Mapping[str, Any]]) -> str:
    """Why a job failed: the first of what says it best."""
    said = str(condition.get("reason") or "")
    if said == "DeadlineExceeded":
        return said
    own = str(terminated.get("reason") or "")
    if own and own != "Error":
        return own
    evicted = [str((one.get("status") or {}).get("reason") or "") for one in pods]
    gates = [
        f"its gate ended with {code}"
        for one in pods
        for status in (one.get("status") or {}).get("initContainerStatuses") or []
        if status["name"] == GATE
        for code in [((status.get("state") or {}).get("terminated") or {}).get("exitCode")]
        if code
    ]
    return next((one for one in [*evicted, *([] if terminated else gates)] if one), own or said)
