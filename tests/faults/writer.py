# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client that writes numbers to the app all the time and remembers which of them were acknowledged."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Sequence

PATIENCE = 240.0
PERIOD = 0.05


class Writer:
    """Writes to ``http://host:port/NUMBER`` in a thread of its own, to one port after the other.

    Args:
        host: of the device.
        ports: under which clients reach the app.
        first: number to begin with; all numbers of a log have to be different.
    """

    def __init__(self, host: str, ports: Sequence[int], first: int) -> None:
        self.host, self.ports, self.next = host, ports, first
        self.acknowledged: list[int] = []
        self.failed: dict[str, int] = {}
        self.longest = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Writer:
        self._thread.start()
        return self

    def __exit__(self, *_given: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Begin no further request, and wait for the answer to the last one."""
        self._stop.set()
        self._thread.join()

    def written(self, count: int, limit: float) -> bool:
        """Wait until so many more numbers were acknowledged; False at the limit."""
        end, wanted = time.monotonic() + limit, len(self.acknowledged) + count
        while len(self.acknowledged) < wanted and time.monotonic() < end:
            time.sleep(0.1)
        return len(self.acknowledged) >= wanted

    def _run(self) -> None:
        while not self._stop.is_set():
            number, self.next = self.next, self.next + 1
            begin = time.monotonic()
            try:
                body = request(self.host, self.ports[number % len(self.ports)], "POST", f"/{number}")
                if body == f"{number}\n":
                    self.acknowledged.append(number)
                else:
                    self._fail("another answer")
            except (OSError, http.client.HTTPException) as error:
                self._fail(type(error).__name__)
            self.longest = max(self.longest, time.monotonic() - begin)
            time.sleep(PERIOD)

    def _fail(self, why: str) -> None:
        self.failed[why] = self.failed.get(why, 0) + 1


def request(host: str, port: int, method: str, path: str, limit: float = PATIENCE) -> str:
    """Body of an answer; a status other than 200 is an error."""
    connection = http.client.HTTPConnection(host, port, timeout=limit)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        body = answer.read().decode()
        if answer.status != 200:
            raise http.client.HTTPException(f"status {answer.status}")
        return body
    finally:
        connection.close()


def numbers(log: str) -> list[int]:
    """Of a log of the app; one that wrote nothing yet answers otherwise."""
    return [int(line.split()[0]) for line in log.splitlines() if line[:1].isdigit()]


def following(log: str) -> int:
    """The number to go on with after a log."""
    return max(numbers(log), default=0) + 1


def complaints(log: str, acknowledged: list[int], asked: int) -> list[str]:
    """What is wrong with a log.

    Args:
        log: as the app gives it.
        acknowledged: numbers that the app answered for.
        asked: all numbers below were sent, if at all, by this client.
    """
    lines = [line.split() for line in log.splitlines()]
    broken = [line for line in lines if len(line) != 2 or not line[0].isdigit()]
    if broken:
        return [f"broken lines: {broken[:3]}"]
    found: list[str] = []
    numbers = [int(number) for number, _instance in lines]
    missing = sorted(set(acknowledged) - set(numbers))
    if missing:
        found.append(f"{len(missing)} acknowledged numbers are lost: {missing[:5]}")
    if any(later <= earlier for earlier, later in zip(numbers, numbers[1:])):
        found.append("numbers are out of order, or twice there")
    if numbers and numbers[-1] >= asked:
        found.append(f"number {numbers[-1]} was never sent")
    runs = [
        instance for index, (_number, instance) in enumerate(lines) if index == 0 or lines[index - 1][1] != instance
    ]
    if len(runs) != len(set(runs)):
        found.append("two instances wrote at once")
    return found
