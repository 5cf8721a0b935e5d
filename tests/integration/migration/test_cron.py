"""Cronjobs at the edge, with the real controllers of Kubernetes: which slots they begin, and that no other is."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.catalog import apps
from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import App
from ansible_collections.kraf.edge.plugins.module_utils.cluster.client import Cluster, connect
from ansible_collections.kraf.edge.plugins.module_utils.cluster.errors import AlreadyExists
from ansible_collections.kraf.edge.plugins.module_utils.cluster.kinds import CRON_JOB, JOB, POD
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.manifests import namespace, workload
from ansible_collections.kraf.edge.plugins.module_utils.manifests.workload import Process, Workload
from ansible_collections.kraf.edge.plugins.module_utils.placement import outcome
from ansible_collections.kraf.edge.plugins.module_utils.placement.edge import Edge
from tests.integration import apiserver, pods
from tests.integration.apiserver import ApiServer

from .waiting import until

UID = "6a0cbb2e-38a4-4a9f-9d2f-5a1f0f6c9d12"
IMAGE = "registry.example:5000/kraf/edge:1"
LIMIT = 30.0


@pytest.fixture(scope="module")
def cluster(api: ApiServer) -> Iterator[Cluster]:
    """With the controllers of CronJobs and Jobs at work."""
    with apiserver.controllers(api, ["cronjob", "job", "garbagecollector"]):
        yield connect(api.params())


def declared(schedule: str, **more: Any) -> App:
    raw = {"device": f"pi-{secrets.token_hex(3)}", "name": "report", "kind": "cronjob", "schedule": schedule}
    return apps.declared({**raw, **more})


def placed(cluster: Cluster, app: App) -> Edge:
    cluster.apply(namespace.objects(app.device, UID)[0])
    edge = Edge(cluster, app, UID)
    edge.place(Workload(app, UID, Process(("report",)), IMAGE, IMAGE, ("amd64",), 2, 2), 0, LIMIT)
    return edge


def jobs(cluster: Cluster, app: App) -> list[str]:
    found = cluster.list(JOB, f"kraf-{app.device}", workload.selector(app))
    return sorted(one["metadata"]["name"] for one in found)


def succeed(cluster: Cluster, app: App) -> None:
    """What a node says of the pod of a run that has ended well."""
    space, match = f"kraf-{app.device}", workload.selector(app)
    pods_ = until(lambda: [one for one in cluster.list(POD, space, match) if _pending(one)], LIMIT)
    name = pods_[0]["metadata"]["name"]
    cluster.patch(POD, name, space, {"status": {"phase": "Succeeded"}}, subresource="status", content="strategic")


def _pending(pod: dict[str, Any]) -> bool:
    return bool(pod["status"]["phase"] == "Pending")


def this_minute() -> int:
    """The minute since 1970, in its first half: a test that begins now ends in it."""
    while time.time() % 60 > 25:
        time.sleep(0.5)
    return int(time.time() // 60)


@pytest.mark.parametrize("schedule", ["* * * * *", "0 3 29 2 *", "*/7 1-5,9 * jan-mar mon-fri", "@weekly"])
@pytest.mark.parametrize("data", [[], [{"name": "reports", "path": "/reports"}]])
def test_mig_18_what_the_catalog_takes_the_api_server_takes(
    cluster: Cluster, schedule: str, data: list[dict[str, str]]
) -> None:
    app = declared(schedule, data=data, name="r" * 40, retries=2, deadline_seconds=60)
    cluster.apply(namespace.objects(app.device, UID)[0])
    objects = workload.objects(Workload(app, UID, Process(("report",)), IMAGE, IMAGE, ("amd64",), 2, 2))
    for one in objects:
        for pod in pods.of(one):
            cluster.apply(pod, dry_run=True)
    found = [cluster.apply(one, dry_run=True) for one in objects][-1]
    spec = found["spec"]
    assert (found["kind"], spec["suspend"], spec["concurrencyPolicy"]) == ("CronJob", True, "Forbid")
    assert (spec["jobTemplate"]["spec"]["backoffLimit"], spec["schedule"]) == (2, app.schedule)


def test_a_slot_inside_the_move_is_begun_once_and_none_before_it(cluster: Cluster) -> None:
    app, now = declared("* * * * *"), this_minute()
    edge = placed(cluster, app)
    edge.unsuspend(now - 3)
    first = until(lambda: jobs(cluster, app), LIMIT)
    # The run that moved it may be repeated.
    edge.unsuspend(now - 3)
    succeed(cluster, app)
    begun = edge.suspend(LIMIT)
    names = [f"app-report-{slot}" for slot in range(now, begun + 1)]
    assert first[0] == f"app-report-{now}"
    assert jobs(cluster, app) == names
    seen = edge.look()
    assert (seen.workload, seen.pod) == (2, 0)


def test_how_the_last_run_ended_is_known_and_not_that_of_another(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, now = declared("0 0 1 1 *"), int(time.time() // 60)
    edge = placed(cluster, app)
    assert edge.last_run() is None
    found = cluster.get(CRON_JOB, edge.name, edge.namespace)
    assert found is not None
    template = found["spec"]["jobTemplate"]
    for slot, code in ((now - 1, 7), (now, 0)):
        metadata = {
            "name": f"{edge.name}-{slot}",
            "namespace": edge.namespace,
            "labels": template["metadata"]["labels"],
        }
        cluster.create({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"]})
        end(cluster, app, code)
    monkeypatch.setattr(cluster, "logs", lambda pod, *_of: f"log of {pod}")
    edge.suspend(LIMIT)
    last = edge.last_run()
    assert last is not None
    assert (last.result, last.exit_code) == ("succeeded", 0)
    assert last.log.startswith(f"log of {edge.name}-{now}-")
    cluster.delete(JOB, f"{edge.name}-{now}", edge.namespace)
    last = until(lambda: _failed(edge), LIMIT)
    assert (last.reason, last.exit_code) == ("Error", 7)
    assert last.log.startswith(f"log of {edge.name}-{now - 1}-")


def _failed(edge: Edge) -> Any:
    found = edge.last_run()
    return found if found is not None and found.result == "failed" else None


def end(cluster: Cluster, app: App, code: int) -> None:
    """What a node says of the pod of a run that has ended with this exit code, once its Job is told so."""
    space, match = f"kraf-{app.device}", workload.selector(app)
    pods_ = until(lambda: [one for one in cluster.list(POD, space, match) if _pending(one)], LIMIT)
    name = pods_[0]["metadata"]["name"]
    both = {"image": IMAGE, "imageID": "", "restartCount": 0, "ready": False}
    times = {"startedAt": "2026-05-04T10:00:00Z", "finishedAt": "2026-05-04T10:01:00Z"}
    state = {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed", **times}}
    status = {
        "phase": "Failed" if code else "Succeeded",
        "containerStatuses": [{"name": "app", "state": state, **both}],
    }
    cluster.patch(POD, name, space, {"status": status}, subresource="status", content="strategic")
    until(lambda: all(outcome.ended(one) for one in cluster.list(JOB, space, match)), LIMIT)


def test_a_slot_that_the_device_has_begun_is_not_begun_again(cluster: Cluster) -> None:
    app, now = declared("0 0 1 1 *"), int(time.time() // 60)
    edge = placed(cluster, app)
    edge.unsuspend(now)
    time.sleep(2)
    assert edge.suspend(LIMIT) == now
    assert jobs(cluster, app) == []


def test_a_run_in_progress_is_ended_if_that_is_wanted(cluster: Cluster) -> None:
    app = declared("* * * * *")
    edge = placed(cluster, app)
    edge.unsuspend(this_minute() - 1)
    run = until(lambda: jobs(cluster, app), LIMIT)[0]
    assert edge.suspend(0.5, kill=True) >= int(run.rpartition("-")[2])
    found = cluster.get(JOB, run, edge.namespace)
    assert found is not None
    assert found["spec"]["suspend"]
    assert until(lambda: not cluster.list(POD, edge.namespace, workload.selector(app)), LIMIT)


def test_a_run_in_progress_is_waited_for_and_nothing_is_left(cluster: Cluster) -> None:
    app, now = declared("* * * * *"), this_minute()
    edge = placed(cluster, app)
    edge.unsuspend(now - 1)
    run = until(lambda: jobs(cluster, app), LIMIT)[0]
    with pytest.raises(KrafError, match=f"{run} has not ended"):
        edge.suspend(0.5)
    succeed(cluster, app)
    begun = edge.suspend(LIMIT)
    assert begun >= now
    edge.stop()
    edge.gone(LIMIT)
    assert cluster.get(CRON_JOB, edge.name, edge.namespace) is None
    assert until(lambda: not jobs(cluster, app), LIMIT)
    assert edge.suspend(LIMIT) == 0, "there is none, and its last slot is the Placement's to tell"


def test_a_run_that_only_its_job_tells_of_counts(cluster: Cluster) -> None:
    """The controller makes the Job first and tells the CronJob afterwards; who suspends it meanwhile undoes that."""
    app, now = declared("* * * * *"), this_minute()
    edge = placed(cluster, app)
    edge.unsuspend(now - 1)
    until(lambda: jobs(cluster, app), LIMIT)
    cluster.patch(CRON_JOB, edge.name, edge.namespace, {"spec": {"suspend": True}})
    body = {"status": {"lastScheduleTime": None}}
    cluster.patch(CRON_JOB, edge.name, edge.namespace, body, subresource="status")
    succeed(cluster, app)
    assert edge.suspend(LIMIT) >= now


def test_no_slot_is_begun_behind_the_back_of_who_suspended_it(cluster: Cluster) -> None:
    app, now = declared("* * * * *"), this_minute()
    edge = placed(cluster, app)
    cluster.patch(CRON_JOB, edge.name, edge.namespace, {"spec": {"suspend": False}})
    assert edge.suspend(LIMIT) == 0
    found = cluster.get(CRON_JOB, edge.name, edge.namespace)
    assert found is not None
    late = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"{edge.name}-{now}", "namespace": edge.namespace},
        "spec": found["spec"]["jobTemplate"]["spec"],
    }
    with pytest.raises(AlreadyExists):
        cluster.create(late)
    assert jobs(cluster, app) == [], "a barrier is no run"
    assert cluster.list(POD, edge.namespace) == []
    assert edge.suspend(LIMIT) == 0, "the run that moves it may be repeated"
    # The move is given back: what is due by now is begun, for its barrier is gone.
    edge.unsuspend(now - 1)
    assert until(lambda: jobs(cluster, app), LIMIT)[0] == f"{edge.name}-{now}"
    succeed(cluster, app)
    edge.suspend(LIMIT)
    edge.stop()
    edge.gone(LIMIT)
    edge.clear()
    assert until(lambda: not cluster.list(JOB, edge.namespace), LIMIT)


def test_a_job_that_somebody_makes_by_hand_is_waited_for_and_is_no_slot(cluster: Cluster) -> None:
    app, now = declared("0 0 1 1 *"), int(time.time() // 60)
    edge = placed(cluster, app)
    edge.unsuspend(now)
    found = cluster.get(CRON_JOB, edge.name, edge.namespace)
    assert found is not None
    template = found["spec"]["jobTemplate"]
    metadata = {"name": "by-hand-99999999", "namespace": edge.namespace, "labels": template["metadata"]["labels"]}
    cluster.create({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"]})
    with pytest.raises(KrafError, match="by-hand-99999999 has not ended"):
        edge.suspend(0.5)
    succeed(cluster, app)
    assert edge.suspend(LIMIT) == now
