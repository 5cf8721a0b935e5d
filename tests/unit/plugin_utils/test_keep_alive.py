# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls to a device end when the device is gone: what ssh is told, by Ansible's own connection plugin."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ansible.playbook.play_context import PlayContext
from ansible.plugins.loader import connection_loader

from ansible_collections.kraf.edge.plugins.plugin_utils.apps import keep_alive


def connection(kind: str = "ssh", **options: Any) -> Any:
    found = connection_loader.get(kind, PlayContext())
    found.set_options(direct={"host": "pi1", **options} if kind == "ssh" else {})
    return found


def command(found: Any) -> str:
    return b" ".join(found._build_command("ssh", "ssh", "pi1", "true")).decode()


def test_ssh_asks_whether_the_device_is_there() -> None:
    found = connection(ssh_extra_args="-o Compression=no")
    keep_alive(found)
    assert "-o Compression=no -o ServerAliveInterval=15 -o ServerAliveCountMax=8" in command(found)
    keep_alive(found)
    assert command(found).count("ServerAliveInterval") == 1


def test_what_another_task_has_opened_is_not_shared(tmp_path: Path) -> None:
    """ssh asks as it was told when the connection was opened, whoever uses it later."""
    paths = []
    for options in ({}, {"port": 2222}, {"remote_user": "pi"}):
        plain, asking = (connection(control_path_dir=str(tmp_path), **options) for _each in range(2))
        keep_alive(asking)
        found = [re.findall(r'ControlPath="(\S+)"', command(one)) for one in (plain, asking)]
        assert [len(one) for one in found] == [1, 1]
        assert found[0] != found[1]
        paths.append(found[1][0])
    assert len(set(paths)) == 3
    again = connection(control_path_dir=str(tmp_path))
    keep_alive(again)
    assert paths[0] in command(again)


def test_its_socket_has_room_where_ansible_s_own_has(tmp_path: Path) -> None:
    """ssh ends with "too long for Unix domain socket" at a path that is longer."""
    plain, asking = (connection(control_path_dir=str(tmp_path)) for _each in range(2))
    keep_alive(asking)
    own, ours = (re.findall(r'ControlPath="(\S+)"', command(one))[0] for one in (plain, asking))
    assert len(ours) == len(own)


def test_a_path_of_connections_in_the_operator_s_arguments_is_the_only_one() -> None:
    found = connection(ssh_args="-o ControlPersist=60s -o ControlPath=/run/mine")
    keep_alive(found)
    assert [one for one in command(found).split() if "ControlPath" in one] == ["ControlPath=/run/mine"]


def test_the_operator_s_own_path_of_connections_counts(tmp_path: Path) -> None:
    found = connection(control_path=f"{tmp_path}/mine")
    keep_alive(found)
    assert f'ControlPath="{tmp_path}/mine"' in command(found)


@pytest.mark.parametrize("option", ["ssh_args", "ssh_common_args", "ssh_extra_args"])
def test_what_the_operator_says_counts(option: str) -> None:
    found = connection(**{option: "-o ServerAliveInterval=240"})
    keep_alive(found)
    assert "ServerAliveInterval=15" not in command(found)


def test_other_connections_are_left_alone() -> None:
    keep_alive(connection("local"))
