# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate of a pod, run by a real shell: it waits for its epoch's marker, and for a device that has taken over."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import App, Port, Probe
from ansible_collections.kraf.edge.plugins.module_utils.manifests.workload import VOLUME_ROOT, WAIT, device_url

from .waiting import until

APP = App("pi1", "faces", ports=(Port(53, 53, "UDP"), Port(8000, 8080)), probe=Probe("/health?full=1", 8000))
Gate = Callable[[str], "subprocess.Popen[str]"]


class Device(HTTPServer):
    """What answers at the port of the app on its device."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked = 0
        self.url = f"http://127.0.0.1:{self.server_port}/health"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def gone(self) -> None:
        """Nothing answers there any more."""
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Device

    def do_GET(self) -> None:
        self.server.asked += 1
        # Sick or well: it runs.
        self.send_response(503)
        self.end_headers()

    def log_message(self, *_given: object) -> None:
        """No line per request."""


@pytest.fixture
def device() -> Iterator[Device]:
    one = Device()
    yield one
    one.gone()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """Starts a gate of epoch 3."""
    started: list[subprocess.Popen[str]] = []

    def start(url: str) -> subprocess.Popen[str]:
        script = WAIT.replace(VOLUME_ROOT, str(tmp_path)).replace("sleep 5", "sleep 0.2")
        argv = ["sh", "-c", script, "gate", "3", url]
        started.append(subprocess.Popen(argv, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for one in started:
        one.kill()
        one.wait()


def mark(folder: Path, epoch: int) -> None:
    (folder / ".kraf").mkdir(exist_ok=True)
    (folder / ".kraf/epoch").write_text(f"{epoch} 7\n")


def test_it_opens_for_its_epoch_alone_and_asks_nobody_when_a_move_opens_it(
    gate: Gate, device: Device, tmp_path: Path
) -> None:
    mark(tmp_path, 2)
    waiting = gate(device.url)
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(0.5)
    mark(tmp_path, 3)
    assert waiting.wait(10) == 0
    assert device.asked == 0


def test_a_pod_that_starts_again_waits_while_the_app_answers_on_its_device(
    gate: Gate, device: Device, tmp_path: Path
) -> None:
    mark(tmp_path, 3)
    waiting = gate(device.url)
    until(lambda: device.asked > 2, 10)
    assert waiting.poll() is None
    device.gone()
    assert waiting.wait(10) == 0
    assert "it runs on its device, and does not start here" in (waiting.stderr.read() if waiting.stderr else "")


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:9/health"], ids=["nowhere to ask", "nobody answers"])
def test_a_pod_that_starts_again_starts_where_no_device_answers(gate: Gate, tmp_path: Path, url: str) -> None:
    mark(tmp_path, 3)
    assert gate(url).wait(10) == 0


@pytest.mark.parametrize(
    ("app", "address", "url"),
    [
        (APP, "192.0.2.7", "http://192.0.2.7:8080/health?full=1"),
        (APP, "2001:db8::7", "http://[2001:db8::7]:8080/health?full=1"),
        (APP, "", ""),
        (App("pi1", "faces", ports=APP.ports), "192.0.2.7", ""),
        (App("pi1", "faces", ports=APP.ports, probe=APP.probe, overlap=True), "192.0.2.7", ""),
    ],
    ids=["IPv4", "IPv6", "no address", "no probe", "may run on both sides"],
)
def test_it_asks_where_clients_of_the_device_do(app: App, address: str, url: str) -> None:
    assert device_url(app, address) == url
