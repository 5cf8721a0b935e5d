# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An app moves again and again while clients write to it, also by plays that are killed and run again."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from .lab import DEVICE, Lab
from .lost import Checks
from .run import say
from .writer import Writer, complaints, request


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
    log = request(lab.address, ports[0], "GET", "/log")
    next_number = 1 + max((int(line.split()[0]) for line in log.splitlines() if line[:1].isdigit()), default=0)
    with Writer(lab.address, tuple(ports), next_number) as writer:
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
