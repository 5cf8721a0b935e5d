"""Real programs around the device's code: a web server, a door with TLS, clients that never stop."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def until(true: Callable[[], object], limit: float = 60.0, what: str = "") -> None:
    """Wait for a condition; the limit is there so that a defect ends the test."""
    end = time.monotonic() + limit
    while not true():
        assert time.monotonic() < end, f"not within {limit:g} s: {what or true}"
        time.sleep(0.02)


def listening(port: int, address: str = "127.0.0.1") -> bool:
    with socket.socket() as connection:
        connection.settimeout(1)
        return connection.connect_ex((address, port)) == 0


@contextlib.contextmanager
def private_network() -> Iterator[None]:
    """This thread, and what it starts, in a network namespace of its own."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        if _libc.unshare(CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "unshare")
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        yield
    finally:
        _libc.setns(before, CLONE_NEWNET)
        os.close(before)


@contextlib.contextmanager
def network_of(pid: int) -> Iterator[None]:
    """This thread, and what it starts, in the network namespace of a process."""
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    other = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    try:
        if _libc.setns(other, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        yield
    finally:
        _libc.setns(before, CLONE_NEWNET)
        os.close(before)
        os.close(other)


@contextlib.contextmanager
def process(*argv: str, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    running = subprocess.Popen(argv, start_new_session=True, **options)  # type: ignore[call-overload]
    try:
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()


SERVER = """
import asyncio, sys
name, delay = sys.argv[3].encode(), float(sys.argv[4])
async def answer(reader, writer):
    try:
        while True:
            await reader.readuntil(b"\\r\\n\\r\\n")
            await asyncio.sleep(delay)
            writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (len(name), name))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
async def main():
    server = await asyncio.start_server(answer, sys.argv[1], int(sys.argv[2]), backlog=4096)
    await server.serve_forever()
asyncio.run(main())
"""


@contextlib.contextmanager
def web(port: int, body: str, address: str = "127.0.0.1", delay: float = 0) -> Iterator[subprocess.Popen[bytes]]:
    """A server that answers every request on a connection with its own name, after so many seconds."""
    with process(sys.executable, "-c", SERVER, address, str(port), body, str(delay)) as running:
        until(lambda: listening(port, address), what=f"server on {port}")
        yield running


@dataclass
class Clients:
    """Clients that each open a connection, one every 10 ms, until stopped."""

    port: int
    address: str = "127.0.0.1"
    every: float = 0.01
    patience: float = 120.0
    bodies: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    longest: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    async def _one(self) -> None:
        begin = time.monotonic()
        try:
            self.bodies[await asyncio.wait_for(ask(self.port, self.address), self.patience)] += 1
        except (OSError, EOFError, asyncio.TimeoutError) as error:
            self.errors[repr(error)[:80]] += 1
        self.longest = max(self.longest, time.monotonic() - begin)

    async def _all(self) -> None:
        tasks = []
        while not self._stop.is_set():
            tasks.append(asyncio.create_task(self._one()))
            await asyncio.sleep(self.every)
        if self._patient:
            await asyncio.gather(*tasks)

    _patient = False

    def stop(self) -> None:
        """Ask no more, and wait for what was asked."""
        self._patient = True
        self._stop.set()
        if self._thread:
            self._thread.join()

    @contextlib.contextmanager
    def running(self) -> Iterator[Clients]:
        namespace = os.open("/proc/thread-self/ns/net", os.O_RDONLY)

        def work() -> None:
            _libc.setns(namespace, CLONE_NEWNET)
            asyncio.run(self._all())

        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            self._thread.join()
            os.close(namespace)


async def ask(port: int, address: str = "127.0.0.1") -> str:
    """One request on a connection of its own; its body."""
    reader, writer = await asyncio.open_connection(address, port)
    try:
        writer.write(b"GET / HTTP/1.1\r\nHost: app\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split()[0])
        return (await reader.readexactly(length)).decode()
    finally:
        writer.close()


def get(port: int, address: str = "127.0.0.1") -> str:
    return asyncio.run(asyncio.wait_for(ask(port, address), 20))


DOOR = """
global
    user haproxy
defaults
    mode tcp
    timeout connect 2s
    timeout client 1h
    timeout server 1h
frontend door
    bind 0.0.0.0:{port} ssl crt {tls}/door.pem ca-file {tls}/ca.crt verify required
    tcp-request inspect-delay 2s
    tcp-request content reject if !{{ ssl_fc_sni -m found }}
    default_backend app
backend app
    server app 127.0.0.1:{backend}
"""


@contextlib.contextmanager
def door(folder: Path, port: int, backend: int) -> Iterator[subprocess.Popen[bytes]]:
    """The cluster's door, shortened: TLS with a certificate from both sides, then the service."""
    config = folder / f"door-{port}.cfg"
    config.write_text(DOOR.format(port=port, tls=folder / "tls", backend=backend))
    with process("haproxy", "-f", str(config)) as running:
        until(lambda: listening(port), what="door")
        yield running


def certificates(folder: Path) -> None:
    """A service CA, the door's certificate and the device's, as the collection lays them out."""
    folder.mkdir(parents=True)

    def openssl(*argv: str) -> None:
        subprocess.run(["openssl", *argv], cwd=folder, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=kraf", "-days", "2")
    for name, alternative in (("door", "DNS:door.kraf.internal,DNS:*.door.kraf.internal"), ("device", "DNS:pi1")):
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", "/CN=pi1")
        (folder / "extensions").write_text(f"subjectAltName={alternative}\n")
        signing = ["-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "extensions"]
        openssl("x509", "-req", "-in", f"{name}.csr", *signing, "-out", f"{name}.crt")
        text = (folder / f"{name}.crt").read_text() + (folder / f"{name}.key").read_text()
        (folder / f"{name}.pem").write_text(text)
