# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""catalog: an app of several containers, as it is declared and as the device and each container's view have it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.catalog import apps
from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import App, Data, Member, Port, Probe
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError

from .test_apps import declare, refusal

DB = {"name": "db", "container": "shop-db", "images": {"arm64": "db:1"}, "env": "PASSWORD", "memory": "64Mi"}
PORTS = [{"port": 8000}, {"port": 5432, "device_port": 15432, "member": "db"}]
DATA = [{"name": "files", "path": "/data"}, {"name": "tables", "path": "/data", "member": "db"}]


def group(**options: Any) -> App:
    return declare(**{"members": [DB], "ports": PORTS, "data": DATA, "probe": {"path": "/health"}, **options})


def test_each_container_has_what_is_its_own() -> None:
    app = group(cpu="1")
    assert app.members == (Member("db", "shop-db", {"arm64": "db:1"}, ("PASSWORD",), "", "64Mi"),)
    assert app.runs_as == "group:faces,shop-db"
    own, other = app.parts()
    assert (own.container, own.ports, own.data) == ("faces", (Port(8000, 8000),), (Data("files", "/data"),))
    assert (own.cpu, own.memory, own.probe, own.members) == ("1", "", Probe("/health", 8000), ())
    assert (other.container, other.images, other.env) == ("shop-db", {"arm64": "db:1"}, ("PASSWORD",))
    assert (other.ports, other.data) == ((Port(5432, 15432, "TCP", "db"),), (Data("tables", "/data", "db"),))
    assert (other.cpu, other.memory, other.probe, other.name) == ("", "64Mi", None, "faces")


def test_a_probe_is_of_the_container_that_has_its_port() -> None:
    own, other = group(probe={"path": "/", "port": 5432}).parts()
    assert (own.probe, other.probe) == (None, Probe("/", 5432))


def test_the_device_is_told_which_container_has_a_directory() -> None:
    assert group().places() == [
        {"name": "files", "path": "/data", "container": "faces"},
        {"name": "tables", "path": "/data", "container": "shop-db"},
    ]
    assert declare(data=DATA[:1]).places() == [{"name": "files", "path": "/data", "container": ""}]


def test_a_group_survives_the_way_through_a_dictionary() -> None:
    app = group()
    assert App.from_dict(app.as_dict()) == app
    assert "member" not in app.as_dict()["ports"][0]
    row = declare(ports=[{"port": 80}]).as_dict()
    assert row["ports"] == [{"port": 80, "device_port": 80, "protocol": "TCP"}]
    # A row that was stored before there were groups.
    del row["members"]
    assert App.from_dict(row) == declare(ports=[{"port": 80}])


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"members": [{"name": "Db"}]}, "no name of a host"),
        ({"members": [{"name": "app"}]}, "which a pod has anyway"),
        ({"members": [{"name": "gate"}]}, "which a pod has anyway"),
        ({"members": [{"name": "a.b"}]}, "no name of a host"),
        ({"members": [DB, DB]}, "stands there twice"),
        ({"members": [{**DB, "container": "faces"}]}, "stands there twice"),
        ({"members": [{**DB, "env": ["A=1"]}]}, "values never enter the catalog"),
        ({"members": [{**DB, "memory": "x"}]}, "pi1/faces, member db"),
        ({"members": []}, "the app has no members"),
        ({"ports": [{"port": 80}, {"port": 80, "device_port": 81, "member": "db"}]}, "the app itself and db both"),
        ({"ports": [{"port": 53, "protocol": "UDP"}]}, "only TCP ports move"),
        ({"data": [{"name": "files", "path": "/a"}, {"name": "files", "path": "/b", "member": "db"}]}, "twice"),
        ({"kind": "job", "ports": None, "data": None, "probe": None}, "a job is one container"),
        ({"overlap": True, "data": None}, "call each other"),
        ({"emulation": True}, "none is emulated"),
        ({"unit": "faces.service", "images": {"amd64": "a:1"}}, "would have to be units"),
    ],
)
def test_what_a_group_cannot_be_is_refused(options: dict[str, Any], why: str) -> None:
    error = refusal(**{"members": [DB], "ports": PORTS, "data": DATA, **options})
    assert "pi1/faces" in error.what
    assert why in str(error)


def test_no_container_is_of_two_apps() -> None:
    other = apps.declared({"device": "pi1", "name": "shop-db"})
    with pytest.raises(KrafError, match="shop-db") as caught:
        apps.refuse_twins([group(), other])
    assert caught.value.what == "container of app pi1/shop-db"
