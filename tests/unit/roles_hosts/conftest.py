"""Hosts as module host_info describes them, and file systems of hosts that are not this one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.hosts.reading import Root

TABLES = {
    "installed": True,
    "current": "nft",
    "nft": {"works": True, "rules": 0, "error": ""},
    "legacy": {"works": False, "rules": 0, "error": ""},
}
NO_CLUSTER = {
    "control": False,
    "initialised": False,
    "joined": False,
    "cluster_name": "",
    "version": "",
    "server": "",
    "authority": "",
    "advertise_address": "",
    "service_cidr": "",
    "pod_cidr": "",
    "cni_plugins": "",
    "cgroup_flags": {},
    "certificates": {},
}
SUM = "0" * 64


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    result = copy.deepcopy(base)
    for key, value in changes.items():
        result[key] = (
            merged(result[key], value) if isinstance(value, dict) and isinstance(result.get(key), dict) else value
        )
    return result


@pytest.fixture
def host() -> Callable[..., dict[str, Any]]:
    """Makes a bare, sound host; the arguments say in what it differs."""

    def make(number: int = 1, **changes: Any) -> dict[str, Any]:
        address = f"192.168.1.{number}"
        sound = {
            "hostname": f"node{number}",
            "machine_id": f"{number:032x}",
            "product_uuid": "",
            "architecture": "amd64",
            "kernel": "6.1.0",
            "address": address,
            "addresses": [{"address": address, "prefix": 24, "interface": "eth0", "own": False}],
            "clock": {"skew": 0.1},
            "cgroup": {"version": 2, "memory": True, "cause": "", "file": "", "line": ""},
            "modules": {"loadable": True, "present": True, "release": "6.1.0"},
            "iptables": TABLES,
            "vxlan": True,
            "daemon_fault": "",
            "nameservers": ["192.168.1.254"],
            "kubernetes": NO_CLUSTER,
        }
        return merged(sound, changes)

    return make


@pytest.fixture
def settings() -> Callable[..., dict[str, Any]]:
    """Makes the settings of a sound cluster; the arguments say in what they differ."""

    def make(**changes: Any) -> dict[str, Any]:
        programs = {name: {"1.22.9": {"amd64": SUM, "arm64": SUM}} for name in ("kubeadm", "kubelet", "kubectl")}
        sound = {
            "version": "1.22.9",
            "cluster_name": "kraf",
            "control": ["one"],
            "pod_cidr": "10.244.0.0/16",
            "service_cidr": "10.96.0.0/12",
            "backend": "vxlan",
            "cgroup_driver": "systemd",
            "nameservers": [],
            "node_names": {},
            "clock_limit": 30,
            "may_reboot": False,
            "cni_plugins_version": "1.1.1",
            "checksums": {**programs, "cni_plugins": {"1.1.1": {"amd64": SUM, "arm64": SUM}}},
        }
        return merged(sound, changes)

    return make


@pytest.fixture
def root(tmp_path: Path) -> Callable[[dict[str, str]], Root]:
    """Makes a host's file system of texts by path."""

    def make(files: dict[str, str]) -> Root:
        for path, text in files.items():
            place = tmp_path / path.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")
        return Root(str(tmp_path))

    return make
