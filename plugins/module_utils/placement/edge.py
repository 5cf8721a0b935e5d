# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An app's workload at the edge: there, gone, its gate opened."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from ..catalog.records import TIME, App
from ..cluster.client import Cluster
from ..cluster.converge import converge
from ..cluster.errors import AlreadyExists, ClusterError, Conflict, WaitTimeout
from ..cluster.kinds import CONFIG_MAP, CRON_JOB, DEPLOYMENT, JOB, POD, SECRET, STATEFUL_SET, Kind
from ..core import names, schedule
from ..core.errors import KrafError
from ..manifests import workload as manifest
from ..manifests.labels import EPOCH
from ..manifests.workload import GATE, Workload
from . import outcome
from .outcome import Outcome

Object = dict[str, Any]
JOB_NAME = "job-name"
"""Label of a Job's pods (https://kubernetes.io/docs/reference/labels-annotations-taints/#job-name)."""
RESUMES = 10
"""Tries to resume a job whose object others write meanwhile."""
CLOCKS = 2
"""Minutes by which the clocks of the operator's host and of Kubernetes' controllers may differ."""


@dataclass(frozen=True)
class Seen:
    """What there is of an app at the edge.

    Attributes:
        workload: epoch of the workload object; 0 is none.
        pod: epoch of its pod object; 0 is none.
        passed: whether the pod's gate has let the app start.
        node: of the pod.
        ended: of a job, the epoch of the workload that has ended; 0 is none.
    """

    workload: int = 0
    pod: int = 0
    passed: bool = False
    node: str = ""
    ended: int = 0


class Edge:
    """One app at the edge.

    Args:
        cluster: where.
        app: its row in the catalog.
        device_uid: uid of its device.
    """

    def __init__(self, cluster: Cluster, app: App, device_uid: str) -> None:
        self._cluster = cluster
        self._app = app
        self._uid = device_uid
        self.namespace = names.namespace(app.device)
        self.name = names.workload(app.name)
        self.kind: Kind = _kind(app)

    def look(self) -> Seen:
        """Read workload and pod."""
        found = self._cluster.get(self.kind, self.name, self.namespace)
        pods = self._cluster.list(POD, self.namespace, manifest.selector(self._app))
        if self._app.cron:
            # Those of slots that are over stay for their logs.
            pods = [one for one in pods if not outcome.over(one)]
        marks = (found or {}).get("metadata", {}).get("annotations") or {}
        pod = max(pods, key=outcome.made) if pods else None
        epoch = int(marks.get(EPOCH) or (1 if found else 0))
        return Seen(
            epoch,
            _epoch(pod) if pod else 0,
            any(_passed(one) for one in pods),
            str((pod or {}).get("spec", {}).get("nodeName") or ""),
            epoch if found and self._rests(found, pods) else 0,
        )

    def _rests(self, job: Object, pods: list[Object]) -> bool:
        return self._app.job and outcome.ended(job) and all(outcome.over(pod) for pod in pods)

    def check(self, workload: Workload) -> None:
        """Let the API server judge the pod, in a dry run; a device that never moved an app may have no namespace yet.

        Raises:
            KrafError: with the fields that it refuses, or the quota that does not suffice.
        """
        try:
            self._cluster.create(manifest.proof(workload), dry_run=True)
        except ClusterError as error:
            if error.facts.get("status") != 404:
                raise

    def place(self, workload: Workload, before: int, limit: float) -> None:
        """Make the workload; one of another epoch is taken away first.

        Args:
            workload: what is wanted.
            before: epoch of the workload that is there; 0 is none.
            limit: seconds for the one before to be gone.
        """
        if before not in (0, workload.epoch):
            self.stop()
            self.gone(limit)
        converge(self._cluster, manifest.objects(workload), False)

    def scheduled(self, epoch: int, limit: float) -> str:
        """Wait until the pod has a node; its name."""
        pod = self._cluster.wait(POD, f"{self.name}-0", self.namespace, lambda one: _on_node(one, epoch), limit)
        return str((pod or {})["spec"]["nodeName"])

    def gated(self, epoch: int, limit: float) -> None:
        """Wait until the pod stands at its gate, so that only the gate is left to be opened."""
        self._cluster.wait(POD, f"{self.name}-0", self.namespace, lambda one: _at_gate(one, epoch), limit)

    def open_gate(self, epoch: int, run: int, there: bool) -> None:
        """The marker of an app without a volume: for pods to come, and for the one that waits.

        Args:
            epoch: for whose pods the gate opens.
            run: number of this run.
            there: whether a pod of this epoch waits.

        Raises:
            KrafError: when a later run has written it.
        """
        name = manifest.gate_name(self._app)
        found = self._cluster.get(CONFIG_MAP, name, self.namespace)
        wrote = int((((found or {}).get("data") or {}).get("epoch") or "0 0").split()[1])
        if wrote > run:
            raise KrafError(f"marker {name}", None, f"it is of run {wrote}, this is run {run}", "See what that run did")
        version = found["metadata"]["resourceVersion"] if found else ""
        self._cluster.apply(manifest.fence(self._app, self._uid, epoch, run), resource_version=version)
        if there:
            command = ["sh", "-c", f"echo {epoch:d} {run:d} >{manifest.GATE_ROOT}/epoch"]
            self._cluster.exec(f"{self.name}-0", self.namespace, command, GATE)

    def resume(self) -> None:
        """Let a job begin; one that was taken back stays ended.

        Raises:
            Conflict: when somebody else writes its Job all the time.
        """
        for left in reversed(range(RESUMES)):
            found = self._cluster.get(JOB, self.name, self.namespace)
            if found is None or not found["spec"].get("suspend") or outcome.ended(found):
                return
            # Only this very state: what another run has done to it since counts. Its controller writes it, too.
            body = {"metadata": {"resourceVersion": found["metadata"]["resourceVersion"]}, "spec": {"suspend": False}}
            try:
                self._cluster.patch(JOB, self.name, self.namespace, body)
                return
            except Conflict:
                if not left:
                    raise

    def begun(self, epoch: int, limit: float) -> None:
        """Wait until a job runs, or has run.

        Raises:
            KrafError: at the limit, with what its pod waits for.
        """
        end = time.monotonic() + limit
        job = self._cluster.wait(JOB, self.name, self.namespace, lambda one: _has_pod(one, epoch), limit)
        if job is None:
            raise KrafError(f"job {self._app.key} at the edge", None, "its Job is gone", "Run it again")
        if outcome.ended(job):
            return None
        pods = [
            one for one in self._cluster.list(POD, self.namespace, manifest.selector(self._app)) if _epoch(one) == epoch
        ]
        if not pods:
            return self.begun(epoch, max(0.0, end - time.monotonic()))
        name = max(pods, key=outcome.made)["metadata"]["name"]
        left = max(0.0, end - time.monotonic())
        if self._cluster.wait(POD, name, self.namespace, lambda one: one is None or outcome.started(one), left) is None:
            return self.begun(epoch, max(0.0, end - time.monotonic()))
        return None

    def account(self) -> Outcome | None:
        """How far a job is, and what it has said last; None when there is no Job."""
        found = self._cluster.get(JOB, self.name, self.namespace)
        return None if found is None else self._account(found)

    def last_run(self) -> Outcome | None:
        """The same of the last run of a cronjob; None when there is nothing of any."""
        runs = self._runs()
        return self._account(max(runs, key=outcome.made)) if runs else None

    def _account(self, job: Object) -> Outcome:
        match = {**manifest.selector(self._app), JOB_NAME: job["metadata"]["name"]}
        pods = self._cluster.list(POD, self.namespace, match)
        pod = outcome.last(pods)
        log = self._cluster.logs(pod["metadata"]["name"], self.namespace, "app", outcome.LINES) if pod else ""
        return outcome.read(job, pods, log)

    def finish(self, limit: float) -> bool:
        """Wait until a job has ended; whether it has."""
        try:
            found = self._cluster.wait(
                JOB, self.name, self.namespace, lambda one: one is None or outcome.ended(one), limit
            )
        except WaitTimeout:
            return False
        return found is not None

    def kill(self) -> None:
        """End a job before its time: nothing starts it again; ``rest`` waits for what still runs."""
        self._end(self.name)

    def _end(self, name: str) -> None:
        body = {"metadata": {"annotations": {outcome.KILLED: outcome.now()}}, "spec": {"suspend": True}}
        self._cluster.patch(JOB, name, self.namespace, body)

    def rest(self, limit: float) -> None:
        """Wait until nothing of a job that has ended runs any more.

        At its deadline, or suspended, a Job counts as ended at once; its pods have the time that the app has to end.

        Raises:
            KrafError: when one still runs; its node may be away.
        """
        for pod in self._cluster.list(POD, self.namespace, manifest.selector(self._app)):
            if not outcome.over(pod):
                name = pod["metadata"]["name"]
                self._cluster.wait(POD, name, self.namespace, lambda one: one is None or outcome.over(one), limit)

    def ready(self, epoch: int, limit: float) -> None:
        """Wait until the app is ready as Kubernetes sees it; a job, until it runs or has run.

        Of a cronjob nothing is to be waited for: it is due when it is due.

        Raises:
            KrafError: at the limit.
        """
        if self._app.job:
            return self.begun(epoch, limit)
        if self._app.cron:
            return None
        found = self._cluster.wait(self.kind, self.name, self.namespace, lambda one: _is_ready(one, epoch), limit)
        if found is None:
            raise KrafError(f"app {self._app.key} at the edge", None, "its workload is gone", "Run it again")
        return None

    def _runs(self) -> list[Object]:
        return self._cluster.list(JOB, self.namespace, manifest.selector(self._app))

    def suspend(self, limit: float, kill: bool = False) -> int:
        """A cronjob begins no slot any more, and what it has begun has ended; the last slot that it began.

        Its controller may just be making a Job, and tells the CronJob only afterwards. It names Jobs by their slots: a
        barrier of that name is either made here, and the controller's Job refused, or that Job is there and counts.

        Args:
            limit: seconds for a run to end.
            kill: whether one that has not is ended then, unfinished.

        Returns:
            The slot, a minute since 1970; 0 is none.

        Raises:
            KrafError: when a run has not ended at the limit; it goes on.
        """
        found = self._cluster.get(CRON_JOB, self.name, self.namespace)
        if found is None:
            return 0
        if not found["spec"].get("suspend"):
            self._cluster.patch(CRON_JOB, self.name, self.namespace, {"spec": {"suspend": True}})
        self._bar(found)
        end = time.monotonic() + limit
        for run in self._runs():
            name, left = run["metadata"]["name"], max(0.1, end - time.monotonic())
            try:
                self._cluster.wait(JOB, name, self.namespace, lambda one: one is None or outcome.ended(one), left)
            except WaitTimeout:
                if kill:
                    self._end(name)
                    continue
                why = f"its run {name} has not ended within {limit:g} s; it goes on"
                fix = "Run it again when it has ended, with more time (job_timeout), or have it ended (job_kill)"
                raise KrafError(f"cronjob {self._app.key} at the edge", None, why, fix) from None
        self.rest(max(60.0, end - time.monotonic()))
        found = self._cluster.get(CRON_JOB, self.name, self.namespace)
        return max([slot(found), *(self._slot_of(run) for run in self._runs())])

    def _slot_of(self, run: Object) -> int:
        """The slot of a Job by its name; 0 for one that somebody made by hand."""
        name, _dash, minute = str(run["metadata"]["name"]).rpartition("-")
        return int(minute) if name == self.name and minute.isdecimal() else 0

    def _bar(self, cron_job: Object) -> None:
        """Barriers for the slots that its controller might begin now: the last that is due, by clocks that differ."""
        due, now = schedule.parse(str(cron_job["spec"]["schedule"])), int(time.time() // 60)
        found = {due.latest(slot(cron_job), at) for at in range(now - CLOCKS, now + CLOCKS + 1)}
        for one in sorted(one for one in found if one is not None):
            with contextlib.suppress(AlreadyExists):
                self._cluster.create(manifest.barrier(self._app, self._uid, cron_job, one))

    def _unbar(self) -> None:
        for one in self._cluster.list(JOB, self.namespace, manifest.selector(self._app, manifest.BARRIER)):
            self._cluster.delete(JOB, one["metadata"]["name"], self.namespace)

    def unsuspend(self, begun: int) -> None:
        """A cronjob begins its slots; of those that are due since ``begun``, a minute since 1970, the last one at once.

        The controller counts from the time that it has begun a slot last, so it is told what the device has begun.
        """
        found = self._cluster.get(CRON_JOB, self.name, self.namespace)
        if found is None:
            raise KrafError(f"cronjob {self._app.key} at the edge", None, "its CronJob is gone", "Run it again")
        self._unbar()
        if begun > slot(found):
            last = datetime.fromtimestamp(begun * 60, timezone.utc).strftime(TIME)
            body = {"status": {"lastScheduleTime": last}}
            self._cluster.patch(CRON_JOB, self.name, self.namespace, body, subresource="status")
        if found["spec"].get("suspend"):
            self._cluster.patch(CRON_JOB, self.name, self.namespace, {"spec": {"suspend": False}})

    def stop(self) -> None:
        """Delete the workload and its pod, with the time that the app has to end; ``gone`` waits for it."""
        self._cluster.delete(self.kind, self.name, self.namespace)
        if self.kind is STATEFUL_SET:
            # The garbage collector would do it, too, some time later.
            self._cluster.delete(POD, f"{self.name}-0", self.namespace)
        elif self.kind is not DEPLOYMENT:
            for run in self._runs() if self.kind is CRON_JOB else []:
                self._cluster.delete(JOB, run["metadata"]["name"], self.namespace)
            for pod in self._cluster.list(POD, self.namespace, manifest.selector(self._app)):
                self._cluster.delete(POD, pod["metadata"]["name"], self.namespace)

    def gone(self, limit: float) -> None:
        """Wait until no pod object is left: only then nothing of it runs.

        Raises:
            KrafError: when one still is there; the node may be away.
        """
        if self.kind is STATEFUL_SET:
            self._cluster.wait(POD, f"{self.name}-0", self.namespace, lambda one: one is None, limit)
            return
        for pod in self._cluster.list(POD, self.namespace, manifest.selector(self._app)):
            self._cluster.wait(POD, pod["metadata"]["name"], self.namespace, lambda one: one is None, limit)

    def clear(self) -> None:
        """Remove what only a workload needs: values of the environment, files, marker.

        The Service stays as long as the Placement: another one would have another address, and the cluster's DNS
        answers with the old one for half a minute (cache and ttl of CoreDNS as kubeadm sets them).
        """
        if self._app.cron:
            self._unbar()
        for name in manifest.secret_names(self._app):
            self._cluster.delete(SECRET, name, self.namespace)
        if not self._app.data and not self._app.overlap:
            self._cluster.delete(CONFIG_MAP, manifest.gate_name(self._app), self.namespace)


def _kind(app: App) -> Kind:
    if app.job:
        return JOB
    if app.cron:
        return CRON_JOB
    return DEPLOYMENT if app.overlap else STATEFUL_SET


def slot(cron_job: Object | None) -> int:
    """The slot that a CronJob has begun last, a minute since 1970; 0 is none."""
    last = ((cron_job or {}).get("status") or {}).get("lastScheduleTime")
    return int(outcome.parsed(last).timestamp()) // 60 if last else 0


def _epoch(pod: Mapping[str, Any]) -> int:
    return int((pod["metadata"].get("annotations") or {}).get(EPOCH) or 1)


def _on_node(pod: Object | None, epoch: int) -> bool:
    return pod is not None and _epoch(pod) == epoch and bool(pod["spec"].get("nodeName"))


def _gate(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    statuses = (pod.get("status") or {}).get("initContainerStatuses") or []
    return next((one.get("state") or {} for one in statuses if one["name"] == GATE), {})


def _at_gate(pod: Object | None, epoch: int) -> bool:
    return pod is not None and _epoch(pod) == epoch and bool(set(_gate(pod)) & {"running", "terminated"})


def _has_pod(job: Object | None, epoch: int) -> bool:
    if job is None or outcome.ended(job):
        return True
    marks = job["metadata"].get("annotations") or {}
    status = job.get("status") or {}
    return marks.get(EPOCH) == str(epoch) and any(status.get(key) for key in ("active", "failed", "succeeded"))


def _passed(pod: Mapping[str, Any]) -> bool:
    """Whether the app itself may have started and may run; a pod without a gate always may."""
    if outcome.over(pod):
        return False
    names_ = [one["name"] for one in pod["spec"].get("initContainers") or []]
    return GATE not in names_ or "terminated" in _gate(pod)


def _is_ready(found: Object | None, epoch: int) -> bool:
    if found is None:
        return True
    marks, status = found["metadata"].get("annotations") or {}, found.get("status") or {}
    fresh = int(status.get("observedGeneration") or 0) >= int(found["metadata"].get("generation") or 0)
    return fresh and marks.get(EPOCH) == str(epoch) and int(status.get("readyReplicas") or 0) >= 1
