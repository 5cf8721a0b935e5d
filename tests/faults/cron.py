# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cronjob of a device, due each minute, moves to the edge and back, also by plays that are killed: each run is whole
and follows the one before, no slot is run twice, and of those that fall into a move the last one is run.

Which slot a run is for says its pod's name at the edge, which is its host name, and the device's journal. The lab has
to be up, with its cluster.
"""

from __future__ import annotations

import json
import re
import sys
import time
from datetime import datetime, timezone
from pathlib import Path

from tests.demo import access
from tests.demo.access import KUBECTL
from tests.lab import images

from .lab import CONTROL, DEVICE, OTHER, Lab, published
from .lost import Checks

NAME = "minutes"
PLAY = Path(__file__).parent / "cron.yml"
# Begin, host and end of each run; what is one run's alone must not be cut by another's.
SCRIPT = 'printf "%s %s " $(date +%s) $(hostname) >>/data/runs; sleep 3; date +%s >>/data/runs'
TIMER = f"systemctl is-active kraf-cron@{NAME}.timer; true"
GOOD = "succeeded", 0
MOMENTS = (
    ("edge", ""),
    ("device", ""),
    ("edge", "after:stop"),
    ("device", "before:commit"),
    ("edge", "after:commit"),
    ("device", "after:commit"),
    ("edge", "before:confirm"),
    ("device", "before:release"),
)


class Cron(Checks):
    """The cronjob, on a lab that is up."""

    def __init__(self, lab: Lab) -> None:
        super().__init__()
        self.lab = lab
        self.moves: list[tuple[float, float]] = []

    def move(self, to: str, log: str, fault: str = "") -> int:
        """Run the playbook."""
        return self.lab.play("kraf.edge.migrate", log, fault, kraf_apps=[f"{DEVICE}/{NAME}"], kraf_to=to)

    def runs(self) -> list[list[str]]:
        """Begin, host and end of each run so far; the app has to be on its device."""
        return [line.split() for line in access.ssh(DEVICE, f"cat /srv/{NAME}/runs").splitlines()]

    def wait_for_runs(self, side: str) -> None:
        """Until the owner has begun one more, or more."""
        time.sleep(70)
        timer = access.ssh(DEVICE, TIMER).strip()
        query = f"{KUBECTL} -n kraf-{DEVICE} get cronjob app-{NAME} -o jsonpath={{.spec.suspend}} --ignore-not-found"
        suspended = access.ssh(CONTROL, query).strip()
        self.check(f"{side}: its timer runs", timer, "active" if side == "device" else "inactive")
        self.check(f"{side}: its CronJob", suspended, "" if side == "device" else "false")

    def walk(self) -> None:
        """There and back, again and again."""
        given = {"device": DEVICE, "app": NAME, "image": published(), "architecture": images.architecture()}
        given["script"] = SCRIPT
        variables = {f"cron_{key}": value for key, value in given.items()}
        self.check("it is made", self.lab.play(str(PLAY), "make", **variables), 0)
        self.check("it is scheduled on its device", self.move("device", "begin"), 0)
        begin = time.time()
        self.wait_for_runs("device")
        for number, (to, fault) in enumerate(MOMENTS, 1):
            log = f"{number}-to-{to}" + f"-{fault.replace(':', '-')}" * bool(fault)
            start = time.time()
            if fault:
                self.check(f"{log}: the play is killed", self.move(to, f"{log}-first", fault), -9)
                time.sleep(30)
            self.check(f"{log}: it moves", self.move(to, log), 0)
            self.moves.append((start, time.time()))
            self.wait_for_runs(to)
            self.check(f"{log}: a second run changes nothing", self.move(to, f"{log}-again"), 0)
        if MOMENTS[-1][0] != "device":
            self.check("it is brought back", self.move(OTHER["edge"], "back"), 0)
        self.judge(self.runs(), begin)
        last = json.loads(access.ssh(DEVICE, f"cat /var/lib/kraf/jobs/{NAME}/result.json"))
        self.check("its device knows how the last run at the edge ended", (last["result"], last["exit_code"]), GOOD)

    def slots(self, runs: list[list[str]], begin: float) -> list[int]:
        """The slot of each run, minutes since 1970, in their order."""
        said = access.ssh(DEVICE, f"journalctl -u kraf-cron@{NAME}.service -o cat --no-pager")
        device = [minute(one) for one in re.findall(r"slot (\S+) ended", said) if minute(one) * 60 > begin - 60]
        edge = [re.match(rf"app-{NAME}-(\d+)-", one[1]) for one in runs]
        self.check("the device's journal knows each run that was the device's", edge.count(None), len(device))
        left = iter(device)
        return [int(one[1]) if one else next(left, 0) for one in edge]

    def judge(self, runs: list[list[str]], begin: float) -> None:
        """Each run whole, none beside another; no slot twice, and none left out but before another in the same move."""
        self.check("each run is whole", [one for one in runs if len(one) != 3], [])
        ends = [int(one[2]) for one in runs]
        beside = [one for one, end in zip(runs[1:], ends) if int(one[0]) < end]
        self.check("no run began before the end of the one before", beside, [])
        slots = self.slots(runs, begin)
        self.check("no slot is run twice, and they run in their order", slots, sorted(set(slots)))
        missed = sorted(set(range(slots[0], slots[-1])) - set(slots))
        lost = [
            one
            for one in missed
            # The controller and the timer may take some seconds: a move may come before them.
            if not any(start - 15 <= one * 60 and (one + 1) * 60 <= end for start, end in self.moves)
        ]
        self.check("no slot is left out, but for one before another in the same move", lost, [])
        hosts = {one[1] for one in runs}
        self.check("both sides ran it", len(hosts) > 1, True)
        print(
            f"{len(runs)} runs for {slots[-1] - slots[0] + 1} slots, {len(missed)} were left for the next", flush=True
        )


def minute(text: str) -> int:
    """A slot as the device's journal has it, in minutes since 1970."""
    return int(datetime.strptime(text, "%Y-%m-%dT%H:%MZ").replace(tzinfo=timezone.utc).timestamp()) // 60


def main() -> int:
    """Run it; the exit status is 1 when something was wrong."""
    cron = Cron(Lab(access.INVENTORY.resolve(), access.ROOT / "build" / access.LAB.name / "cron"))
    cron.walk()
    return cron.end(cron.lab.logs)


if __name__ == "__main__":
    sys.exit(main())
