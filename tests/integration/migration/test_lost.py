# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lost side is taken over only from what was verified, against a real API server; whole losses: tests/faults."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import App, Data, Device, Port
from ansible_collections.kraf.edge.plugins.module_utils.cluster.client import Cluster
from ansible_collections.kraf.edge.plugins.module_utils.cluster.kinds import DEPLOYMENT, SECRET
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.manifests import namespace, standby
from ansible_collections.kraf.edge.plugins.module_utils.manifests.workload import Process, Workload
from ansible_collections.kraf.edge.plugins.module_utils.placement.job import Job, Limits, Site
from ansible_collections.kraf.edge.plugins.module_utils.placement.lost import LostDevice, LostEdge
from ansible_collections.kraf.edge.plugins.module_utils.placement.records import Placement, Records

from .test_records import STANDBY, UID

SITE = Site(("192.0.2.1:8843",), "registry.example:5000/kraf/edge:1", "registry.example:5000", ("amd64",))


class Case:
    """An app of a device, and what its device is asked."""

    def __init__(self, cluster: Cluster, device: str) -> None:
        self.cluster, self.calls = cluster, list[str]()
        self.answers: dict[str, dict[str, Any]] = {}
        self.app = App(device, "faces", ports=(Port(8000, 80),), overlap=True)
        self.device = Device(device, UID)
        self.records = Records(cluster, device, UID, "faces")
        self.said: list[str] = []
        cluster.apply(namespace.objects(device, UID)[0])

    def call(self, step: str, **_given: Any) -> Mapping[str, Any]:
        self.calls.append(step)
        return self.answers[step]

    def job(self, to: str) -> Job:
        limits = Limits(lock=1, wait=2)
        return Job(self.cluster, self.app, self.device, to, "ann", SITE, limits, self.call)  # type: ignore[arg-type]

    def device_lost(self, check: bool = False) -> dict[str, Any]:
        return LostDevice(self.job("edge"), self.said.append).run(check)

    def edge_lost(self, check: bool = False) -> dict[str, Any]:
        return LostEdge(self.job("device"), self.said.append).run(check)

    def ready(self, **changes: Any) -> Placement:
        """The edge is kept ready."""
        image = f"{SITE.registry}/faces@sha256:{'1' * 64}"
        workload = Workload(self.app, UID, Process(("run",), env={"A": "b"}), image, SITE.image, ("amd64",), 2, 0, "n1")
        self.cluster.apply(standby.secret(workload))
        return self.records.keep(self.records.create(True), 0, {**STANDBY, **changes})


@pytest.fixture
def case(kinds: None, cluster: Cluster, device: str) -> Case:
    return Case(cluster, device)


def test_an_app_that_was_never_prepared_is_refused(case: Case) -> None:
    with pytest.raises(KrafError, match=r"the edge was never made ready for it.*kraf\.edge\.standby"):
        case.device_lost()
    case.records.create(True)
    with pytest.raises(KrafError, match="the edge is not kept ready for it"):
        case.device_lost()
    assert case.calls == []


def test_what_was_prepared_for_an_earlier_ownership_is_refused(case: Case) -> None:
    case.ready(epoch=7)
    with pytest.raises(KrafError, match="the edge is not kept ready for it"):
        case.device_lost()


def test_data_without_a_copy_are_refused(case: Case) -> None:
    case.ready()
    case.app = dataclasses.replace(case.app, overlap=False, data=(Data("results", "/data"),))
    with pytest.raises(KrafError, match="there is no copy of them at the edge"):
        case.device_lost()


def test_the_plan_changes_nothing_and_tells_the_age(case: Case) -> None:
    before = case.ready()
    row = case.device_lost(check=True)
    assert [step["step"] for step in row["plan"]] == ["recover", "lock", "prepare", "commit", "ready", "confirm"]
    assert row["copy_age_seconds"] > 0
    assert case.records.read() == before


def test_a_copy_that_is_too_old_is_told(case: Case) -> None:
    case.ready(expires="2026-01-02T00:00:00Z")
    case.device_lost(check=True)
    assert any("is past its time" in text for text in case.said)


def test_without_what_it_runs_with_nothing_is_committed(case: Case) -> None:
    case.ready()
    case.cluster.delete(SECRET, standby.secret_name("faces"), case.records.namespace)
    with pytest.raises(KrafError, match="app-faces-standby with what it runs with is gone"):
        case.device_lost()
    found = case.records.read()
    assert found is not None
    assert (found.owner, found.lost) == ("device", "")


def test_the_edge_takes_over_without_a_call_to_the_device(case: Case) -> None:
    """There is no node here, so the app does not become ready; the next run goes on."""
    case.ready()
    for _run in range(2):
        with pytest.raises(KrafError, match="it was not as wanted after 2 seconds"):
            case.device_lost()
        found = case.records.read()
        assert found is not None
        assert (found.owner, found.epoch, found.lost, found.open) == ("edge", 2, "device", True)
    workload = case.cluster.get(DEPLOYMENT, "app-faces", case.records.namespace)
    assert workload is not None
    assert workload["metadata"]["annotations"]["kraf.io/epoch"] == "2"
    assert case.cluster.get(SECRET, "app-faces-env", case.records.namespace) is not None
    assert case.calls == []


RECORD = {"app": "faces", "owner": "edge", "epoch": 2, "phase": "idle", "to": "edge", "fence": 4}


def test_a_device_takes_over_and_the_placement_learns_of_it(case: Case) -> None:
    case.records.commit(case.records.create(True), "edge", 0)
    after = {**RECORD, "owner": "device", "epoch": 3, "lost": True}
    case.answers = {"look": {"record": RECORD}, "take_over": {"record": after, "copy_age_seconds": 60.0}}
    row = case.edge_lost()
    assert (row["owner"], row["epoch"], row["copy_age_seconds"]) == ("device", 3, 60)
    found = case.records.read()
    assert found is not None
    assert (found.owner, found.epoch, found.lost) == ("device", 3, "edge")


def test_an_app_on_its_device_has_nothing_to_take_over(case: Case) -> None:
    case.answers = {"look": {"record": {**RECORD, "owner": "device"}}}
    assert case.edge_lost()["changed"] is False
    assert case.calls == ["look"]


def test_a_placement_that_gave_the_device_the_app_is_not_overruled(case: Case) -> None:
    case.records.create(True)
    case.answers = {"look": {"record": {**RECORD, "phase": "ready"}}}
    with pytest.raises(KrafError, match="its Placement says that the device owns it"):
        case.edge_lost()
    assert case.calls == ["look"]
