"""Module certificate and lookup secret against a real API server."""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64decode
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.cluster.client import Cluster
from ansible_collections.kraf.edge.plugins.module_utils.cluster.kinds import CONFIG_MAP, NAMESPACE, SECRET
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.manifests import certificate as manifests
from ansible_collections.kraf.edge.plugins.module_utils.tls.issuer import Issuer
from ansible_collections.kraf.edge.plugins.module_utils.tls.renewal import signed_by
from ansible_collections.kraf.edge.plugins.modules import certificate
from tests.integration.apiserver import ApiServer

NOW = datetime.now(timezone.utc)
Run = Callable[..., Any]


def door(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "common_name": "door", "dns_names": ["door.kraf.internal"], **more}


@pytest.fixture
def name(device: str) -> str:
    return f"door-{device}"


@pytest.fixture(autouse=True)
def keys_stay_secret(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    yield
    shown = capsys.readouterr().out
    assert "PRIVATE KEY" not in shown


def versions(cluster: Cluster, *names: str) -> list[str]:
    found = [cluster.get(SECRET, name, "kraf-system") for name in names]
    found += [cluster.get(CONFIG_MAP, "kraf-ca", "kraf-system")]
    return [one["metadata"]["resourceVersion"] if one else "" for one in found]


def test_check_then_run_then_run_again(run_module: Run, cluster: Cluster, name: str) -> None:
    before = versions(cluster, "kraf-ca", name)
    check = run_module(certificate, check=True, certificates=[door(name)])
    assert (check["changed"], versions(cluster, "kraf-ca", name)) == (True, before)
    ran = run_module(certificate, certificates=[door(name)])
    assert ran["changed"] is True
    assert ran["certificates"][0]["renewed"] is True
    assert ran["certificates"][0]["days_left"] == check["certificates"][0]["days_left"] == 396
    after = versions(cluster, "kraf-ca", name)
    for checking in (True, False):
        again = run_module(certificate, check=checking, certificates=[door(name)])
        assert (again["changed"], again["certificates"][0]["renewed"]) == (False, False)
        assert again["requests"] <= 4
        assert again["diff"] == {"before": {}, "after": {}}
    assert versions(cluster, "kraf-ca", name) == after
    secret, authority = cluster.get(SECRET, name, "kraf-system"), cluster.get(CONFIG_MAP, "kraf-ca", "kraf-system")
    assert secret
    assert authority
    assert secret["type"] == "kubernetes.io/tls"
    assert signed_by(manifests.pair_of(secret).certificate, authority["data"]["ca.crt"].encode())


def test_names_that_changed_renew_the_certificate(run_module: Run, name: str) -> None:
    first = run_module(certificate, certificates=[door(name)])
    check = run_module(certificate, check=True, certificates=[door(name, ip_addresses=["10.0.0.7"])])
    second = run_module(certificate, certificates=[door(name, ip_addresses=["10.0.0.7"])])
    assert check["certificates"][0]["reason"] == second["certificates"][0]["reason"] != ""
    assert second["certificates"][0]["fingerprint"] != first["certificates"][0]["fingerprint"]
    assert "10.0.0.7" in json.dumps(second["diff"]["after"])


def test_ins_19_short_lived_certificate_is_reported_and_renewed(run_module: Run, name: str) -> None:
    run_module(certificate, certificates=[door(name)], days=5, renew_before_days=2)
    check = run_module(certificate, check=True, certificates=[door(name)], days=5, renew_before_days=2)
    assert (check["changed"], check["certificates"][0]["days_left"]) == (False, 4)
    renewed = run_module(certificate, certificates=[door(name)], renew_before_days=60)
    assert renewed["certificates"][0]["reason"].startswith("it ends on")
    assert renewed["certificates"][0]["days_left"] == 396


def test_ca_that_is_signed_again_keeps_certificates_and_is_published(
    run_module: Run, cluster: Cluster, name: str
) -> None:
    # Other tests of this API server may have put a CA of their own there, under another name.
    cluster.delete(SECRET, "kraf-ca", "kraf-system")
    run_module(certificate, certificates=[door(name)])
    old = run_module(certificate, certificates=[door(name)])
    ran = run_module(certificate, certificates=[door(name)], ca_renew_before_days=3650)
    assert not ran["failed"], ran["msg"]
    assert (ran["changed"], ran["ca"]["renewed"], ran["certificates"][0]["renewed"]) == (True, True, False)
    assert ran["certificates"][0]["fingerprint"] == old["certificates"][0]["fingerprint"]
    secret, authority = cluster.get(SECRET, name, "kraf-system"), cluster.get(CONFIG_MAP, "kraf-ca", "kraf-system")
    assert secret
    assert authority
    assert b64decode(secret["data"]["ca.crt"]).decode() == authority["data"]["ca.crt"]


def test_clock_behind_the_ca_is_refused_before_anything_is_written(
    run_module: Run, cluster: Cluster, name: str
) -> None:
    run_module(certificate, certificates=[door(name)])
    before = versions(cluster, "kraf-ca", name)
    issuer = Issuer(cluster, NOW - timedelta(days=30), check_mode=False)
    with pytest.raises(KrafError, match="Synchronise"):
        issuer.authority(3650, 730)
    assert versions(cluster, "kraf-ca", name) == before


def test_two_controllers_that_start_at_once_share_one_ca(
    run_module: Run, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    run_module(certificate, certificates=[door(name)])
    get, answers = cluster.get, iter([True])
    # The late one reads before the other has written: it is told once that there is no CA.
    monkeypatch.setattr(cluster, "get", lambda *where: None if next(answers, False) else get(*where))
    late = Issuer(cluster, NOW, check_mode=False)
    late.authority(3650, 730)
    public, secret = get(CONFIG_MAP, "kraf-ca", "kraf-system"), get(SECRET, "kraf-ca", "kraf-system")
    assert public
    assert public["data"]["ca.crt"].encode() == manifests.pair_of(secret).certificate == late._ca.certificate


def test_device_gets_its_namespace_and_a_client_certificate(run_module: Run, cluster: Cluster, device: str) -> None:
    entry = {"device": device, "device_uid": "7d1c9f4e-3b0a-4d59-9f0c-2f6a5f1f7c11"}
    check = run_module(certificate, check=True, certificates=[entry])
    assert check["changed"] is True
    assert cluster.get(NAMESPACE, f"kraf-{device}") is None
    ran = run_module(certificate, certificates=[entry])
    one = ran["certificates"][0]
    assert (one["namespace"], one["name"], one["common_name"]) == (f"kraf-{device}", "device-tls", device)
    assert one["usages"] == ["client"]
    assert run_module(certificate, certificates=[entry])["changed"] is False


def test_certificate_of_a_new_device_of_an_old_name_is_refused(run_module: Run, cluster: Cluster, device: str) -> None:
    run_module(certificate, certificates=[{"device": device, "device_uid": "first"}])
    refused = run_module(certificate, certificates=[{"device": device, "device_uid": "second"}])
    assert refused["failed"] is True
    assert "belongs to the device" in refused["msg"]


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ({"device": "Pi_4", "device_uid": "u"}, "pi-4"),
        ({"device": "pi1"}, "device_uid"),
        ({"dns_names": ["x"]}, "name"),
        ({"name": "x", "ip_addresses": ["10.0.0.300"]}, "10.0.0.300"),
    ],
)
def test_bad_entry_is_refused_by_name(run_module: Run, entry: dict[str, Any], text: str) -> None:
    result = run_module(certificate, certificates=[entry])
    assert result["failed"] is True
    assert text in result["msg"]


def look_up(api: ApiServer, expression: str) -> str:
    params = json.dumps({"kubeconfig": api.params()["kubeconfig"]})
    message = f"{{{{ {expression} }}}}"
    shown = subprocess.run(
        [sys.executable, "-m", "ansible", "adhoc", "localhost", "-e", params, "-m", "debug", "-a", f"msg={message}"],
        check=False,
        capture_output=True,
        text=True,
    )
    return shown.stdout + shown.stderr


def test_lookup_returns_one_value_as_text(run_module: Run, api: ApiServer, name: str) -> None:
    run_module(certificate, certificates=[door(name)])
    shown = look_up(
        api, "lookup('kraf.edge.secret', kind='ConfigMap', name='kraf-ca', key='ca.crt', kubeconfig=kubeconfig)"
    )
    assert "BEGIN CERTIFICATE" in shown
    shown = look_up(api, f"lookup('kraf.edge.secret', name='{name}', key='tls.crt', kubeconfig=kubeconfig)")
    assert "BEGIN CERTIFICATE" in shown


def test_lookup_of_what_is_not_there_names_it(run_module: Run, api: ApiServer, name: str) -> None:
    run_module(certificate, certificates=[door(name)])
    shown = look_up(api, f"lookup('kraf.edge.secret', name='{name}', key='tls.csr', kubeconfig=kubeconfig)")
    assert f"kraf-system/{name}" in shown
    assert "ca.crt, tls.crt, tls.key" in shown
    shown = look_up(api, "lookup('kraf.edge.secret', name='none', key='x', default='-', kubeconfig=kubeconfig)")
    assert '"msg": "-"' in shown
