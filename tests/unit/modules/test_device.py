# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules device and device_info: check, run, run again; what they refuse and what they show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.modules import device, device_info
from tests.unit.modules.conftest import Call

TWO = [
    {"name": "pi1", "address": "10.0.0.1", "architecture": "aarch64", "memory": "4Gi", "labels": {"site": "lab"}},
    {"name": "pi2", "machine_id": "2" * 32, "maintenance": {"reason": "SD card", "expires": "2999-01-01"}},
]


def test_devices_are_registered_in_one_call(call: Call, path: str) -> None:
    predicted = call(device, devices=TWO, check=True)
    assert predicted["changed"]
    assert not Path(path).exists()
    done = call(device, devices=TWO)
    assert done["changed"]
    assert [row.pop("uid") for row in predicted["devices"]] == ["", ""]
    assert all(len(row.pop("uid")) == 36 for row in done["devices"])
    assert done["devices"] == predicted["devices"]
    assert done["diff"]["before"] == {}
    assert list(done["diff"]["after"]) == ["pi1", "pi2"]
    again = call(device, devices=TWO)
    assert not again["changed"]
    assert again["diff"] == {"before": {}, "after": {}}


def test_a_device_is_changed_and_what_is_not_given_stays(call: Call) -> None:
    uid = call(device, devices=TWO)["devices"][0]["uid"]
    for check in (True, False):
        changed = call(device, name="pi1", address="10.0.0.9", check=check)
        assert changed["changed"]
        assert changed["device"]["uid"] == uid
        assert changed["device"]["labels"] == {"site": "lab"}
        assert changed["diff"]["before"]["pi1"]["address"] == "10.0.0.1"
        assert changed["diff"]["after"]["pi1"]["address"] == "10.0.0.9"
    assert not call(device, name="pi1", address="10.0.0.9")["changed"]


def test_a_device_is_removed(call: Call) -> None:
    call(device, devices=TWO)
    assert call(device, name="pi1", state="absent", check=True)["changed"]
    removed = call(device, name="pi1", state="absent")
    assert removed["changed"]
    assert removed["devices"] == []
    assert (list(removed["diff"]["before"]), removed["diff"]["after"]) == (["pi1"], {})
    assert not call(device, name="pi1", state="absent")["changed"]
    assert [row["name"] for row in call(device_info)["devices"]] == ["pi2"]


def test_one_bad_device_leaves_the_good_ones_unwritten(call: Call, path: str) -> None:
    call(device, name="pi1")
    failed = call(device, devices=[{"name": "pi2"}, {"name": "pi_3"}])
    assert failed["failed"]
    assert failed["error"]["value"] == "pi_3"
    assert "Use 'pi-3'" in failed["msg"]
    assert [row["name"] for row in call(device_info)["devices"]] == ["pi1"]


@pytest.mark.parametrize("name", ["all", "ungrouped", "localhost"])
def test_inv_02_a_device_named_like_a_group_of_ansibles_is_refused(call: Call, name: str) -> None:
    assert call(device, name=name)["failed"]


def test_ins_09_twins_are_refused_before_anything_is_written(call: Call, path: str) -> None:
    failed = call(device, devices=[{"name": "pi1", "machine_id": "a" * 32}, {"name": "pi2", "machine_id": "A" * 32}])
    assert failed["error"]["facts"]["devices"] == ["pi1", "pi2"]
    assert call(device_info)["failed"]


@pytest.mark.parametrize("options", [{}, {"name": "pi1", "devices": []}, {"devices": [{"address": "x"}]}])
def test_a_call_says_which_devices(call: Call, options: dict[str, Any]) -> None:
    assert call(device, **options)["failed"]


def test_devices_are_filtered_and_queried(call: Call) -> None:
    call(device, devices=TWO)

    def names(**options: Any) -> list[str]:
        return [row["name"] for row in call(device_info, **options)["devices"]]

    assert names() == ["pi1", "pi2"]
    assert names(names="pi2,pi9") == ["pi2"]
    assert names(names=[]) == []
    assert names(labels={"site": "lab"}) == ["pi1"]
    assert names(labels={"site": "lab", "x": ""}) == []
    assert names(architecture="arm64") == ["pi1"]
    assert names(state="maintenance") == ["pi2"]
    assert names(state="active") == ["pi1"]
    assert call(device_info, query="[].name | sort(@) | [0]")["result"] == "pi1"
    assert "[?" in call(device_info, query="[?")["msg"]


def test_reg_06_a_maintenance_that_has_expired_is_not_shown(call: Call) -> None:
    call(device, name="pi1", maintenance={"reason": "SD card", "expires": "2001-01-01"})
    (row,) = call(device_info)["devices"]
    assert (row["state"], row["reason"], row["expires"]) == ("active", "", "")


def test_a_missing_catalog_is_an_error_and_not_zero_devices(call: Call, path: str) -> None:
    failed = call(device_info)
    assert failed["failed"]
    assert failed["error"]["value"] == path


def test_a_servers_password_is_not_shown(call: Call) -> None:
    failed = call(device_info, catalog="postgresql://kraf:canary%2F5e0f@127.0.0.1:1/kraf")
    assert failed["failed"]
    assert "127.0.0.1:1/kraf" in failed["msg"]
    assert "canary" not in str(failed)
