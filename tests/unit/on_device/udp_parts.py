"""Both ends of a UDP forward on this machine: real sockets, the real sidecar, no haproxy between them."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.kraf.edge.plugins.module_utils.manifests import relay
from ansible_collections.kraf.edge.plugins.module_utils.on_device import redirect
from ansible_collections.kraf.edge.plugins.module_utils.on_device.forward_store import Forward
from ansible_collections.kraf.edge.plugins.module_utils.on_device.udp_forwarder import Forwarder

PATIENCE = 20.0


def until(true: Callable[[], object], limit: float = PATIENCE) -> None:
    end = time.monotonic() + limit
    while not true():
        assert time.monotonic() < end, f"not within {limit:g} s"
        time.sleep(0.01)


def free(kind: socket.SocketKind = socket.SOCK_DGRAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class App:
    """A UDP server that answers with its name and what it got, and remembers all that it got."""

    name: bytes
    port: int
    got: list[bytes] = field(default_factory=list)
    clients: set[object] = field(default_factory=set)
    mute: bool = False
    over: bool = False

    def run(self, server: socket.socket) -> None:
        while True:
            data, client = server.recvfrom(65536)
            if self.over:
                return
            self.got.append(data)
            self.clients.add(client)
            if not self.mute:
                server.sendto(self.name + data[: 65507 - len(self.name)], client)


@contextlib.contextmanager
def app(name: bytes, port: int = 0, address: str = "127.0.0.1") -> Iterator[App]:
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, port))
    # It shares its processor with the test: root may let more wait for it than is usual.
    with contextlib.suppress(OSError):
        server.setsockopt(socket.SOL_SOCKET, 33, 4 << 20)
    found = App(name, server.getsockname()[1])
    thread = threading.Thread(target=found.run, args=(server,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.over = True
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wake:
            # Past whatever forward has the port by now.
            with contextlib.suppress(PermissionError):
                wake.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, redirect.MARK)
            wake.sendto(b"", ("127.0.0.1" if address == "0.0.0.0" else address, found.port))
        thread.join(PATIENCE)
        server.close()


@contextlib.contextmanager
def sidecar(udp: int, tcp: int = 0) -> Iterator[int]:
    """The sidecar's program for one UDP port; the TCP port of its streams."""
    tcp = tcp or free(socket.SOCK_STREAM)
    process = subprocess.Popen(["perl", "-we", relay.PROGRAM, f"{tcp}:{udp}"], stderr=subprocess.PIPE)
    try:
        until(lambda: _open(tcp))
        yield tcp
    finally:
        process.terminate()
        said = process.communicate(timeout=10)[1]
        assert process.returncode == 0, said
        assert not said, said


def _open(port: int) -> bool:
    """Whether somebody listens, by the kernel's table (proc(5)): a connection to a port that nobody has yet could be
    given that very port as its own, and take it."""
    lines = [line for name in ("tcp", "tcp6") for line in Path(f"/proc/self/net/{name}").read_text().splitlines()[1:]]
    return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A" for line in lines)


@contextlib.contextmanager
def forwarder(run: Path, *forwards: Forward) -> Iterator[list[Forward]]:
    """The device's process, in a thread; the list that it reads at ``apply``."""
    wanted = list(forwards)
    found = Forwarder(run, lambda: wanted, ipv6=True)
    found.apply()
    thread = threading.Thread(target=found.serve, daemon=True)
    thread.start()
    try:
        yield wanted
    finally:
        found.stop()
        thread.join(PATIENCE)
        found.close()


class Client(socket.socket):
    """A client of a port, which asks and waits for answers."""

    def __init__(self, port: int, address: str = "127.0.0.1") -> None:
        super().__init__(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        self.settimeout(PATIENCE)
        # Only answers from the very address and port that were asked come through.
        self.connect((address, port))

    def ask(self, data: bytes) -> bytes:
        self.send(data)
        return self.recv(65536)
