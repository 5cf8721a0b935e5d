"""The client against a real API server: verbs, errors, watching, and what costs how many requests."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.cluster import errors
from ansible_collections.kraf.edge.plugins.module_utils.cluster.client import Cluster, connect
from ansible_collections.kraf.edge.plugins.module_utils.cluster.converge import converge
from ansible_collections.kraf.edge.plugins.module_utils.cluster.kinds import CONFIG_MAP, NAMESPACE, SECRET, kind_of
from tests.integration.apiserver import ApiServer

Object = dict[str, Any]


def config_map(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": data}


def version(obj: Object | None) -> str:
    assert obj is not None
    return str(obj["metadata"]["resourceVersion"])


def test_connecting_costs_one_request_and_tells_which_cluster_it_is(api: ApiServer, cluster: Cluster) -> None:
    assert cluster.requests == 1
    identity = cluster.identity()
    assert identity["server"] == api.server
    assert len(identity["uid"]) == 36
    assert cluster.requests == 1


def test_a_token_and_a_host_are_a_connection(api: ApiServer, cluster: Cluster) -> None:
    assert connect(api.token_params(api.token)).uid() == cluster.uid()


def test_awx_07_another_cluster_than_the_expected_is_refused_with_both_uids(api: ApiServer, cluster: Cluster) -> None:
    with pytest.raises(errors.ClusterError) as refusal:
        connect(api.params(cluster_uid="00000000-0000-0000-0000-000000000000"))
    assert cluster.uid() in str(refusal.value)
    assert "00000000-0000-0000-0000-000000000000" in str(refusal.value)
    assert api.server in str(refusal.value)


def test_awx_07_an_ambient_service_account_is_never_used(
    api: ApiServer, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    host, port = api.server.removeprefix("https://").split(":")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", host)
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", port)
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    with pytest.raises(errors.ClusterError, match="neither kubeconfig nor host is set"):
        connect({"validate_certs": True})


def test_awx_07_two_ways_to_a_cluster_are_a_contradiction(api: ApiServer) -> None:
    with pytest.raises(errors.ClusterError, match="each of them names a cluster"):
        connect(api.params(host="https://10.0.0.1:6443"))


def test_empty_strings_from_a_survey_count_as_not_set(api: ApiServer) -> None:
    assert connect(api.params(host="", api_key="", context="", cluster_uid="")).uid()


def test_wrong_credentials_are_named_with_the_server(api: ApiServer) -> None:
    with pytest.raises(errors.ClusterError, match="does not know these credentials") as refusal:
        connect(api.token_params("wrong"))
    assert api.server in str(refusal.value)


def test_an_api_server_that_is_not_there_is_named() -> None:
    with pytest.raises(errors.ClusterError, match="cannot be reached") as refusal:
        connect({"host": "https://127.0.0.1:1"})
    assert "https://127.0.0.1:1" in str(refusal.value)


def test_an_untrusted_certificate_is_not_accepted(api: ApiServer) -> None:
    with pytest.raises(errors.ClusterError, match="certificate is not trusted"):
        connect({"host": api.server, "api_key": api.token})
    assert connect({"host": api.server, "api_key": api.token, "validate_certs": False}).uid()


def test_a_user_without_rights_is_told_what_was_refused(api: ApiServer) -> None:
    guest = connect(api.token_params(api.guest_token))
    with pytest.raises(errors.Forbidden, match='cannot list resource "secrets"'):
        guest.list(SECRET, "default")


def test_applying_the_same_again_leaves_the_object_as_it_was(cluster: Cluster, device: str) -> None:
    first = cluster.apply(config_map(device, a="1"))
    assert version(cluster.apply(config_map(device, a="1"))) == version(first)


def test_applying_without_a_value_removes_it(cluster: Cluster, device: str) -> None:
    cluster.apply(config_map(device, a="1", b="2"))
    assert cluster.apply(config_map(device, a="1"))["data"] == {"a": "1"}


def test_a_dry_run_says_what_would_be_and_stores_nothing(cluster: Cluster, device: str) -> None:
    assert cluster.apply(config_map(device, a="1"), dry_run=True)["data"] == {"a": "1"}
    assert cluster.get(CONFIG_MAP, device, "default") is None


def test_a_stale_writer_gets_a_conflict(cluster: Cluster, device: str) -> None:
    stale = version(cluster.apply(config_map(device, a="1")))
    cluster.apply(config_map(device, a="2"))
    with pytest.raises(errors.Conflict):
        cluster.apply(config_map(device, a="3"), resource_version=stale)
    current = cluster.get(CONFIG_MAP, device, "default")
    assert current is not None
    assert current["data"] == {"a": "2"}
    assert cluster.apply(config_map(device, a="3"), resource_version=version(current))["data"] == {"a": "3"}


def test_creating_twice_says_that_it_exists(cluster: Cluster, device: str) -> None:
    cluster.create(config_map(device))
    with pytest.raises(errors.AlreadyExists):
        cluster.create(config_map(device))


def test_replacing_honours_the_resource_version(cluster: Cluster, device: str) -> None:
    old = cluster.create(config_map(device, a="1"))
    cluster.patch(CONFIG_MAP, device, "default", {"data": {"a": "2"}})
    with pytest.raises(errors.Conflict):
        cluster.replace({**old, "data": {"a": "3"}})


def test_a_refused_value_is_named_by_its_field(cluster: Cluster, device: str) -> None:
    bad = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": device, "namespace": "default"},
        "spec": {"ports": [{"port": 70000}]},
    }
    with pytest.raises(errors.Invalid, match=r"spec\.ports\[0\]\.port") as refusal:
        cluster.apply(bad)
    assert "spec.ports[0].port" in refusal.value.facts["fields"]


def test_deleting_twice_is_no_failure(cluster: Cluster, device: str) -> None:
    cluster.create(config_map(device))
    assert cluster.delete(CONFIG_MAP, device, "default", dry_run=True)
    assert cluster.get(CONFIG_MAP, device, "default")
    assert cluster.delete(CONFIG_MAP, device, "default")
    assert not cluster.delete(CONFIG_MAP, device, "default")


def test_deleting_another_object_of_the_same_name_is_refused(cluster: Cluster, device: str) -> None:
    cluster.create(config_map(device))
    with pytest.raises(errors.Conflict):
        cluster.delete(CONFIG_MAP, device, "default", uid="00000000-0000-0000-0000-000000000000")


def test_an_empty_name_never_reaches_a_whole_collection(cluster: Cluster) -> None:
    with pytest.raises(errors.ClusterError, match="it is empty"):
        cluster.delete(CONFIG_MAP, "", "default")


def test_listing_takes_labels_and_returns_whole_objects(cluster: Cluster, device: str) -> None:
    wanted = config_map(device)
    wanted["metadata"]["labels"] = {"kraf.io/device": device}
    cluster.create(wanted)
    found = cluster.list(CONFIG_MAP, labels={"kraf.io/device": device})
    assert [kind_of(item) for item in found] == [CONFIG_MAP]


def later(action: Callable[[], Any]) -> threading.Timer:
    timer = threading.Timer(0.5, action)
    timer.start()
    return timer


def test_waiting_sees_creation_change_and_deletion(api: ApiServer, cluster: Cluster, device: str) -> None:
    other = connect(api.params())
    later(lambda: other.create(config_map(device, a="1")))
    assert cluster.wait(CONFIG_MAP, device, "default", lambda obj: obj is not None, 30)
    later(lambda: other.apply(config_map(device, a="2")))
    seen = cluster.wait(CONFIG_MAP, device, "default", lambda obj: bool(obj and obj["data"]["a"] == "2"), 30)
    assert seen
    assert seen["data"] == {"a": "2"}
    later(lambda: other.delete(CONFIG_MAP, device, "default"))
    assert cluster.wait(CONFIG_MAP, device, "default", lambda obj: obj is None, 30) is None


def test_what_is_so_already_is_not_watched(cluster: Cluster) -> None:
    before = cluster.requests
    cluster.wait(NAMESPACE, "default", "", lambda obj: obj is not None, 30)
    assert cluster.requests == before + 1


def test_a_limit_that_passes_tells_conditions_events_and_logs(cluster: Cluster, device: str) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": device, "namespace": "default"},
        "spec": {"containers": [{"name": "main", "image": "none"}]},
    }
    created = cluster.create(pod)
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{device}.1", "namespace": "default"},
        "involvedObject": {"kind": "Pod", "name": device, "namespace": "default", "uid": created["metadata"]["uid"]},
        "type": "Warning",
        "reason": "FailedScheduling",
        "message": "no node has room",
    }
    cluster.create(event)
    ready = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
    cluster.patch(kind_of(pod), device, "default", {"status": {"conditions": [ready]}}, subresource="status")
    with pytest.raises(errors.WaitTimeout, match="no node has room") as limit:
        cluster.wait(kind_of(pod), device, "default", lambda obj: False, 1)
    assert limit.value.facts["events"] == ["Warning FailedScheduling: no node has room"]
    assert limit.value.facts["conditions"] == [ready]
    assert limit.value.facts["logs"] == {}


def test_converging_reads_first_and_writes_only_what_differs(cluster: Cluster, device: str) -> None:
    wanted = [config_map(device, a="1"), config_map(f"{device}-2", a="1")]
    predicted = converge(cluster, wanted, check_mode=True)
    assert predicted.changed
    assert cluster.get(CONFIG_MAP, device, "default") is None
    done = converge(cluster, wanted, check_mode=False)
    assert done.changed
    assert done.diff["after"].keys() == {f"ConfigMap default/{device}", f"ConfigMap default/{device}-2"}
    before = cluster.requests
    again = converge(cluster, wanted, check_mode=False)
    assert not again.changed
    assert again.diff == {"before": {}, "after": {}}
    assert cluster.requests == before + 2
    assert [version(obj) for obj in again.objects] == [version(obj) for obj in done.objects]


def test_converging_repairs_what_someone_else_changed_and_what_is_no_longer_wanted(
    cluster: Cluster, device: str
) -> None:
    converge(cluster, [config_map(device, a="1", b="2")], check_mode=False)
    cluster.patch(CONFIG_MAP, device, "default", {"data": {"a": "other"}})
    assert converge(cluster, [config_map(device, a="1", b="2")], check_mode=False).objects[0]["data"]["a"] == "1"
    assert converge(cluster, [config_map(device, a="1")], check_mode=False).objects[0]["data"] == {"a": "1"}


def test_a_new_namespace_and_its_objects_can_be_predicted(cluster: Cluster, device: str) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": device}}
    inside = config_map("x", a="1")
    inside["metadata"]["namespace"] = device
    assert converge(cluster, [namespace, inside], check_mode=True).changed
    assert cluster.get(NAMESPACE, device) is None


def test_mig_15_a_secret_never_reaches_the_diff(cluster: Cluster, device: str) -> None:
    def secret(**data: str) -> Object:
        metadata = {"name": device, "namespace": "default"}
        return {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata, "data": data}

    first = converge(cluster, [secret(kept="Y2FuYXJ5", old="Y2FuYXJ5LW9sZA==")], check_mode=False)
    second = converge(cluster, [secret(kept="Y2FuYXJ5", old="Y2FuYXJ5LW5ldw==")], check_mode=False)
    assert first.changed
    assert second.changed
    assert "Y2FuYXJ5" not in str(first.diff) + str(second.diff)
    assert second.diff["after"][f"Secret default/{device}"]["data"] == {"kept": "(hidden)", "old": "(hidden), differs"}
