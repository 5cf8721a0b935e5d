"""Field cases that need a real cluster and real Docker, by their ids."""

from __future__ import annotations

import socket
import ssl
import tempfile
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.kraf.edge.plugins.module_utils.core.names import door_name
from ansible_collections.kraf.edge.plugins.module_utils.manifests.certificate import pair_of
from ansible_collections.kraf.edge.plugins.module_utils.tls.certificates import Request, issue

testinfra_hosts = ["ansible://kraf_control"]

Kubectl = Callable[..., Any]
Play = Callable[[str, list[dict[str, Any]]], dict[str, Any]]
FILES = Path(__file__).resolve().parents[1] / "files"
KUBECONFIG = "{{ kraf_kubeconfig }}"


def secret(key: str, name: str = "image-registry", kind: str = "Secret") -> str:
    """A template for a value of the cluster."""
    return (
        f"{{{{ lookup('kraf.edge.secret', kind='{kind}', name='{name}', key='{key}', kubeconfig=kraf_kubeconfig) }}}}"
    )


def test_cni_01_flannel_enforces_no_policy_and_that_is_said(play: Play) -> None:
    probe = {"name": "probe", "kraf.edge.probe_isolation": {"kubeconfig": KUBECONFIG}}
    wanted = {
        "name": "wanted",
        "kraf.edge.probe_isolation": {"kubeconfig": KUBECONFIG, "require": True},
        "ignore_errors": True,
    }
    found = play("localhost", [probe, wanted])
    assert found["probe"].get("isolation") == "not enforced", found["probe"]
    assert found["wanted"]["failed"]
    assert "Install one that enforces NetworkPolicy" in found["wanted"]["msg"]


def test_img_04_a_host_that_does_not_trust_the_registry_is_named(play: Play) -> None:
    trust = f"/etc/docker/certs.d/{secret('registry_address', 'kraf-cluster', 'ConfigMap')}"
    image = {
        "name": secret("image_edge", "kraf-cluster", "ConfigMap"),
        "username": secret("username"),
        "password": secret("password"),
    }
    found = play(
        "worker1",
        [
            {
                "name": "without trust",
                "block": [
                    {"name": "take", "ansible.builtin.command": {"argv": ["mv", trust, "/var/tmp/trust"]}},
                    {"name": "ask", "kraf.edge.image": image, "ignore_errors": True},
                ],
                "always": [
                    {"name": "give", "ansible.builtin.command": {"argv": ["mv", "/var/tmp/trust", trust]}},
                ],
            },
            {"name": "ask again", "kraf.edge.image": image},
        ],
    )
    said = found["ask"]["msg"]
    assert found["ask"]["failed"]
    assert "host worker1 cannot ask for it at" in said
    assert "does not trust its certificate" in said
    assert "/etc/docker/certs.d/HOST:PORT/ca.crt on this host" in said
    assert found["ask again"]["digest"].startswith("sha256:")


def test_img_06_docker_is_told_to_ask_again_by_a_registry_that_is_busy(play: Play) -> None:
    name, script = "127.0.0.1:5999/kraf/busy:1", "/var/tmp/busy_registry.py"
    serve = ["systemd-run", "--unit=kraf-busy", "--collect", "python3", script, "5999"]
    found = play(
        "worker1",
        [
            {"name": "copy", "ansible.builtin.copy": {"src": f"{FILES}/busy_registry.py", "dest": script}},
            {"name": "serve", "ansible.builtin.command": {"argv": serve}},
            {"name": "wait", "ansible.builtin.wait_for": {"port": 5999, "host": "127.0.0.1"}},
            {
                "name": "ask",
                "block": [{"name": "pull", "kraf.edge.image": {"name": name, "timeout": 60}}],
                "always": [
                    {"name": "end", "ansible.builtin.command": "systemctl stop kraf-busy"},
                    {"name": "forget", "ansible.builtin.command": f"docker rmi {name}", "ignore_errors": True},
                ],
            },
        ],
    )
    assert found["pull"]["changed"], found["pull"]
    assert found["pull"]["digest"].startswith("sha256:")


def test_sec_04_no_device_comes_to_anothers_export(kubectl: Kubectl) -> None:
    authority = pair_of(kubectl("get", "secret", "-n", "kraf-system", "kraf-ca"))
    doors = kubectl("get", "configmap", "-n", "kraf-system", "kraf-cluster")["data"]["door_addresses"].split(",")
    assert doors
    names = [door_name(8443, "export-photos", "pi1"), "8443-export-photos.door.kraf.internal"]
    for address in doors:
        for name in names:
            assert " 401 " in answer(address, authority, "pi1", name), "its own export asks for the password"
            assert answer(address, authority, "pi2", name) == ""
            assert answer(address, authority, "pi11", name) == ""


def answer(address: str, authority: Any, device: str, name: str) -> str:
    """First line of the answer to a device's request; empty when the door lets nothing through."""
    host, _colon, port = address.rpartition(":")
    pair = issue(authority, Request(device, usages=("client",), days=1), datetime.now(timezone.utc))
    context = ssl.create_default_context(cadata=authority.certificate.decode())
    context.check_hostname = False  # the name asked for is a service's, the certificate is the door's
    with tempfile.NamedTemporaryFile() as file:
        file.write(pair.certificate + pair.key)
        file.flush()
        context.load_cert_chain(file.name)
    try:
        with (
            socket.create_connection((host, int(port)), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=name) as secure,
        ):
            secure.sendall(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n")
            return secure.recv(4096).partition(b"\r\n")[0].decode()
    except OSError:
        return ""
