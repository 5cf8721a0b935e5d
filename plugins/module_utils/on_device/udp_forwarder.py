# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The process behind all UDP forwards of a device, beside haproxy, which does the same for TCP.

Files say where each forward leads; ``apply`` on the control socket reads them again. One thread: a datagram is either
before a change of target or after it. https://man7.org/linux/man-pages/man7/ip.7.html (IP_PKTINFO).
"""

from __future__ import annotations

import contextlib
import errno
import json
import selectors
import signal
import socket
import struct
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable

from ..core.errors import KrafError
from . import conntrack, forward_store, redirect
from .forward_store import DEVICE, HELD, UDP, Forward
from .udp_flows import DeviceFlow, EdgeFlow, Flow
from .udp_frames import Queue, Room

SOCKET = "udp.sock"
HELD_BYTES = 4 << 20
HELD_COUNT = 10_000
"""What waits for one forward, at most; of more the oldest is dropped, and counted."""
MAX_FLOWS = 512
"""Clients of one forward at a time; for one more, the one that was idle longest is forgotten."""
IDLE = 60.0
"""Seconds without a datagram after which a client is forgotten."""
QUIET = 0.2
"""Seconds without a datagram after which a client that awaits nothing is done with the old side."""
PAUSE, BATCH_COUNT, BATCH_BYTES = 0.005, 32, 48 * 1024
"""What was held is let through in batches with a pause (seconds): more at once does not fit into an app's socket."""
FASTER, SLOWEST = 2.0, 1000.0
"""So many times as fast as it came, but no slower than so many a second: an app that kept up can do that."""
TICK = 0.1

_PKTINFO4, _PKTINFO6 = 8, socket.IPV6_PKTINFO
_INFO4, _INFO6 = struct.Struct("=i4s4s"), struct.Struct("=16si")


class Listener:
    """A socket that clients speak to. An answer leaves from the address that its client spoke to."""

    def __init__(self, family: socket.AddressFamily, address: str, port: int) -> None:
        self.socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._six = family == socket.AF_INET6
        try:
            if self._six:
                self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
            else:
                self.socket.setsockopt(socket.IPPROTO_IP, _PKTINFO4, 1)
            # Beyond the kernel's usual limit, which root may; without, as much as it gives.
            for option in (socket.SO_RCVBUF, getattr(socket, "SO_RCVBUFFORCE", 33)):
                with contextlib.suppress(OSError):
                    self.socket.setsockopt(socket.SOL_SOCKET, option, 2 << 20)
            self.socket.bind((address, port))
        except OSError:
            self.socket.close()
            raise

    def receive(self) -> tuple[tuple[Any, ...], bytes]:
        """A datagram and its sender: address, and the device's own address and interface that it was sent to."""
        data, extra, _flags, address = self.socket.recvmsg(65536, 128)
        own: tuple[Any, ...] = ()
        for level, kind, value in extra:
            if level == socket.IPPROTO_IP and kind == _PKTINFO4:
                _index, local, _destination = _INFO4.unpack_from(value)
                own = (local,)
            elif level == socket.IPPROTO_IPV6 and kind == _PKTINFO6:
                own = _INFO6.unpack_from(value)
        return (address, own), data

    def answer(self, sender: tuple[Any, ...], data: bytes) -> None:
        """Send to that sender. A client that has gone is no error, as for any server."""
        address, own = sender
        extra = []
        if own and self._six:
            extra = [(socket.IPPROTO_IPV6, _PKTINFO6, _INFO6.pack(*own))]
        elif own:
            extra = [(socket.IPPROTO_IP, _PKTINFO4, _INFO4.pack(0, own[0], bytes(4)))]
        with contextlib.suppress(OSError):
            self.socket.sendmsg([data], extra, 0, address)


class Route:
    """One forward at work.

    Attributes:
        forward: as it is now.
        held: datagrams that wait for the release, or, after it, for their turn.
        last: what became of the datagrams of the last hold.
        flows: clients that are served, by sender; ``stale`` those that still have to do with the side before.
    """

    def __init__(self, forward: Forward, selector: selectors.BaseSelector, ipv6: bool) -> None:
        self.forward = forward
        self.room = Room(HELD_BYTES, HELD_COUNT)
        self.held = Queue(self.room)
        self.flows: dict[Any, Flow] = {}
        self.stale: list[Flow] = []
        self.count = {"received": 0, "answered": 0, "forgotten": 0}
        self.last = {"waited": 0, "dropped": 0}
        self._selector = selector
        self._held_since = self._paced = time.monotonic()
        self._rate, self._allowed, self._dropped = SLOWEST, 0.0, 0
        self.listeners: list[Listener] = []
        wanted = [(socket.AF_INET, "0.0.0.0" if forward.address == "*" else forward.address)]  # noqa: S104
        if forward.address == "*" and ipv6:
            wanted.append((socket.AF_INET6, "::"))
        try:
            for family, address in wanted:
                self.listeners.append(Listener(family, address, forward.bound))
        except OSError:
            self.close()
            raise
        for listener in self.listeners:
            selector.register(listener.socket, selectors.EVENT_READ, (self, listener))

    def receive(self, listener: Listener) -> None:
        """Take what has come."""
        for _unused in range(BATCH_COUNT):
            try:
                sender, data = listener.receive()
            except OSError:
                return
            self.count["received"] += 1
            if self.held or self.forward.target == HELD:
                self.held.push((listener, sender), data)
            else:
                self._flow((listener, sender)).send(data)

    def lead(self, forward: Forward) -> None:
        """Lead elsewhere. What has not been sent to the side before goes to the next one, in its order."""
        before, self.forward = self.forward, forward
        if _destination(before) == _destination(forward):
            return
        now = time.monotonic()
        if forward.target == HELD:
            self._held_since, self._dropped = now, self.room.dropped
        elif before.target == HELD:
            waited, dropped = len(self.held), self.room.dropped - self._dropped
            self.last = {"waited": waited, "dropped": dropped}
            sys.stderr.write(f"{forward.name}: {waited} datagrams go on to {forward.target}, {dropped} were dropped\n")
            came = waited / max(now - self._held_since, 0.001)
            self._rate = max(FASTER * came, SLOWEST)
            self._paced, self._allowed = now, float(BATCH_COUNT)
        unsent = [one for flow in self.flows.values() for one in flow.queue.clear()]
        self.held.put_back(unsent)
        self.stale += self.flows.values()
        self.flows = {}

    def tick(self, now: float) -> None:
        """Go on with what could not be sent, end what is over; called every ``TICK`` seconds."""
        for flow in list(self.flows.values()):
            flow.work()
            if flow.over or now - flow.seen > IDLE:
                self._forget(flow)
        for flow in self.stale:
            flow.work()
            quiet = now - flow.seen > QUIET and not flow.queue
            # Who was never answered awaits nothing; who was, may still be owed an answer.
            if now - flow.seen > IDLE:
                flow.close()
            elif quiet and not (flow.asked and flow.answered):
                flow.finish()
        self.stale = [flow for flow in self.stale if not flow.over]

    def let_through(self, now: float) -> None:
        """The next batch of what was held."""
        if not self.held or self.forward.target == HELD:
            return
        self._allowed = min(self._allowed + (now - self._paced) * self._rate, float(BATCH_COUNT))
        self._paced, size = now, 0
        while self.held and self._allowed >= 1 and size < BATCH_BYTES:
            sender, data = self.held.pop()
            self._flow(sender).send(data)
            self._allowed, size = self._allowed - 1, size + len(data)

    def cut(self) -> int:
        """End what still has to do with the side before; how many."""
        stale, self.stale = self.stale, []
        for flow in stale:
            flow.close()
        return len(stale)

    def close(self) -> None:
        """End all."""
        for flow in [*self.flows.values(), *self.stale]:
            flow.close()
        for listener in self.listeners:
            with contextlib.suppress(KeyError):
                self._selector.unregister(listener.socket)
            listener.socket.close()

    @property
    def pause(self) -> float | None:
        """Seconds until there is something to do without a datagram; None for never."""
        if self.held and self.forward.target != HELD:
            return PAUSE
        return TICK if self.flows or self.stale else None

    def state(self) -> dict[str, Any]:
        """For whoever asks."""
        return {
            "target": self.forward.target,
            "bound": self.forward.bound,
            "held": len(self.held),
            "flows": len(self.flows),
            "stale": len(self.stale),
            "dropped": self.room.dropped,
            "last": self.last,
            **self.count,
        }

    def _flow(self, sender: Any) -> Flow:
        found = self.flows.get(sender)
        if found is not None and not found.over:
            return found
        if len(self.flows) >= MAX_FLOWS:
            idle = min(self.flows.values(), key=lambda flow: (len(flow.queue) > 0, flow.seen))
            self._forget(idle)
        made: Flow
        if self.forward.target == DEVICE:
            address = _container(self.forward, sender)
            made = DeviceFlow(sender, self._answer, self._selector, self.room, address, redirect.MARK)
        else:
            made = EdgeFlow(sender, self._answer, self._selector, self.room, self.forward.relay)
        self.flows[sender] = made
        return made

    def _forget(self, flow: Flow) -> None:
        self.room.dropped += len(flow.queue.clear())
        self.count["forgotten"] += 1
        flow.close()
        self.flows.pop(flow.sender, None)

    def _answer(self, sender: Any, data: bytes) -> None:
        listener, client = sender
        self.count["answered"] += 1
        listener.answer(client, data)


def _container(forward: Forward, sender: Any) -> tuple[str, int]:
    """Where the container is reached for a client. By the address that the client spoke to, Docker's own rules lead
    there; by a loopback address, as for clients on the device itself, its proxy does, which loses empty datagrams."""
    host, _colon, port = forward.device_address.rpartition(":")
    own = sender[1][1]
    if forward.redirect and host == "127.0.0.1" and own and len(own[0]) == 4 and own[0][0] != 127:
        host = socket.inet_ntoa(own[0])
    return host, int(port)


def _destination(forward: Forward) -> tuple[str, str, int]:
    if forward.target == HELD:
        return HELD, "", 0
    if forward.target == DEVICE:
        return DEVICE, forward.device_address, 0
    return forward.target, "", forward.relay


def _listens(forward: Forward) -> tuple[str, int]:
    return forward.address, forward.bound


class Forwarder:
    """All UDP forwards of the device.

    Args:
        run: directory of the control socket.
        load: reads the forwards as they are to be.
        ipv6: whether the device has it.
    """

    def __init__(
        self, run: Path, load: Callable[[], Sequence[Forward]] = forward_store.load_all, ipv6: bool = True
    ) -> None:
        self._load = load
        self._ipv6 = ipv6
        self._selector = selectors.DefaultSelector()
        self._routes: dict[str, Route] = {}
        self._end = False
        path = run / SOCKET
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        self._control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._control.bind(str(path))
        path.chmod(0o600)
        self._control.listen(16)
        self._selector.register(self._control, selectors.EVENT_READ, None)

    def apply(self) -> None:
        """Bring what runs to what the files say.

        Raises:
            KrafError: when a port cannot be had; all others are as they are to be.
        """
        wanted = {one.name: one for one in self._load() if one.protocol == UDP}
        for name, route in list(self._routes.items()):
            if name not in wanted or _listens(route.forward) != _listens(wanted[name]):
                route.close()
                del self._routes[name]
        failed: KrafError | None = None
        for name, forward in wanted.items():
            if name in self._routes:
                self._routes[name].lead(forward)
                continue
            try:
                self._routes[name] = Route(forward, self._selector, self._ipv6)
            except OSError as error:
                why = f"it cannot be listened on: {error.strerror}"
                fix = "End what has the port; see ss -lunp on the device"
                failed = KrafError(f"forward {name}, port", forward.bound, why, fix)
        if failed:
            raise failed

    def serve(self) -> None:
        """Work until ``stop``."""
        next_tick = 0.0
        while not self._end:
            pauses = [route.pause for route in self._routes.values() if route.pause is not None]
            for key, events in self._selector.select(min(pauses, default=None)):
                if key.data is None:
                    self._serve_control()
                elif isinstance(key.data, tuple):
                    key.data[0].receive(key.data[1])
                else:
                    key.data.ready(events)
            now = time.monotonic()
            for route in self._routes.values():
                route.let_through(now)
            # Not for each datagram: there may be hundreds of clients.
            if now >= next_tick:
                next_tick = now + TICK
                for route in self._routes.values():
                    route.tick(now)

    def stop(self, *_unused: Any) -> None:
        """End ``serve``, also from a signal or another thread."""
        self._end = True
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as wake:
            wake.setblocking(False)
            wake.connect(self._control.getsockname())

    def close(self) -> None:
        """Give back all sockets."""
        for route in self._routes.values():
            route.close()
        self._control.close()
        self._selector.close()

    def _serve_control(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            connection, _address = self._control.accept()
            with connection:
                connection.settimeout(2.0)
                asked = json.loads(line(connection))
                connection.sendall(json.dumps(self._do(asked)).encode() + b"\n")

    def _do(self, asked: dict[str, Any]) -> dict[str, Any]:
        error, cut = "", 0
        if asked.get("do") == "apply":
            try:
                self.apply()
            except KrafError as failed:
                error = str(failed)
        elif asked.get("do") == "cut":
            cut = sum(self._routes[name].cut() for name in asked.get("names") or () if name in self._routes)
        states = {name: route.state() for name, route in self._routes.items()}
        return {"error": error, "cut": cut, "forwards": states}


def line(connection: socket.socket) -> bytes:
    """A line, or what came of it before the other side ended."""
    found = b""
    while not found.endswith(b"\n"):
        part = connection.recv(65536)
        if not part:
            break
        found += part
    return found


def main(etc: str, run: str = "") -> int:
    """What the units run.

    Args:
        etc: directory that holds ``forwards/``.
        run: directory of the control socket; without, only flows that the rules have not seen are forgotten.
    """
    forward_store.ETC = Path(etc)
    if not run:
        conntrack.forget(redirect.ports(forward_store.load_all()), redirect.MARK)
        return 0
    forwarder = Forwarder(Path(run), ipv6=_has_ipv6())
    signal.signal(signal.SIGTERM, forwarder.stop)
    try:
        forwarder.apply()
    except KrafError as error:
        # The others work; ``apply`` tells whoever asks.
        sys.stderr.write(f"{error}\n")
    forwarder.serve()
    forwarder.close()
    return 0


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError as error:
        return error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
    return True
