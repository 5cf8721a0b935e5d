# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An app moves again and again while clients write to it, also by plays that are killed and run again; then one side
or the other is lost and comes back."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from .lab import DEVICE, Lab
from .lost import Checks, Loss, Subject
from .run import say
from .writer import Writer, complaints, following, request

PARTS: dict[str, Callable[[Loss], None]] = {
    "power": Loss.power,
    "partition": Loss.partition,
    "edge": Loss.edge,
    "everything": Loss.everything,
}
"""Besides ``moves``."""


def parts() -> list[str]:
    """What of a harness the command line asks for; all by default."""
    known = ["moves", *PARTS]
    unknown = sorted(set(sys.argv[1:]) - set(known))
    if unknown:
        raise SystemExit(f"{', '.join(unknown)}: no such part; there are {', '.join(known)}")
    return sys.argv[1:] or known


def run(lab: Lab, checks: Checks, app: Subject, moves: Sequence[tuple[str, str]]) -> int:
    """Run the parts that the command line asks for; the exit status.

    Args:
        app: on its device.
        moves: the side of each, and when a first play is killed; it is run again then, and settles what the first left.
    """
    for part in parts():
        say(f"== {part}")
        if part == "moves":
            walk(lab, checks, app, moves)
        else:
            PARTS[part](Loss(lab, checks, app))
    return checks.end(lab.logs)


def walk(lab: Lab, checks: Checks, app: Subject, moves: Sequence[tuple[str, str]]) -> None:
    """Move an app, and check that nothing which its clients were told was stored is lost."""
    port = app.ports[0]
    first = following(request(lab.address, port, "GET", "/log"))
    with Writer(lab.address, app.ports, first) as writer:
        for number, (to, fault) in enumerate(moves):
            checks.check("clients are answered", writer.written(20, 30), True)
            inputs: dict[str, Any] = {"kraf_apps": [f"{DEVICE}/{app.name}"], "kraf_to": to}
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
            app.there(to)
        writer.stop()
        time.sleep(1)
    wrong = complaints(request(lab.address, port, "GET", "/log"), writer.acknowledged, writer.next)
    checks.check(f"each of {len(writer.acknowledged)} acknowledged numbers is there, in order", wrong, [])
