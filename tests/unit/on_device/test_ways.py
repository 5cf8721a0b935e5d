# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of an app's ports are asked before its clients are let through."""

from __future__ import annotations

import os
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.on_device import forward_store, ways
from ansible_collections.kraf.edge.plugins.module_utils.on_device.forward_store import Forward
from ansible_collections.kraf.edge.plugins.module_utils.on_device.ways import Way

WEB, MORE = Way(80, 8000, "8000.app-x.pi1.door", "/health"), Way(81, 8001, "8001.app-x.pi1.door")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    monkeypatch.setattr(ways.door, "probe_edge", lambda doors, sni, path, limit: found.append((sni, path)))
    return found


def test_an_app_with_a_probe_is_asked_by_it_alone(asked: list[tuple[str, str]]) -> None:
    ways.probe_edge([MORE, WEB], ["192.0.2.1:8843"], 5)
    assert asked == [(WEB.sni, "/health")]


def test_an_app_without_a_probe_is_asked_at_each_port(asked: list[tuple[str, str]]) -> None:
    other = Way(80, 8000, WEB.sni)
    ways.probe_edge([other, MORE], ["192.0.2.1:8843"], 5)
    assert asked == [(WEB.sni, ""), (MORE.sni, "")]


def test_an_app_without_ports_is_not_asked(asked: list[tuple[str, str]]) -> None:
    ways.probe_edge([], ["192.0.2.1:8843"], 5)
    assert asked == []


def test_a_udp_port_is_asked_by_what_takes_its_streams(asked: list[tuple[str, str]]) -> None:
    dns = Way(53, 53, "61000.app-x.pi1.door", protocol="udp")
    ways.probe_edge([dns], ["192.0.2.1:8843"], 5)
    assert asked == [(dns.sni, "")]
    ways.probe_edge([dns, WEB], ["192.0.2.1:8843"], 5)
    assert asked[1:] == [(WEB.sni, "/health")]


def test_on_the_device_a_udp_port_is_waited_for_until_it_is_open_and_no_longer_than_its_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    way = Way(53, 53, "61000.app-x.pi1.door", protocol="udp")
    led = Forward("x", 53, "*", "held", "127.0.0.1:53", ("192.0.2.1:8843",), way.sni, protocol="udp")
    monkeypatch.setattr(ways.forward, "members", lambda app: [led])
    monkeypatch.setattr(ways.runner.docker, "pid", lambda name: os.getpid())
    monkeypatch.setattr(ways, "OPENS", 0.3)
    begin = time.monotonic()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as app:
        app.bind(("127.0.0.1", 0))
        port = app.getsockname()[1]
        ways.probe_device("x", [replace(way, container_port=port)], 5, container="x")
        assert time.monotonic() - begin < 0.2
        assert ways.has_open(os.getpid(), port)
    ways.probe_device("x", [replace(way, container_port=port)], 5, container="x")
    assert 0.3 <= time.monotonic() - begin < 5
    assert not ways.has_open(os.getpid(), port)
    assert not ways.has_open(0, port)


def test_forwards_of_an_app_have_names_by_port_and_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forward_store, "ETC", tmp_path)
    monkeypatch.setattr(ways.runner.Contained, "address", lambda runs, port, protocol: (f"127.0.0.1:{port}", "*"))
    monkeypatch.setattr(ways.forward, "apply_config", lambda own: True)
    wanted = [Way(53, 53, "53.app-x.pi1.door"), Way(53, 53, "61000.app-x.pi1.door", protocol="udp"), WEB]
    for _again in range(2):
        found = ways.ensure("x", "x", wanted, ("192.0.2.1:8843",))
        assert [(one.name, one.protocol, one.group) for one in found] == [
            ("x", "tcp", ""),
            ("x--53-udp", "udp", "x"),
            ("x--8000", "tcp", "x"),
        ]
    found = ways.ensure("x", "x", wanted[1:2], ("192.0.2.1:8843",))
    assert [(one.name, one.protocol, one.port) for one in found] == [("x", "udp", 53)]
