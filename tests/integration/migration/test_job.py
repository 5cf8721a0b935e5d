"""Jobs at the edge: a real API server judges them, a real controller makes their pods; their node is played here."""

from __future__ import annotations

import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.kraf.edge.plugins.module_utils.catalog import apps
from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import App
from ansible_collections.kraf.edge.plugins.module_utils.cluster.client import Cluster, connect
from ansible_collections.kraf.edge.plugins.module_utils.cluster.errors import WaitTimeout
from ansible_collections.kraf.edge.plugins.module_utils.cluster.kinds import JOB, MIGRATION, POD
from ansible_collections.kraf.edge.plugins.module_utils.manifests import namespace, workload
from ansible_collections.kraf.edge.plugins.module_utils.manifests.workload import COUNT, VOLUME_ROOT, Process, Workload
from ansible_collections.kraf.edge.plugins.module_utils.placement.edge import Edge, Seen
from ansible_collections.kraf.edge.plugins.module_utils.placement.outcome import MOST, Outcome
from ansible_collections.kraf.edge.plugins.module_utils.placement.records import Records
from tests.integration import apiserver, pods
from tests.integration.apiserver import ApiServer

from .waiting import until

UID = "6a0cbb2e-38a4-4a9f-9d2f-5a1f0f6c9d11"
IMAGE = "registry.example:5000/kraf/edge:1"
LIMIT = 20.0
CRD = Path(__file__).parents[3] / "roles/crds/files/migrations.kraf.io.yaml"


@pytest.fixture(scope="module")
def cluster(api: ApiServer) -> Iterator[Cluster]:
    """With the controller of Jobs at work."""
    with apiserver.controllers(api, ["job"]):
        yield connect(api.params())


@pytest.fixture
def app(cluster: Cluster) -> App:
    device = f"pi-{secrets.token_hex(3)}"
    cluster.apply(namespace.objects(device, UID)[0])
    return apps.declared({"device": device, "name": "train", "kind": "job"})


def wanted(app: App, epoch: int = 2) -> Workload:
    return Workload(app, UID, Process(("train", "--all")), IMAGE, IMAGE, "amd64", epoch, epoch)


def placed(cluster: Cluster, app: App) -> Edge:
    edge = Edge(cluster, app, UID)
    edge.place(wanted(app), 0, LIMIT)
    return edge


def pods_of(cluster: Cluster, app: App) -> list[dict[str, Any]]:
    return cluster.list(POD, f"kraf-{app.device}", workload.selector(app))


def play(cluster: Cluster, app: App, phase: str, code: int | None = None, gate: int = 0, name: str = "") -> None:
    """What a node says of the app's newest pod."""
    name = (
        name
        or until(lambda: [one for one in pods_of(cluster, app) if one["status"]["phase"] == "Pending"], LIMIT)[0][
            "metadata"
        ]["name"]
    )
    begin, end = "2026-05-04T10:00:00Z", "2026-05-04T10:01:00Z"
    state: dict[str, Any] = {"running": {"startedAt": begin}}
    if code is not None:
        state = {"terminated": {"exitCode": code, "reason": "Error", "startedAt": begin, "finishedAt": end}}
    if gate:
        state = {"waiting": {"reason": "PodInitializing"}}
    both = {"image": IMAGE, "imageID": "", "restartCount": 0, "ready": False}
    gates = [{"name": "gate", "state": {"terminated": {"exitCode": gate}}, **both}]
    containers = [{"name": "app", "state": state, **both}]
    status = {"phase": phase, "initContainerStatuses": gates, "containerStatuses": containers}
    cluster.patch(POD, name, f"kraf-{app.device}", {"status": status}, subresource="status", content="strategic")


@pytest.mark.parametrize("retries", [0, 3])
@pytest.mark.parametrize("deadline", [0, 3600])
@pytest.mark.parametrize("data", [[], [{"name": "model", "path": "/model"}]])
def test_mig_07_a_job_is_a_suspended_job_with_its_retries_and_deadline(
    cluster: Cluster, app: App, retries: int, deadline: int, data: list[dict[str, str]]
) -> None:
    raw = {"device": app.device, "name": "train", "kind": "job", "data": data}
    declared = apps.declared({**raw, "retries": retries, "deadline_seconds": deadline})
    objects = workload.objects(wanted(declared))
    for one in objects:
        for pod in pods.of(one):
            cluster.apply(pod, dry_run=True)
    found = [cluster.apply(one, dry_run=True) for one in objects][-1]
    spec = found["spec"]
    assert (found["kind"], spec["suspend"], spec["backoffLimit"]) == ("Job", True, retries)
    assert spec.get("activeDeadlineSeconds", 0) == deadline
    pod = spec["template"]["spec"]
    assert pod["restartPolicy"] == "Never"
    assert [one["name"] for one in pod["initContainers"]] == ["gate"]
    assert pod["initContainers"][0]["securityContext"]["runAsUser"] == 0
    assert "readinessProbe" not in pod["containers"][0]
    assert {one["key"] for one in pod["tolerations"]} == {
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    }
    Edge(cluster, declared, UID).check(wanted(declared))


def test_mig_18_the_longest_name_of_an_app_is_a_job_that_kubernetes_takes(cluster: Cluster, app: App) -> None:
    long = apps.declared({"device": app.device, "name": "a" * 40, "kind": "job"})
    edge = placed(cluster, long)
    edge.resume()
    assert until(lambda: pods_of(cluster, long), LIMIT)


def test_a_job_has_no_pod_before_it_is_resumed_and_one_afterwards(cluster: Cluster, app: App) -> None:
    edge = placed(cluster, app)
    assert edge.look() == Seen(2)
    with pytest.raises(WaitTimeout):
        edge.ready(2, 0.5)
    edge.resume()
    edge.resume()
    until(lambda: pods_of(cluster, app), LIMIT)
    assert edge.look() == Seen(2, 2)
    play(cluster, app, "Running")
    edge.ready(2, LIMIT)
    assert edge.look() == Seen(2, 2, True)
    assert len(pods_of(cluster, app)) == 1
    found = edge.account()
    assert found is not None
    assert (found.result, found.runs, found.over) == ("running", 1, False)


def test_a_job_that_was_over_before_anyone_looked_counts_as_begun(cluster: Cluster, app: App) -> None:
    edge = placed(cluster, app)
    edge.resume()
    play(cluster, app, "Succeeded", 0)
    edge.ready(2, LIMIT)
    assert edge.finish(LIMIT)
    assert edge.look() == Seen(2, 2, False, ended=2)
    found = edge.account()
    assert found is not None
    assert (found.result, found.exit_code, found.runs, found.seconds() > 0) == ("succeeded", 0, 1, True)


def test_a_job_is_tried_again_as_often_as_it_says_and_its_last_try_counts(cluster: Cluster, app: App) -> None:
    edge = placed(cluster, replace(app, retries=1))
    edge.resume()
    play(cluster, app, "Failed", 1)
    assert not edge.finish(0.5)
    play(cluster, app, "Failed", 7)
    assert edge.finish(LIMIT)
    found = edge.account()
    assert found is not None
    assert (found.result, found.exit_code, found.runs) == ("failed", 7, 2)
    assert edge.look().ended == 2


def test_a_job_that_ended_is_not_begun_again_by_settling_it(cluster: Cluster, app: App) -> None:
    edge = placed(cluster, app)
    edge.resume()
    play(cluster, app, "Succeeded", 0)
    assert edge.finish(LIMIT)
    edge.resume()
    edge.ready(2, LIMIT)
    time.sleep(1)
    assert len(pods_of(cluster, app)) == 1


def test_a_job_that_is_taken_back_runs_no_more_and_is_not_resumed(cluster: Cluster, app: App) -> None:
    edge = placed(cluster, app)
    edge.resume()
    play(cluster, app, "Running")
    edge.kill()
    edge.rest(LIMIT)
    assert edge.finish(LIMIT)
    edge.resume()
    time.sleep(1)
    assert pods_of(cluster, app) == []
    found = edge.account()
    assert found is not None
    assert (found.result, found.exit_code) == ("killed", None)


def test_a_job_at_its_deadline_has_ended_only_when_its_pod_has(cluster: Cluster, app: App) -> None:
    edge = placed(cluster, replace(app, deadline_seconds=1))
    edge.resume()
    # As one that is on a node: the API server keeps it until its node says that it has ended.
    (pod,) = until(lambda: pods_of(cluster, app), LIMIT)
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod["metadata"]["name"]}}
    target = {"target": {"apiVersion": "v1", "kind": "Node", "name": "worker1"}}
    path = POD.path(f"kraf-{app.device}", pod["metadata"]["name"], "binding")
    cluster._json("POST", path, {}, {**binding, **target})
    play(cluster, app, "Running", name=pod["metadata"]["name"])
    assert edge.finish(LIMIT)
    assert until(lambda: pods_of(cluster, app)[0]["metadata"].get("deletionTimestamp"), LIMIT)
    assert edge.look().ended == 0
    with pytest.raises(WaitTimeout):
        edge.rest(0.5)
    cluster.delete(POD, pod["metadata"]["name"], f"kraf-{app.device}", grace=0)
    edge.rest(LIMIT)
    assert edge.look().ended == 2
    found = edge.account()
    assert found is not None
    assert (found.result, found.reason, found.exit_code) == ("failed", "DeadlineExceeded", None)


def test_a_job_that_is_taken_away_leaves_no_pod(cluster: Cluster, app: App) -> None:
    edge = placed(cluster, app)
    edge.resume()
    play(cluster, app, "Running")
    edge.stop()
    edge.gone(LIMIT)
    assert cluster.get(JOB, "app-train", f"kraf-{app.device}") is None
    assert edge.look() == Seen()
    assert edge.account() is None


def test_a_job_of_another_epoch_is_another_job(cluster: Cluster, app: App) -> None:
    edge = placed(cluster, app)
    edge.resume()
    play(cluster, app, "Succeeded", 0)
    assert edge.finish(LIMIT)
    edge.place(wanted(app, 4), 2, LIMIT)
    assert edge.look() == Seen(4)


def test_a_job_whose_gate_refuses_it_has_ended_without_an_exit_code(cluster: Cluster, app: App) -> None:
    edge = placed(cluster, app)
    edge.resume()
    play(cluster, app, "Failed", gate=3)
    assert edge.finish(LIMIT)
    found = edge.account()
    assert found is not None
    assert (found.result, found.reason, found.exit_code) == ("failed", "its gate ended with 3", None)


def test_how_a_job_ended_is_kept_in_its_migration(cluster: Cluster, app: App) -> None:
    cluster.apply(yaml.safe_load(CRD.read_text(encoding="utf-8")))
    records = Records(cluster, app.device, UID, app.name)

    def begun() -> bool:
        try:
            records.begin("device", 3, "ann", [])
        except Exception:  # the API server takes a moment for a new kind
            return False
        return True

    until(begun, LIMIT)
    assert records.outcome(3) is None
    ended = Outcome("failed", "OOMKilled", 137, 2, "2026-05-04T10:00:00Z", "2026-05-04T10:01:00Z", "x" * MOST)
    records.note(3, job=ended.stored())
    assert records.outcome(3) == ended
    assert records.outcome(4) is None
    found = cluster.get(MIGRATION, "train-3", f"kraf-{app.device}") or {}
    assert found["status"]["job"]["exitCode"] == 137
    records.begin("device", 3, "bob", [])
    assert records.outcome(3) == ended, "a further try may find its pod gone"
    well = Outcome("succeeded", runs=1, started="2026-05-04T11:00:00Z")
    records.note(3, job=well.stored())
    assert records.outcome(3) == well, "nothing of the earlier end is left"
    records.begin("edge", 3, "bob", [])
    assert records.outcome(3) is None


def gate(folder: Path, epoch: int, most: int) -> int:
    script = COUNT.replace(VOLUME_ROOT, str(folder))
    # As in its pod: root without a capability.
    bare = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    done = subprocess.run([*bare, "sh", "-c", script, "gate", str(epoch), "", str(most)], timeout=20, check=False)
    return done.returncode


def test_the_gate_lets_a_job_begin_as_often_as_it_may_and_not_once_more(tmp_path: Path) -> None:
    (tmp_path / ".kraf").mkdir()
    (tmp_path / ".kraf/epoch").write_text("4 9\n")
    assert [gate(tmp_path, 4, 2) for _run in range(4)] == [0, 0, 3, 3]
    (tmp_path / ".kraf/epoch").write_text("6 11\n")
    assert [gate(tmp_path, 6, 1) for _run in range(2)] == [0, 3]


def test_the_gate_of_a_job_stays_shut_for_another_epoch(tmp_path: Path) -> None:
    (tmp_path / ".kraf").mkdir()
    (tmp_path / ".kraf/epoch").write_text("5 9\n")
    script = COUNT.replace(VOLUME_ROOT, str(tmp_path))
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(["sh", "-c", script, "gate", "4", "", "2"], timeout=1, check=False)
    assert not (tmp_path / ".kraf/runs").exists()
