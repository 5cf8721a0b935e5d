"""Module export against a real API server; what a controller and a kubelet do is written into the status."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.cluster.client import Cluster, connect
from ansible_collections.kraf.edge.plugins.module_utils.cluster.kinds import NAMESPACE, SECRET, SERVICE, STATEFUL_SET
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.manifests.export import Export
from ansible_collections.kraf.edge.plugins.module_utils.storage import credentials, exports
from ansible_collections.kraf.edge.plugins.module_utils.tls.certificates import Pair, Request, issue, make_ca
from ansible_collections.kraf.edge.plugins.modules import export, export_info, volume
from tests.integration.apiserver import ApiServer

Object = dict[str, Any]
Run = Callable[..., Any]
UID = "6a0cbb2e-38a4-4a9f-9d2f-5a1f0f6c9d11"
OTHER_UID = "11111111-38a4-4a9f-9d2f-5a1f0f6c9d11"
IMAGE = "registry.test/kraf/edge:1"


@pytest.fixture(autouse=True)
def system(cluster: Cluster) -> None:
    """The service CA, the image's name and a class, as the roles leave them."""
    if cluster.get(NAMESPACE, "kraf-system") is None:
        cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kraf-system"}})
    if cluster.get(SECRET, "kraf-ca", "kraf-system") is None:
        ca = make_ca("test", 3650, datetime.now(timezone.utc))
        data = {"tls.crt": base64.b64encode(ca.certificate).decode(), "tls.key": base64.b64encode(ca.key).decode()}
        cluster.create({**system_object("Secret", "kraf-ca", data), "type": "kubernetes.io/tls"})
    cluster.apply(system_object("ConfigMap", "kraf-cluster", {"image_edge": IMAGE}))
    storage_class = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": "exports"},
        "provisioner": "test.kraf.io/none",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    cluster.apply(storage_class)


def system_object(kind: str, name: str, data: dict[str, str]) -> Object:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "kraf-system"}, "data": data}


@pytest.fixture
def served(run_module: Run, device: str) -> str:
    """A device with a volume."""
    entry = {"device": device, "device_uid": UID, "name": "photos", "size": "1Gi", "storage_class": "exports"}
    assert run_module(volume, volumes=[entry])["changed"]
    return device


@pytest.fixture
def running(api: ApiServer, device: str) -> Iterator[None]:
    """Say of each StatefulSet of the device that its pod is ready, as often as it changes."""
    ended, cluster = threading.Event(), connect(api.params())

    def answer() -> None:
        while not ended.wait(0.1):
            for item in cluster.list(STATEFUL_SET, f"kraf-{device}"):
                generation = item["metadata"]["generation"]
                if item["status"].get("observedGeneration") == generation:
                    continue
                counts = {"replicas": 1, "readyReplicas": 1, "updatedReplicas": 1, "observedGeneration": generation}
                status = {**counts, "currentRevision": str(generation), "updateRevision": str(generation)}
                place = item["metadata"]["name"], f"kraf-{device}"
                cluster.patch(STATEFUL_SET, *place, {"status": status}, subresource="status")

    thread = threading.Thread(target=answer)
    thread.start()
    yield
    ended.set()
    thread.join()


def entry(device: str, **more: str) -> Object:
    return {"device": device, "device_uid": UID, "volume": "photos", **more}


def versions(cluster: Cluster, device: str) -> list[str]:
    found = [cluster.get(kind, "export-photos", f"kraf-{device}") for kind in (SECRET, SERVICE, STATEFUL_SET)]
    return [obj["metadata"]["resourceVersion"] for obj in found if obj]


def secret(cluster: Cluster, device: str) -> dict[str, str]:
    found = cluster.get(SECRET, "export-photos", f"kraf-{device}")
    assert found is not None
    return {name: base64.b64decode(value).decode() for name, value in found["data"].items()}


@pytest.mark.usefixtures("running")
def test_an_export_is_predicted_made_and_then_left_alone(run_module: Run, cluster: Cluster, served: str) -> None:
    predicted = run_module(export, check=True, exports=[entry(served)])
    assert predicted["changed"]
    assert versions(cluster, served) == []
    made = run_module(export, exports=[entry(served)])
    assert made["changed"]
    assert made["exports"][0]["ready"]
    assert made["exports"][0]["image"] == IMAGE
    assert made["exports"][0]["door_name"] == f"8443.export-photos.{served}.door.kraf.internal"
    before = versions(cluster, served)
    again = run_module(export, exports=[entry(served)], image=IMAGE)
    assert not again["changed"]
    assert again["requests"] <= 4
    assert versions(cluster, served) == before
    assert not run_module(export, check=True, exports=[entry(served)])["changed"]


@pytest.mark.usefixtures("running")
def test_mig_15_the_password_is_in_no_result(run_module: Run, cluster: Cluster, served: str) -> None:
    made = run_module(export, exports=[entry(served)])
    password = secret(cluster, served)["password"]
    rotated = run_module(export, exports=[entry(served)], rotate=True)
    shown = str(made) + str(rotated) + str(run_module(export_info, device=served))
    for value in (password, secret(cluster, served)["password"]):
        assert value not in shown
        assert base64.b64encode(value.encode()).decode() not in shown


@pytest.mark.usefixtures("running")
def test_dav_01_dav_03_a_password_is_long_and_of_letters_and_digits_alone(
    run_module: Run, cluster: Cluster, served: str
) -> None:
    run_module(export, exports=[entry(served)])
    found = secret(cluster, served)
    assert len(found["password"]) == 40
    assert found["password"].isascii()
    assert found["password"].isalnum()
    assert found["users"] == f"{found['username']}:{found['password']}\n"


@pytest.mark.usefixtures("running")
def test_rotation_makes_a_new_password_and_a_new_pod(run_module: Run, cluster: Cluster, served: str) -> None:
    run_module(export, exports=[entry(served)])
    before = secret(cluster, served), cluster.get(STATEFUL_SET, "export-photos", f"kraf-{served}")
    assert run_module(export, exports=[entry(served)], rotate=True)["changed"]
    after = secret(cluster, served), cluster.get(STATEFUL_SET, "export-photos", f"kraf-{served}")
    assert after[0]["password"] != before[0]["password"]
    assert after[0]["tls.crt"] == before[0]["tls.crt"]
    assert before[1]
    assert after[1]
    assert after[1]["spec"]["template"] != before[1]["spec"]["template"]


@pytest.mark.usefixtures("running")
def test_what_someone_changed_by_hand_is_put_right(run_module: Run, cluster: Cluster, served: str) -> None:
    run_module(export, exports=[entry(served)])
    password = secret(cluster, served)["password"]
    cluster.delete(SERVICE, "export-photos", f"kraf-{served}")
    cluster.patch(STATEFUL_SET, "export-photos", f"kraf-{served}", {"spec": {"replicas": 0}})
    assert run_module(export, exports=[entry(served)])["changed"]
    found = cluster.get(STATEFUL_SET, "export-photos", f"kraf-{served}")
    assert found
    assert found["spec"]["replicas"] == 1
    assert cluster.get(SERVICE, "export-photos", f"kraf-{served}")
    assert secret(cluster, served)["password"] == password


def test_a_server_that_does_not_get_ready_fails_with_what_is_known(run_module: Run, served: str) -> None:
    late = run_module(export, exports=[entry(served)], wait_timeout=1)
    assert late["failed"]
    assert "export-photos" in late["msg"]
    assert {"conditions", "events", "logs"} <= late["error"]["facts"].keys()


def test_an_export_without_a_volume_is_refused(run_module: Run, cluster: Cluster, served: str) -> None:
    refused = run_module(export, exports=[entry(served, volume="music")])
    assert refused["failed"]
    assert "Create the volume first" in refused["msg"]
    assert cluster.get(SECRET, "export-music", f"kraf-{served}") is None


@pytest.mark.usefixtures("running")
def test_sec_04_an_export_of_another_device_of_the_same_name_is_refused(
    run_module: Run, cluster: Cluster, served: str
) -> None:
    stranger = {**entry(served), "device_uid": OTHER_UID}
    assert UID in run_module(export, exports=[stranger])["msg"]
    assert versions(cluster, served) == []
    run_module(export, exports=[entry(served)])
    before = versions(cluster, served)
    for options in ({}, {"state": "absent"}, {"rotate": True}):
        assert run_module(export, exports=[stranger], **options)["failed"]
    assert versions(cluster, served) == before


@pytest.mark.usefixtures("running")
def test_removal_is_predicted_done_and_then_nothing_to_do(run_module: Run, cluster: Cluster, served: str) -> None:
    run_module(export, exports=[entry(served)])
    in_use = run_module(volume, volumes=[{"device": served, "device_uid": UID, "name": "photos"}], state="absent")
    assert in_use["failed"]
    assert "StatefulSet export-photos" in in_use["msg"]
    assert run_module(export, check=True, exports=[entry(served)], state="absent")["changed"]
    assert len(versions(cluster, served)) == 3
    assert run_module(export, exports=[entry(served)], state="absent")["changed"]
    assert versions(cluster, served) == []
    again = run_module(export, exports=[entry(served)], state="absent")
    assert not again["changed"]
    assert again["requests"] <= 4


@pytest.mark.usefixtures("running")
def test_an_export_whose_volume_an_app_has_refuses_connections_until_it_is_given_back(
    run_module: Run, cluster: Cluster, served: str
) -> None:
    run_module(export, exports=[entry(served)])
    wanted = Export(served, UID, "photos")
    exports.hold(cluster, wanted, "faces", 10)
    held = cluster.get(STATEFUL_SET, "export-photos", f"kraf-{served}")
    assert held is not None
    assert held["spec"]["replicas"] == 0
    exports.hold(cluster, wanted, "faces", 10)
    again = cluster.get(STATEFUL_SET, "export-photos", f"kraf-{served}")
    assert again is not None
    assert again["metadata"]["generation"] == held["metadata"]["generation"]
    result = run_module(export, exports=[entry(served)])
    assert not result["changed"]
    assert result["exports"][0]["held_by"] == "faces"
    with pytest.raises(KrafError, match="faces runs at the edge"):
        exports.hold(cluster, wanted, "notes", 10)
    assert "faces runs at the edge" in run_module(export, exports=[entry(served)], state="absent")["msg"]
    exports.serve(cluster, wanted, "faces", 10)
    free = cluster.get(STATEFUL_SET, "export-photos", f"kraf-{served}")
    assert free is not None
    assert (free["spec"]["replicas"], exports.held_by(free)) == (1, "")


@pytest.mark.usefixtures("running")
def test_export_info_tells_what_is_served(run_module: Run, served: str) -> None:
    made = run_module(export, exports=[entry(served)])
    found = run_module(export_info, device=served, query="[?ready].volume")
    assert found["exports"] == [{**made["exports"][0], "device_uid": UID}]
    assert found["selected"] == ["photos"]


def put(cluster: Cluster, device: str, content: Object) -> None:
    cluster.patch(SECRET, "export-photos", f"kraf-{device}", content)


@pytest.mark.usefixtures("running")
def test_a_certificate_that_ends_soon_is_replaced_and_the_account_stays(
    run_module: Run, cluster: Cluster, served: str
) -> None:
    run_module(export, exports=[entry(served)])
    authority = cluster.get(SECRET, "kraf-ca", "kraf-system")
    assert authority is not None
    ca = Pair(*(base64.b64decode(authority["data"][name]) for name in ("tls.crt", "tls.key")))
    host = f"export-photos.kraf-{served}.svc"
    ending = issue(ca, Request(host, dns_names=(host,), days=59), datetime.now(timezone.utc))
    encoded = {
        name: base64.b64encode(value).decode() for name, value in zip(("tls.crt", "tls.key"), vars(ending).values())
    }
    put(cluster, served, {"data": encoded})
    before = secret(cluster, served)
    assert run_module(export, exports=[entry(served)])["changed"]
    after = secret(cluster, served)
    assert after["tls.crt"] != before["tls.crt"]
    assert after["password"] == before["password"]


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(
    ("note", "checks"),
    [({}, 0), ({credentials.GOOD_UNTIL: "2020-01-01T00:00:00Z"}, 1), ({credentials.CHECKED: "x"}, 1)],
)
def test_a_certificate_is_read_again_only_when_it_is_another_or_the_time_has_come(
    run_module: Run, cluster: Cluster, served: str, monkeypatch: pytest.MonkeyPatch, note: Object, checks: int
) -> None:
    run_module(export, exports=[entry(served)])
    put(cluster, served, {"metadata": {"annotations": note}})
    asked, real = [], credentials.needs_renewal
    monkeypatch.setattr(credentials, "needs_renewal", lambda *args: asked.append(args) or real(*args))
    before = secret(cluster, served)
    assert run_module(export, exports=[entry(served)])["changed"] is bool(checks)
    assert len(asked) == checks
    assert secret(cluster, served) == before
    found = cluster.get(SECRET, "export-photos", f"kraf-{served}")
    assert found is not None
    assert found["metadata"]["annotations"][credentials.GOOD_UNTIL] > "2026"
