# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The dead-man's timer: if a hand-over stops halfway and nobody comes back, the device undoes it by itself.

It is armed while the app's record says ``moving``: one durable write disarms it. The timer runs again after a reboot.
What it runs is a copy of this very code, put on the device beforehand, so that it needs neither Ansible nor the
network.
"""

from __future__ import annotations

import contextlib
import sys
from dataclasses import replace
from pathlib import Path

from ..core.errors import KrafError
from . import disk, door, files, forward, library, placement, runner, units, ways
from .forward_store import TCP
from .placement import DEVICE, EDGE, IDLE, MOVING, Record

LOCK_LIMIT = 900.0
START_LIMIT = 60.0
"""Seconds that clients wait longer for an app that has to start again, so that they meet it and not a closed port."""

_SAYS = "undoes a hand-over that stopped halfway. Argument: the app."

_SERVICE = """\
[Unit]
Description=kraf.edge: undo a hand-over of %i that stopped halfway
After=docker.service kraf-forward.service

[Service]
Type=oneshot
ExecStart=/usr/bin/python3 {script} %i
Restart=on-failure
RestartSec=5
"""

_TIMER = """\
[Unit]
Description=kraf.edge: dead-man's timer of {app}

[Timer]
OnActiveSec={seconds}
AccuracySec=1s
Unit=kraf-deadman@{app}.service

[Install]
WantedBy=timers.target
"""


def resume(record: Record) -> Record:
    """Let an app go on that was paused for the end of a copy."""
    if not record.paused:
        return record
    runner.of(record).resume(record)
    return placement.save(replace(record, paused=False))


def restore(record: Record) -> Record:
    """Give clients back to the owner: what a hand-over that was not verified has changed so far."""
    if record.to == EDGE:
        # The app starts again over its data, or not at all: the timer tries again.
        disk.back(disk.of(record.data, record.disks), START_LIMIT)
        if record.restart_policy and not record.job and runner.of(record).start(record):
            _await(record.app)
        ways.release(record.app, DEVICE)
        runner.of(record).tidy(record)
    else:
        _await_edge(record.app)
        ways.release(record.app, EDGE)
    return placement.save(replace(record, phase=IDLE, to=record.owner))


def _await(app: str) -> None:
    for found in forward.members(app):
        if found.device_address and found.protocol == TCP:
            with contextlib.suppress(KrafError):
                door.probe_device(found.device_address, "", START_LIMIT)


def _await_edge(app: str) -> None:
    """The edge may have stopped its own already, and starts it again when the run that asked for it is settled."""
    for found in forward.members(app):
        with contextlib.suppress(KrafError):
            door.probe_edge(found.edge, found.sni, "", START_LIMIT)


def fire(app: str) -> int:
    """What the timer does."""
    with placement.exclusive(app, LOCK_LIMIT):
        record = placement.load(app)
        if record is not None and record.paused:
            resume(record)
            sys.stdout.write(f"{app}: the container was paused for a copy that nobody ended; it goes on\n")
        if record is not None and record.phase == MOVING:
            restore(record)
            sys.stdout.write(f"{app}: the hand-over of epoch {record.epoch} to {record.to} stopped halfway; undone\n")
    return 0


def install() -> None:
    """Put what the timer runs on the device."""
    library.install()
    script = library.install_script("deadman", _SAYS, "deadman.fire(sys.argv[1])")
    if units.write("kraf-deadman@.service", _SERVICE.format(script=script)) and units.running():
        units.reload_units()


def arm(app: str, seconds: int) -> None:
    """Start the timer; it fires after so many seconds, or so many after a reboot, if the record is ``moving`` then."""
    timer = f"kraf-deadman@{app}.timer"
    written = units.write(timer, _TIMER.format(app=app, seconds=seconds))
    if units.enable(timer, "timers.target"):
        files.write(_since_boot(app), "", 0o600)
    # A reload costs a weak device seconds. Only one that systemd still has from before, with other words, needs it.
    if written and units.properties(timer, "NeedDaemonReload")["NeedDaemonReload"] == "yes":
        units.reload_units()
    units.restart(timer)


def clear(app: str) -> None:
    """Remove a timer that has nothing to do any more."""
    timer = f"kraf-deadman@{app}.timer"
    if units.disable(timer, "timers.target") | units.remove(timer):
        # systemd forgets a unit that has stopped and that nothing wants: no reload while clients are being let through.
        units.stop(timer)
        if not files.remove(_since_boot(app)):
            # Of one that was armed before a boot it has read that it is wanted, and does not forget it.
            units.reload_units()


def _since_boot(app: str) -> Path:
    """A file that a boot takes away, made when the timer is enabled."""
    return placement.LOCKS / f"armed-{app}"
