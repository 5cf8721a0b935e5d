# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ways of an app's clients: one forward a port, all of them held and released as one; an app may have none.

Whether a UDP port answers nobody but the app's clients can tell. What is asked instead is whether the app has it open;
an app that opens it only when it needs it is taken at its word after ``OPENS`` seconds, on both sides.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from . import door, forward, runner, sockets, udp

OPENS = 10.0


@dataclass(frozen=True)
class Way:
    """One of the app's ports.

    Attributes:
        port: that clients use; ``container_port`` is the container's own behind it.
        sni: name of the port at the door; of a UDP port, of what takes its streams there.
        probe: path of the app's own probe on this port; empty asks whether it is open.
        protocol: ``tcp`` or ``udp``.
    """

    port: int
    container_port: int
    sni: str
    probe: str = ""
    protocol: str = forward.TCP


def ensure(app: str, container: str, ways: Sequence[Way], doors: tuple[str, ...]) -> list[forward.Forward]:
    """The forwards of the app's ports, able to lead to both sides. Existing ones keep their port and their target.

    Args:
        app: name of the app; also of the forward of its first port.
        container: that publishes the ports, or the unit that listens on them.
        ways: the ports.
        doors: addresses of the doors.
    """
    head = forward.load(app)
    ways = sorted(ways, key=lambda way: head is not None and (way.protocol, way.port) != (head.protocol, head.port))
    names = [app, *(_name(app, way) for way in ways[1:])]
    changed = False
    for one in forward.members(app):
        # First: a port may go on under another name.
        if one.name not in names[: len(ways)]:
            changed |= forward.remove(one.name)
    for name, way in zip(names, ways):
        found = forward.load(name)
        group = "" if name == app else app
        if found is None or found.protocol != way.protocol:
            target = head.target if head else forward.DEVICE
            address, at = runner.named(container).address(way.container_port, way.protocol)
            wanted = forward.Forward(
                name, way.port, at, target, address, doors, way.sni, redirect=True, group=group, protocol=way.protocol
            )
        else:
            wanted = replace(found, edge=doors, sni=way.sni, group=group)
            if not found.device_address:
                address, at = runner.named(container).address(way.container_port, way.protocol)
                wanted = replace(wanted, device_address=address, address=at)
        if wanted != found:
            changed |= forward.save(wanted)
    # What another app's forwards wait for is not this one's concern: it may be this one's own hold.
    if changed or (ways and not forward.loaded(app)):
        forward.apply_config(own=app)
    # As they were saved: with the ports that were chosen for them.
    return forward.members(app)


def _name(app: str, way: Way) -> str:
    return f"{app}--{way.container_port}{'' if way.protocol == forward.TCP else f'-{way.protocol}'}"


def hold(app: str) -> None:
    """Let new clients of the app wait."""
    if forward.members(app):
        forward.hold(app)


def release(app: str, target: str) -> None:
    """Let clients of the app go on, to ``device`` or ``edge``."""
    if forward.members(app):
        forward.release(app, target)


def datagrams(app: str) -> dict[str, int]:
    """Of the app's last hold: how many datagrams ``waited`` for the release, and how many were ``dropped`` for want of
    room."""
    states = udp.states() if udp.ours(forward.members(app)) else {}
    last = [states[one.name]["last"] for one in forward.members(app) if one.name in states]
    return {key: sum(int(one[key]) for one in last) for key in ("waited", "dropped")}


def probe_edge(ways: Sequence[Way], doors: Sequence[str], limit: float) -> None:
    """Wait until the app answers through the door: by its own probe, or, without one, at each of its ports.

    That a port is open takes seconds to tell, for the door accepts before it knows; clients wait meanwhile.
    """
    for way in [one for one in ways if one.probe] or ways:
        door.probe_edge(doors, way.sni, way.probe, limit)


def probe_device(app: str, ways: Sequence[Way], limit: float, direct: bool = True, container: str = "") -> None:
    """Wait until each of the app's ports answers on the device: the app itself, or as clients find it.

    Args:
        app: name of the app.
        ways: its ports.
        limit: seconds for each.
        direct: ask the app itself, past the forward that may hold its port.
        container: of the app, for UDP ports.
    """
    by_sni = {way.sni: way for way in ways}
    for one in forward.members(app):
        if one.protocol == forward.UDP:
            way = by_sni.get(one.sni)
            if direct and container and way:
                _await_open(container, way.container_port, min(limit, OPENS))
            continue
        client = f"{one.address if one.address != '*' else '127.0.0.1'}:{one.port}"
        probe = by_sni[one.sni].probe if one.sni in by_sni else ""
        door.probe_device(one.device_address if direct else client, probe, limit, direct)


def _await_open(container: str, port: int, limit: float) -> None:
    """Wait until the container has a UDP port open, for some seconds."""
    end = time.monotonic() + limit
    while not has_open(runner.named(container).process(), port) and time.monotonic() < end:
        time.sleep(0.05)


def has_open(pid: int, port: int) -> bool:
    """Whether the network of a process has a UDP port open, by the kernel's table of its sockets (proc(5))."""
    return any(one.port == port for name in ("udp", "udp6") for one in sockets.table([pid], name))
