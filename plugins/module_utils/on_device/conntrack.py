# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Flows of UDP that the kernel remembers, forgotten: so that rules count for clients that have been speaking all along.

NAT rules are asked for the first packet of a flow, and a client that keeps sending keeps its flow for ever. Spoken over
netlink, for devices have no program conntrack(8). linux/netfilter/nfnetlink_conntrack.h, netlink(7).
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Collection, Iterator

from ..core.errors import KrafError

_NETLINK_NETFILTER = 12
_GET, _DELETE = 0x101, 0x102
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_ERROR, _DONE = 2, 3
_TUPLE_ORIG, _MARK, _ID, _ZONE = 1, 8, 12, 18
_TUPLE_PROTO, _PROTO_NUM, _PROTO_DPORT = 2, 1, 3
_HEADER, _ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=HH")
_NESTED = 0x3FFF
"""The rest of an attribute's type are flags."""


def forget(ports: Collection[int], but: int = 0) -> int:
    """Forget all UDP flows that were sent to these ports, wherever NAT has led them; how many.

    Args:
        ports: of the device.
        but: mark of the flows to keep; 0 is none.

    Raises:
        KrafError: when the kernel cannot be asked.
    """
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as link:
            link.settimeout(10.0)
            link.bind((0, 0))
            found = [
                (family, given)
                for family in (socket.AF_INET, socket.AF_INET6)
                for given in _messages(link, _GET, _DUMP, bytes([family, 0, 0, 0]))
                if _destination(given) in ports and (not but or int.from_bytes(given.get(_MARK, b""), "big") != but)
            ]
            for family, given in found:
                kept = b"".join(_pack(kind, given[kind]) for kind in (_TUPLE_ORIG, _ID, _ZONE) if kind in given)
                try:
                    list(_messages(link, _DELETE, _ACK, bytes([family, 0, 0, 0]) + kept))
                except FileNotFoundError:
                    continue  # it has ended meanwhile
            return len(found)
    except OSError as error:
        why = f"the kernel does not tell of its connections: {error.strerror or error}"
        fix = "Load its module nf_conntrack_netlink, which Docker needs as well"
        raise KrafError("UDP flows on the device", ", ".join(map(str, sorted(ports))), why, fix) from error


def _messages(link: socket.socket, kind: int, flags: int, body: bytes) -> Iterator[dict[int, bytes]]:
    """Attributes of each message of an answer."""
    link.send(_HEADER.pack(_HEADER.size + len(body), kind, _REQUEST | flags, 1, 0) + body)
    while True:
        data = link.recv(1 << 17)
        while len(data) >= _HEADER.size:
            length, answer, _flags, _sequence, _port = _HEADER.unpack_from(data)
            content, data = data[_HEADER.size : length], data[(length + 3) & ~3 :]
            if answer == _ERROR:
                code = -struct.unpack_from("=i", content)[0]
                if code:
                    raise OSError(code, os.strerror(code))
                return
            if answer == _DONE:
                return
            yield dict(_attributes(content[4:]))


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        if length < _ATTRIBUTE.size:
            return
        yield kind & _NESTED, data[_ATTRIBUTE.size : length]
        data = data[(length + 3) & ~3 :]


def _pack(kind: int, content: bytes) -> bytes:
    nested = 0x8000 if kind == _TUPLE_ORIG else 0
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(content), kind | nested) + content + bytes(-len(content) % 4)


def _destination(given: dict[int, bytes]) -> int:
    """The UDP port that a flow was sent to; 0 for another protocol."""
    proto = dict(_attributes(dict(_attributes(given.get(_TUPLE_ORIG, b""))).get(_TUPLE_PROTO, b"")))
    if proto.get(_PROTO_NUM) != bytes([socket.IPPROTO_UDP]):
        return 0
    return int.from_bytes(proto.get(_PROTO_DPORT, b""), "big")
