"""Placement and Migration, against a real API server with the collection's own resource definitions."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.cluster.client import Cluster
from ansible_collections.kraf.edge.plugins.module_utils.cluster.errors import Invalid
from ansible_collections.kraf.edge.plugins.module_utils.cluster.kinds import MIGRATION, PLACEMENT
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.manifests import namespace
from ansible_collections.kraf.edge.plugins.module_utils.placement import inventory, portability, verdicts
from ansible_collections.kraf.edge.plugins.module_utils.placement.records import DONE, UNDONE, Records
from ansible_collections.kraf.edge.plugins.module_utils.placement.verdicts import KEPT, LOST
from tests.unit.placement.containers import APP, container

UID = "6a0cbb2e-38a4-4a9f-9d2f-5a1f0f6c9d11"
STANDBY = {
    "epoch": 1,
    "node": "worker1",
    "image": "registry.example/faces@sha256:1",
    "bytes": 4096,
    "verified": "2026-01-01T00:00:00Z",
    "expires": "2999-01-01T00:00:00Z",
}


@pytest.fixture
def records(kinds: None, cluster: Cluster, device: str) -> Records:
    cluster.apply(namespace.objects(device, UID)[0])
    return Records(cluster, device, UID, "faces")


def test_the_device_owns_an_app_at_first(records: Records) -> None:
    assert records.read() is None
    assert (records.create(False).owner, records.create(False).epoch) == ("device", 1)


def test_owner_and_epoch_change_together(records: Records) -> None:
    committed = records.commit(records.stamp(records.create(False), 1, "ann"), "edge", 2)
    assert (committed.owner, committed.epoch, committed.tree) == ("edge", 2, 2)
    assert records.read() == committed


def test_a_run_that_was_overtaken_commits_nothing(records: Records) -> None:
    slept = records.stamp(records.create(False), 1, "ann")
    fresh = records.read()
    assert fresh is not None
    records.stamp(fresh, 2, "bob")
    with pytest.raises(KrafError, match="another run has taken the app in hand"):
        records.commit(slept, "edge", 2)
    found = records.read()
    assert found is not None
    assert (found.owner, found.epoch) == ("device", 1)


def test_an_earlier_run_cannot_take_the_app_in_hand_again(records: Records) -> None:
    stamped = records.stamp(records.create(False), 5, "bob")
    with pytest.raises(KrafError, match="run 5 has it in hand, this is run 4"):
        records.stamp(stamped, 4, "ann")


def test_a_new_device_of_the_same_name_inherits_nothing(records: Records, cluster: Cluster, device: str) -> None:
    records.create(False)
    with pytest.raises(KrafError, match="belongs to the device"):
        Records(cluster, device, "00000000-0000-0000-0000-000000000000", "faces").read()


@pytest.mark.parametrize("spec", [{"owner": "both"}, {"epoch": 0}, {"owner": None}])
def test_the_resource_itself_refuses_what_cannot_be(
    records: Records, cluster: Cluster, device: str, spec: dict[str, Any]
) -> None:
    records.create(False)
    with pytest.raises(Invalid):
        cluster.patch(PLACEMENT, "faces", f"kraf-{device}", {"spec": spec})


def test_the_account_of_a_move_is_kept_and_listed(records: Records, cluster: Cluster, device: str) -> None:
    placement = records.stamp(records.create(False), 1, "ann")
    records.begin("edge", 2, "ann", [{"property": "argv", "verdict": "kept", "why": ""}])
    records.begin("edge", 2, "bob", [])
    placement = records.commit(placement, "edge", 2)
    records.note(2, result=DONE, heldSeconds=2.5)
    records.close(placement)
    (row,) = inventory.placements(cluster, device)
    assert (row["owner"], row["epoch"], row["phase"]) == ("edge", 2, "Settled")
    (move,) = row["migrations"]
    assert (move["result"], move["held_seconds"], move["to"]) == ("Done", 2.5, "edge")
    assert move["finished"]


def test_a_reason_that_is_too_long_is_cut_rather_than_refused(records: Records, cluster: Cluster, device: str) -> None:
    records.create(False)
    records.begin("edge", 2, "ann", [])
    records.note(2, result="Failed", message="x" * 10_000)
    found = cluster.get(MIGRATION, "faces-2", f"kraf-{device}")
    assert found is not None
    assert len(found["status"]["message"]) == 4000


def report(cluster: Cluster, device: str) -> list[dict[str, str]]:
    found = cluster.get(MIGRATION, "faces-2", f"kraf-{device}")
    assert found is not None
    rows: list[dict[str, str]] = found["status"]["portability"]
    return rows


def test_the_portability_report_stands_in_the_migration_whatever_becomes_of_it(
    records: Records, cluster: Cluster, device: str
) -> None:
    rows = portability.examine(APP, container(auto_remove=True, privileged=True), ["privileged"])
    records.begin("edge", 2, "ann", verdicts.stored(rows))
    records.note(2, result="Undone", step="copy", message="the line broke")
    assert report(cluster, device) == verdicts.stored(rows)
    assert (
        {one["verdict"] for one in rows} == {one["verdict"] for one in report(cluster, device)} == set(verdicts.ORDER)
    )
    again = portability.examine(APP, container())
    records.begin("edge", 2, "bob", verdicts.stored(again))
    assert report(cluster, device) == verdicts.stored(again) != verdicts.stored(rows)


@pytest.mark.parametrize("letter", ["x", "\u00e4", "\u20ac", "\U0001f600", '"'])
def test_the_largest_report_that_there_can_be_is_stored_with_all_its_rows(
    records: Records, cluster: Cluster, device: str, letter: str
) -> None:
    rows = [verdicts.row(f"{number:03d} {letter * 300}", LOST, letter * 2000) for number in range(verdicts.MOST)]
    records.begin("edge", 2, "ann", verdicts.stored(rows))
    records.begin("edge", 2, "bob", verdicts.stored(rows))
    records.note(2, message=letter * 10_000, job={"log": letter * 16_384})
    assert report(cluster, device) == rows
    assert len(rows[0]["property"] + rows[0]["why"]) == 256 + 1024


def test_of_a_longer_report_what_differs_most_is_stored_and_the_rest_is_counted(
    records: Records, cluster: Cluster, device: str
) -> None:
    kept = [verdicts.row(f"variable {number}", KEPT, "x") for number in range(2 * verdicts.MOST)]
    records.begin("edge", 2, "ann", verdicts.stored([*kept, verdicts.row("network", LOST, "y")]))
    found = report(cluster, device)
    assert [one["property"] for one in found[:2]] == ["network", "variable 0"]
    assert len(found) == verdicts.MOST
    assert found[-1]["property"] == f"{verdicts.MOST + 2} more"


def test_a_lost_side_is_named_until_it_was_told(records: Records) -> None:
    ready = records.keep(records.stamp(records.create(False), 1, "ann"), 7, STANDBY)
    assert (ready.owner, ready.tree, ready.standby["node"]) == ("device", 7, "worker1")
    committed = records.commit(ready, "edge", 7, lost="device")
    assert (committed.owner, committed.epoch, committed.lost, committed.standby) == ("edge", 2, "device", {})
    assert records.close(committed, told=False).lost == "device"
    found = records.read()
    assert found is not None
    assert records.close(found).lost == ""


def test_what_is_kept_ready_is_listed_until_it_is_forgotten(records: Records, cluster: Cluster, device: str) -> None:
    ready = records.keep(records.create(False), 7, STANDBY)
    assert inventory.placements(cluster, device)[0]["standby"] == {**STANDBY, "expired": False}
    records.forget(ready, 0)
    row = inventory.placements(cluster, device)[0]
    assert (row["standby"], row["lost"]) == ({}, "")


def test_a_copy_that_is_too_old_is_listed_as_such(records: Records, cluster: Cluster, device: str) -> None:
    records.keep(records.create(False), 7, {**STANDBY, "expires": "2026-01-02T00:00:00Z"})
    assert inventory.placements(cluster, device)[0]["standby"]["expired"]


def test_a_copy_of_an_earlier_ownership_is_worth_nothing(records: Records, cluster: Cluster, device: str) -> None:
    records.keep(records.create(False), 7, {**STANDBY, "epoch": 3})
    assert inventory.placements(cluster, device)[0]["standby"] == {}


@pytest.mark.parametrize("how", ["purged", "forget"])
def test_of_an_undone_move_nothing_is_listed_once_its_copy_is_removed(
    records: Records, cluster: Cluster, device: str, how: str
) -> None:
    placed = records.create(False)
    records.begin("edge", 2, "ann", [])
    records.note(2, result=UNDONE, finished="2026-11-29T10:00:00Z")
    assert inventory.placements(cluster, device)[0]["undone"]["to"] == "edge"
    records.purged(placed) if how == "purged" else records.forget(placed, 0)
    assert inventory.placements(cluster, device)[0]["undone"] == {}
