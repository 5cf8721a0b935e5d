# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""on_device/forward: a port that cannot be had is refused before it stops the forwards of all apps."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.on_device import forward, haproxy
from ansible_collections.kraf.edge.plugins.module_utils.on_device import forward_store as store

DOOR = {"edge": ("192.0.2.7:8843",), "sni": "8000.a.b.door.kraf"}


@pytest.fixture(autouse=True)
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Its folders; no haproxy runs."""
    monkeypatch.setattr(store, "ETC", tmp_path)
    monkeypatch.setattr(haproxy, "RUN", tmp_path)
    return tmp_path


def listening(family: socket.AddressFamily, address: str) -> socket.socket:
    found = socket.socket(family, socket.SOCK_STREAM)
    if family == socket.AF_INET6:
        found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    found.bind((address, 0))
    found.listen()
    return found


@pytest.fixture(params=[(socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")])
def program(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    """One of the device's own, that listens on a port."""
    with listening(*request.param) as found:
        yield found


def wanted(port: int, **more: Any) -> forward.Forward:
    return forward.Forward("app", port, **{"address": "*", **DOOR, **more})


def test_a_port_that_a_program_has_is_refused_and_nothing_is_written(program: socket.socket, device: Path) -> None:
    port = program.getsockname()[1]
    for act in (forward.complete, forward.save):
        with pytest.raises(KrafError, match=rf"port.*{port}.*in use.*ss -ltnp"):
            act(wanted(port))
    assert store.load_all() == []
    program.close()
    assert forward.save(wanted(port))
    assert not forward.save(wanted(port))


def test_an_address_that_the_device_does_not_have_is_refused() -> None:
    with pytest.raises(KrafError, match=r"192\.0\.2\.77"):
        forward.save(wanted(18080, address="192.0.2.77"))


def test_a_port_that_haproxy_has_is_its_own(device: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(socket.AF_INET, "127.0.0.1") as ours:
        one = wanted(ours.getsockname()[1], address="127.0.0.1")
        (device / "haproxy.loaded").write_text(haproxy.render([one]))
        with pytest.raises(KrafError):
            forward.save(one)
        monkeypatch.setattr(haproxy, "servers", dict)
        assert forward.save(one)


def test_another_address_s_program_is_none_of_its_business() -> None:
    with listening(socket.AF_INET, "127.0.0.2") as other:
        assert forward.save(wanted(other.getsockname()[1], address="127.0.0.1"))
