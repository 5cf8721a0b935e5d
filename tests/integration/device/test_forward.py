"""Forwards on a real haproxy: nobody who asks is turned away."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from pathlib import Path

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.on_device import forward, haproxy, ways
from ansible_collections.kraf.edge.plugins.module_utils.on_device.forward import Forward

from . import parts
from .conftest import Direct

APP = Forward(
    "app", 8000, "127.0.0.1", "device", "127.0.0.1:8001", ("127.0.0.1:8843",), "8000.app.pi1.door.kraf.internal"
)


def bring_up(*wanted: Forward) -> None:
    for one in wanted:
        forward.save(one)
    forward.apply_config()


def test_a_hold_of_a_minute_fails_no_client(device: Direct, tmp_path: Path) -> None:
    with parts.web(8001, "device") as server, parts.web(8002, "edge"), parts.door(tmp_path, 8843, 8002):
        bring_up(APP)
        with parts.Clients(8000, every=0.02).running() as clients:
            parts.until(lambda: clients.bodies["device"] > 20)
            forward.hold("app")
            drained = forward.drain("app", 5)
            server.kill()
            before = clients.bodies.total()
            time.sleep(60)
            assert clients.bodies.total() == before, "a held client was answered"
            forward.release("app", "edge")
            parts.until(lambda: clients.bodies["edge"] > 100)
            clients.stop()
    assert not clients.errors
    assert clients.longest > 55
    assert drained.cut == 0


def test_there_and_back_with_a_client_every_10_ms(device: Direct, tmp_path: Path) -> None:
    with parts.web(8002, "edge"), parts.door(tmp_path, 8843, 8002), contextlib.ExitStack() as stack:
        first = stack.enter_context(parts.web(8001, "device"))
        bring_up(APP)
        clients = stack.enter_context(parts.Clients(8000).running())
        parts.until(lambda: clients.bodies["device"] > 50)
        forward.hold("app")
        forward.drain("app", 5)
        first.kill()
        forward.release("app", "edge")
        parts.until(lambda: clients.bodies["edge"] > 200)
        forward.hold("app")
        forward.drain("app", 5)
        stack.enter_context(parts.web(8001, "again"))
        forward.release("app", "device")
        parts.until(lambda: clients.bodies["again"] > 200)
        clients.stop()
        assert not clients.errors


def test_ports_of_one_app_are_held_and_released_together(device: Direct, tmp_path: Path) -> None:
    other = dataclasses.replace(
        APP,
        name="app--9001",
        port=9000,
        device_address="127.0.0.1:9001",
        group="app",
        sni="9001.app.pi1.door.kraf.internal",
    )
    with contextlib.ExitStack() as stack:
        for port, text in ((8001, "device"), (9001, "device"), (8002, "edge")):
            stack.enter_context(parts.web(port, text))
        stack.enter_context(parts.door(tmp_path, 8843, 8002))
        bring_up(APP, other)
        both = [stack.enter_context(parts.Clients(port).running()) for port in (8000, 9000)]
        parts.until(lambda: all(clients.bodies["device"] > 20 for clients in both))
        forward.hold("app")
        assert forward.drain("app", 5).cut == 0
        assert [one.target for one in forward.members("app")] == ["held", "held"]
        before = [clients.bodies.total() for clients in both]
        time.sleep(2)
        assert [clients.bodies.total() for clients in both] == before, "a held client was answered"
        forward.release("app", "edge")
        parts.until(lambda: all(clients.bodies["edge"] > 20 for clients in both))
        for clients in both:
            clients.stop()
            assert not clients.errors


def test_what_a_crash_between_two_ports_left_is_put_right(device: Direct, tmp_path: Path) -> None:
    other = dataclasses.replace(APP, name="app--9001", port=9000, device_address="127.0.0.1:9001", group="app")
    with contextlib.ExitStack() as stack:
        for port in (8001, 9001):
            stack.enter_context(parts.web(port, "device"))
        bring_up(APP, other)
        forward.save(dataclasses.replace(forward.load("app") or APP, target="held"))
        forward.apply_config()
        forward.release("app", "device")
        assert parts.get(8000) == parts.get(9000) == "device"
        assert {one.target for one in forward.members("app")} == {"device"}


def test_a_held_app_is_settled_though_another_ones_new_forward_waits_for_it(device: Direct, tmp_path: Path) -> None:
    """As when the move of one app is cut off, and then another app of the device is moved for the first time."""
    ways_of_app = [ways.Way(8000, 8001, APP.sni)]
    with parts.web(8001, "device"), parts.web(9001, "other"), parts.door(tmp_path, 8843, 8001):
        bring_up(APP)
        forward.hold("app")
        other = dataclasses.replace(APP, name="other", port=9000, device_address="127.0.0.1:9001")
        forward.save(other)
        with pytest.raises(KrafError, match="clients wait there"):
            forward.apply_config(hold_limit=0.5)
        assert not forward.loaded("other")
        begin = time.monotonic()
        ways.ensure("app", "app", ways_of_app, APP.edge)
        ways.release("app", "device")
        assert time.monotonic() - begin < 5
        assert parts.get(8000) == "device"
        forward.apply_config()
        assert forward.loaded("other")
        assert parts.get(9000) == "other"


def test_clients_that_were_held_are_let_through_in_the_order_in_which_they_came(
    device: Direct, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one place at once, as it is in the first second. The first ones come as their tries fall due, in half a
    second; all others wait in the queue by then."""
    monkeypatch.setattr(haproxy, "_QUEUED", "maxconn 1")
    answered: list[int] = []

    def ask(number: int) -> None:
        parts.get(8000)
        answered.append(number)

    with parts.web(8001, "device"), parts.web(8002, "edge", delay=0.3), parts.door(tmp_path, 8843, 8002):
        bring_up(APP)
        forward.hold("app")
        threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
            time.sleep(0.4)
        assert not answered, "a held client was answered"
        forward.release("app", "edge")
        for thread in threads:
            thread.join(60)
    assert sorted(answered) == list(range(12))
    assert answered[2:] == sorted(answered[2:]), answered
