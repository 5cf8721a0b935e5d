# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients that poll an app all the time and keep account of what they saw.

One opens a connection every 10 ms, whether or not the ones before were answered; one keeps a single connection and
counts how often it was cut. A request has failed when its connection was refused or reset, when the answer has
another status than 200 or another body than expected, or when there is no answer within 15 s.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from dataclasses import asdict, dataclass, field

PERIOD = 0.010
LIMIT = 15.0


@dataclass
class Request:
    """One request: begin and end in seconds of time.monotonic(), reason empty when it was answered rightly."""

    begin: float
    end: float
    reason: str = ""


@dataclass
class Window:
    """What clients saw between two moments."""

    requests: int
    failed: int
    longest_wait_seconds: float
    longest_client_gap_seconds: float
    kept_connection_cuts: int
    reasons: dict[str, int] = field(default_factory=dict)

    def report(self) -> dict[str, object]:
        return asdict(self)


class Clients:
    """Polls ``http://host:port/path`` in a thread of its own until stopped.

    Args:
        host, port, path: what is asked for.
        body: the answer that is right, to the byte.
    """

    def __init__(self, host: str, port: int, path: str = "/health", body: bytes = b"ok\n") -> None:
        self.host, self.port, self.body = host, port, body
        lines = f"GET {path} HTTP/1.1\r\nHost: {host}\r\n"
        self.once = f"{lines}Connection: close\r\n\r\n".encode()
        self.again = f"{lines}\r\n".encode()
        self.done: list[Request] = []
        self.kept: list[Request] = []
        self.cuts: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def __enter__(self) -> Clients:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Start no further request and wait for the answers to those under way."""
        self._stop.set()
        self._thread.join(LIMIT + 5)

    def window(self, begin: float, end: float) -> Window:
        """Account of the requests, of both clients, that were under way between two moments of time.monotonic()."""
        mine = sorted((r for r in [*self.done, *self.kept] if r.end >= begin and r.begin <= end), key=lambda r: r.end)
        good = [r for r in mine if not r.reason]
        ends = [begin, *(min(max(r.end, begin), end) for r in good), end]
        gaps = [later - earlier for earlier, later in zip(ends, ends[1:])]
        reasons: dict[str, int] = {}
        for request in mine:
            if request.reason:
                reasons[request.reason] = reasons.get(request.reason, 0) + 1
        return Window(
            requests=len(mine),
            failed=len(mine) - len(good),
            longest_wait_seconds=round(max((r.end - r.begin for r in mine), default=0.0), 3),
            longest_client_gap_seconds=round(max(gaps), 3),
            kept_connection_cuts=sum(begin <= moment <= end for moment in list(self.cuts)),
            reasons=reasons,
        )

    async def _run(self) -> None:
        kept = asyncio.create_task(self._keep())
        under_way: set[asyncio.Task[None]] = set()
        due = time.monotonic()
        while not self._stop.is_set():
            task = asyncio.create_task(self._one())
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            due += PERIOD
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        await asyncio.gather(*under_way)
        kept.cancel()

    async def _one(self) -> None:
        begin = time.monotonic()
        writer: asyncio.StreamWriter | None = None
        reason = ""
        try:
            async with asyncio.timeout(LIMIT):
                reader, writer = await asyncio.open_connection(self.host, self.port)
                writer.write(self.once)
                reason = self._judge(await self._answer(reader))
        except TimeoutError:
            reason = "no answer in 15 s"
        except (OSError, EOFError, ValueError) as error:
            reason = type(error).__name__
        finally:
            if writer is not None:
                writer.close()
        self.done.append(Request(begin, time.monotonic(), reason))

    async def _keep(self) -> None:
        while not self._stop.is_set():
            writer: asyncio.StreamWriter | None = None
            try:
                async with asyncio.timeout(LIMIT):
                    reader, writer = await asyncio.open_connection(self.host, self.port)
                while True:
                    begin = time.monotonic()
                    writer.write(self.again)
                    async with asyncio.timeout(LIMIT):
                        reason = self._judge(await self._answer(reader))
                    self.kept.append(Request(begin, time.monotonic(), reason))
                    await asyncio.sleep(PERIOD)
            except (OSError, EOFError, ValueError):
                self.cuts.append(time.monotonic())
                await asyncio.sleep(PERIOD)
            finally:
                if writer is not None:
                    writer.close()

    @staticmethod
    async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
        return int(head[0].split(" ")[1]), await reader.readexactly(int(headers.get("content-length", "0")))

    def _judge(self, answer: tuple[int, bytes]) -> str:
        status, body = answer
        if status != 200:
            return f"status {status}"
        return "" if body == self.body else "wrong body"


def main() -> None:
    """``python3 -m tests.demo.clients HOST PORT SECONDS [PATH BODY]``: poll for a while, print the account as JSON."""
    host, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    path, body = sys.argv[4:6] if len(sys.argv) > 5 else ("/health", "ok\n")
    begin = time.monotonic()
    with Clients(host, port, path, body.encode()) as clients:
        time.sleep(seconds)
    print(json.dumps(clients.window(begin, time.monotonic()).report(), indent=2))


if __name__ == "__main__":
    main()
