# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ways of an app's clients: one forward a port, all of them held and released as one; an app may have none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..core.errors import KrafError
from . import docker, door, forward

ANY = ("", "0.0.0.0", "::")  # noqa: S104
"""Addresses by which Docker publishes a port everywhere."""


@dataclass(frozen=True)
class Way:
    """One of the app's ports.

    Attributes:
        port: that clients use; ``container_port`` is the container's own behind it.
        sni: name of the port at the door.
        probe: path of the app's own probe on this port; empty asks whether it is open.
    """

    port: int
    container_port: int
    sni: str
    probe: str = ""


def ensure(app: str, container: str, ways: Sequence[Way], doors: tuple[str, ...]) -> list[forward.Forward]:
    """The forwards of the app's ports, able to lead to both sides. Existing ones keep their port and their target.

    Args:
        app: name of the app; also of the forward of its first port.
        container: that publishes the ports.
        ways: the ports.
        doors: addresses of the doors.
    """
    head = forward.load(app)
    ways = sorted(ways, key=lambda way: head is not None and way.port != head.port)
    names = [app, *(f"{app}--{way.container_port}" for way in ways[1:])]
    changed = False
    for name, way in zip(names, ways):
        found = forward.load(name)
        group = "" if name == app else app
        if found is None:
            target = head.target if head else forward.DEVICE
            address = device_address(container, way.container_port)
            wanted = forward.Forward(name, way.port, "*", target, address, doors, way.sni, redirect=True, group=group)
        else:
            wanted = replace(found, edge=doors, sni=way.sni, group=group)
            if not found.device_address:
                wanted = replace(wanted, device_address=device_address(container, way.container_port))
        if wanted != found:
            changed |= forward.save(wanted)
    for one in forward.members(app):
        if one.name not in names[: len(ways)]:
            changed |= forward.remove(one.name)
    # What another app's forwards wait for is not this one's concern: it may be this one's own hold.
    if changed or (ways and not forward.loaded(app)):
        forward.apply_config(own=app)
    # As they were saved: with the ports that were chosen for them.
    return forward.members(app)


def hold(app: str) -> None:
    """Let new clients of the app wait."""
    if forward.members(app):
        forward.hold(app)


def release(app: str, target: str) -> None:
    """Let clients of the app go on, to ``device`` or ``edge``."""
    if forward.members(app):
        forward.release(app, target)


def probe_edge(ways: Sequence[Way], doors: Sequence[str], limit: float) -> None:
    """Wait until the app answers through the door: by its own probe, or, without one, at each of its ports.

    That a port is open takes seconds to tell, for the door accepts before it knows; clients wait meanwhile.
    """
    for way in [one for one in ways if one.probe] or ways:
        door.probe_edge(doors, way.sni, way.probe, limit)


def probe_device(app: str, ways: Sequence[Way], limit: float, direct: bool = True) -> None:
    """Wait until each of the app's ports answers on the device: the app itself, or as clients find it."""
    probes = {way.sni: way.probe for way in ways}
    for one in forward.members(app):
        client = f"{one.address if one.address != '*' else '127.0.0.1'}:{one.port}"
        door.probe_device(one.device_address if direct else client, probes.get(one.sni, ""), limit, direct)


def device_address(container: str, port: int) -> str:
    """Where haproxy reaches the container's port on the device."""
    found = docker.describe(container)
    for one in found.ports:
        if one["port"] == port and one["device_port"]:
            address = one["address"] if one["address"] not in ANY else "127.0.0.1"
            return f"{address}:{one['device_port']}"
    why = f"the container publishes no port {port}"
    raise KrafError(f"container {container}", port, why, "Correct the app's ports in the catalog")
