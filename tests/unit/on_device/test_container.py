# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what Docker says of a container to its description."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.on_device import inside
from ansible_collections.kraf.edge.plugins.module_utils.on_device.container import Container, from_inspect

ID = "73a15b31635a526d78b9a8361980b8404eca9182e359a325eab02a8c651d3c4e"
PASSWD = "root:x:0:0::/:/bin/sh\npi:x:1234:4321::/:/bin/sh\n# comment\nbroken\n"
GROUP = "root:x:0:\nvideo:x:44:pi\nothers:x:45:root,pi\n7:x:70:\n"


def described(host: Any = None, config: Any = None, **more: Any) -> Container:
    return from_inspect({"Id": ID, "Name": "/web", "HostConfig": host or {}, "Config": config or {}, **more})


def test_what_is_dockers_default_is_no_setting() -> None:
    host = {"MemorySwappiness": -1, "PidsLimit": None, "CpuShares": 0, "UTSMode": "", "OomKillDisable": False}
    assert described(host, {"Domainname": ""}).settings == {}


def test_a_setting_of_a_later_docker_is_shown_by_its_name() -> None:
    host = {"NotYetKnown": {"token": "secret"}, "CpusetCpus": "0-1", "Dns": ["1.1.1.1", "::1"], "Flag": True}
    assert described(host).settings == {"NotYetKnown": "", "CpusetCpus": "0-1", "Dns": "1.1.1.1 ::1", "Flag": ""}


@pytest.mark.parametrize(("given", "seconds"), [(None, 10), (0, 0), (25, 25), (-1, -1)])
def test_the_time_to_stop_is_as_it_was_given(given: int | None, seconds: int) -> None:
    assert described(config={"StopTimeout": given}).stop_timeout == seconds


def test_a_port_that_docker_chose_is_known_while_the_container_runs() -> None:
    host = {"PortBindings": {"80/tcp": [{"HostPort": ""}]}}
    assert described(host).ports == ({"port": 80, "protocol": "tcp", "device_port": 0, "address": ""},)
    bound = {
        "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "32768"}, {"HostIp": "::", "HostPort": "32768"}],
        "81/tcp": None,
    }
    found = described(host, NetworkSettings={"Ports": bound})
    assert found.ports == ({"port": 80, "protocol": "tcp", "device_port": 32768, "address": ""},)


@pytest.mark.parametrize(
    ("test", "argv"),
    [
        (["CMD", "curl", "x"], ["curl", "x"]),
        (["CMD-SHELL", "curl x"], ["/bin/sh", "-c", "curl x"]),
        (["NONE"], None),
        ([], None),
    ],
)
def test_a_healthcheck_is_a_command_and_its_times_are_seconds(test: list[str], argv: list[str] | None) -> None:
    found = described(config={"Healthcheck": {"Test": test, "Interval": 5 * 10**9}}).healthcheck
    assert (found and found["argv"]) == argv
    if found:
        assert (found["interval"], found["timeout"], found["retries"]) == (5.0, 30.0, 3)


@pytest.mark.parametrize(
    ("host", "cpus"), [({"NanoCpus": 10**9}, 1.0), ({"CpuQuota": 50_000}, 0.5), ({"CpuQuota": -1}, 0)]
)
def test_processors_are_counted_by_either_form(host: dict[str, int], cpus: float) -> None:
    assert described(host).cpus == cpus


@pytest.mark.parametrize(
    ("options", "size", "rest"),
    [("size=64m,noexec", 64 << 20, ["noexec"]), ("size=1000", 1000, []), ("size=50%", 0, ["size=50%"]), ("", 0, [])],
)
def test_a_directory_in_memory_has_a_size_and_other_options(options: str, size: int, rest: list[str]) -> None:
    assert described({"Tmpfs": {"/x": options}}).tmpfs == ({"path": "/x", "bytes": size, "options": rest},)


@pytest.mark.parametrize(
    ("user", "groups", "expected"),
    [
        ("pi", [], {"user": 1234, "group": 4321, "groups": [44, 45], "unknown": []}),
        ("1234", [], {"user": 1234, "group": 4321, "groups": [44, 45], "unknown": []}),
        ("pi:video", [], {"user": 1234, "group": 44, "groups": [], "unknown": []}),
        ("9:10", ["video", "500"], {"user": 9, "group": 10, "groups": [44, 500], "unknown": []}),
        ("9", [], {"user": 9, "group": 0, "groups": [], "unknown": []}),
        ("nobody", ["none"], {"user": None, "group": None, "groups": [], "unknown": ["nobody", "none"]}),
        ("pi:none", [], {"user": 1234, "group": None, "groups": [], "unknown": ["none"]}),
        ("0", ["7"], {"user": 0, "group": 0, "groups": [45, 70], "unknown": []}),
    ],
)
def test_mig_11_names_become_numbers_by_the_rules_of_the_runtime(
    user: str, groups: list[str], expected: dict[str, Any]
) -> None:
    assert inside.resolve(user, groups, PASSWD, GROUP) == expected


def test_of_changes_files_are_counted_and_not_the_way_to_them() -> None:
    paths = ["/a", "/a-b", "/a/c", "/a/c/d", "/etc", "/etc/hosts", "/run/x", "/data/y", "/data", "/srv/gone"]
    assert inside.summarised(paths, ["/data"]) == {"total": 3, "paths": ["/a-b", "/a/c/d", "/srv/gone"]}
