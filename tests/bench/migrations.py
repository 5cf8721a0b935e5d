# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Migrations there and back under the eyes of clients, beside the floor of the same run."""

from __future__ import annotations

import time

from tests.demo import image
from tests.demo.apps import FACES, GLANCE, App, Move
from tests.demo.clients import Clients
from tests.demo.progress import Progress

from .large import FLOOR, floor, requests
from .rows import Row

APPS = {"stateful": FACES, "stateless": GLANCE}
REQUESTS = {"stateful": 1000, "stateless": 5000}
"""So many at least: clients go on after the playbook until they are reached."""
PATIENCE = 180.0
"""Seconds after the playbook within which they are to be."""


def rows(progress: Progress) -> list[Row]:
    """The figures of migrations."""
    reference = image.publish()
    result: list[Row] = []
    for kind, app in APPS.items():
        app.start(progress, reference)
        app.move(progress, "device")
        result += _there_and_back(progress, kind, app)
    return result


def _reached(clients: Clients, begin: float, wanted: int) -> float:
    """Wait until clients have made so many requests; the moment, of time.monotonic()."""
    end = time.monotonic()
    last = end + PATIENCE
    while clients.window(begin, end).requests < wanted and end < last:
        time.sleep(1)
        end = time.monotonic()
    return end


def _there_and_back(progress: Progress, kind: str, app: App) -> list[Row]:
    result: list[Row] = []
    before = floor(app)
    for to in ("edge", "device"):
        with app.clients() as clients:
            time.sleep(2)
            played = app.move(progress, to)
            time.sleep(2)
            end = _reached(clients, played.begin, REQUESTS[kind])
        after = floor(app)
        seconds, before = before.mean(after).to(to), after
        move = Move(played, clients.window(played.begin, end), seconds)
        progress.say(f"  {move.told()}")
        seen, name = move.seen, f"{kind}_to_{to}"
        reasons = ", ".join(f"{count} {reason}" for reason, count in seen.reasons.items())
        result += [
            Row(
                f"{name}_requests",
                seen.requests,
                REQUESTS[kind],
                most=False,
                note=f"from the playbook's begin on, {end - played.begin:.1f} s; it ran {played.seconds:.1f} s",
            ),
            Row(f"{name}_failed", seen.failed, 0, note=reasons),
            Row(f"{name}_longest_wait_seconds", seen.longest_wait_seconds),
            Row(f"{name}_floor_seconds", seconds, note=FLOOR),
            Row(f"{name}_wait_floor_ratio", seen.longest_wait_seconds / seconds, 2),
            Row(f"{name}_longest_gap_seconds", seen.longest_client_gap_seconds, note="in which nobody had an answer"),
            Row(f"{name}_api_requests", *requests(played.output)),
            Row(f"{name}_kept_connection_cuts", seen.kept_connection_cuts, note="of the one that is kept open"),
        ]
    return result
