# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From a container to the app of the catalog."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.placement import definition

from .containers import container

MOUNT = {"type": "bind", "name": "", "driver": "", "kind": "directory", "empty": False, "read_only": False}


def options(name: str = "", probe: str = "", **changes: Any) -> dict[str, Any]:
    found = {"mounts": [{**MOUNT, "source": "/srv/faces", "path": "/data"}], **changes}
    return definition.adopt(container(**found), "pi1", name, probe).options


def test_what_a_registry_has_served_is_named_and_anything_else_is_left_to_be_pushed() -> None:
    assert options()["images"] == {"amd64": "registry.example/faces:1"}
    for changes in ({"image_digests": []}, {"image": "faces"}, {"image": "sha256:11"}, {"architecture": "riscv64"}):
        assert options(**changes)["images"] == {}


@pytest.mark.parametrize(("container_name", "expected"), [("Faces_2", "faces-2"), ("x" * 60, "x" * 40)])
def test_the_name_is_the_containers_own_made_fit(container_name: str, expected: str) -> None:
    found = definition.adopt(container(name=container_name, mounts=[]), "pi1").options
    assert (found["name"], found["container"]) == (expected, container_name)


def test_a_name_that_is_given_counts_and_a_wrong_one_is_refused() -> None:
    assert options("kitchen")["name"] == "kitchen"
    with pytest.raises(KrafError, match="app name"):
        options("Kitchen")


def test_mig_08_directories_of_the_device_itself_are_no_data() -> None:
    sources = ["/", "/etc", "/run/app", "/var/run", "/home", "/home/pi/x", "/srv/a"]
    mounts = [{**MOUNT, "source": one, "path": f"/in{number}"} for number, one in enumerate(sources)]
    assert [one["path"] for one in options(mounts=mounts)["data"]] == ["/in5", "/in6"]


def test_mig_08_names_of_data_are_legal_and_differ() -> None:
    paths = ["/a/store", "/b/store", "/c/Ä", "/d/St_Ore"]
    mounts = [{**MOUNT, "source": f"/srv{path}", "path": path} for path in paths]
    assert [one["name"] for one in options(mounts=mounts)["data"]] == ["store", "b-store", "c", "st-ore"]


@pytest.mark.parametrize(
    ("command", "probe"),
    [
        ("curl -f http://localhost:8000/health || exit 1", {"path": "/health", "port": 8000}),
        ("wget -q 'http://127.0.0.1:8000'", {"path": "/", "port": 8000}),
        ("curl http://localhost:9999/other", None),
        ("curl http://example.org:8000/", None),
        ("pg_isready", None),
    ],
)
def test_the_probe_is_what_the_healthcheck_asks_for(command: str, probe: dict[str, Any] | None) -> None:
    check = {"argv": ["/bin/sh", "-c", command], "interval": 1.0, "timeout": 1.0, "start_period": 0.0, "retries": 3}
    assert options(healthcheck=check).get("probe") == probe
    assert options(probe="/mine", healthcheck=check)["probe"] == {"path": "/mine"}


def test_every_property_is_a_line_of_the_table() -> None:
    adopted = definition.adopt(container(mounts=[], privileged=True), "pi1")
    lines = adopted.lines()
    assert lines[0].split() == ["VERDICT", "PROPERTY", "WHY"]
    assert len(lines) == 1 + len(adopted.report)
    assert any(line.startswith("refused") and "privileged" in line for line in lines)


def test_ports_of_tcp_and_udp_become_the_apps_own() -> None:
    ports = [
        {"port": 53, "protocol": "udp", "device_port": 53, "address": ""},
        {"port": 53, "protocol": "tcp", "device_port": 53, "address": ""},
        {"port": 54, "protocol": "udp", "device_port": 53, "address": ""},
        {"port": 9899, "protocol": "sctp", "device_port": 9899, "address": ""},
    ]
    options = definition.define(container(ports=ports), "pi1")
    assert options["ports"] == [
        {"port": 53, "device_port": 53, "protocol": "TCP"},
        {"port": 53, "device_port": 53, "protocol": "UDP"},
    ]
