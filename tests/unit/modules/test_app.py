# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules app and app_info: check, run, run again; what they refuse and what they show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.modules import app, app_info, device
from tests.unit.modules.conftest import Call

FACES = {
    "device": "pi1",
    "name": "faces",
    "images": {"arm64": "registry.example.org/faces:1"},
    "args": ["--fast"],
    "env": "API_KEY",
    "ports": [{"port": 8000}],
    "data": [{"name": "results", "path": "/data"}],
    "memory": "256Mi",
    "probe": {"path": "/health"},
}
DOORS = {"device": "pi1", "name": "doors", "overlap": "true"}


@pytest.fixture(autouse=True)
def registered(call: Call) -> None:
    call(device, devices=[{"name": "pi1"}, {"name": "pi2"}])


def test_apps_are_registered_in_one_call(call: Call) -> None:
    for check in (True, False):
        done = call(app, apps=[FACES, DOORS], check=check)
        assert done["changed"]
        assert [row["name"] for row in done["apps"]] == ["faces", "doors"]
        assert done["apps"][0]["ports"] == [{"port": 8000, "device_port": 8000, "protocol": "TCP"}]
        assert done["apps"][0]["probe"] == {"path": "/health", "port": 8000}
        assert done["apps"][1]["overlap"] is True
        assert done["diff"]["before"] == {}
        assert sorted(done["diff"]["after"]) == ["pi1/doors", "pi1/faces"]
    again = call(app, apps=[FACES, DOORS])
    assert not again["changed"]
    assert again["apps"] == done["apps"]
    assert again["diff"] == {"before": {}, "after": {}}


def test_a_declaration_replaces_the_one_before_as_a_whole(call: Call) -> None:
    call(app, apps=[FACES])
    for check in (True, False):
        changed = call(app, apps=[{"device": "pi1", "name": "faces"}], check=check)
        assert changed["changed"]
        assert changed["diff"]["before"]["pi1/faces"]["memory"] == "256Mi"
        assert changed["diff"]["after"]["pi1/faces"]["memory"] == ""
    assert not call(app, apps=[{"device": "pi1", "name": "faces"}])["changed"]


def test_an_app_is_removed(call: Call) -> None:
    call(app, apps=[FACES, DOORS])
    gone = [{"device": "pi1", "name": "faces", "state": "absent"}]
    assert call(app, apps=gone, check=True)["changed"]
    removed = call(app, apps=gone)
    assert removed["changed"]
    assert (removed["apps"], list(removed["diff"]["before"]), removed["diff"]["after"]) == ([], ["pi1/faces"], {})
    assert not call(app, apps=gone)["changed"]
    assert [row["name"] for row in call(app_info)["apps"]] == ["doors"]


def test_a_device_with_apps_is_not_removed_and_the_apps_are_named(call: Call) -> None:
    call(app, apps=[FACES])
    failed = call(device, name="pi1", state="absent")
    assert failed["error"]["facts"]["apps"] == ["pi1/faces"]


def test_one_bad_app_leaves_the_good_ones_unwritten(call: Call) -> None:
    assert call(app, apps=[DOORS, {**FACES, "vram": "4Gi"}])["failed"]
    assert call(app, apps=[DOORS, {**FACES, "device": "pi9"}])["error"]["value"] == "pi9"
    assert call(app_info)["apps"] == []


def test_mig_13_the_bad_variable_is_named_before_anything_is_written(call: Call) -> None:
    failed = call(app, apps=[{**FACES, "env": ["TZ", "1X"]}])
    assert failed["error"]["value"] == "1X"
    assert call(app_info)["apps"] == []


@pytest.mark.parametrize("env", ["API_KEY=canary-5e0f", ["API_KEY=canary-5e0f"], {"API_KEY": "canary-5e0f"}])
def test_mig_15_a_secret_reaches_neither_the_output_nor_the_database(call: Call, path: str, env: object) -> None:
    failed = call(app, apps=[DOORS, {**FACES, "env": env}])
    assert failed["failed"]
    assert "API_KEY" in failed["msg"]
    assert "canary" not in str(failed)
    assert b"canary" not in Path(path).read_bytes()


def test_awx_01_texts_and_nulls_of_a_survey_are_taken(call: Call) -> None:
    options: dict[str, Any] = {
        "device": "pi1",
        "name": "faces",
        "env": "A\nB",
        "overlap": "false",
        "cpu": "",
        "data": None,
    }
    (row,) = call(app, apps=[options])["apps"]
    assert (row["env"], row["overlap"], row["cpu"], row["data"]) == (["A", "B"], False, "", [])


def test_apps_are_filtered_and_queried(call: Call) -> None:
    call(app, apps=[FACES, DOORS, {"device": "pi2", "name": "faces"}])

    def keys(**options: Any) -> list[str]:
        return [f"{row['device']}/{row['name']}" for row in call(app_info, **options)["apps"]]

    assert keys() == ["pi1/doors", "pi1/faces", "pi2/faces"]
    assert keys(device="pi2") == ["pi2/faces"]
    assert keys(names=["faces"]) == ["pi1/faces", "pi2/faces"]
    assert keys(names="pi1/doors, pi2/faces") == ["pi1/doors", "pi2/faces"]
    assert call(app_info, query="[?data].name")["result"] == ["faces"]
    assert call(app_info, device="pi9")["error"]["value"] == "pi9"
