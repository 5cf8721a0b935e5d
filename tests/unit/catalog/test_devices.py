# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""catalog/devices: what a declaration of a device may say, and what it changes."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.catalog import devices
from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import Device
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError

PI1 = Device("pi1", uid="u", address="10.0.0.1", architecture="arm64", labels={"site": "lab"}, cluster_uid="c1")


def declare(current: tuple[Device, ...] = (), **options: Any) -> Device:
    (device,) = devices.declared([{"name": "pi1", **options}], current)
    return device


def test_what_is_not_given_stays_and_what_is_empty_is_taken_away() -> None:
    assert declare((PI1,)) == PI1
    assert declare((PI1,), address=None, memory="4Gi").memory_bytes == 4 * 2**30
    bare = declare((PI1,), address="", architecture="", memory="", machine_id="", labels={}, cluster_uid="")
    assert bare == Device("pi1", uid="u")


@pytest.mark.parametrize(
    ("said", "known"),
    [("aarch64", "arm64"), ("x86_64", "amd64"), ("armv7l", "arm"), ("arm64", "arm64"), ("amd64", "amd64")],
)
def test_an_architecture_is_known_by_the_kernels_name_and_by_the_images(said: str, known: str) -> None:
    assert declare(architecture=said).architecture == known


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"architecture": "riscv64"}, "no image is built"),
        ({"memory": "4GB"}, "without the B"),
        ({"memory": "4"}, "no unit"),
        ({"address": "pi@10.0.0.1"}, "neither an IP address nor a host name"),
        ({"address": "-oProxyCommand=id"}, "neither an IP address nor a host name"),
        ({"address": "10.0.0.1:22 x"}, "neither an IP address nor a host name"),
        ({"machine_id": "uninitialized"}, "32 hexadecimal digits"),
        ({"machine_id": "12"}, "32 hexadecimal digits"),
        ({"labels": {"a b": "x"}}, "Kubernetes takes"),
        ({"labels": {"a": "x/y"}}, "Kubernetes takes"),
        ({"labels": {"a": "x" * 64}}, "Kubernetes takes"),
        ({"labels": {1: "x"}}, "Kubernetes takes"),
        ({"maintenance": {"expires": "2026-12-24"}}, "no reason"),
        ({"maintenance": {"reason": "x", "expires": "tomorrow"}}, "no date"),
        ({"maintenance": {"reason": "\x1b[31mred"}}, "control characters"),
        ({"maintenance": {"reason": "x" * 501}}, "control characters"),
    ],
)
def test_what_is_not_valid_is_refused_with_the_device_and_the_reason(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(KrafError) as caught:
        declare(**options)
    assert "device pi1" in caught.value.what
    assert reason in caught.value.why
    assert caught.value.fix


@pytest.mark.parametrize("address", ["10.0.0.1", "fe80::1", "pi1", "pi1.example.org"])
def test_an_address_is_an_ip_address_or_a_host_name(address: str) -> None:
    assert declare(address=address).address == address


def test_labels_become_texts() -> None:
    labels = {"b": True, "a": 1, "kraf.example/c": None}
    assert declare(labels=labels).labels == {"a": "1", "b": "true", "kraf.example/c": ""}


def test_ins_05_a_name_that_kubernetes_refuses_is_refused_with_a_suggestion() -> None:
    with pytest.raises(KrafError) as caught:
        devices.declared([{"name": "PHost01"}], [])
    assert caught.value.fix == "Use 'phost01'"


@pytest.mark.parametrize("known", [[Device("pi-4")], []])
def test_ins_05_a_name_that_folds_to_another_one_names_both(known: list[Device]) -> None:
    raws = [{"name": "Pi_4"}] if known else [{"name": "pi-4"}, {"name": "Pi_4"}]
    with pytest.raises(KrafError) as caught:
        devices.declared(raws, known)
    assert caught.value.facts["devices"] == ["pi-4", "Pi_4"]


def test_a_name_that_stands_in_the_list_twice_is_refused() -> None:
    with pytest.raises(KrafError, match="twice"):
        devices.declared([{"name": "pi1"}, {"name": "pi1"}], [])


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("2026-12-24", "2026-12-25T00:00:00Z"),
        ("2026-12-24T18:00:00Z", "2026-12-24T18:00:00Z"),
        ("2026-12-24T18:00:00+02:00", "2026-12-24T16:00:00Z"),
        ("2026-12-24T18:00", "2026-12-24T18:00:00Z"),
        (None, ""),
    ],
)
def test_reg_06_an_expiry_is_stored_in_utc(written: str, stored: str) -> None:
    device = declare(maintenance={"reason": "SD card", "expires": written})
    assert (device.state, device.reason, device.expires) == ("maintenance", "SD card", stored)


def test_reg_06_a_maintenance_is_over_when_it_has_expired() -> None:
    device = declare(maintenance={"reason": "SD card", "expires": "2026-12-24T18:00:00Z"})
    before = datetime(2026, 12, 24, 17, 59, 59, tzinfo=timezone.utc)
    after = datetime(2026, 12, 24, 18, 0, 0, tzinfo=timezone.utc)
    assert device.in_maintenance(before)
    assert device.at(before) == device
    assert not device.in_maintenance(after)
    assert device.at(after) == Device("pi1")
    assert declare(maintenance={"reason": "SD card"}).in_maintenance(after)


def test_reg_06_an_empty_mapping_ends_a_maintenance() -> None:
    device = declare(maintenance={"reason": "SD card"})
    assert declare((device,), maintenance={"reason": None, "expires": None}) == Device("pi1")
    assert declare((device,)) == device


def test_awx_07_a_device_of_another_cluster_is_refused() -> None:
    with pytest.raises(KrafError, match="belongs to the cluster c1"):
        declare((PI1,), cluster_uid="c2")
    assert declare((PI1,), cluster_uid="c1") == PI1
