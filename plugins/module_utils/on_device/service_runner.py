# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs an app that is a systemd service of the device.

It is kept from starting by a condition, not by a mask. A mask needs the place of a unit file that lies in /etc already,
makes units fail that need it, and says nothing. A condition in a drop-in survives reloads, reboots and upgrades of the
unit's package, holds for whatever would start it (its target, a timer, a person), leaves its enabled state alone, and
``systemctl status`` shows which file it waits for. The drop-in is written while the app runs, for a reload takes a weak
device seconds; while clients wait, one small file comes or goes.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import KrafError
from . import files, service, sockets, units
from .container import Container
from .placement import Record
from .run import run

LONGEST_STOP = 600
START_LIMIT = 120.0
FREEZE_LIMIT = 5.0
LOOPBACK = "127.0.0.1"
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104

TEXT = """\
# Written by kraf.edge: the unit does not start while its app is at the edge; the app's way back takes this away again.
[Unit]
ConditionPathExists=!{away}
# What asks the edge at boot whether it has taken the app over comes first, where it is there.
After=kraf-takeover-boot.service
"""


@dataclass(frozen=True)
class Serviced:
    """A unit, by its name."""

    unit: str

    def describe(self) -> Container:
        return service.describe(self.unit)

    def prepare(self) -> None:
        path = f"{self.unit}.d/{service.DROP_IN}"
        if units.write(path, TEXT.format(away=service.AWAY / self.unit)):
            units.reload_units()
        if not service.has_condition(self.unit):
            why = f"it starts although {units.UNITS / path} says that it does not"
            raise KrafError(
                "unit", self.unit, why, f"See systemctl cat {self.unit}: nothing after it may reset Condition"
            )

    def tidy(self, record: Record) -> None:
        if service.conditioned(self.unit) or record.ways:
            return
        if units.remove(f"{self.unit}.d/{service.DROP_IN}"):
            with contextlib.suppress(OSError):  # others' drop-ins are there, too
                (units.UNITS / f"{self.unit}.d").rmdir()
            units.reload_units()

    def start(self, record: Record) -> bool:
        files.remove(service.AWAY / self.unit)
        if units.active(self.unit):
            return False
        # One that has failed too often in a short time would not be started (StartLimitBurst of systemd.unit(5)).
        run(["systemctl", "--no-ask-password", "reset-failed", self.unit], 10)
        units.start(self.unit, timeout=START_LIMIT)
        if not units.active(self.unit):
            state = units.properties(self.unit, "ConditionResult", "LoadState", "ActiveState")
            why = f"systemd did not start it: {' '.join(f'{key}={value}' for key, value in state.items())}"
            raise KrafError("unit", self.unit, why, f"See systemctl status {self.unit} on the device")
        return True

    def stop(self, record: Record) -> None:
        # Before it is stopped: nothing starts it in between.
        files.write(service.AWAY / self.unit, f"{record.app}: the edge runs it\n")
        found = service.find(self.unit)
        if found is None:
            return
        self.prepare()
        # systemd waits for its end, and then as long again for that of what it has killed.
        patience = found.stop_timeout if found.stop_timeout >= 0 else LONGEST_STOP
        done = units.stop(self.unit, timeout=patience * 2 + 30)
        if not done.ok or units.active(self.unit):
            why = "it did not stop" if done.timed_out else f"systemd did not stop it: {done.stderr.strip()[-1000:]}"
            raise KrafError("unit", self.unit, why, f"See systemctl status {self.unit} on the device")

    def running(self, record: Record) -> bool:
        return units.active(self.unit)

    def pause(self, record: Record) -> None:
        # Not by systemctl freeze: systemd has it since 246, and only where version 2 of control groups is alone.
        path = self._freezer()
        if path is None:
            why = "this kernel freezes no control group of version 2"
            raise KrafError("unit", self.unit, why, "Move the app while it may stand still; standby cannot copy it")
        path.write_text("1")
        end = time.monotonic() + FREEZE_LIMIT
        while "frozen 1" not in (path.parent / "cgroup.events").read_text():
            if time.monotonic() > end:
                path.write_text("0")
                raise KrafError("unit", self.unit, f"its processes did not freeze within {FREEZE_LIMIT:g} s")
            time.sleep(0.01)

    def resume(self, record: Record) -> None:
        path = self._freezer()
        if path is not None:
            path.write_text("0")

    def _freezer(self) -> Path | None:
        return sockets.freezer(units.properties(self.unit, "ControlGroup")["ControlGroup"])

    def keep_down(self, record: Record, docker_root: Path) -> bool:
        return files.write(service.AWAY / self.unit, f"{record.app}: the edge has taken it over\n")

    def process(self) -> int:
        return service.main_process(self.unit)

    def address(self, port: int, protocol: str) -> tuple[str, str]:
        listens = list(service.addresses(service.describe(self.unit), port, protocol))
        if listens and not set(listens) & set(EVERYWHERE):
            # Clients of other addresses are turned away by the unit, and stay so.
            here = next((one for one in listens if ":" not in one), "")
            if not here:
                why = f"it listens on {', '.join(listens)}, and a forward leads to IPv4"
                raise KrafError(f"port of unit {self.unit}", port, why, "Let it listen on an IPv4 address, too")
            return f"{here}:{port}", here
        return f"{LOOPBACK}:{port}", "*"
