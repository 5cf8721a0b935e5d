# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Datagrams as a stream, and datagrams that wait. Pure.

A stream begins, from the app's side, with ``GREETING``: the sender keeps what it has until it has read that, so that
nothing is sent into a connection that leads nowhere. Then each datagram is its length, two bytes, big endian, and its
content; an empty one is two zero bytes. The other end is ``manifests/relay.py``.
"""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass

GREETING = b"kraf-udp 1\n"
_LENGTH = struct.Struct(">H")
LONGEST = 65535
"""What two bytes can say; UDP over IPv4 carries 65,507 bytes at most."""


def encode(datagram: bytes) -> bytes:
    """A datagram as a part of a stream.

    Raises:
        struct.error: when it is longer than ``LONGEST`` bytes.
    """
    return _LENGTH.pack(len(datagram)) + datagram


class Decoder:
    """Datagrams out of a stream, in whatever pieces it comes.

    Attributes:
        greeted: whether the other end has said that it is there.
    """

    def __init__(self) -> None:
        self.greeted = False
        self._buffer = bytearray()

    def feed(self, part: bytes) -> list[bytes]:
        """Datagrams that this part of the stream makes whole.

        Raises:
            ValueError: when the other end does not speak this.
        """
        self._buffer += part
        if not self.greeted:
            if not GREETING.startswith(self._buffer[: len(GREETING)]):
                raise ValueError(f"it began with {bytes(self._buffer[:20])!r}")
            if len(self._buffer) < len(GREETING):
                return []
            del self._buffer[: len(GREETING)]
            self.greeted = True
        found, at = [], 0
        while len(self._buffer) - at >= _LENGTH.size:
            end = at + _LENGTH.size + _LENGTH.unpack_from(self._buffer, at)[0]
            if end > len(self._buffer):
                break
            found.append(bytes(self._buffer[at + _LENGTH.size : end]))
            at = end
        del self._buffer[:at]
        return found


@dataclass
class Room:
    """How much may wait, shared by queues.

    Attributes:
        bytes_left: content that still fits; ``count_left`` the number of datagrams.
        dropped: datagrams that were given up for want of room.
    """

    bytes_left: int
    count_left: int
    dropped: int = 0


class Queue:
    """Datagrams that wait, in their order. When there is no room, the oldest goes, and is counted.

    Each entry is the sender, whatever that is, and the content.
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        self._waiting: deque[tuple[object, bytes]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def push(self, sender: object, datagram: bytes) -> None:
        """Put one at the end."""
        self._waiting.append((sender, datagram))
        self._take(datagram)
        while self._waiting and (self._room.bytes_left < 0 or self._room.count_left < 0):
            self.pop()
            self._room.dropped += 1

    def put_back(self, others: list[tuple[object, bytes]]) -> None:
        """Put these before all that wait: they came earlier."""
        for sender, datagram in reversed(others):
            self._waiting.appendleft((sender, datagram))
            self._take(datagram)

    def first(self) -> tuple[object, bytes]:
        """The oldest, which stays."""
        return self._waiting[0]

    def pop(self) -> tuple[object, bytes]:
        """The oldest."""
        sender, datagram = self._waiting.popleft()
        self._room.bytes_left += len(datagram)
        self._room.count_left += 1
        return sender, datagram

    def clear(self) -> list[tuple[object, bytes]]:
        """All of them."""
        return [self.pop() for _unused in range(len(self._waiting))]

    def _take(self, datagram: bytes) -> None:
        self._room.bytes_left -= len(datagram)
        self._room.count_left -= 1
