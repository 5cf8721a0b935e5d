# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs a cronjob of the device: a timer of systemd starts its container, once for each slot.

The file of the app says which slot was begun last, on either side. One that is about to begin is written down beside
it, with the time of the container's start before: after a power cut the container says whether it has begun. Of slots
that were missed the last one is made up for, as Kubernetes does.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..core import schedule
from ..core.errors import KrafError
from . import docker, files, library, placement, units
from .container import Container
from .placement import DEVICE, IDLE, Record
from .run import run

PREFIX = "cron:"
LOCK_LIMIT = 900.0
STOP_LIMIT = 150.0
"""Seconds for a run in progress to end before its app moves."""
LONGEST_RUN = 7 * 86400.0
NEVER = "0001-01-01T00:00:00Z"
"""When Docker says that a container was started that never was."""
CATCH_UP = 20
"""Seconds after the boot until a slot is made up for that was missed meanwhile."""

_SAYS = "runs a cronjob if it is due and the device owns it. Argument: the app."
_SERVICE = """\
[Unit]
Description=kraf.edge: run of the cronjob %i
After=docker.service

[Service]
Type=oneshot
ExecStart=/usr/bin/python3 {script} %i
"""
_TIMER = """\
[Unit]
Description=kraf.edge: schedule of the cronjob {app}, {schedule}

[Timer]
{events}
OnBootSec={catch_up}
AccuracySec=1s

[Install]
WantedBy=timers.target
"""


def is_cron(container: str) -> bool:
    """Whether what runs an app is a schedule of a container."""
    return container.startswith(PREFIX)


def of(container: str) -> Scheduled:
    """The runner by its name: ``cron:``, schedule, app and container, with ``|`` in between."""
    text, app, name = container[len(PREFIX) :].split("|")
    return Scheduled(text, app, name)


def _path(app: str) -> Path:
    return placement.ROOT / "cron" / f"{app}.json"


def _load(app: str) -> dict[str, Any]:
    return files.load_json(_path(app)) or {}


def _save(app: str, **state: Any) -> dict[str, Any]:
    found = {**_load(app), **state}
    files.save_json(_path(app), found, 0o600)
    return found


def last(app: str) -> int:
    """The slot that was begun last, on either side as far as the device knows; 0 is none. Its lock has to be held."""
    state = _load(app)
    if state.get("next") and _has_begun(str(state["container"]), str(state["before"])):
        state = _save(app, slot=state["next"], next=0)
    return int(state.get("slot") or 0)


def _has_begun(container: str, before: str) -> bool:
    """Whether a container was started since its start ``before``; one that is gone counts as begun, never twice."""
    found = docker.inspect(container)
    return found is None or _started_at(found) not in (before, NEVER)


def _started_at(found: Mapping[str, Any]) -> str:
    """When a container was started last, in Docker's words; ``NEVER``."""
    return str((found.get("State") or {}).get("StartedAt") or NEVER)


def remember(app: str, slot: int) -> None:
    """The edge has begun this slot."""
    if slot > last(app):
        _save(app, slot=slot, next=0)


def _timer(app: str) -> str:
    return f"kraf-cron@{app}.timer"


@dataclass(frozen=True)
class Scheduled:
    """A container that is started by a schedule. It counts as running while its timer is enabled."""

    schedule: str
    app: str
    container: str

    def _text(self) -> str:
        events = "\n".join(f"OnCalendar={one}" for one in schedule.parse(self.schedule).calendar())
        return _TIMER.format(app=self.app, schedule=self.schedule, events=events, catch_up=CATCH_UP)

    def enabled(self) -> bool:
        """Whether the timer of this very schedule is."""
        link = units.UNITS / "timers.target.wants" / _timer(self.app)
        return link.is_symlink() and files.read(units.UNITS / _timer(self.app)) == self._text()

    def as_it_counts(self, found: Container) -> Container:
        """The container, running while its timer is enabled."""
        enabled = self.enabled()
        return replace(found, running=enabled, restart_policy="always" if enabled else "no", restart_maximum=0)

    def describe(self) -> Container:
        return self.as_it_counts(docker.describe(self.container))

    def prepare(self) -> None:
        # To disable a timer takes no time.
        pass

    def tidy(self, record: Record) -> None:
        # The timer itself is all that was changed.
        pass

    def start(self, record: Record) -> bool:
        docker.describe(self.container)
        if not last(self.app):
            # What was due before it was first scheduled is not made up for.
            remember(self.app, int(time.time() // 60))
        _save(self.app, container=self.container, schedule=self.schedule)
        was = self.enabled()
        library.install()
        script = library.install_script("cron", _SAYS, "cron.fire(sys.argv[1])")
        written = units.write("kraf-cron@.service", _SERVICE.format(script=script))
        written |= units.write(_timer(self.app), self._text())
        units.enable(_timer(self.app), "timers.target")
        if written:
            units.reload_units()
        units.restart(_timer(self.app))
        run(["systemctl", "--no-ask-password", "start", "--no-block", f"kraf-cron@{self.app}.service"], 10)
        return not was

    def stop(self, record: Record) -> None:
        units.disable(_timer(self.app), "timers.target")
        units.stop(_timer(self.app))
        end = time.monotonic() + STOP_LIMIT
        while docker.running(self.container):
            if time.monotonic() > end:
                why = f"its run has not ended within {STOP_LIMIT:g} s"
                raise KrafError(f"cronjob {self.app}", self.container, why, "Move it once the run has ended")
            time.sleep(0.2)

    def running(self, record: Record) -> bool:
        return self.enabled()

    def pause(self, record: Record) -> None:
        raise KrafError(f"cronjob {self.app}", None, "a cronjob is not kept ready at the edge", "Move it")

    def resume(self, record: Record) -> None:
        # Never paused.
        pass

    def keep_down(self, record: Record, docker_root: Path) -> bool:
        return units.disable(_timer(self.app), "timers.target")

    def process(self) -> int:
        return docker.pid(self.container)

    def address(self, port: int, protocol: str) -> tuple[str, str]:
        raise KrafError(f"cronjob {self.app}", port, "a cronjob has no clients", "Leave ports out")


def fire(app: str) -> int:
    """What the timer does: the run of the last slot that is due, to its end; then of one that was due meanwhile."""
    while True:
        with placement.exclusive(app, LOCK_LIMIT):
            begun = _begin(app)
        if begun is None:
            return 0
        name, minute = begun
        code = docker.wait(name, LONGEST_RUN)
        slot = datetime.fromtimestamp(minute * 60, timezone.utc)
        sys.stdout.write(f"{app}: slot {slot:%Y-%m-%dT%H:%MZ} ended with {code}\n")


def _begin(app: str) -> tuple[str, int] | None:
    """Start the container if a slot is due; its name and the slot, None when nothing is to be waited for."""
    state, record = _load(app), placement.load(app)
    if record is None or (record.owner, record.phase) != (DEVICE, IDLE) or not state.get("schedule"):
        return None
    name, now = str(state["container"]), int(time.time() // 60)
    found = docker.inspect(name)
    if found is None:
        raise docker.missing(name)
    if (found.get("State") or {}).get("Running"):
        return None
    due = schedule.parse(str(state["schedule"])).latest(last(app), now)
    if due is None:
        return None
    _save(app, next=due, before=_started_at(found))
    docker.start(name)
    _save(app, slot=due, next=0)
    return name, due
