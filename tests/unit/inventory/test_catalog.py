# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inventory plugin catalog: run by Ansible's own commands, on rows as hostile as a device could report them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.inventory import catalog as plugin
from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import Device
from ansible_collections.kraf.edge.plugins.module_utils.catalog.store import open_catalog

ROOT = Path(__file__).resolve().parents[3]
BIN = Path(sys.executable).parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "kraf.yml").write_text(
        f"---\nplugin: kraf.edge.catalog\ncatalog: {tmp_path}/catalog.sqlite\nuser: pi\n"
    )
    return tmp_path


def put(folder: Path, *devices: Device) -> None:
    # Not through the rules of the module: a row may be older than a rule, or written by another program.
    with open_catalog(str(folder / "catalog.sqlite"), write=True) as catalog:
        catalog.put_devices(devices)


def ansible(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build/collections"),
        "ANSIBLE_HOME": str(folder / "home"),
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_LOCALHOST_WARNING": "0",
    }
    for name in ("ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED", "ANSIBLE_INVENTORY_UNPARSED_FAILED", "KRAF_CATALOG"):
        environment.pop(name, None)
    command = [str(BIN / argv[0]), "-i", str(folder / "kraf.yml"), *argv[1:]]
    return subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


def listed(folder: Path) -> dict[str, Any]:
    done = ansible(folder, "ansible-inventory", "--list")
    assert done.returncode == 0, done.stderr
    # ansible-inventory writes a text that is never to be templated as a mapping.
    found: dict[str, Any] = json.loads(done.stdout, object_hook=lambda row: row.get("__ansible_unsafe", row))
    return found


def test_devices_are_hosts_in_groups_by_label_architecture_and_state(folder: Path) -> None:
    put(
        folder,
        Device(
            "pi1", address="10.0.0.1", architecture="arm64", memory_bytes=2**32, labels={"site": "lab-1", "gpu": ""}
        ),
        Device("pi2", state="maintenance", reason="SD card", expires="2999-01-01T00:00:00Z"),
        Device("pi3", state="maintenance", reason="SD card", expires="2001-01-01T00:00:00Z"),
    )
    found = listed(folder)
    groups = {name: group["hosts"] for name, group in found.items() if "hosts" in group}
    assert groups == {
        "kraf_devices": ["pi1", "pi2", "pi3"],
        "kraf_label_site_lab_1": ["pi1"],
        "kraf_label_gpu": ["pi1"],
        "kraf_arch_arm64": ["pi1"],
        "kraf_state_active": ["pi1", "pi3"],
        "kraf_state_maintenance": ["pi2"],
    }
    hosts = found["_meta"]["hostvars"]
    uid = hosts["pi1"].pop("kraf_uid")
    assert len(uid) == 36
    assert hosts["pi1"] == {
        "ansible_host": "10.0.0.1",
        "ansible_user": "pi",
        "kraf_architecture": "arm64",
        "kraf_cluster_uid": "",
        "kraf_expires": "",
        "kraf_labels": {"site": "lab-1", "gpu": ""},
        "kraf_machine_id": "",
        "kraf_memory_bytes": 2**32,
        "kraf_reason": "",
        "kraf_state": "active",
    }
    # REG-06: who is left out, why and until when.
    assert (hosts["pi2"]["kraf_reason"], hosts["pi2"]["kraf_expires"]) == ("SD card", "2999-01-01T00:00:00Z")
    assert "ansible_host" not in hosts["pi2"]


def test_inv_02_reserved_and_malformed_names_are_left_out_with_a_warning(folder: Path) -> None:
    names = ("all", "ungrouped", "localhost", "Pi_4", "{{ 1 }}", "-x", "pi1")
    put(folder, *(Device(name) for name in names))
    done = ansible(folder, "ansible-inventory", "--graph")
    assert [line for line in done.stdout.splitlines() if "--" in line and "@" not in line] == ["  |  |--pi1"] * 2
    assert done.stderr.count("left out of the inventory") == len(names) - 1


def test_inv_02_every_variable_and_group_has_the_prefix() -> None:
    device = Device("pi1", labels={"tags": "x", "hosts": "all"}, architecture="arm64")
    assert all(name.startswith("kraf_") for name in plugin.variables_of(device))
    assert all(name.startswith("kraf_") for name in plugin.groups_of(device))


@pytest.mark.parametrize("address", ["-oProxyCommand=touch canary", "a b", "{{ 1 }}", "x\ny", "pi@10.0.0.1", "x" * 300])
def test_sec_01_an_address_that_is_none_is_not_given_to_ssh(address: str) -> None:
    assert "ansible_host" not in plugin.variables_of(Device("pi1", address=address))


def test_sec_01_a_template_in_the_catalog_is_text_and_never_runs(folder: Path) -> None:
    canary = folder / "canary"
    hostile = "{{ lookup('ansible.builtin.pipe', 'touch " + str(canary) + "') }}"
    put(
        folder,
        replace(
            Device("pi1", address="127.0.0.1", state="maintenance"),
            reason=hostile,
            cluster_uid=hostile[:64],
            labels={"model": hostile, hostile: "\x1b[2Jx\x00"},
        ),
    )
    (folder / "play.yml").write_text(
        """---
- name: Use every host variable
  hosts: kraf_devices
  connection: local
  gather_facts: false
  tasks:
    - name: Show them
      ansible.builtin.debug:
        msg: "{{ [kraf_reason, kraf_labels, kraf_cluster_uid, group_names] }}"
    - name: Show them once more
      ansible.builtin.debug:
        var: hostvars[inventory_hostname]
"""
    )
    listing = listed(folder)
    done = ansible(folder, "ansible-playbook", "play.yml")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not canary.exists()
    assert "lookup('ansible.builtin.pipe'" in done.stdout
    assert "\x1b" not in done.stdout
    assert listing["_meta"]["hostvars"]["pi1"]["kraf_labels"]["model"] == hostile
    assert all(name.replace("_", "a").isalnum() for name in listing if name != "_meta")


def test_sec_01_a_long_text_is_cut() -> None:
    found = plugin.variables_of(Device("pi1", reason="x" * 2**20, labels={"y" * 2**20: "z" * 2**20}))
    assert len(str(found)) < 4000
    assert max(len(name) for name in plugin.groups_of(Device("pi1", labels={"y" * 2**20: "z" * 2**20}))) < 200


def test_a_missing_catalog_ends_the_run_and_is_not_zero_hosts(folder: Path) -> None:
    (folder / "play.yml").write_text(
        "---\n- name: Nothing\n  hosts: kraf_devices\n  gather_facts: false\n  tasks: []\n"
    )
    for argv in (["ansible-inventory", "--list"], ["ansible-playbook", "play.yml"]):
        done = ansible(folder, *argv)
        assert done.returncode != 0
        assert "there is no such database" in done.stderr


def test_an_unreachable_catalog_ends_the_run_without_showing_its_password(folder: Path) -> None:
    url = "postgresql://kraf:canary-5e0f@127.0.0.1:1/kraf"
    (folder / "kraf.yml").write_text(f"---\nplugin: kraf.edge.catalog\ncatalog: {url}\n")
    done = ansible(folder, "ansible-inventory", "--list")
    assert done.returncode != 0
    assert "127.0.0.1:1/kraf" in done.stderr
    assert "canary" not in done.stdout + done.stderr


def test_groups_and_variables_can_be_constructed(folder: Path) -> None:
    put(folder, Device("pi1", memory_bytes=2**33), Device("pi2", memory_bytes=2**30))
    with (folder / "kraf.yml").open("a") as file:
        file.write(
            "strict: true\ncompose: {large: kraf_memory_bytes > 2 ** 32}\ngroups: {big: kraf_memory_bytes > 2 ** 32}\n"
        )
    found = listed(folder)
    assert found["big"]["hosts"] == ["pi1"]
    assert found["_meta"]["hostvars"]["pi2"]["large"] is False


@pytest.mark.parametrize(
    ("name", "taken"), [("kraf.yml", True), ("site_kraf_catalog.yaml", True), ("hosts.yml", False)]
)
def test_a_file_is_known_by_the_end_of_its_name(tmp_path: Path, name: str, taken: bool) -> None:
    (tmp_path / name).touch()
    assert plugin.InventoryModule().verify_file(str(tmp_path / name)) is taken
