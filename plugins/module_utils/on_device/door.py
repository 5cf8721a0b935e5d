# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The device's own way through the door, without haproxy: probing an app, and the box of a mover."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

from ..core.errors import KrafError
from ..core.names import DOOR_DOMAIN
from . import redirect

TLS = Path("/etc/kraf/tls")
CA, PAIR = TLS / "ca.crt", TLS / "device.pem"
STAGGER = 0.15
"""Seconds between two probes: the door itself tries a refused connection again only after a second."""

STAYS_OPEN = 4.0
"""Seconds after which an open connection leads to an app: by then the door has tried three times, one second apart."""


def _context() -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(CA))
    # The server name says which service is meant; the certificate is the door's, checked in ``connect``.
    context.check_hostname = False
    context.load_cert_chain(str(PAIR))
    return context


def connect(doors: Sequence[str], sni: str, timeout: float = 5.0) -> ssl.SSLSocket:
    """A connection to the service of this name, through the first door that answers.

    Raises:
        KrafError: when none does.
    """
    said = "no door is known"
    try:
        context = _context()
    except OSError as error:
        fix = "Run the device's playbook"
        raise KrafError("certificate of the device", str(PAIR), f"it cannot be used: {error}", fix) from error
    for door in doors:
        address, _colon, port = door.rpartition(":")
        try:
            plain = socket.create_connection((address, int(port)), timeout)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            secure = context.wrap_socket(plain, server_hostname=sni)
        except OSError as error:
            said = f"{door}: {error}"
            continue
        names = _names(secure)
        if DOOR_DOMAIN in names:
            return secure
        secure.close()
        said = f"{door}: its certificate is for {', '.join(sorted(names))}, not for {DOOR_DOMAIN}"
    raise KrafError("door of the cluster", ", ".join(doors), said, "Check that the door runs and can be reached")


def _names(secure: ssl.SSLSocket) -> set[str]:
    """The DNS names of the other side's certificate."""
    alternatives = cast("tuple[tuple[str, str], ...]", (secure.getpeercert() or {}).get("subjectAltName", ()))
    return {value for kind, value in alternatives if kind == "DNS"}


class _Connection(http.client.HTTPConnection):
    def __init__(self, doors: Sequence[str], sni: str, timeout: float) -> None:
        super().__init__(sni, timeout=timeout)
        self._doors = doors

    def connect(self) -> None:
        self.sock = connect(self._doors, self.host, float(self.timeout or 5))


class Box:
    """Small files at the mover, by which device and controller tell each other how far they are.

    Args:
        doors: addresses of the doors.
        sni: name of the mover's box at the door.
        token: shared with the mover; part of every path.
    """

    def __init__(self, doors: Sequence[str], sni: str, token: str) -> None:
        self._doors, self._sni, self._token = doors, sni, token
        self._connection: _Connection | None = None

    def _ask(self, method: str, name: str, body: bytes | None = None) -> tuple[int, bytes]:
        # Nodes need a moment to learn the address of a mover that has just been started.
        for pause in (0.3, 0.6, 1.2, 2.4, 0.0):
            try:
                if self._connection is None:
                    self._connection = _Connection(self._doors, self._sni, 10.0)
                self._connection.request(method, f"/{self._token}/{name}", body)
                answer = self._connection.getresponse()
                status, content = answer.status, answer.read()
                if status < 300 or status == 404 or not pause:
                    return status, content
            except (OSError, http.client.HTTPException, KrafError) as error:
                if not pause:
                    self.close()
                    fix = "Check the door and the pod of the mover"
                    raise KrafError("mover at the edge", self._sni, f"it does not answer: {error}", fix) from error
            self.close()
            time.sleep(pause)
        raise AssertionError

    def put(self, name: str, text: str = "") -> None:
        """Leave a file."""
        status, answer = self._ask("PUT", name, text.encode())
        if status not in (200, 201, 204):
            raise KrafError(
                "mover at the edge", name, f"it answered {status}: {answer[:200].decode('utf-8', 'replace')}"
            )

    def get(self, name: str) -> str | None:
        """A file's content, or None while it is not there."""
        status, answer = self._ask("GET", name)
        if status == 200:
            return answer.decode()
        if status == 404:
            return None
        raise KrafError("mover at the edge", name, f"it answered {status}")

    def wait(self, names: Sequence[str], limit: float) -> tuple[str, str]:
        """Wait for one of these files; its name and content.

        Raises:
            KrafError: when none came within ``limit`` seconds.
        """
        end = time.monotonic() + limit
        while time.monotonic() < end:
            for name in names:
                found = self.get(name)
                if found is not None:
                    return name, found
            time.sleep(0.03)
        why = f"the controller said nothing within {limit:g} s"
        raise KrafError("migration", " or ".join(names), why, "Run the playbook again: it takes up what is there")

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def answers(connection: http.client.HTTPConnection, path: str) -> str:
    """Nothing when a GET of the path succeeds (status 200 to 399), otherwise what came instead."""
    try:
        connection.request("GET", path, headers={"Host": "localhost", "Connection": "close"})
        status = connection.getresponse().status
        return "" if 200 <= status < 400 else f"status {status}"
    except (OSError, http.client.HTTPException, KrafError) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()


def probe_edge(doors: Sequence[str], sni: str, path: str, limit: float, stop: Sequence[threading.Event] = ()) -> None:
    """Wait until the app at the edge answers through the door; without a path, until its port stays open.

    Args:
        doors: addresses of the doors.
        sni: name of the app's port at the door.
        path: of the app's own probe; empty asks the port only.
        limit: seconds.
        stop: give up when one of these is set.

    Raises:
        KrafError: with the last answer.
    """
    good, said = threading.Event(), ["nothing yet"]

    def attempt() -> None:
        found = answers(_Connection(doors, sni, 5.0), path) if path else _stays_open(doors, sni)
        if found:
            said[0] = found
        else:
            good.set()

    end = time.monotonic() + limit
    threads: list[threading.Thread] = []
    while time.monotonic() < end and not any(event.is_set() for event in stop):
        threads = [thread for thread in threads if thread.is_alive()]
        if len(threads) < 8:
            thread = threading.Thread(target=attempt, daemon=True)
            thread.start()
            threads.append(thread)
        if good.wait(STAGGER):
            return
    raise KrafError(
        "app at the edge", sni, f"it did not answer within {limit:g} s: {said[0]}", "See the log of its pod"
    )


def _stays_open(doors: Sequence[str], sni: str) -> str:
    """The door accepts before it knows whether the app does; if not, it closes when it has tried again."""
    try:
        with connect(doors, sni) as secure:
            secure.settimeout(STAYS_OPEN)
            return "" if secure.recv(1) else "it closes the connection"
    except socket.timeout:
        return ""
    except (OSError, KrafError) as error:
        return str(error) or type(error).__name__


def probe_device(address: str, path: str, limit: float, direct: bool = True) -> None:
    """Wait until the app on the device answers.

    Args:
        address: ip:port.
        path: of the app's own probe; empty asks the port only.
        limit: seconds.
        direct: ask the app itself, past the forward that may hold its port; False asks as a client does.

    Raises:
        KrafError: with the last answer.
    """
    host, _colon, port = address.rpartition(":")
    end, said = time.monotonic() + limit, "nothing yet"
    while time.monotonic() < end:
        connection = _Local(host, int(port), 2.0, direct)
        said = answers(connection, path) if path else _opens(connection)
        if not said:
            return
        time.sleep(0.05)
    fix = "See docker logs on the device"
    raise KrafError("app on the device", address, f"it did not answer within {limit:g} s: {said}", fix)


class _Local(http.client.HTTPConnection):
    """To the device itself; marked, so that no rule of a forward takes it elsewhere."""

    def __init__(self, host: str, port: int, timeout: float, direct: bool) -> None:
        super().__init__(host, port, timeout=timeout)
        self._direct = direct

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if self._direct:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, redirect.MARK)
        self.sock.settimeout(self.timeout)
        self.sock.connect((self.host, self.port))


def _opens(connection: _Local) -> str:
    try:
        connection.connect()
        connection.sock.settimeout(0.2)
        # Docker's userland proxy accepts for an app that does not, and closes at once.
        return "" if connection.sock.recv(1) else "it closes the connection"
    except socket.timeout:
        return ""
    except OSError as error:
        return str(error)
    finally:
        connection.close()


@contextlib.contextmanager
def sessions(relays: Sequence[int], doors: int) -> Iterator[None]:
    """Connections to the doors through the device's own haproxy, one to each, while the body runs.

    Clients that were held come all at once. Each of them would cost a weak device a full handshake, unless haproxy has
    a session with the door that it can resume.

    Args:
        relays: ports of the forwards' ways to the doors.
        doors: how many there are.
    """
    with contextlib.ExitStack() as opened:
        for relay in [one for one in relays for _door in range(doors)]:
            with contextlib.suppress(OSError):
                opened.enter_context(socket.create_connection(("127.0.0.1", relay), 1.0))
        yield


@contextlib.contextmanager
def box(doors: Sequence[str], sni: str, token: str) -> Iterator[Box]:
    """A box that is closed at the end."""
    found = Box(doors, sni, token)
    try:
        yield found
    finally:
        found.close()
