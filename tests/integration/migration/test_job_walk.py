"""Whole moves of a job: a real API server and the real controller of Jobs; device, node and mover are played here."""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.kraf.edge.plugins.module_utils.catalog import apps
from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import App, Device
from ansible_collections.kraf.edge.plugins.module_utils.cluster.client import Cluster, connect
from ansible_collections.kraf.edge.plugins.module_utils.cluster.kinds import CONFIG_MAP, JOB, MIGRATION, NAMESPACE, POD
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.manifests import workload
from ansible_collections.kraf.edge.plugins.module_utils.on_device import outcome, placement
from ansible_collections.kraf.edge.plugins.module_utils.placement import inventory
from ansible_collections.kraf.edge.plugins.module_utils.placement import steps as steps_module
from ansible_collections.kraf.edge.plugins.module_utils.placement.edge import Edge
from ansible_collections.kraf.edge.plugins.module_utils.placement.job import Background, Job, Limits, Site
from ansible_collections.kraf.edge.plugins.module_utils.placement.walk import Walk
from tests.integration import apiserver
from tests.integration.apiserver import ApiServer
from tests.unit.placement.containers import container

UID = "6a0cbb2e-38a4-4a9f-9d2f-5a1f0f6c9d11"
IMAGE = "registry.example:5000/kraf/edge:1"
DIGEST = "registry.example:5000/train@sha256:" + "0" * 64
CRDS = Path(__file__).parents[3] / "roles/crds/files"
LATER = "2026-05-04T12:00:00Z"
LIMITS = Limits(lock=5, wait=6, hold=6, copy=6, job=10)


class Played:
    """Device, mover's box and node. What the device keeps of a job it keeps as it really does."""

    def __init__(self, cluster: Cluster, app: App) -> None:
        self.cluster, self.app = cluster, app
        self.namespace = f"kraf-{app.device}"
        self.record: dict[str, Any] | None = None
        self.running = False
        self.box: set[str] = set()
        self.calls: list[str] = []
        self.deaf = False
        self.ended = threading.Event()
        self.code: int | None = None
        self.log = ""
        self.node = threading.Thread(target=self._nodes, daemon=True)
        self.node.start()

    # -- the device --------------------------------------------------------------------------------------------

    def call(self, step: str, **options: Any) -> dict[str, Any]:
        self.calls.append(step)
        if step == "look":
            found = container(running=self.running, restart_policy="no", ports=[], mounts=[], data={})
            return {"record": self.record, "forward": None, "container": found, "missing": []}
        if step == "push":
            return {"reference": DIGEST, "pushed_bytes": 0, "pushed_layers": {"sent": 0, "there": 1}}
        assert options["job"]
        before = self.record or {"owner": "device", "epoch": 1, "phase": "idle", "to": "device", "job": True}
        self.record = {**before, "fence": options["fence"]}
        if step in ("move_to_edge", "move_to_device"):
            return self._hand_over(step.rpartition("_")[2], options)
        if step == "settle":
            if options["owner"] == "device":
                outcome.keep(self.app.name, options["epoch"], options["outcome"] or "")
            self.record.update(owner=options["owner"], epoch=options["epoch"], phase="idle", to=options["owner"])
        return {"record": self.record}

    def _hand_over(self, to: str, options: dict[str, Any]) -> dict[str, Any]:
        assert self.record is not None
        self.put("prepared")
        self.await_("go")
        self.record.update(phase="moving", to=to)
        for word in ("held", "halted", "verified"):
            self.put(word)
        self.await_("disarm")
        self.record["phase"] = "ready"
        self.put("ready")
        self.await_("committed")
        if to == "edge":
            self.await_("running")
        if self.deaf:
            raise KrafError("device", None, "it failed before the release")
        if to == "device":
            outcome.keep(self.app.name, options["epoch"] + 1, options["outcome"] or "")
        self.record.update(owner=to, epoch=options["epoch"] + 1, phase="idle")
        self.put("answers")
        return {"record": self.record}

    @property
    def kept(self) -> dict[str, Any] | None:
        """What the device has of the job's last run; None is nothing."""
        folder = outcome.path(self.app.name)
        if not folder.exists():
            return None
        return {**json.loads((folder / "result.json").read_text()), "log": (folder / "log").read_text()}

    def of_kept(self, *names: str) -> tuple[Any, ...]:
        assert self.kept is not None
        return tuple(self.kept[name] for name in names)

    def put(self, word: str) -> None:
        self.box.add(word)

    def await_(self, *words: str) -> None:
        until(lambda: {*words, "aborted"} & self.box)
        if "aborted" in self.box and not set(words) & self.box:
            raise KrafError("migration", None, "called off")

    # -- the node ----------------------------------------------------------------------------------------------

    def _nodes(self) -> None:
        """Starts each pod whose gate is open, and ends it when the test says so."""
        while not self.ended.is_set():
            for pod in self.pods():
                phase = pod["status"]["phase"]
                if phase == "Pending" and self.gate_is_open(pod):
                    self._say(pod, "Running", {"running": {"startedAt": "2026-05-04T10:00:00Z"}})
                elif phase == "Running" and self.code is not None:
                    times = {"startedAt": "2026-05-04T10:00:00Z", "finishedAt": "2026-05-04T10:01:00Z"}
                    state = {"terminated": {"exitCode": self.code, "reason": "Error", **times}}
                    self._say(pod, "Failed" if self.code else "Succeeded", state)
            time.sleep(0.05)

    def gate_is_open(self, pod: dict[str, Any]) -> bool:
        marker = self.cluster.get(CONFIG_MAP, "app-train-gate", self.namespace)
        epoch = pod["spec"]["initContainers"][0]["command"][4]
        return marker is not None and marker["data"]["epoch"].split()[0] == epoch

    def _say(self, pod: dict[str, Any], phase: str, state: dict[str, Any]) -> None:
        both = {"image": IMAGE, "imageID": "", "restartCount": 0, "ready": False}
        gates = [{"name": "gate", "state": {"terminated": {"exitCode": 0}}, **both}]
        status = {
            "phase": phase,
            "initContainerStatuses": gates,
            "containerStatuses": [{"name": "app", "state": state, **both}],
        }
        name = pod["metadata"]["name"]
        try:
            self.cluster.patch(POD, name, self.namespace, {"status": status}, subresource="status", content="strategic")
        except KrafError:  # it has been deleted meanwhile
            return

    def expire(self) -> None:
        """What Kubernetes does at a job's deadline."""
        failed = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "lastTransitionTime": LATER}
        body = {"status": {"conditions": [failed]}}
        self.cluster.patch(JOB, "app-train", self.namespace, body, subresource="status")
        for pod in self.pods():
            self.cluster.delete(POD, pod["metadata"]["name"], self.namespace)

    def pods(self) -> list[dict[str, Any]]:
        return self.cluster.list(POD, self.namespace, workload.selector(self.app))


def until(found: Callable[[], Any], limit: float = 15.0) -> Any:
    end = time.monotonic() + limit
    while time.monotonic() < end:
        value = found()
        if value:
            return value
        time.sleep(0.02)
    raise KrafError("test", None, "it did not come")


@pytest.fixture(scope="module")
def cluster(api: ApiServer) -> Iterator[Cluster]:
    with apiserver.controllers(api, ["job"]):
        found = connect(api.params())
        for path in CRDS.glob("*.yaml"):
            found.apply(yaml.safe_load(path.read_text(encoding="utf-8")))
        until(lambda: _served(found))
        yield found


def _served(cluster: Cluster) -> bool:
    try:
        return cluster.list(MIGRATION) is not None
    except KrafError:
        return False


@pytest.fixture
def played(cluster: Cluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Played]:
    raw = {"device": f"pi-{secrets.token_hex(3)}", "name": "train", "kind": "job"}
    one = Played(cluster, apps.declared(raw))
    monkeypatch.setattr(placement, "ROOT", tmp_path)
    # A node's kubelet has the log of a pod, as long as the pod is there.
    monkeypatch.setattr(cluster, "logs", lambda *_of: one.log)

    class Mover:
        def __init__(self, _cluster: Cluster, _mover: Any) -> None:
            pass

        def start(self, _limit: float) -> None:
            one.box.clear()

        def say(self, name: str, _text: str = "") -> None:
            one.put(name)

        def wait(self, name: str, limit: float, alive: Callable[[], None], put: str = "", _told: Any = None) -> None:
            if put:
                one.put(put)
            end = time.monotonic() + limit
            while name not in one.box:
                alive()
                if time.monotonic() > end:
                    raise KrafError("migration", None, f"the device did not say {name}")
                time.sleep(0.02)

        def stopped(self, _tree: int) -> None:
            one.put("stopped")

    monkeypatch.setattr(steps_module, "MoverPod", Mover)
    yield one
    one.ended.set()
    one.node.join()


def move(
    played: Played, to: str, limits: Limits = LIMITS, check: bool = False, say: Callable[[str], None] = str
) -> dict[str, Any]:
    device = Device(played.app.device, UID, architecture="amd64")
    site = Site(("192.0.2.1:443",), IMAGE, "registry.example:5000", ("amd64",))
    job = Job(played.cluster, played.app, device, to, f"test {secrets.token_hex(2)}", site, limits, played.call)
    return Walk(job, say).run(check)


class Killed(BaseException):
    """A play that ends where it is; nothing of it is undone."""


def killed(*_parts: object) -> None:
    raise Killed


def migration(played: Played, epoch: int) -> dict[str, Any]:
    found = played.cluster.get(MIGRATION, f"train-{epoch}", played.namespace) or {}
    status: dict[str, Any] = found["status"]
    return status


def test_a_job_goes_there_runs_once_and_comes_back_with_its_exit_code(played: Played) -> None:
    there = move(played, "edge")
    assert (there["owner"], there["epoch"], there["changed"]) == ("edge", 2, True)
    assert "job" not in there
    assert [one["status"]["phase"] for one in played.pods()] == ["Running"]
    assert move(played, "edge")["changed"] is False
    assert played.kept is None
    played.log = "epoch 1\nwell done\n"
    threading.Timer(1, lambda: setattr(played, "code", 0)).start()
    back = move(played, "device")
    assert (back["owner"], back["epoch"], back["exit_code"]) == ("device", 3, 0)
    assert (back["job"]["result"], back["job"]["runs"]) == ("succeeded", 1)
    kept = played.kept
    assert kept is not None
    assert kept.pop("log") == played.log
    assert {**kept, "log": "epoch 1\nwell done"} == {**back["job"], "epoch": 3}
    assert (kept["started"], kept["exit_code"]) == ("2026-05-04T10:00:00Z", 0)
    assert migration(played, 3)["job"]["exitCode"] == 0
    assert migration(played, 3)["result"] == "Done"
    (row,) = inventory.placements(played.cluster, played.app.device)
    assert [(one["epoch"], (one.get("job") or {}).get("exit_code")) for one in row["migrations"]] == [(3, 0), (2, None)]
    assert played.pods() == []
    assert played.cluster.get(JOB, "app-train", played.namespace) is None
    again = move(played, "device")
    assert (again["changed"], again["exit_code"], again["job"]["result"]) == (False, 0, "succeeded")


def test_what_a_run_does_is_what_a_check_says_and_what_it_says_itself_before(played: Played) -> None:
    said: list[str] = []
    asked = move(played, "edge", check=True)
    assert played.calls == ["look"]
    assert played.cluster.get(NAMESPACE, played.namespace) is None
    assert {one["property"] for one in asked["portability"]} > {"argv", "image"}
    plan = [one["step"] for one in asked["plan"]]
    there = move(played, "edge", say=said.append)
    assert [one["step"] for one in there["steps"]] == plan
    begin = said.index("goes through these steps")
    assert [line.split()[0] for line in said[begin + 1 : begin + 1 + len(plan)]] == plan
    assert [line.split()[0] for line in said if re.match(r"[a-z]+ +[0-9.]+ s  ", line)] == plan
    assert there["portability"] == asked["portability"]


def test_a_check_of_an_app_that_was_left_halfway_says_what_is_settled_first(played: Played) -> None:
    move(played, "edge")
    assert played.record is not None
    played.record["phase"] = "moving"
    asked = move(played, "device", check=True)
    steps = [one["step"] for one in asked["plan"]]
    assert steps.index("settle") < steps.index("commit")
    assert asked["portability"]


def test_a_job_that_runs_is_not_taken_back_and_says_how_long_it_has_run(played: Played) -> None:
    move(played, "edge")
    impatient = Limits(lock=5, wait=6, hold=6, copy=6, job=0)
    for check in (True, False):
        with pytest.raises(KrafError, match=r"it has run for \d+ s and has not ended.*job_kill"):
            move(played, "device", impatient, check)
    with pytest.raises(KrafError, match="has not ended"):
        move(played, "device", Limits(lock=5, wait=6, hold=6, copy=6, job=0.5))
    assert len(played.pods()) == 1
    assert played.pods()[0]["status"]["phase"] == "Running"
    assert migration(played, 3)["result"] == "Undone"
    assert migration(played, 3)["job"]["result"] == "running", "for the next run, if its pod is gone by then"
    (row,) = inventory.placements(played.cluster, played.app.device)
    assert not [one for one in row["migrations"] if "job" in one], "it has not ended"
    assert played.kept is None


KILL = Limits(lock=5, wait=6, hold=6, copy=6, job=0.5, kill=True)


def test_a_job_is_killed_if_that_is_asked_for_and_told_so(played: Played) -> None:
    move(played, "edge")
    played.log = "so far\n"
    back = move(played, "device", KILL)
    assert (back["owner"], back["exit_code"], back["job"]["result"]) == ("device", None, "killed")
    assert played.of_kept("result", "exit_code", "runs", "log") == ("killed", None, 1, "so far\n")
    assert played.of_kept("seconds") > (0,)
    assert played.pods() == []


def test_what_a_job_had_said_is_known_although_its_pod_goes_at_its_deadline(played: Played) -> None:
    move(played, "edge")
    played.log = "so far\n"
    threading.Timer(1, played.expire).start()
    back = move(played, "device")
    assert (back["job"]["reason"], back["log"]) == ("DeadlineExceeded", ["so far"])
    assert played.of_kept("result", "reason", "exit_code") == ("failed", "DeadlineExceeded", None)
    assert played.of_kept("started", "log") == ("2026-05-04T10:00:00Z", "so far\n")


@pytest.mark.parametrize("step", ["prepare_device", "rest"])
def test_what_a_killed_job_had_said_is_known_although_the_play_was_killed_too(
    played: Played, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    move(played, "edge")
    played.log = "so far\n"
    place = Edge if step == "rest" else steps_module.Steps
    finish = Edge.finish

    def until_the_limit(edge: Edge, limit: float) -> bool:
        played.log += "and more\n"
        return finish(edge, limit)

    with monkeypatch.context() as patch:
        patch.setattr(place, step, killed)
        patch.setattr(Edge, "finish", until_the_limit)
        with pytest.raises(Killed):
            move(played, "device", KILL)
    until(lambda: played.pods() == [])
    assert move(played, "device")["log"] == ["so far", "and more"]
    assert played.of_kept("result", "runs", "epoch", "log") == ("killed", 1, 3, "so far\nand more\n")


def test_a_job_that_runs_on_its_device_is_not_moved(played: Played) -> None:
    played.running = True
    with pytest.raises(KrafError, match="runs on the device"):
        move(played, "edge")
    assert played.calls == ["look"]


def test_a_job_that_never_began_at_the_edge_is_given_back_and_not_started(played: Played) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(played, "gate_is_open", lambda pod: False)  # as an image that cannot be pulled
        with pytest.raises(KrafError):
            move(played, "edge")
    assert migration(played, 2)["result"] == "Undone"
    assert played.pods() == []
    assert (played.record or {})["owner"] == "device"
    assert (played.record or {})["epoch"] == 3
    assert not played.running
    assert played.kept is None, "it has not run"


def test_a_job_that_has_begun_is_left_to_run_when_the_move_fails(played: Played) -> None:
    played.deaf = True
    with pytest.raises(KrafError, match="before the release"):
        move(played, "edge")
    assert [one["status"]["phase"] for one in played.pods()] == ["Running"]
    assert migration(played, 2)["result"] == "Done"
    assert (played.record or {})["owner"] == "edge"
    played.deaf = False
    played.code, played.log = 3, "no good\n"
    back = move(played, "device")
    assert (back["exit_code"], back["job"]["runs"]) == (3, 1)
    assert played.of_kept("result", "reason", "exit_code", "log") == ("failed", "Error", 3, "no good\n")


def test_a_job_that_runs_again_leaves_its_last_run_on_the_device(played: Played) -> None:
    for epoch, code, log in ((3, 7, "no good\n"), (5, 0, "")):
        played.code, played.log = code, log
        move(played, "edge")
        if epoch == 5:
            assert played.of_kept("epoch", "exit_code", "log") == (3, 7, "no good\n"), "it is known until the next is"
        move(played, "device")
        assert played.of_kept("epoch", "exit_code", "log") == (epoch, code, log)
    # One that never began is no run.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(played, "gate_is_open", lambda pod: False)
        with pytest.raises(KrafError):
            move(played, "edge")
    assert (played.record or {})["epoch"] == 7
    assert played.of_kept("epoch", "exit_code") == (5, 0)


def test_a_job_whose_way_back_was_cut_off_does_not_run_again(played: Played) -> None:
    move(played, "edge")
    played.code = 0
    played.deaf = True
    with pytest.raises(KrafError, match="before the release"):
        move(played, "device")
    # Committed, so it is settled forward: nothing has to start on the device.
    assert migration(played, 3)["result"] == "Done"
    found = move(played, "device")
    assert (found["owner"], found["epoch"], found["exit_code"]) == ("device", 3, 0)
    assert played.of_kept("epoch", "exit_code") == (3, 0)
    assert played.pods() == []
    assert not played.running


def test_a_job_whose_play_was_killed_after_the_commit_has_its_outcome_from_the_next_run(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    move(played, "edge")
    played.code, played.log = 7, "no good\n"
    with monkeypatch.context() as patch:
        patch.setattr(steps_module.Steps, "start_device", killed)
        with pytest.raises(Killed):
            move(played, "device")
    # As on a real device: it hears nothing more, and does not know whether the owner has changed.
    played.put("aborted")
    until(lambda: not any(isinstance(one, Background) for one in threading.enumerate()))
    assert played.kept is None
    assert (played.record or {})["phase"] == "ready"
    played.log = ""  # whoever comes next asks the Migration
    assert move(played, "edge")["epoch"] == 4
    kept = played.of_kept("result", "reason", "exit_code", "epoch", "log")
    assert kept == ("failed", "Error", 7, 3, "no good\n")


def test_a_job_whose_way_back_is_cut_off_before_the_commit_is_found_as_it_ended(played: Played) -> None:
    move(played, "edge")
    played.code = 5

    def cut_off(self: Any) -> None:
        raise KrafError("test", None, "cut off")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps_module.Steps, "commit", cut_off)
        with pytest.raises(KrafError, match="cut off"):
            move(played, "device")
    assert migration(played, 3)["result"] == "Undone"
    assert len(played.pods()) == 1
    back = move(played, "device")
    assert (back["owner"], back["epoch"], back["exit_code"], back["job"]["runs"]) == ("device", 3, 5, 1)
    assert played.of_kept("exit_code", "epoch") == (5, 3)
