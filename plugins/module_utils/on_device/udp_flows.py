# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What one client of a UDP forward has to one side: to the container, or through haproxy and the door to the edge.

haproxy has the way to the doors, their checks and its TLS; a flow to the edge is one connection to the forward's relay
port, and by it one TLS connection through a door.
"""

from __future__ import annotations

import contextlib
import errno
import selectors
import socket
import time
from typing import Any, Callable

from .udp_frames import Decoder, Queue, Room, encode

RETRY = 0.5
"""Seconds between two tries to reach the edge with what waits."""
_BATCH = 64 * 1024
_AGAIN = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINPROGRESS)

Sender = Any
Answer = Callable[[Sender, bytes], None]


class Flow:
    """One client's way.

    Attributes:
        sender: the client, as the forward knows it.
        seen: when a datagram last went either way (``time.monotonic``).
        asked: whether the last one was the client's; ``answered`` whether there ever was an answer.
        queue: what could not be sent yet.
    """

    def __init__(self, sender: Sender, answer: Answer, selector: selectors.BaseSelector, room: Room) -> None:
        self.sender = sender
        self.seen = time.monotonic()
        self.asked = self.answered = False
        self.over = False
        self.queue = Queue(room)
        self._answer = answer
        self._selector = selector
        self._socket: socket.socket | None = None

    def send(self, datagram: bytes) -> None:
        """Take a client's datagram."""
        self.seen, self.asked = time.monotonic(), True
        self.queue.push(self.sender, datagram)
        self.work()

    def work(self) -> None:
        """Go on with what can be done now."""

    def ready(self, events: int) -> None:
        """The selector says that the socket can be read or written."""

    def finish(self) -> None:
        """The client will send nothing more here: end as soon as all has arrived."""
        self.close()

    def close(self) -> None:
        """End at once."""
        self.over = True
        self._drop_socket()

    def _back(self, datagram: bytes) -> None:
        self.seen, self.asked, self.answered = time.monotonic(), False, True
        self._answer(self.sender, datagram)

    def _drop_socket(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(KeyError, ValueError):
                self._selector.unregister(self._socket)
            self._socket.close()
            self._socket = None


class DeviceFlow(Flow):
    """To the container on the device: a socket of its own, so that the container tells clients apart.

    Args:
        address: where the container is reached.
        mark: of packets that no rule of a forward takes elsewhere.
    """

    def __init__(
        self,
        sender: Sender,
        answer: Answer,
        selector: selectors.BaseSelector,
        room: Room,
        address: tuple[str, int],
        mark: int,
    ) -> None:
        super().__init__(sender, answer, selector, room)
        self._address = address
        self._mark = mark
        self._open()

    def _open(self) -> None:
        self._drop_socket()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        with contextlib.suppress(PermissionError):
            # Root alone may, and where nothing is redirected nothing has to be passed by.
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, self._mark)
        self._socket.connect(self._address)
        self._selector.register(self._socket, selectors.EVENT_READ, self)

    def work(self) -> None:
        """Send what waits."""
        while self.queue and self._socket is not None:
            datagram = self.queue.first()[1]
            try:
                self._socket.send(datagram)
            except ConnectionRefusedError:
                # That tells of an earlier one. The kernel remembers its way, though the container may be back by
                # another: Docker's rules are asked again for a socket that is new.
                self._open()
                with contextlib.suppress(OSError):
                    self._socket.send(datagram)
            except BlockingIOError:
                return
            except OSError:
                pass  # too long for this way, as it was without us
            self.queue.pop()

    def ready(self, events: int) -> None:
        """Give answers to the client."""
        for _unused in range(64):
            if self._socket is None:
                return
            try:
                self._back(self._socket.recv(65536))
            except BlockingIOError:
                return
            except ConnectionRefusedError:
                self._open()
            except OSError:
                continue


class EdgeFlow(Flow):
    """To the edge: a stream through haproxy's relay port. What waits stays until the sidecar has greeted.

    Args:
        relay: port on the loopback address.
    """

    def __init__(
        self, sender: Sender, answer: Answer, selector: selectors.BaseSelector, room: Room, relay: int
    ) -> None:
        super().__init__(sender, answer, selector, room)
        self._relay = relay
        self._next_try = 0.0
        self._decoder = Decoder()
        self._out = bytearray()
        self._finishing = False

    def work(self) -> None:
        """Connect if there is anything to send; send it."""
        if self.over:
            return
        if self._socket is None:
            if self.queue and time.monotonic() >= self._next_try:
                self._connect()
            return
        if self._decoder.greeted:
            self._write()

    def ready(self, events: int) -> None:
        """Read and write the stream."""
        if events & selectors.EVENT_READ:
            self._read()
        if self._socket is not None:
            self.work()

    def finish(self) -> None:
        """Half-close: the sidecar gives all it has read to the app, then closes."""
        if self._socket is None or not self._decoder.greeted:
            self.close()
        elif not self._finishing:
            self._finishing = True
            self.work()

    def _connect(self) -> None:
        self._next_try = time.monotonic() + RETRY
        self._decoder, self._out = Decoder(), bytearray()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._selector.register(self._socket, selectors.EVENT_READ, self)
        if self._socket.connect_ex(("127.0.0.1", self._relay)) not in (0, *_AGAIN):
            self._broken()

    def _read(self) -> None:
        try:
            part = self._socket.recv(_BATCH) if self._socket else b""
        except BlockingIOError:
            return
        except OSError:
            part = b""
        if not part:
            self._broken()
            return
        try:
            answers = self._decoder.feed(part)
        except ValueError:
            self._broken()
            return
        for datagram in answers:
            self._back(datagram)

    def _write(self) -> None:
        if self._socket is None:
            return
        try:
            while self._out or self.queue:
                while self.queue and len(self._out) < _BATCH:
                    self._out += encode(self.queue.pop()[1])
                del self._out[: self._socket.send(self._out)]
            if self._finishing:
                self._socket.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            pass
        except OSError:
            self._broken()
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._out else 0)
        if self._selector.get_key(self._socket).events != wanted:
            self._selector.modify(self._socket, wanted, self)

    def _broken(self) -> None:
        """The stream has ended. With something left to send there is another try, otherwise the flow is over."""
        self._drop_socket()
        if not self.queue or self._finishing:
            self.over = True
