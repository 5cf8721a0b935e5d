# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of the playbook status, from whatever devices and cluster say."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timezone
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import App, Data, Device, Port
from ansible_collections.kraf.edge.plugins.module_utils.tls.certificates import make_ca
from ansible_collections.kraf.edge.plugins.plugin_utils import status


def lines(**found: Any) -> list[str]:
    empty: dict[str, Any] = {name: [] for name in ("devices", "apps", "volumes", "exports", "placements")}
    return status.lines({**empty, "mounts": {}, "unread": "", **found})


def part(heading: str, shown: list[str]) -> list[str]:
    begin = shown.index(heading) + 1
    return [line.strip() for line in [*shown[begin:], ""][: [*shown[begin:], ""].index("")]]


def placement(app: str, owner: str) -> dict[str, Any]:
    move = {"to": owner, "epoch": 3, "result": "Done", "message": "", "finished": "2026-11-25T10:00:00Z"}
    older = {**move, "epoch": 2, "result": "Undone", "message": "no room"}
    row = {"device": "pi1", "app": app, "owner": owner, "epoch": 3, "phase": "Settled", "holder": "ops@a, process 1"}
    return {**row, "migrations": [{**move, "held_seconds": 2.84}, {**older, "held_seconds": 0.0}]}


def test_nothing_is_shown_as_none() -> None:
    shown = lines()
    headings = ("Devices", "Apps", "Placements", "Volumes", "Exports", "Mounts")
    assert [part(heading, shown) for heading in headings] == [["none"]] * 6


def test_devices_are_shown_with_what_was_said_of_them() -> None:
    rows = [Device("pi1", memory_bytes=2**32, labels={"site": "lab"}).as_dict(), Device("pi2").as_dict()]
    assert part("Devices", lines(devices=rows)) == [
        "NAME  STATE   MEMORY  LABELS",
        "pi1   active  4 GiB   site=lab",
        "pi2   active  -       -",
    ]


def test_an_app_is_shown_where_it_runs_and_a_placement_that_the_catalog_does_not_know_too() -> None:
    faces = App("pi1", "faces", ports=(Port(80, 8000),), data=(Data("d", "/data"),))
    apps = [faces.as_dict(), App("pi2", "x").as_dict()]
    shown = part("Apps", lines(apps=apps, placements=[placement("faces", "edge"), placement("lost", "edge")]))
    assert [line.split()[:3] for line in shown] == [
        ["DEVICE", "NAME", "OWNER"],
        ["pi1", "faces", "edge"],
        ["pi2", "x", "device"],
        ["pi1", "lost", "(not"],
    ]


def test_a_placement_is_shown_with_its_last_move_and_its_holder_only_while_it_moves() -> None:
    moving = {**placement("x", "device"), "phase": "Moving", "migrations": []}
    shown = part("Placements", lines(placements=[placement("faces", "edge"), moving]))
    assert "to edge Done" in shown[1]
    assert "2.8 s" in shown[1]
    assert "ops@a" not in shown[1]
    assert "Moving" in shown[2]
    assert shown[2].endswith("ops@a, process 1")


def test_what_is_prepared_and_not_used_is_shown_with_its_expiry() -> None:
    standby = {"verified": "2026-11-25T10:00:00Z", "expires": "2026-12-02T10:00:00Z", "expired": False}
    undone = {"to": "edge", "finished": "2026-11-01T10:00:00Z", "expires": "2026-11-08T10:00:00Z", "expired": True}
    rows = [
        {**placement("faces", "device"), "standby": standby},
        {**placement("mail", "device"), "undone": undone},
        {**placement("echo", "device"), "undone": undone},
    ]
    apps = [App("pi1", name, data=data).as_dict() for name, data in (("mail", (Data("d", "/data"),)), ("echo", ()))]
    shown = part("Placements", lines(placements=rows, apps=apps))
    assert "standby 2026-11-25T10:00:00Z, until 2026-12-02T10:00:00Z" in shown[1]
    assert "copy 2026-11-01T10:00:00Z, expired 2026-11-08T10:00:00Z" in shown[2]
    # Without data nothing was copied.
    assert "2026-11-08" not in shown[3]


def test_a_volume_is_shown_with_what_was_asked_where_that_differs() -> None:
    row = {"device": "pi1", "name": "x", "asked_bytes": 2**31, "real_bytes": 2**30, "storage_class": "c", "used_by": []}
    assert "1 GiB of 2 GiB" in part("Volumes", lines(volumes=[row]))[1]


def test_a_cluster_that_was_not_read_is_said_in_the_place_of_its_tables() -> None:
    shown = lines(unread="no answer\x1b[31m")
    assert "The cluster was not read: no answer" in shown
    assert "Volumes" not in shown


@pytest.mark.parametrize(
    ("days", "state"),
    [
        (31, ""),
        (29, "ends soon: run playbook kraf.edge.certificates_renew"),
        (-2, "has ended: run playbook kraf.edge.certificates_renew"),
    ],
)
def test_ins_19_a_certificate_that_ends_soon_or_has_ended_is_shown_with_its_cure(days: int, state: str) -> None:
    paths = {"/etc/kubernetes/pki/ca.crt": 3000.0, "/etc/kubernetes/pki/apiserver.crt": float(days)}
    hosts = {"control1": {"host": {"kubernetes": {"certificates": paths}}}, "worker1": {"unreachable": True}}
    now = datetime.now(timezone.utc)
    pem = make_ca("kraf", 100, now).certificate
    encoded = base64.b64encode(pem).decode()
    secrets = [
        {"metadata": {"namespace": "kraf-system", "name": "door-tls"}, "data": {"tls.crt": encoded}},
        {"metadata": {"namespace": "kraf-system", "name": "image-registry"}, "data": {"password": "eA=="}},
    ]
    shown = part("Certificates", lines(certificates=hosts, secrets=secrets))
    assert shown[1].split(maxsplit=3) == [
        "control1",
        "/etc/kubernetes/pki/apiserver.crt",
        str(days),
        *filter(None, [state]),
    ]
    assert shown[2].split()[:3] == ["kraf-system", "door-tls", "100"]


def test_mounts_are_shown_and_devices_that_did_not_answer_are_named() -> None:
    found = {"filesystems": [{"target": "/srv/kraf/photos", "source": "http://127.0.0.1:8100/"}]}
    answers = {
        "pi1": {"rc": 0, "stdout": json.dumps(found)},
        "pi2": {"unreachable": True},
        "pi3": {"rc": 1, "stdout": ""},
        "pi4": {},
    }
    shown = lines(mounts=answers)
    assert part("Mounts", shown)[1:] == ["pi1     /srv/kraf/photos  http://127.0.0.1:8100/"]
    assert shown[-1] == "Did not answer: pi2, pi4"


def test_sec_01_what_a_device_reports_can_neither_break_the_tables_nor_the_terminal() -> None:
    hostile = {"filesystems": ["x", {"target": "\x1b[2J/x\n\0"}]}
    texts = {"pi1": "not json", "pi2": '["x"]', "pi3": '{"filesystems": "x"}', "pi4": json.dumps(hostile)}
    device = Device("pi1", state="maintenance", reason="\x1b]0;x\x07" + "y" * 10**6).as_dict()
    shown = lines(devices=[device], mounts={name: {"rc": 0, "stdout": text} for name, text in texts.items()})
    assert all(line.isprintable() and len(line) < 400 for line in shown)
    assert part("Mounts", shown)[1:] == ["pi4     /x"]
