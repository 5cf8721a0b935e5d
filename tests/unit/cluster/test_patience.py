"""An API server, or what stands before it, that is busy: it is asked again when it wants to be, but not for long."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.cluster import transport
from ansible_collections.kraf.edge.plugins.module_utils.cluster.client import connect
from ansible_collections.kraf.edge.plugins.module_utils.cluster.errors import ClusterError


class Busy(BaseHTTPRequestHandler):
    """Refuses once for each of its answers, by the header that stands there, and then has what was asked for."""

    says: list[str]

    def do_GET(self) -> None:
        body = json.dumps({"metadata": {"uid": "the-uid"}, "message": "too many requests"}).encode()
        self.send_response(429 if self.says else 200)
        if self.says:
            self.send_header("Retry-After", self.says.pop(0))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_parts: object) -> None:
        """Keeps the test's output to itself."""


@pytest.fixture
def host() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Busy)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr(transport.time, "sleep", found.append)
    return found


@pytest.mark.parametrize(
    ("says", "waits"),
    [
        (["2", "0"], [2.0, 0.0]),
        (["3600"], [5.0]),
        (["Fri, 01 Jan 2100 00:00:00 GMT"], [5.0]),
        (["Fri, 01 Jan 2010 00:00:00 GMT"], [0.0]),
        (["", "soon"], [1.0, 1.0]),
    ],
)
def test_a_read_is_repeated_when_the_server_wants_it(
    host: str, slept: list[float], says: list[str], waits: list[float]
) -> None:
    Busy.says = list(says)
    assert connect({"host": host, "api_key": "token"}).uid() == "the-uid"
    assert slept == waits


def test_one_that_stays_busy_is_told_of(host: str, slept: list[float]) -> None:
    Busy.says = ["1"] * 10
    with pytest.raises(ClusterError, match="too many requests"):
        connect({"host": host, "api_key": "token"}).uid()
    assert slept == [1.0] * (transport.READ_ATTEMPTS - 1)
