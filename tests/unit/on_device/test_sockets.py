# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where processes listen: against the kernel itself."""

from __future__ import annotations

import os
import socket

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.on_device import sockets


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0", "::1", "::"])
def test_an_open_port_is_found_at_its_address(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as tcp, socket.socket(family) as idle:
        try:
            tcp.bind((address, 0))
        except OSError:
            pytest.skip("this machine has no such address")
        idle.bind((address, 0))
        tcp.listen()
        monkeypatch.setattr(sockets, "processes", lambda group: {os.getpid()})
        found = sockets.listening("/system.slice/x.service")
        port, other = tcp.getsockname()[1], idle.getsockname()[1]
        assert {"address": address, "port": port, "protocol": "tcp"} in found
        assert other not in [one["port"] for one in found]


def test_a_group_without_a_name_has_no_processes_and_no_freezer() -> None:
    # The root of all groups is never meant.
    for group in ("", "/"):
        assert sockets.processes(group) == set()
        assert sockets.freezer(group) is None
