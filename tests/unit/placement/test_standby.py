# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the edge is kept ready with: all that a workload is made of comes back from its Secret."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timezone
from typing import Any
from unittest.mock import Mock

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import App, Data, Device, Port, Probe
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.manifests import presence, standby, workload
from ansible_collections.kraf.edge.plugins.module_utils.manifests.workload import Health, Process, Workload
from ansible_collections.kraf.edge.plugins.module_utils.migration import table
from ansible_collections.kraf.edge.plugins.module_utils.placement import lost, summary
from ansible_collections.kraf.edge.plugins.module_utils.placement.job import Job, Limits, Site
from ansible_collections.kraf.edge.plugins.module_utils.placement.records import Placement
from ansible_collections.kraf.edge.plugins.module_utils.placement.standby import Standby

APP = App(
    "pi1",
    "faces",
    images={"amd64": "registry.example/faces:1"},
    args=("--fast",),
    env=("TOKEN",),
    ports=(Port(8000, 80), Port(8001, 81)),
    data=(Data("results", "/data"),),
    cpu="500m",
    memory="64Mi",
    probe=Probe("/health", 8000),
)
PROCESS = Process(
    ("python3", "faces.py", "$(HOME)"),
    env={"TOKEN": "se\u00e9cret", "base64": "x"},
    working_dir="/app",
    user=7,
    groups=(8, 9),
    tmpfs=(("/tmp", 1024), ("/run", 0)),
    files=(("/etc/faces.conf", b"\x00\xff", True),),
    hosts=(("192.0.2.1", ("a", "b")),),
    capabilities=("CHOWN",),
    dropped=("ALL",),
    sysctls=(("net.ipv4.ip_unprivileged_port_start", "0"),),
    health=Health(("true",), 1.5, 2.5, 4),
)
WANTED = Workload(
    APP, "uid", PROCESS, "registry.example/faces@sha256:1", "registry.example/edge:1", ("amd64",), 2, 7, "n1"
)


def test_it_comes_back_whole() -> None:
    assert standby.read(standby.secret(WANTED)) == WANTED
    plain = dataclasses.replace(WANTED, process=Process(("run",)), app=App("pi1", "faces"), node="")
    assert standby.read(standby.secret(plain)) == plain


def test_the_same_objects_come_of_it() -> None:
    assert workload.objects(standby.read(standby.secret(WANTED))) == workload.objects(WANTED)


def test_the_service_is_there_before_the_edge_takes_over() -> None:
    assert standby.objects(WANTED) == [standby.secret(WANTED), workload.service(WANTED)]
    silent = dataclasses.replace(WANTED, app=App("pi1", "faces"))
    assert standby.objects(silent) == [standby.secret(silent), workload.service(silent)]
    assert [one["port"] for one in workload.service(silent)["spec"]["ports"]] == [presence.PORT]


def test_no_value_stands_outside_the_secret_s_data() -> None:
    found = standby.secret(WANTED)
    found.pop("data")
    assert PROCESS.env["TOKEN"] not in str(found)


def test_more_than_a_secret_holds_is_refused() -> None:
    large = dataclasses.replace(PROCESS, files=(("/large", bytes(2**20), False),))
    with pytest.raises(KrafError, match="a Secret holds 1048576"):
        standby.secret(dataclasses.replace(WANTED, process=large))


def test_the_pod_would_rather_be_where_its_image_is() -> None:
    spec = workload.running(WANTED)["spec"]["template"]["spec"]
    terms = spec["affinity"]["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert terms[0]["preference"]["matchExpressions"][0]["values"] == ["n1"]
    assert "affinity" not in workload.running(dataclasses.replace(WANTED, node=""))["spec"]["template"]["spec"]


@pytest.mark.parametrize(
    ("app", "words"), [(APP, ["outrun", "purge", "begin"]), (App("pi1", "faces"), ["outrun", "begin"])]
)
def test_copies_that_failed_runs_have_left_are_gone_before_another_one_is_made(
    monkeypatch: pytest.MonkeyPatch, app: App, words: list[str]
) -> None:
    spoken, nothing = Mock(), Mock()
    site = Site(("192.0.2.7:8843",), "edge:1", "192.0.2.7:5000", ("amd64",))
    walk = Standby(Job(nothing, app, Device("pi1"), "edge", "me", site, Limits(), nothing), str)
    walk.job.placement, walk.job.run = Placement(tree=7), 12
    walk.job.look = {"container": {"data": {}}}
    steps: Any = walk.steps
    monkeypatch.setattr(steps, "wanted", Mock(workload=lambda *_given: WANTED))
    monkeypatch.setattr(steps, "start_mover", lambda *_given: spoken)
    monkeypatch.setattr(walk, "records", Mock(purged=lambda placed: dataclasses.replace(placed, version="purged")))
    for name in ("outrun", "begin"):
        monkeypatch.setattr(steps, name, getattr(spoken, name))
    walk._perform[table.STANDBY_PREPARE]()
    assert [name for name, _args, _kwargs in spoken.mock_calls] == words
    assert all(given == ((7,), {}) for given in spoken.purge.call_args_list), "the good one stays"
    assert walk.job.placed.version == ("purged" if app.data else ""), "nothing is listed any more as kept"


def test_age_is_counted_in_seconds() -> None:
    now = datetime(2026, 11, 27, 10, 1, 30, tzinfo=timezone.utc)
    assert lost.age({"verified": "2026-11-27T10:00:00Z"}, now) == 90


ROW = {"app": "pi1/faces", "changed": True, "owner": "device", "epoch": 1, "address": "pi1:80"}


def test_the_summary_tells_what_is_prepared() -> None:
    known = {"verified": "2026-11-27T10:00:00Z", "bytes": 2048}
    lines = summary.lines([{**ROW, "standby": known}])
    assert "prepared" in lines[1]
    assert "pi1/faces: the edge is ready to take over since 2026-11-27T10:00:00Z, 2 KiB of data" in lines


def test_the_summary_tells_what_was_lost() -> None:
    row = {**ROW, "owner": "edge", "copy_age_seconds": 90.4, "diverged": {"results": ["log", "a\x1b[31m"]}}
    text = "\n".join(summary.lines([row]))
    assert "went on from a copy verified 90 s before" in text
    assert "wrote to results after the copy that the edge went on from: log" in text
    assert "\x1b" not in text


def test_the_summary_tells_what_was_removed() -> None:
    lines = summary.lines([{**ROW, "removed": ["Secret app-faces-standby"]}])
    assert "cleared" in lines[1]
    assert "pi1/faces: removed Secret app-faces-standby" in lines
