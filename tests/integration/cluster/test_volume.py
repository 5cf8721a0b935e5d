"""Module volume against a real API server."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.cluster.client import Cluster
from ansible_collections.kraf.edge.plugins.module_utils.cluster.kinds import (
    NAMESPACE,
    NODE,
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    STORAGE_CLASS,
    kind_of,
)
from ansible_collections.kraf.edge.plugins.modules import volume, volume_info

Object = dict[str, Any]
Run = Callable[..., Any]
UID = "6a0cbb2e-38a4-4a9f-9d2f-5a1f0f6c9d11"
OTHER_UID = "11111111-38a4-4a9f-9d2f-5a1f0f6c9d11"


def storage_class(name: str, provisioner: str = "test.kraf.io/none", **more: Any) -> Object:
    found = {
        "allowVolumeExpansion": True,
        "volumeBindingMode": "WaitForFirstConsumer",
        "reclaimPolicy": "Retain",
        **more,
    }
    meta = {"name": name, **found.pop("metadata", {})}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": meta,
        "provisioner": provisioner,
        **found,
    }


@pytest.fixture(autouse=True)
def classes(cluster: Cluster) -> None:
    """Classes of each kind, and a node for the local one."""
    mark = {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
    local = {"labels": {"kraf.io/local": "true"}, "annotations": {"kraf.io/node": "worker1"}}
    cluster.apply(storage_class("late", metadata=mark))
    cluster.apply(storage_class("other"))
    cluster.apply(storage_class("fixed", allowVolumeExpansion=False))
    cluster.apply(storage_class("at-once", volumeBindingMode="Immediate"))
    cluster.apply(storage_class("kraf-local", "kubernetes.io/no-provisioner", metadata=local))
    if cluster.get(NODE, "worker1") is None:
        cluster.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "worker1"}})


def entry(device: str, name: str = "photos", size: str = "1Gi", **more: Any) -> Object:
    return {"device": device, "device_uid": UID, "name": name, "size": size, **more}


def claim(cluster: Cluster, device: str, name: str = "photos") -> Object | None:
    return cluster.get(PERSISTENT_VOLUME_CLAIM, name, f"kraf-{device}")


def existing(cluster: Cluster, device: str, name: str = "photos") -> Object:
    found = claim(cluster, device, name)
    assert found is not None
    return found


def bind(
    cluster: Cluster, device: str, size: str = "1Gi", provisioner: str = "test.kraf.io/none", **spec: Any
) -> Object:
    """What a provisioner and the binder do: a PersistentVolume, and a claim that says Bound."""
    wanted = existing(cluster, device)
    name = f"pvc-{wanted['metadata']['uid']}"
    reference = {key: wanted["metadata"][key] for key in ("name", "namespace", "uid")}
    content = {
        "capacity": {"storage": size},
        "accessModes": wanted["spec"]["accessModes"],
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": wanted["spec"]["storageClassName"],
        "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **reference},
        "csi": {"driver": "test.kraf.io", "volumeHandle": name},
        **spec,
    }
    annotations = {"pv.kubernetes.io/provisioned-by": provisioner} if provisioner else {}
    meta = {"name": name, "annotations": annotations}
    cluster.create({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": meta, "spec": content})
    cluster.patch(PERSISTENT_VOLUME_CLAIM, "photos", f"kraf-{device}", {"spec": {"volumeName": name}})
    return set_status(cluster, device, phase="Bound", capacity={"storage": size}, accessModes=["ReadWriteOnce"])


def set_status(cluster: Cluster, device: str, **status: Any) -> Object:
    body = {"status": status}
    return cluster.patch(PERSISTENT_VOLUME_CLAIM, "photos", f"kraf-{device}", body, subresource="status")


def warnings(result: Object) -> list[str]:
    return [item["event"]["msg"] for item in result["warnings"]]


def mounting_pod(cluster: Cluster, device: str, name: str = "reader", **labels: str) -> None:
    source = {"name": "data", "persistentVolumeClaim": {"claimName": "photos"}}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": f"kraf-{device}", "labels": labels},
        "spec": {"containers": [{"name": "main", "image": "none"}], "volumes": [source]},
    }
    cluster.create(pod)


def test_a_new_volume_is_predicted_made_and_then_left_alone(run_module: Run, cluster: Cluster, device: str) -> None:
    predicted = run_module(volume, check=True, volumes=[entry(device)])
    assert predicted["changed"]
    assert cluster.get(NAMESPACE, f"kraf-{device}") is None
    assert predicted["volumes"][0]["asked_bytes"] == 2**30
    made = run_module(volume, volumes=[entry(device)])
    assert made["changed"]
    assert made["cluster"]["uid"] == cluster.uid()
    before = existing(cluster, device)["metadata"]["resourceVersion"]
    again = run_module(volume, volumes=[entry(device)])
    assert not again["changed"]
    assert again["requests"] <= 4
    assert existing(cluster, device)["metadata"]["resourceVersion"] == before
    assert predicted["volumes"] == made["volumes"] == again["volumes"]


def test_the_namespace_of_a_device_is_fenced_before_a_volume_is_in_it(
    run_module: Run, cluster: Cluster, device: str
) -> None:
    made = run_module(volume, volumes=[entry(device)])
    kinds = {title.split()[0] for title in made["diff"]["after"]}
    assert {"Namespace", "ResourceQuota", "LimitRange", "NetworkPolicy", "PersistentVolumeClaim"} <= kinds
    space = cluster.get(NAMESPACE, f"kraf-{device}")
    assert space is not None
    assert space["metadata"]["labels"]["kraf.io/device-uid"] == UID


def test_twenty_volumes_are_one_task(run_module: Run, cluster: Cluster, device: str) -> None:
    twenty = [entry(device, f"disk-{number}") for number in range(20)]
    made = run_module(volume, volumes=twenty)
    assert made["changed"]
    assert made["requests"] < 40
    again = run_module(volume, volumes=twenty)
    assert not again["changed"]
    assert again["requests"] <= 4


@pytest.mark.parametrize(
    "size", ["10GB", "10gi", "10 Gi", "1K", "0x10", "1,5Gi", "", "0", "-1Gi", "10m", "10", "1e9", "1000Ei"]
)
def test_vol_01_a_size_that_could_be_misread_is_refused_before_anything_is_written(
    run_module: Run, cluster: Cluster, device: str, size: str
) -> None:
    refused = run_module(volume, volumes=[entry(device), entry(device, "second", size=size)])
    assert refused["failed"]
    assert "size of volume second" in refused["msg"]
    assert cluster.get(NAMESPACE, f"kraf-{device}") is None


def test_an_unknown_class_is_refused_with_the_list_of_classes(run_module: Run, cluster: Cluster, device: str) -> None:
    refused = run_module(volume, volumes=[entry(device, storage_class="fast")])
    assert refused["failed"]
    assert all(name in refused["msg"] for name in ("at-once", "fixed", "kraf-local", "late", "other"))
    assert cluster.get(NAMESPACE, f"kraf-{device}") is None


def test_vol_03_a_class_without_expansion_is_refused_with_the_way_out(
    run_module: Run, cluster: Cluster, device: str
) -> None:
    run_module(volume, volumes=[entry(device, storage_class="fixed")])
    bind(cluster, device)
    before = existing(cluster, device)
    refused = run_module(volume, volumes=[entry(device, size="2Gi")])
    assert refused["failed"]
    assert "does not allow expansion" in refused["msg"]
    assert "copy the data" in refused["msg"]
    assert existing(cluster, device) == before


def test_vol_03_a_volume_made_by_hand_is_refused_with_the_way_out(
    run_module: Run, cluster: Cluster, device: str
) -> None:
    run_module(volume, volumes=[entry(device)])
    bind(cluster, device, provisioner="", csi=None, hostPath={"path": "/srv/x"})
    refused = run_module(volume, volumes=[entry(device, size="2Gi")])
    assert refused["failed"]
    assert "was made by hand" in refused["msg"]


def test_vol_04_growing_waits_for_the_capacity_and_reports_asked_and_real(
    run_module: Run, cluster: Cluster, device: str
) -> None:
    run_module(volume, volumes=[entry(device)])
    bind(cluster, device)
    late = run_module(volume, volumes=[entry(device, size="2Gi")], wait_timeout=2)
    assert late["failed"]
    assert late["error"]["facts"]["asked_bytes"] == 2 * 2**30
    assert late["error"]["facts"]["real_bytes"] == 2**30
    resizing = {"type": "Resizing", "status": "True"}
    set_status(cluster, device, conditions=[resizing])
    late = run_module(volume, volumes=[entry(device, size="2Gi")], wait_timeout=2)
    assert late["failed"]
    assert late["error"]["facts"]["conditions"] == [resizing]
    set_status(cluster, device, conditions=[], capacity={"storage": "2Gi"})
    done = run_module(volume, volumes=[entry(device, size="2Gi")])
    assert not done["failed"]
    assert done["volumes"][0]["real_bytes"] == 2 * 2**30


def test_vol_04_a_file_system_that_waits_for_a_mount_is_done_when_nothing_mounts_it(
    run_module: Run, cluster: Cluster, device: str
) -> None:
    run_module(volume, volumes=[entry(device)])
    bind(cluster, device)
    set_status(cluster, device, conditions=[{"type": "FileSystemResizePending", "status": "True"}])
    done = run_module(volume, volumes=[entry(device, size="2Gi")], wait_timeout=4)
    assert not done["failed"]
    assert done["volumes"][0]["asked_bytes"] == 2 * 2**30
    assert done["volumes"][0]["real_bytes"] == 2**30


def test_vol_04_an_export_that_keeps_a_file_system_from_growing_is_restarted(
    run_module: Run, cluster: Cluster, device: str
) -> None:
    run_module(volume, volumes=[entry(device)])
    bind(cluster, device)
    set_status(cluster, device, conditions=[{"type": "FileSystemResizePending", "status": "True"}])
    mounting_pod(
        cluster, device, "export-photos-0", **{"kraf.io/volume": "photos", "app.kubernetes.io/component": "export"}
    )
    run_module(volume, volumes=[entry(device, size="2Gi")], wait_timeout=4)
    assert cluster.get(POD, "export-photos-0", f"kraf-{device}") is None


def test_vol_06_another_default_class_does_not_touch_existing_volumes(
    run_module: Run, cluster: Cluster, device: str
) -> None:
    run_module(volume, volumes=[entry(device)])
    before = existing(cluster, device)
    mark = "storageclass.kubernetes.io/is-default-class"
    for name, value in (("late", "false"), ("other", "true")):
        cluster.patch(STORAGE_CLASS, name, "", {"metadata": {"annotations": {mark: value}}})
    again = run_module(volume, volumes=[entry(device)])
    warned = run_module(volume, volumes=[entry(device, storage_class="other", access_modes=["RWX"])])
    for name in ("late", "other"):
        cluster.delete(STORAGE_CLASS, name)
    assert not again["changed"]
    assert not warned["changed"]
    assert any("keeps its class late" in text for text in warnings(warned))
    assert any("keeps its access modes" in text for text in warnings(warned))
    assert existing(cluster, device) == before


def test_vol_07_a_class_that_binds_with_the_first_pod_is_not_waited_for(run_module: Run, device: str) -> None:
    made = run_module(volume, volumes=[entry(device)], wait_timeout=600)
    assert made["volumes"][0]["phase"] == "Pending"
    assert made["volumes"][0]["real_bytes"] == 0


def test_vol_07_a_class_that_binds_at_once_is_waited_for(run_module: Run, device: str) -> None:
    late = run_module(volume, volumes=[entry(device, storage_class="at-once")], wait_timeout=2)
    assert late["failed"]
    assert "not as wanted after" in late["msg"]


@pytest.mark.usefixtures("controllers")
def test_vol_09_a_claim_that_is_not_bound_yet_is_made_anew_to_grow(
    run_module: Run, cluster: Cluster, device: str
) -> None:
    run_module(volume, volumes=[entry(device)])
    before = existing(cluster, device)["metadata"]["uid"]
    predicted = run_module(volume, check=True, volumes=[entry(device, size="2Gi")])
    assert predicted["changed"]
    assert existing(cluster, device)["metadata"]["uid"] == before
    done = run_module(volume, volumes=[entry(device, size="2Gi")])
    assert done["changed"]
    assert predicted["volumes"] == done["volumes"]
    assert existing(cluster, device)["metadata"]["uid"] != before
    assert existing(cluster, device)["spec"]["resources"]["requests"]["storage"] == "2Gi"
    assert not run_module(volume, volumes=[entry(device, size="2Gi")])["changed"]


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(("size", "asked"), [("1Gi", 2**30), ("1953125Ki", 2_000_000_000)])
def test_vol_11_shrinking_is_refused_with_both_numbers_and_nothing_written(
    run_module: Run, cluster: Cluster, device: str, size: str, asked: int, check: bool
) -> None:
    run_module(volume, volumes=[entry(device, size="2Gi")])
    before = existing(cluster, device)
    refused = run_module(volume, check=check, volumes=[entry(device, size=size)])
    assert refused["failed"]
    assert str(2 * 2**30) in refused["msg"]
    assert str(asked) in refused["msg"]
    assert existing(cluster, device) == before


@pytest.mark.usefixtures("controllers")
def test_vol_12_the_data_of_a_removed_volume_are_used_again_only_when_asked(
    run_module: Run, cluster: Cluster, device: str
) -> None:
    local = entry(device, storage_class="kraf-local")
    run_module(volume, volumes=[local])
    wait_bound(cluster, device)
    removed = run_module(volume, volumes=[local], state="absent")
    assert removed["changed"]
    assert removed["volumes"][0]["kept"] == f"kraf-{device}-photos"
    refused = run_module(volume, volumes=[local])
    assert refused["failed"]
    assert "adopt: true" in refused["msg"]
    stranger = run_module(volume, volumes=[{**local, "device_uid": OTHER_UID}], adopt=True)
    assert stranger["failed"]
    assert "belongs to the device" in stranger["msg"]
    predicted = run_module(volume, check=True, volumes=[local], adopt=True)
    assert predicted["changed"]
    assert claim(cluster, device) is None
    adopted = run_module(volume, volumes=[local], adopt=True)
    assert adopted["changed"]
    bound = wait_bound(cluster, device)
    assert bound["spec"]["volumeName"] == f"kraf-{device}-photos"
    assert not run_module(volume, volumes=[local])["changed"]


@pytest.mark.usefixtures("controllers")
def test_vol_12_data_that_a_provisioner_keeps_are_marked_as_the_devices_and_found_again(
    run_module: Run, cluster: Cluster, device: str
) -> None:
    run_module(volume, volumes=[entry(device)])
    name = bind(cluster, device)["spec"]["volumeName"]
    assert run_module(volume, volumes=[entry(device)], state="absent")["volumes"][0]["kept"] == name
    assert not run_module(volume, volumes=[entry(device)], state="absent")["changed"]
    assert "adopt: true" in run_module(volume, volumes=[entry(device)])["msg"]
    assert run_module(volume, volumes=[entry(device)], adopt=True)["changed"]
    assert wait_bound(cluster, device)["spec"]["volumeName"] == name


def wait_bound(cluster: Cluster, device: str) -> Object:
    found = cluster.wait(
        PERSISTENT_VOLUME_CLAIM,
        "photos",
        f"kraf-{device}",
        lambda obj: bool(obj and obj.get("status", {}).get("phase") == "Bound"),
        60,
    )
    assert found
    return found


def test_vol_13_access_modes_may_be_written_short(run_module: Run, cluster: Cluster, device: str) -> None:
    run_module(volume, volumes=[entry(device, access_modes=["RWO", "RWX"])])
    assert existing(cluster, device)["spec"]["accessModes"] == ["ReadWriteOnce", "ReadWriteMany"]


@pytest.mark.parametrize(("mode", "reason"), [("RWOP", "from 1.27 on"), ("RW", "none of this name")])
def test_vol_13_an_access_mode_that_this_version_does_not_know_is_refused(
    run_module: Run, cluster: Cluster, device: str, mode: str, reason: str
) -> None:
    refused = run_module(volume, volumes=[entry(device, access_modes=[mode])])
    assert refused["failed"]
    assert reason in refused["msg"]
    assert cluster.get(NAMESPACE, f"kraf-{device}") is None


@pytest.mark.usefixtures("controllers")
def test_a_local_volume_is_bound_to_its_own_file_and_grows_with_it(
    run_module: Run, cluster: Cluster, device: str
) -> None:
    made = run_module(volume, volumes=[entry(device, storage_class="kraf-local")])
    assert made["volumes"][0]["node"] == "worker1"
    wait_bound(cluster, device)
    disk = cluster.get(PERSISTENT_VOLUME, f"kraf-{device}-photos")
    assert disk is not None
    assert disk["spec"]["local"]["path"] == f"/var/lib/kraf/volumes/kraf-{device}-photos/data"
    before = [existing(cluster, device), disk]
    again = run_module(volume, volumes=[entry(device)])
    assert not again["changed"]
    assert again["requests"] <= 4
    assert [existing(cluster, device), cluster.get(PERSISTENT_VOLUME, f"kraf-{device}-photos")] == before
    grown = run_module(volume, volumes=[entry(device, size="2Gi")])
    assert grown["changed"]
    assert grown["volumes"][0]["real_bytes"] == grown["volumes"][0]["asked_bytes"] == 2 * 2**30
    after = cluster.get(PERSISTENT_VOLUME, f"kraf-{device}-photos")
    assert after is not None
    assert after["spec"]["capacity"]["storage"] == "2Gi"
    assert after["spec"]["claimRef"]["uid"] == existing(cluster, device)["metadata"]["uid"]
    assert not run_module(volume, volumes=[entry(device, size="2Gi")])["changed"]


def test_a_local_volume_on_a_node_that_is_not_there_is_refused(run_module: Run, cluster: Cluster, device: str) -> None:
    refused = run_module(volume, volumes=[entry(device, storage_class="kraf-local", node="worker9")])
    assert refused["failed"]
    assert "no such node" in refused["msg"]
    assert cluster.get(NAMESPACE, f"kraf-{device}") is None


def test_a_volume_in_use_is_not_removed_and_its_users_are_named(run_module: Run, cluster: Cluster, device: str) -> None:
    run_module(volume, volumes=[entry(device)])
    mounting_pod(cluster, device)
    for check in (True, False):
        refused = run_module(volume, check=check, volumes=[entry(device)], state="absent")
        assert refused["failed"]
        assert "pod reader" in refused["msg"]
    assert claim(cluster, device)


@pytest.mark.usefixtures("controllers")
def test_data_that_would_go_with_the_claim_go_only_when_that_was_said(
    run_module: Run, cluster: Cluster, device: str
) -> None:
    run_module(volume, volumes=[entry(device)])
    bind(cluster, device, persistentVolumeReclaimPolicy="Delete")
    refused = run_module(volume, volumes=[entry(device)], state="absent")
    assert refused["failed"]
    assert "purge: true" in refused["msg"]
    predicted = run_module(volume, check=True, volumes=[entry(device)], state="absent", purge=True)
    assert predicted["changed"]
    assert claim(cluster, device)
    assert run_module(volume, volumes=[entry(device)], state="absent", purge=True)["changed"]
    assert claim(cluster, device) is None
    again = run_module(volume, volumes=[entry(device)], state="absent", purge=True)
    assert not again["changed"]
    assert again["requests"] <= 4


def test_sec_04_a_volume_of_another_device_of_the_same_name_is_refused(
    run_module: Run, cluster: Cluster, device: str
) -> None:
    run_module(volume, volumes=[entry(device)])
    before = existing(cluster, device)
    for options in ({}, {"state": "absent"}, {"check": True}):
        refused = run_module(volume, volumes=[{**entry(device, size="2Gi"), "device_uid": OTHER_UID}], **options)
        assert refused["failed"]
        assert UID in refused["msg"]
        assert OTHER_UID in refused["msg"]
    refused = run_module(volume, volumes=[{**entry(device, "new"), "device_uid": OTHER_UID}])
    assert refused["failed"]
    assert existing(cluster, device) == before


def test_sec_04_a_claim_that_someone_else_made_is_not_taken_over(
    run_module: Run, cluster: Cluster, device: str
) -> None:
    run_module(volume, volumes=[entry(device, "first")])
    foreign = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "photos", "namespace": f"kraf-{device}"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    cluster.create(foreign)
    refused = run_module(volume, volumes=[entry(device)])
    assert refused["failed"]
    assert "was not made by kraf.edge" in refused["msg"]


def test_volume_info_tells_size_and_users(run_module: Run, cluster: Cluster, device: str) -> None:
    run_module(volume, volumes=[entry(device), entry(device, "music")])
    mounting_pod(cluster, device)
    found = run_module(volume_info, device=device, query="[?!used_by].name")
    assert [row["name"] for row in found["volumes"]] == ["music", "photos"]
    assert found["volumes"][1]["used_by"] == ["reader"]
    assert found["volumes"][1]["device_uid"] == UID
    assert found["selected"] == ["music"]
    assert not found["changed"]


def test_volume_info_of_nothing_is_an_empty_list(run_module: Run) -> None:
    assert run_module(volume_info, device=f"pi-{secrets.token_hex(4)}")["volumes"] == []


def test_kinds_of_what_was_made_are_known(cluster: Cluster, device: str, run_module: Run) -> None:
    run_module(volume, volumes=[entry(device)])
    assert kind_of(existing(cluster, device)) == PERSISTENT_VOLUME_CLAIM
