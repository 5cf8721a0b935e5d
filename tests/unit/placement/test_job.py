# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the device is told of an app."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import App, Device, Member, Port, Probe
from ansible_collections.kraf.edge.plugins.module_utils.manifests import presence
from ansible_collections.kraf.edge.plugins.module_utils.placement.job import Job, Limits, Site
from ansible_collections.kraf.edge.plugins.module_utils.placement.outcome import Outcome

PRESENCE = {
    "port": presence.PORT,
    "container_port": presence.PORT,
    "sni": f"{presence.PORT}.app-train.pi1.door.kraf.internal",
    "probe": "/epoch",
    "protocol": "tcp",
}


def told(app: App, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def call(step: str, **options: Any) -> dict[str, Any]:
        found.update(options, step=step)
        return {}

    device = Device("pi1", "6a0cbb2e-38a4-4a9f-9d2f-5a1f0f6c9d11")
    site = Site(("192.0.2.7:8843",), "edge:1", "192.0.2.7:5000", ("amd64",))
    job = Job(None, app, device, "edge", "me", site, Limits(), call, **more)  # type: ignore[arg-type]
    job.on_device("settle")
    return found


def test_the_device_is_told_how_its_job_has_ended_if_that_is_known() -> None:
    app = App("pi1", "train", kind="job")
    assert told(app)["outcome"] is None
    assert json.loads(told(app, outcome=Outcome("failed", exit_code=3, log="no good"))["outcome"])["log"] == "no good"


def test_a_udp_port_is_reached_at_the_door_by_the_port_of_its_streams() -> None:
    ports = (Port(53, 5353), Port(53, 5353, "UDP"), Port(61000, 61000))
    ways = told(App("pi1", "dns", ports=ports, probe=Probe("/health", 53)))["ways"]
    assert ways == [
        {
            "port": 5353,
            "container_port": 53,
            "sni": "53.app-dns.pi1.door.kraf.internal",
            "probe": "/health",
            "protocol": "tcp",
        },
        {
            "port": 5353,
            "container_port": 53,
            "sni": "61001.app-dns.pi1.door.kraf.internal",
            "probe": "",
            "protocol": "udp",
        },
        {
            "port": 61000,
            "container_port": 61000,
            "sni": "61000.app-dns.pi1.door.kraf.internal",
            "probe": "",
            "protocol": "tcp",
        },
    ]


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({}, [PRESENCE]),
        ({"unit": "train.service"}, [PRESENCE]),
        ({"members": (Member("db", "train-db"),)}, [PRESENCE]),
        ({"ports": (Port(80, 80),)}, []),
        ({"ports": (Port(53, 53, "UDP"),)}, []),
        ({"ports": (Port(80, 80, member="db"),), "members": (Member("db", "train-db"),)}, []),
        ({"overlap": True}, []),
        ({"kind": "job"}, []),
        ({"kind": "cronjob", "schedule": "* * * * *"}, []),
    ],
)
def test_the_device_is_told_what_answers_in_place_of_an_app_without_ports(more: dict[str, Any], found: Any) -> None:
    given = told(App("pi1", "train", **more))
    assert given["presence"] == found
    assert len(given["ways"]) == len(more.get("ports", ()))
