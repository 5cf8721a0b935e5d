"""What is rendered for devices, volumes and exports."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.manifests import export, labels, namespace, volume

UID = "6a0cbb2e-38a4-4a9f-9d2f-5a1f0f6c9d11"
VOLUME = volume.Volume("pi1", UID, "photos", 2**30, "kraf-local", ("ReadWriteOnce",), "worker1")
EXPORT = export.Export("pi1", UID, "photos", "registry.test/kraf/edge:1")
DATA = dict.fromkeys(("username", "password", "users", "tls.crt", "tls.key", "ca.crt"), "eA==")


def by_kind(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {obj["kind"]: obj for obj in objects}


def pod(**data: str) -> dict[str, Any]:
    found: dict[str, Any] = by_kind(export.objects(EXPORT, {**DATA, **data}, {}))["StatefulSet"]["spec"]["template"]
    return found


@pytest.mark.parametrize(
    "obj",
    [
        *namespace.objects(
            "pi1", UID, {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "e30="}}
        ),
        volume.claim(VOLUME, local=True),
        volume.persistent_volume(VOLUME),
        *export.objects(EXPORT, DATA, {}),
    ],
    ids=lambda obj: str(obj["kind"]),
)
def test_everything_says_whose_it_is(obj: dict[str, Any]) -> None:
    marks = obj["metadata"]["labels"]
    assert marks["app.kubernetes.io/managed-by"] == "kraf"
    assert marks["kraf.io/device"] == "pi1"
    assert marks["kraf.io/device-uid"] == UID


def test_labels_leave_out_what_does_not_apply() -> None:
    assert "kraf.io/app" not in labels.labels("pi1", UID, volume="photos")
    assert labels.labels("pi1", UID, app="faces")["kraf.io/app"] == "faces"


@pytest.mark.parametrize(
    ("marks", "reason"),
    [
        ({}, "was not made by kraf.edge"),
        ({**labels.labels("pi1", "other")}, "belongs to the device pi1 (other)"),
        ({**labels.labels("pi2", UID)}, "belongs to the device pi2"),
    ],
)
def test_sec_04_what_is_another_owners_is_refused_with_both_owners(marks: dict[str, str], reason: str) -> None:
    obj = {"kind": "Namespace", "metadata": {"name": "kraf-pi1", "labels": marks}}
    with pytest.raises(KrafError, match="Namespace kraf-pi1") as refusal:
        labels.check_owner(obj, "pi1", UID)
    assert reason in str(refusal.value)


def test_a_device_lets_in_its_own_pods_and_the_systems_only() -> None:
    policy = by_kind(namespace.objects("pi1", UID))["NetworkPolicy"]["spec"]
    assert policy["podSelector"] == {}
    assert policy["policyTypes"] == ["Ingress"]
    sources = policy["ingress"][0]["from"]
    assert sources[0] == {"podSelector": {}}
    assert sources[1]["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "kraf-system"}


def test_no_service_of_a_device_may_take_a_port_of_a_node() -> None:
    quota = by_kind(namespace.objects("pi1", UID))["ResourceQuota"]["spec"]["hard"]
    assert quota["services.nodeports"] == "0"


def test_only_the_pull_key_of_the_image_registrys_secret_is_copied() -> None:
    secret = {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "e30=", "htpasswd": "canary"}}
    copy = by_kind(namespace.objects("pi1", UID, secret))["Secret"]
    assert copy["data"] == {".dockerconfigjson": "e30="}


def test_a_local_volume_is_kept_by_its_node_and_for_its_claim() -> None:
    spec = volume.persistent_volume(VOLUME)["spec"]
    assert spec["persistentVolumeReclaimPolicy"] == "Retain"
    assert spec["claimRef"]["namespace"] == "kraf-pi1"
    assert volume.node_of(volume.persistent_volume(VOLUME)) == "worker1"
    assert volume.claim(VOLUME, local=True)["spec"]["volumeName"] == "kraf-pi1-photos"
    assert "volumeName" not in volume.claim(VOLUME, local=False)["spec"]


def test_growing_a_local_volume_does_not_unbind_it() -> None:
    current = {"spec": {"claimRef": {"uid": "abc", "resourceVersion": "7"}}}
    assert volume.persistent_volume(VOLUME, current)["spec"]["claimRef"]["uid"] == "abc"


def test_an_export_runs_without_any_privilege() -> None:
    spec = pod()["spec"]
    container = spec["containers"][0]["securityContext"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["automountServiceAccountToken"] is False
    assert container == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert spec["containers"][0]["resources"]["limits"].keys() == {"cpu", "memory"}


def test_wds_02_an_export_is_ready_when_it_can_write_and_not_when_it_can_read() -> None:
    container = pod()["spec"]["containers"][0]
    script = pod()["metadata"]["annotations"]["config.kraf.io/probe"]
    assert container["readinessProbe"]["exec"]["command"] == container["startupProbe"]["exec"]["command"]
    assert [line.split()[1] for line in script.splitlines() if line.startswith("ask ")] == [
        "LOCK",
        "PUT",
        "UNLOCK",
        "DELETE",
    ]


def test_other_credentials_are_another_pod_and_no_credential_is_in_it() -> None:
    assert pod() == pod()
    assert pod(password="Y2FuYXJ5") != pod()
    assert "Y2FuYXJ5" not in json.dumps(pod(password="Y2FuYXJ5"))
