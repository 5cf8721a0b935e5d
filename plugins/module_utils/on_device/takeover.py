# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keeps a device's app stopped once the edge has taken it over from a device that was thought lost.

A device that comes back cannot know what was decided without it. For apps that the edge is kept ready for it asks
there: a pod answers only behind the gate of its epoch, so one that answers owns the app (DESIGN, one owner). Before
Docker starts, an app that answers at the edge loses its restart policy; later, once a minute, it is stopped and its
clients are led to the edge. A device that cannot reach the edge starts its apps: it has to work alone, too.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from ..core.errors import KrafError
from . import docker, files, forward, library, placement, runner, units, ways
from .placement import DEVICE, EDGE, IDLE, Record

LIMIT = 5.0
"""Seconds for the edge to answer: so long Docker's start waits at most, on a device whose edge is away."""
STATE = "takeover.json"
UNIT = "kraf-takeover"
DROP_IN = "docker.service.d/kraf-takeover.conf"

_SAYS = "keeps apps stopped that the edge has taken over. Argument: boot, before Docker starts; or watch."
_BOOT = """\
# Written by kraf.edge: an app that runs at the edge must not start here. One that fails is no reason not to start.
[Service]
ExecStartPre=-/usr/bin/python3 {script} boot
"""
_BEFORE_UNITS = """\
# Written by kraf.edge: apps that are units of systemd ask as those of Docker do; their own drop-ins come after this.
[Unit]
Description=kraf.edge: apps that the edge has taken over do not start
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
ExecStart=-/usr/bin/python3 {script} boot

[Install]
WantedBy=multi-user.target
"""
_SERVICE = """\
[Unit]
Description=kraf.edge: apps that the edge has taken over stay stopped
After=docker.service kraf-forward.service

[Service]
Type=oneshot
ExecStart=/usr/bin/python3 {script} watch
"""
_TIMER = """\
[Unit]
Description=kraf.edge: asks the edge for apps that it may have taken over

[Timer]
OnBootSec=20
OnUnitActiveSec=60
AccuracySec=5

[Install]
WantedBy=timers.target
"""


def install() -> None:
    """Put it on the device."""
    # A device whose apps are units need not have Docker.
    if os.path.exists(docker.SOCKET):
        files.save_json(placement.ROOT / STATE, {"docker": docker.root()}, 0o600)
    script = library.install_script("takeover", _SAYS, "takeover.main(sys.argv[1])")
    written = [
        units.write(DROP_IN, _BOOT.format(script=script)),
        units.write(f"{UNIT}-boot.service", _BEFORE_UNITS.format(script=script)),
        units.write(f"{UNIT}.service", _SERVICE.format(script=script)),
        units.write(f"{UNIT}.timer", _TIMER),
    ]
    enabled = units.enable(f"{UNIT}.timer", "timers.target") | units.enable(f"{UNIT}-boot.service")
    if (any(written) or enabled) and units.running():
        units.reload_units()
        units.restart(f"{UNIT}.timer")


def taken_over() -> list[Record]:
    """Apps that answer at the edge although this device takes them for its own."""
    watched = []
    for path in sorted((placement.ROOT / "placements").glob("*.json")):
        record = placement.load(path.stem)
        # One that may run on both sides does no harm; one on its way is the run's.
        if record and record.ways and (record.owner, record.phase) == (DEVICE, IDLE) and not record.overlap:
            watched.append(record)
    with ThreadPoolExecutor(max(1, min(8, len(watched)))) as pool:
        answers = list(pool.map(_answers, watched))
    return [record for record, answer in zip(watched, answers) if answer]


def _answers(record: Record) -> bool:
    return answers(record.app, [ways.Way(**one) for one in record.ways], record.doors)


def answers(app: str, offered: Sequence[ways.Way], doors: Sequence[str]) -> bool:
    """Whether each of the app's ports, its own probe, or what stands for them answers at the edge.

    Args:
        app: name of the app.
        offered: where to ask; of nothing nobody can tell.
        doors: addresses of the doors, besides those that its forwards know.
    """
    if not offered:
        return False
    doors = [*(address for one in forward.members(app) for address in one.edge), *doors]
    try:
        ways.probe_edge(offered, tuple(dict.fromkeys(doors)), LIMIT)
    except KrafError:
        return False
    return True


def boot() -> None:
    """Before Docker, and units that are apps, start."""
    root = Path(str((files.load_json(placement.ROOT / STATE) or {}).get("docker") or "/var/lib/docker"))
    for record in taken_over():
        if runner.of(record).keep_down(record, root):
            _say(record, "it stays stopped")


def watch() -> None:
    """While Docker runs: the container stopped, its clients led to the edge."""
    for record in taken_over():
        with contextlib.suppress(KrafError), placement.exclusive(record.app, 1.0):
            now = placement.load(record.app)
            if now is None or (now.owner, now.epoch, now.phase) != (DEVICE, record.epoch, IDLE):
                continue
            runs = runner.of(now)
            if runs.running(now):
                runs.stop(now)
                placement.save(replace(now, diverged=True))
                _say(record, "it was stopped here")
            if any(one.target == DEVICE for one in forward.members(now.app)):
                ways.hold(now.app)
                ways.release(now.app, EDGE)


def _say(record: Record, what: str) -> None:
    sys.stdout.write(f"{record.app}: the edge has taken it over since epoch {record.epoch}; {what}\n")


def main(how: str) -> int:
    """Entry point of the program on the device."""
    if how == "boot":
        boot()
    else:
        watch()
    return 0
