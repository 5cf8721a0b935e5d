# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of an app's ports are asked before its clients are let through."""

from __future__ import annotations

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.on_device import ways
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
