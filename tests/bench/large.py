# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An app with 2 GiB of data, of which 20 MiB change all the time: there, back, and there again."""

from __future__ import annotations

import re
import time

from tests.demo import access, disk, floors, image
from tests.demo.apps import DEVICE, App, Move
from tests.demo.progress import Progress

from .rows import Row

BULK = App("bulk", 8002, data=("/data",))
FILES, FILE_MIB, CHANGING_MIB = 8, 256, 20
VOLUME = "6Gi"
"""Room for two copies: the one that is used, and the one that is on its way."""
FILL = (
    f"mkdir -p /srv/bulk; for i in $(seq {FILES}); do "
    f"[ -e /srv/bulk/$i ] || head -c {FILE_MIB}M /dev/urandom >/srv/bulk/$i; done; sync"
)
CHURN = f"""
import os, time
with open("/data/changing", "w+b") as stream:
    while True:
        for _block in range({CHANGING_MIB}):
            stream.write(os.urandom(1 << 20))
            stream.flush()
            time.sleep(0.5)
        stream.seek(0)
"""
FLOOR = "the one side stopped, the other started by hand, same clients; mean of before and after"
_SENT = re.compile(r"its data ([0-9.]+) (\w+) over the line before, and ([0-9.]+) (\w+) while clients waited")
_REQUESTS = re.compile(r"took ([0-9]+) requests to the API server \(([^;)]*);")
_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def rows(progress: Progress) -> list[Row]:
    """The figures."""
    BULK.start(progress, image.publish())
    BULK.move(progress, "device")
    progress.say(f"{FILES * FILE_MIB} MiB of data ...")
    access.ssh(DEVICE, FILL, timeout=900)
    before = floor(BULK)
    result, sent = [], {}
    for number, to in enumerate(("edge", "device", "edge")):
        changing = to == "edge" and number == 0
        if changing:
            # In the app's own container, so that it ends when the app does.
            access.ssh(DEVICE, f"docker exec -d {BULK.name} python3 -c '{CHURN}'")
            time.sleep(12)
        with BULK.clients() as clients:
            time.sleep(2)
            played = BULK.move(progress, to, kraf_app_volume_size=VOLUME)
            time.sleep(2)
        after = floor(BULK)
        limit, before = before.mean(after).to(to), after
        move = Move(played, clients.window(played.begin, played.end), limit)
        progress.say(f"  {move.told()}")
        first, held = sent_bytes(played.output)
        sent[number] = first + held
        name = f"large_to_{to}" if number < 2 else "large_again_to_edge"
        note = f"{first / 2**20:.0f} MiB before, {held / 2**20:.1f} MiB while held; {played.seconds:.0f} s"
        result += [
            Row(f"{name}_failed", move.seen.failed, 0, note=f"of {move.seen.requests} requests"),
            Row(f"{name}_longest_wait_seconds", move.seen.longest_wait_seconds, note=note),
            Row(f"{name}_floor_seconds", limit, note=FLOOR),
            Row(f"{name}_wait_floor_ratio", move.seen.longest_wait_seconds / limit, 1.5),
            Row(f"{name}_api_requests", *requests(played.output)),
        ]
    return [
        *result,
        Row("large_again_sent_ratio", sent[2] / sent[0], 0.01, note="second move of unchanged data / first"),
    ]


def floor(app: App) -> floors.Floors:
    """The floor while clients poll the app."""
    with app.clients():
        return floors.measure(DEVICE, disk.NODE, image.publish())


def sent_bytes(output: str) -> tuple[int, int]:
    """What a move's copies sent, before and while clients waited."""
    found = _SENT.search(output)
    if found is None:
        raise access.Failed("the play does not say what it sent")
    first, first_unit, held, held_unit = found.groups()
    return int(float(first) * _UNITS[first_unit]), int(float(held) * _UNITS[held_unit])


def requests(output: str) -> tuple[int, int, bool, str]:
    """Requests that a move made to the API server, of a row: the figure, its target, and the steps that made them."""
    found = _REQUESTS.search(output)
    if found is None:
        raise access.Failed("the play does not say how many requests it made")
    return int(found.group(1)), 60, True, f"without those of waiting: {found.group(2)}"
