# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An app moves again and again while clients write to it, also by plays that are killed and run again."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from tests.demo import access

from .lab import DEVICE, Lab
from .lost import Checks, numbers, without_power
from .run import say
from .writer import Writer, complaints, request

PARTS = ("moves", "lost")


def parts() -> list[str]:
    """What of a harness the command line asks for; all by default."""
    unknown = sorted(set(sys.argv[1:]) - set(PARTS))
    if unknown:
        raise SystemExit(f"{', '.join(unknown)}: no such part; there are {', '.join(PARTS)}")
    return sys.argv[1:] or list(PARTS)


def walk(
    lab: Lab,
    checks: Checks,
    app: str,
    ports: Sequence[int],
    moves: Sequence[tuple[str, str]],
    there: Callable[[str], None],
) -> None:
    """Move an app, and check that nothing which its clients were told was stored is lost.

    Args:
        app: its name; it keeps the numbers that it is sent.
        ports: under which clients reach it.
        moves: the side of each, and when a first play is killed; it is run again then, and settles what the first left.
        there: told the side, once the app is there; checks what is this app's own.
    """
    with _writer(lab, ports) as writer:
        for number, (to, fault) in enumerate(moves):
            checks.check("clients are answered", writer.written(20, 30), True)
            inputs: dict[str, Any] = {"kraf_apps": [f"{DEVICE}/{app}"], "kraf_to": to}
            writer.longest = 0.0
            if fault:
                killed = f"{number}-{to}-killed"
                lab.play("kraf.edge.migrate", killed, fault, **inputs)
                checks.check("the killed play had come that far", "PLAY RECAP" in lab.output(killed), False)
            moved = lab.play("kraf.edge.migrate", f"{number}-{to}", **inputs)
            checks.check(f"it moves to the {to}{f', killed {fault} and run again' if fault else ''}", moved, 0)
            checks.check("clients are answered afterwards", writer.written(20, 30), True)
            say(f"      the longest answer took {writer.longest:.2f} s")
            checks.check("no request has failed so far", writer.failed, {})
            there(to)
        writer.stop()
        time.sleep(1)
    wrong = complaints(request(lab.address, ports[0], "GET", "/log"), writer.acknowledged, writer.next)
    checks.check(f"each of {len(writer.acknowledged)} acknowledged numbers is there, in order", wrong, [])


def lost(
    lab: Lab,
    checks: Checks,
    app: str,
    port: int,
    folder: str,
    started: Callable[[], str],
    there: Callable[[str], None],
) -> None:
    """The device loses its power, the edge that is kept ready takes the app over, and the device comes back.

    Args:
        app: its name; it keeps the numbers that it is sent.
        port: under which clients reach it.
        folder: its data on the device.
        started: when it was started last on the device; empty when it was not since the device's boot.
        there: told the side, once the app is there and the device knows it.
    """
    inputs: dict[str, Any] = {"kraf_apps": [f"{DEVICE}/{app}"]}
    with _writer(lab, (port,)) as writer:
        checks.check("clients are answered", writer.written(20, 60), True)
        before = list(writer.acknowledged)
        ready = lab.play("kraf.edge.standby", "lost-standby", **inputs)
        checks.check("the edge is made ready while the app writes", ready, 0)
        checks.check("no request has failed", writer.failed, {})
        checks.check("it writes more than the edge knows", writer.written(20, 60), True)
    last = started()
    with without_power():
        taken = lab.play("kraf.edge.migrate", "lost-taken", **inputs, kraf_to="edge", kraf_device_lost="accept")
        checks.check("the device is lost, and the edge takes over", taken, 0)
    time.sleep(5)
    checks.check("the device is back, and the app was not started there", started() in ("", last), True)
    checks.check("the next run tells it", lab.play("kraf.edge.migrate", "lost-told", **inputs, kraf_to="edge"), 0)
    there("edge")
    at_edge = numbers(request(lab.address, port, "GET", "/log"))
    checks.check("up to the standby all is at the edge", set(before) - set(at_edge), set())
    checks.check("it comes back", lab.play("kraf.edge.migrate", "lost-back", **inputs, kraf_to="device"), 0)
    there("device")
    checks.check("with the edge's data", numbers(request(lab.address, port, "GET", "/log")), at_edge)
    kept = access.ssh(DEVICE, f"cat {folder}.kraf-lost-*/log | sort -n -u; rm -rf {folder}.kraf-lost-*")
    checks.check("what the device had written is kept beside it", set(writer.acknowledged) - set(numbers(kept)), set())


def _writer(lab: Lab, ports: Sequence[int]) -> Writer:
    """A client that goes on where the app's log ends."""
    return Writer(lab.address, tuple(ports), 1 + max(numbers(request(lab.address, ports[0], "GET", "/log")), default=0))
