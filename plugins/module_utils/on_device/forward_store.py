# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


"""The file of a forward: what it may say, read and written."""

from __future__ import annotations

import dataclasses
import errno
import re
import socket
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.errors import KrafError
from . import files

ETC = Path("/etc/kraf")
DEVICE, HELD, EDGE = "device", "held", "edge"
TARGETS = (DEVICE, HELD, EDGE)
TCP, UDP = "tcp", "udp"
PROTOCOLS = (TCP, UDP)
DOORS = "kraf-doors"

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")
_ENDPOINT = re.compile(r"([0-9]{1,3}(\.[0-9]{1,3}){3}):([0-9]{1,5})\Z")
_SNI = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?\Z")


@dataclass(frozen=True)
class Forward:
    """A port on the device, and where it leads.

    Args:
        name: of the forward, unique on the device.
        port: that clients use.
        address: on which it listens; "*" is every address of the device.
        target: ``device``, ``held`` or ``edge``.
        device_address: ip:port of the app on the device; "" for a forward that only ever leads to the edge.
        edge: ip:port of the door on each node.
        sni: name of the service at the door.
        redirect: a container publishes the port already: take its clients over by a rule instead of binding the port.
        listen: port on which haproxy really listens when ``redirect`` is set; 0 is "choose one".
        relay: port on the loopback address between the app's part of haproxy and that of the doors; 0 likewise.
        group: name of the forward with which it is held and released; "" for its own.
        protocol: ``tcp`` (haproxy's) or ``udp`` (``udp_forwarder``'s).
    """

    name: str
    port: int
    address: str = "127.0.0.1"
    target: str = EDGE
    device_address: str = ""
    edge: tuple[str, ...] = field(default_factory=tuple)
    sni: str = ""
    redirect: bool = False
    listen: int = 0
    relay: int = 0
    group: str = ""
    protocol: str = TCP

    @property
    def bound(self) -> int:
        """Port that haproxy, or the UDP forwarder, binds."""
        return self.listen if self.redirect else self.port

    def as_json(self) -> dict[str, Any]:
        """The forward as its file holds it; as it always was for TCP."""
        found = {**vars(self), "edge": list(self.edge)}
        if self.protocol == TCP:
            del found["protocol"]
        return found


def validate(forward: Forward) -> None:
    """Refuse what haproxy would, or would misunderstand.

    Raises:
        KrafError: naming the option.
    """
    name = f"forward {forward.name}"
    if not _NAME.match(forward.name) or forward.name == DOORS:
        raise KrafError("name of a forward", forward.name, "lower-case letters, digits and '-' are taken, 63 at most")
    for what, port in (("port", forward.port), ("listen", forward.listen), ("relay", forward.relay)):
        if not (1 if what == "port" else 0) <= port <= 65535:
            raise KrafError(f"{name}, {what}", port, "a port is between 1 and 65535")
    if forward.protocol not in PROTOCOLS:
        raise KrafError(f"{name}, protocol", forward.protocol, f"it is one of {', '.join(PROTOCOLS)}")
    if forward.target not in TARGETS:
        raise KrafError(f"{name}, target", forward.target, f"it is one of {', '.join(TARGETS)}")
    if forward.address != "*" and not _address(f"{forward.address}:1"):
        raise KrafError(f"{name}, address", forward.address, "it is an IPv4 address of the device, or *")
    for endpoint in (*forward.edge, *filter(None, [forward.device_address])):
        if not _address(endpoint):
            raise KrafError(f"{name}, address", endpoint, "it is an IPv4 address and a port, such as 192.0.2.7:8843")
    if forward.edge and not _SNI.match(forward.sni):
        raise KrafError(f"{name}, sni", forward.sni, "a name of the door is needed with edge", "Give sni")
    if forward.target != EDGE and not forward.device_address:
        raise KrafError(
            f"{name}, target", forward.target, "it has no device_address to return to", "Give device_address"
        )
    if forward.target == EDGE and not forward.edge:
        raise KrafError(f"{name}, target", forward.target, "it knows no door", "Give edge and sni")


def _address(endpoint: str) -> bool:
    match = _ENDPOINT.match(endpoint)
    if not match:
        return False
    return all(int(part) <= 255 for part in match.group(1).split(".")) and 1 <= int(match.group(3)) <= 65535


def path(name: str) -> Path:
    """File that holds a forward."""
    return ETC / "forwards" / f"{name}.json"


def load(name: str) -> Forward | None:
    """A forward as its file says; None when there is none."""
    found = files.load_json(path(name))
    return None if found is None else _from_json(found)


def load_all() -> list[Forward]:
    """All forwards, by name."""
    return [_from_json(files.load_json(one)) for one in sorted((ETC / "forwards").glob("*.json"))]


def members(name: str) -> list[Forward]:
    """A forward and those that are held and released with it; empty when there is none of this name."""
    found = [one for one in load_all() if name and name in (one.name, one.group)]
    return sorted(found, key=lambda one: (one.name != name, one.name))


def _from_json(found: dict[str, Any]) -> Forward:
    known = {one.name for one in dataclasses.fields(Forward)}
    values = {key: value for key, value in found.items() if key in known}
    return Forward(**{**values, "edge": tuple(values.get("edge") or ())})


def complete(forward: Forward) -> Forward:
    """The forward with its own ports: to listen on, when it takes over a container's, and between its two halves.

    Raises:
        KrafError: when another forward has the port.
    """
    others = [one for one in load_all() if one.name != forward.name]
    clash = next((one for one in others if _key(one) == _key(forward) and _overlap(one, forward)), None)
    if clash:
        fix = "Choose another port"
        raise KrafError(f"forward {forward.name}, port", forward.port, f"forward {clash.name} has it", fix)
    before = load(forward.name)
    taken = {port for one in others for port in (one.port, one.listen, one.relay)} | {forward.port}
    listen = relay = 0
    if forward.redirect:
        old = (forward.listen, before.listen if before else 0)
        listen = _choose([*old, forward.port + 10000, *range(20000, 25000)], old, taken, forward.protocol)
    if forward.device_address or forward.protocol == UDP:
        old = (forward.relay, before.relay if before else 0)
        relay = _choose([*old, *range(25000, 30000)], old, taken | {listen})
    return dataclasses.replace(forward, listen=listen, relay=relay)


def _key(forward: Forward) -> tuple[str, int]:
    return forward.protocol, forward.port


def _choose(ports: Iterable[int], ours: Container[int], taken: Container[int], protocol: str = TCP) -> int:
    return next(
        port for port in ports if 0 < port <= 65535 and port not in taken and (port in ours or _free(port, protocol))
    )


def _free(port: int, protocol: str) -> bool:
    return _taken("0.0.0.0", port, protocol) is None  # noqa: S104


def refusal(forward: Forward) -> str:
    """Why the system would not let haproxy listen for a forward; empty when it would."""
    everywhere = forward.address == "*"
    found = _taken("0.0.0.0" if everywhere else forward.address, forward.bound, TCP, closing=True)  # noqa: S104
    if found is None and everywhere:
        found = _taken("::", forward.bound, TCP, closing=True)
        if found is not None and found.errno != errno.EADDRINUSE:
            found = None  # a device without IPv6, where haproxy does not ask for it
    return str(found.strerror) if found else ""


def _taken(address: str, port: int, protocol: str, closing: bool = False) -> OSError | None:
    """What the system says to who would listen there; ``closing``: connections of before that are closing do not count,
    as for haproxy."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM if protocol == UDP else socket.SOCK_STREAM) as probe:
            if closing:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((address, port))
    except OSError as error:
        return error
    return None


def _overlap(one: Forward, other: Forward) -> bool:
    return "*" in (one.address, other.address) or one.address == other.address


def remove(name: str) -> bool:
    """Remove a forward's file; False when it was not there. ``apply_config`` makes it so."""
    return files.remove(path(name))
