# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An app that answers datagrams is adopted, moves to the edge and back, and again past a reboot of its device.

A client sends numbered datagrams all the time; while clients are held they wait on the device, so that each of them is
answered, once. The lab has to be up, with its cluster.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from pathlib import Path

from tests.demo import access
from tests.demo.access import KUBECTL

from .lab import CONTROL, DEVICE, Lab, published
from .lost import Checks

NAME, PORT = "echoes", 8053
PLAY = Path(__file__).parent / "datagrams.yml"
SCRIPT = f"""
import signal, socket, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('0.0.0.0', {PORT}))
while True:
    d, a = s.recvfrom(65535)
    s.sendto(d, a)
"""
PERIOD = 0.05


class Client:
    """Sends numbers and takes note of what comes back."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect((address, PORT))
        self._socket.settimeout(0.2)
        self.sent, self.back = 0, list[int]()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=one, daemon=True) for one in (self._send, self._receive)]

    def __enter__(self) -> Client:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_given: object) -> None:
        self._stop.set()
        self._threads[0].join()
        end = time.monotonic() + 15
        while len(self.back) < self.sent and time.monotonic() < end:
            time.sleep(0.1)
        self._socket.close()

    def _send(self) -> None:
        while not self._stop.is_set():
            self.sent += 1
            self._socket.send(f"{self.sent}".encode())
            time.sleep(PERIOD)

    def _receive(self) -> None:
        while True:
            try:
                self.back.append(int(self._socket.recv(100)))
            except TimeoutError:
                continue
            except OSError:
                return


def main() -> int:
    """Run it; the exit status is 1 when something was wrong."""
    lab, checks = Lab(access.INVENTORY.resolve(), access.ROOT / "build" / access.LAB.name / "datagrams"), Checks()
    given = {"device": DEVICE, "app": NAME, "image": published(), "port": str(PORT), "script": SCRIPT}
    made = lab.play(str(PLAY), "make", **{f"datagrams_{key}": value for key, value in given.items()})
    checks.check("it runs on its device", made, 0)
    adopted = lab.play("kraf.edge.adopt", "adopt", kraf_device=DEVICE, kraf_container=NAME)
    checks.check("it is adopted", adopted, 0)
    for number, to in enumerate(("edge", "device", "edge", "device")):
        with Client(lab.address) as client:
            time.sleep(2)
            moved = lab.play("kraf.edge.migrate", f"{number}-{to}", kraf_apps=[f"{DEVICE}/{NAME}"], kraf_to=to)
            time.sleep(2)
        checks.check(f"it moves to the {to}", moved, 0)
        checks.check(
            f"each of {client.sent} datagrams is answered, once", sorted(client.back), [*range(1, client.sent + 1)]
        )
        pods = f"{KUBECTL} -n kraf-{DEVICE} get pod -l kraf.io/app={NAME} -o name"
        there = len(access.ssh(CONTROL, pods).split())
        checks.check("only its owner runs it", there, 1 if to == "edge" else 0)
        if number == 2:
            lab.power_cut()
            time.sleep(5)
            with Client(lab.address) as client:
                time.sleep(3)
            checks.check("after a reboot of the device clients find it at the edge", len(client.back), client.sent)
    return checks.end(lab.logs)


if __name__ == "__main__":
    sys.exit(main())
