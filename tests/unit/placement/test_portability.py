# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a container is the same at the edge, and what is refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import App, Port
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.placement import portability, verdicts
from ansible_collections.kraf.edge.plugins.module_utils.placement.verdicts import KEPT, LOST, REFUSED, TRANSLATED

from .containers import APP, container


def judged(**changes: Any) -> dict[str, str]:
    return {row["property"]: row["verdict"] for row in portability.examine(APP, container(**changes))}


def test_a_plain_container_can_move() -> None:
    rows = portability.examine(APP, container())
    verdicts.refuse(APP, rows)
    found = {row["property"]: row["verdict"] for row in rows}
    assert found["data results"] == found["argv"] == found["user"] == KEPT
    assert found["port 80 to 8000/tcp"] == TRANSLATED
    assert found["address of clients"] == LOST


def test_no_container_is_an_error_that_names_it() -> None:
    with pytest.raises(KrafError, match="container of app pi1/faces: 'faces'"):
        portability.examine(APP, None)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"privileged": True}, "privileged"),
        ({"devices": ["/dev/ttyUSB0"]}, "device /dev/ttyUSB0"),
        ({"capabilities": ["NET_ADMIN"]}, "capability NET_ADMIN"),
        ({"pid_mode": "host"}, "pid_mode host"),
        ({"ipc_mode": "container:db"}, "ipc_mode container:db"),
        ({"network_mode": "host"}, "network host"),
        ({"network_mode": "container:db"}, "network container:db"),
        (
            {"mounts": [{"type": "bind", "source": "/var/run/docker.sock", "path": "/var/run/docker.sock"}]},
            "bind /var/run/docker.sock at /var/run/docker.sock",
        ),
    ],
)
def test_mig_09_what_the_edge_does_not_give_is_refused_by_name(change: dict[str, Any], name: str) -> None:
    rows = portability.examine(APP, container(**change))
    assert {row["property"]: row["verdict"] for row in rows}[name] == REFUSED
    with pytest.raises(KrafError) as caught:
        verdicts.refuse(APP, rows)
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["/bin/sh", "-c", "exec app --flag 'a b'"], ("/bin/sh", "-c", "exec app --flag 'a b'")),
        (["python3"], ("python3",)),
        (["/app with space", ""], ("/app with space", "")),
    ],
)
def test_mig_03_what_runs_is_taken_word_by_word(argv: list[str], expected: tuple[str, ...]) -> None:
    assert portability.process(container(argv=argv)).argv == expected


def test_mig_11_a_user_of_the_image_is_left_to_the_image() -> None:
    assert portability.process(container(user="app", image_user="app")).user is None


@pytest.mark.parametrize(
    ("user", "identity", "expected"),
    [
        ("pi", {"user": 1000, "group": 44, "groups": [27], "unknown": []}, (1000, 44, (27,))),
        ("1000:1000", {"user": 1000, "group": 1000, "groups": [], "unknown": []}, (1000, 1000, ())),
    ],
)
def test_mig_11_a_user_given_to_the_container_becomes_numbers(
    user: str, identity: dict[str, Any], expected: tuple[int, int, tuple[int, ...]]
) -> None:
    found = portability.process(container(user=user, identity=identity))
    assert (found.user, found.group, found.groups) == expected


def test_mig_11_a_name_whose_number_nobody_knows_is_refused() -> None:
    identity = {"user": None, "group": None, "groups": [], "unknown": ["pi"]}
    assert judged(user="pi", identity=identity)["user pi"] == REFUSED


def test_mig_13_a_variable_that_kubernetes_refuses_is_named() -> None:
    assert judged(env={"1X": "2", "GOOD": "1"})["variable 1X"] == REFUSED


def test_mig_15_the_report_holds_names_and_no_values() -> None:
    assert "secret" not in repr(portability.examine(APP, container()))
    assert "secret" not in repr(portability.process(container()))


def test_data_that_lie_in_the_container_itself_are_refused() -> None:
    data = {"results": {**container()["data"]["results"], "folder": "", "exists": False}}
    assert judged(data=data)["data results"] == REFUSED


def test_a_data_directory_that_is_a_mount_point_is_refused_since_it_cannot_be_exchanged() -> None:
    data = {"results": {**container()["data"]["results"], "mount_point": True}}
    assert judged(data=data)["data results"] == REFUSED


def test_mig_08_a_mount_that_the_catalog_does_not_name_is_refused() -> None:
    mounts = [*container()["mounts"], {"type": "volume", "name": "case_vol", "source": "/v/_data", "path": "/cache"}]
    assert judged(mounts=mounts)["volume /v/_data at /cache"] == REFUSED


@pytest.mark.parametrize(("empty", "verdict"), [(True, TRANSLATED), (False, REFUSED)])
def test_mig_08_an_anonymous_volume_of_the_image_may_stay_only_if_it_is_empty(empty: bool, verdict: str) -> None:
    volume = {"type": "volume", "name": "a" * 64, "source": "/v/_data", "path": "/cache", "empty": empty}
    rows = portability.examine(APP, container(mounts=[*container()["mounts"], volume]))
    assert [row["verdict"] for row in rows if "/cache" in row["property"]] == [verdict]


def test_a_container_that_vanishes_when_it_stops_is_refused() -> None:
    assert judged(auto_remove=True)["--rm"] == REFUSED


def test_mig_17_names_of_other_containers_are_reported_as_lost() -> None:
    found = judged(network_mode="stack_default", labels={"com.docker.compose.project": "stack"})
    assert found["network stack_default"] == found["compose project"] == LOST


def test_each_port_of_the_app_is_told_of() -> None:
    app = dataclasses.replace(APP, ports=(Port(8000, 80), Port(9000, 90)))
    ports = [
        {"address": "", "device_port": outer, "port": inner, "protocol": "tcp"}
        for outer, inner in ((80, 8000), (90, 9000), (70, 7000))
    ]
    found = {row["property"]: row["verdict"] for row in portability.examine(app, container(ports=ports))}
    assert found["port 80 to 8000/tcp"] == found["port 90 to 9000/tcp"] == TRANSLATED
    assert found["port 70 to 7000/tcp"] == REFUSED


@pytest.mark.parametrize(("starts", "verdict"), [(True, REFUSED), (False, LOST)])
def test_what_would_start_it_again_is_refused_by_its_source(starts: bool, verdict: str) -> None:
    starters = [{"kind": "unit", "source": "kitchen.service", "starts": starts}]
    assert judged(starters=starters)["unit kitchen.service"] == verdict


def test_what_is_accepted_is_lost_and_what_cannot_be_stays_refused() -> None:
    rows = portability.examine(APP, container(privileged=True, auto_remove=True), ["privileged", "--rm"])
    found = {row["property"]: row for row in rows}
    assert found["privileged"]["verdict"] == LOST
    assert found["privileged"]["why"].startswith("accepted: it runs without")
    assert found["--rm"]["verdict"] == REFUSED
    with pytest.raises(KrafError) as caught:
        verdicts.refuse(APP, rows)
    assert "privileged" not in str(caught.value)


def test_a_refusal_says_how_it_may_be_accepted() -> None:
    with pytest.raises(KrafError) as caught:
        verdicts.refuse(APP, portability.examine(APP, container(privileged=True, devices=["/dev/a,b"])))
    assert "(kraf_accept: 'privileged, device /dev/a;b') that it runs without" in str(caught.value)
    with pytest.raises(KrafError) as caught:
        verdicts.refuse(APP, portability.examine(APP, container(privileged=True, auto_remove=True)))
    assert "Only these could be accepted (kraf_accept): privileged" in str(caught.value)


def test_a_setting_that_nobody_knows_is_refused() -> None:
    assert judged(settings={"NotYetKnown": "7"})["NotYetKnown 7"] == REFUSED


def test_a_port_that_the_catalog_has_under_another_number_is_refused() -> None:
    ports = [{"port": 8000, "protocol": "tcp", "device_port": 81, "address": ""}]
    assert judged(ports=ports)["port 81 to 8000/tcp"] == REFUSED


def test_names_of_the_device_are_shown_without_what_a_terminal_obeys() -> None:
    rows = portability.examine(APP, container(devices=["/dev/\x1b[31mred\n"]))
    assert next(row["property"] for row in rows if row["property"].startswith("device")) == "device /dev/red"


def test_a_migration_stores_what_differs_first_and_counts_what_has_no_room() -> None:
    rows = [verdicts.row(f"kept {number}", KEPT, "x") for number in range(150)] + [verdicts.row("gone", LOST, "x")]
    found = verdicts.stored(rows)
    assert len(found) == verdicts.MOST
    assert found[0]["property"] == "gone"
    assert found[-1]["property"] == "52 more"


def test_the_way_back_depends_on_the_data_alone() -> None:
    verdicts.refuse(APP, portability.returning(container(privileged=True)))
    data = {"results": {**container()["data"]["results"], "mount_point": True}}
    with pytest.raises(KrafError, match="data results"):
        verdicts.refuse(APP, portability.returning(container(data=data)))


@pytest.mark.parametrize(("policy", "verdict"), [("no", "kept"), ("always", "refused"), ("on-failure", "refused")])
def test_mig_07_a_job_is_not_started_again_by_docker(policy: str, verdict: str) -> None:
    job = App("pi1", "faces", kind="job", data=APP.data, retries=2)
    rows = portability.examine(job, container(restart_policy=policy, ports=[]))
    (row,) = [one for one in rows if one["property"].startswith("restart policy")]
    assert row["verdict"] == verdict
    assert ("2 times" if verdict == "kept" else "declare retries") in row["why"]
    assert "override" not in row


def test_a_udp_port_moves_and_what_is_lost_with_it_has_a_name() -> None:
    app = dataclasses.replace(APP, ports=(Port(53, 5353, "UDP"),))
    ports = [{"port": 53, "protocol": "udp", "device_port": 5353, "address": ""}]
    rows = portability.examine(app, container(ports=ports))
    found = {row["property"]: row["verdict"] for row in rows}
    assert found["port 5353 to 53/udp"] == TRANSLATED
    assert found["broadcast and multicast to port 5353/udp"] == LOST
    assert found["address of clients"] == LOST
    verdicts.refuse(app, rows)


def test_a_udp_port_is_not_the_tcp_port_of_its_number() -> None:
    app = dataclasses.replace(APP, ports=(Port(53, 53),))
    ports = [{"port": 53, "protocol": "udp", "device_port": 53, "address": ""}]
    found = {row["property"]: row["verdict"] for row in portability.examine(app, container(ports=ports))}
    assert found["port 53 to 53/udp"] == REFUSED
