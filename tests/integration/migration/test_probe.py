"""The app's own probe, through the door and on the device."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.on_device import door
from tests.integration.services.door import free_port, serving

from . import movers
from .movers import Running


class Answers(http.server.BaseHTTPRequestHandler):
    """Gives one status after the other, and stays with the last."""

    statuses: list[int]

    def do_GET(self) -> None:
        self.send_response(self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0])
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_given: Any) -> None:
        pass


@contextmanager
def app(address: str, *statuses: int) -> Iterator[int]:
    handler = type("Handler", (Answers,), {"statuses": list(statuses)})
    port = free_port()
    with serving(http.server.ThreadingHTTPServer((address, port), handler)):
        yield port


@pytest.mark.parametrize("statuses", [[200], [302], [503, 503, 204], [500, 404, 200]])
def test_app_at_the_edge_is_waited_for_until_it_is_well(mover: Running, statuses: list[int]) -> None:
    with app(movers.ADDRESS, *statuses) as port:
        door.probe_edge(mover.doors, mover.sni(port), "/health", 20)


def test_app_at_the_edge_that_never_is_well_is_said_with_its_answer(mover: Running) -> None:
    with app(movers.ADDRESS, 503) as port, pytest.raises(KrafError, match="status 503"):
        door.probe_edge(mover.doors, mover.sni(port), "/health", 0.5)


@pytest.mark.parametrize("path", ["", "/health"])
def test_door_that_has_nobody_to_ask_is_no_answer(mover: Running, path: str) -> None:
    """It keeps the connection open for a while, for it tries again."""
    with pytest.raises(KrafError, match="did not answer"):
        door.probe_edge(mover.doors, mover.sni(9), path, door.STAYS_OPEN * 2)


def test_app_without_a_probe_is_well_once_its_port_is_open(mover: Running) -> None:
    with app(movers.ADDRESS, 503) as port:
        door.probe_edge(mover.doors, mover.sni(port), "", 20)


@pytest.mark.parametrize("path", ["", "/health"])
def test_app_on_the_device_is_waited_for(mover: Running, path: str) -> None:
    with app("127.0.0.1", 503, 200) as port:
        door.probe_device(f"127.0.0.1:{port}", path, 20)


def test_app_on_the_device_that_is_not_well_is_said(mover: Running) -> None:
    with app("127.0.0.1", 404) as port, pytest.raises(KrafError, match="status 404"):
        door.probe_device(f"127.0.0.1:{port}", "/health", 0.3)
    with pytest.raises(KrafError, match="refused"):
        door.probe_device("127.0.0.1:9", "", 0.3)


def test_port_that_closes_at_once_is_not_open(mover: Running) -> None:
    """Docker's proxy accepts for an app that does not listen yet."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port, ended = listener.getsockname()[1], threading.Event()

        def close() -> None:
            while not ended.is_set():
                connection, _peer = listener.accept()
                connection.close()

        thread = threading.Thread(target=close, daemon=True)
        thread.start()
        with pytest.raises(KrafError, match="closes the connection"):
            door.probe_device(f"127.0.0.1:{port}", "", 0.3)
        ended.set()
