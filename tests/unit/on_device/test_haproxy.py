"""haproxy's configuration as text: each target, restarts, names."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.on_device import forward, forward_store, haproxy, redirect
from ansible_collections.kraf.edge.plugins.module_utils.on_device.forward_store import Forward

DOORS = ("10.0.0.2:8843", "10.0.0.3:8843")
APP = Forward(
    "app", 8000, "*", "device", "127.0.0.1:8001", DOORS, "8000.app-app.pi1.door.kraf.internal", True, 18000, 25000
)


def servers(config: str) -> dict[str, bool]:
    """Whether each server of the app's own backend is usable after a start."""
    part = config.split("\nbackend app\n")[1].split("frontend out-app")[0]
    lines = [line.split() for line in part.splitlines() if line.strip().startswith("server ")]
    return {line[1]: "disabled" not in line for line in lines}


@pytest.mark.parametrize(("target", "server"), [("device", "local"), ("held", "hold"), ("edge", "edge")])
def test_a_start_has_the_one_server_of_the_target(target: str, server: str) -> None:
    config = haproxy.render([dataclasses.replace(APP, target=target)])
    assert [name for name, usable in servers(config).items() if usable] == [server]


def test_a_change_of_target_needs_no_reload() -> None:
    one, other = (haproxy.render([dataclasses.replace(APP, target=target)]) for target in ("device", "edge"))
    assert one != other
    assert haproxy.structure(one) == haproxy.structure(other)


def test_another_address_needs_a_reload() -> None:
    one, other = haproxy.render([APP]), haproxy.render([dataclasses.replace(APP, device_address="127.0.0.1:9000")])
    assert haproxy.structure(one) != haproxy.structure(other)


def test_every_connection_to_a_door_is_verified_both_ways() -> None:
    lines = [line for line in haproxy.render([APP]).splitlines() if ":8843" in line]
    assert len(lines) == 6
    for line in lines:
        assert "verify required" in line
        assert "crt /etc/kraf/tls/device.pem ca-file /etc/kraf/tls/ca.crt" in line


def test_a_device_that_is_too_busy_for_its_checks_turns_nobody_away() -> None:
    backend = haproxy.render([APP]).partition("backend app-edge\n")[2].splitlines()
    unchecked = [line for line in backend if ":8843" in line and " track " not in line and " check " not in line]
    assert [line.rsplit(maxsplit=1)[-1] for line in unchecked] == ["backup"] * len(APP.edge)
    assert "    option allbackups" in backend


def test_name_at_the_door_is_in_the_form_that_haproxy_verifies() -> None:
    assert haproxy.short_name("8443.export-a.pi1.door.kraf.internal") == "8443-export-a.door.kraf.internal"
    assert haproxy.short_name("check.door.kraf.internal") == "check.door.kraf.internal"


def test_rules_spare_haproxy_and_take_the_rest() -> None:
    rules = redirect.render([APP, dataclasses.replace(APP, name="other", redirect=False)], "haproxy")
    assert rules.count("fib daddr type local tcp dport 8000 redirect to :18000") == 2
    assert rules.index("meta skuid haproxy return") < rules.rindex("redirect to")


@pytest.mark.parametrize(
    "change",
    [
        {"name": "UPPER"},
        {"name": "kraf-doors"},
        {"port": 0},
        {"port": 65536},
        {"target": "elsewhere"},
        {"address": "10.0.0.256"},
        {"device_address": "localhost:80"},
        {"edge": ("door:8843",)},
        {"sni": "a b"},
        {"sni": "x\n    server evil 1.2.3.4:1"},
        {"device_address": ""},
        {"target": "edge", "edge": ()},
    ],
)
def test_bad_forward_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(KrafError):
        forward_store.validate(dataclasses.replace(APP, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize(("aes", "first"), [(True, "TLS_AES_128_GCM_SHA256"), (False, "TLS_CHACHA20_POLY1305_SHA256")])
def test_first_cipher_is_the_one_that_the_processor_is_good_at(aes: bool, first: str) -> None:
    (line,) = [line for line in haproxy.render([APP], aes=aes).splitlines() if "ciphersuites" in line]
    assert line.split()[1].split(":")[0] == first


DNS = dataclasses.replace(APP, name="dns", port=53, listen=10053, relay=25001, protocol="udp")


def test_of_a_udp_forward_haproxy_has_the_way_to_the_edge_alone() -> None:
    config = haproxy.render([APP, DNS])
    assert "frontend in-dns" not in config
    assert "10053" not in config
    assert "bind 127.0.0.1:25001 backlog 4096\n    default_backend dns-edge\nbackend dns-edge" in config
    switched = haproxy.render([APP, dataclasses.replace(DNS, target="held")])
    assert config == switched, "its target is the UDP forwarder's"


def test_a_container_s_udp_port_is_taken_over_and_answers_leave_from_it() -> None:
    rules = redirect.render([APP, DNS], "haproxy")
    assert rules.count("fib daddr type local udp dport 53 redirect to :10053") == 2
    assert "udp sport 10053 snat to :53" in rules
    assert "postrouting" not in redirect.render([APP], "haproxy")


def test_the_file_of_a_tcp_forward_is_as_it_always_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward_store, "ETC", tmp_path)
    assert "protocol" not in APP.as_json()
    for one in (APP, DNS):
        forward.save(one)
        assert forward_store.load(one.name) == one


def test_tcp_and_udp_of_one_number_are_two_ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward_store, "ETC", tmp_path)
    forward.save(DNS)
    forward.save(dataclasses.replace(DNS, name="dns-tcp", protocol="tcp"))
    with pytest.raises(KrafError, match="forward dns has it"):
        forward.save(dataclasses.replace(DNS, name="other"))
    with pytest.raises(KrafError, match="protocol: 'sctp'"):
        forward.save(dataclasses.replace(DNS, protocol="sctp"))
