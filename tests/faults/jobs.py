# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs of a device run at the edge, once: one that succeeds, one that needs a second try, one that fails, one that
takes too long, one that is not waited for, and one whose play is killed at each step.

The lab has to be up, with its cluster.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from unittest.mock import ANY

from tests.demo import access
from tests.demo.access import KUBECTL
from tests.lab import images

from .lab import CONTROL, DEVICE, Lab, published
from .lost import Checks

NAME = "sums"
PLAY = Path(__file__).parent / "job.yml"
RUNS = "echo run >>/data/runs; cat /data/input >/data/output; "
RESULT = f"cat /srv/{NAME}/runs /srv/{NAME}/output 2>/dev/null; true"
KEPT = f"/var/lib/kraf/jobs/{NAME}"
MODES = f"stat -c %a:%U {KEPT}/. {KEPT}/result.json {KEPT}/log"
ONCE = "run\nfrom the device\n"
GOOD = "succeeded", "", 0
MOMENTS = (
    "before:stop",
    "after:copy",
    "before:commit",
    "after:commit",
    "after:start",
    "before:release",
    "after:release",
)

BACK = ("after:finish", "before:commit", "after:commit", "before:confirm")
"""Of a play that brings one back."""


class Jobs(Checks):
    """The jobs, on a lab that is up."""

    def __init__(self, lab: Lab) -> None:
        super().__init__()
        self.lab = lab
        self.lab_rc = 0

    def make(self, log: str, script: str, retries: int = 0, deadline: int = 0) -> None:
        """A job on its device."""
        given = {"device": DEVICE, "app": NAME, "image": published(), "architecture": images.architecture()}
        given |= {"script": script, "retries": str(retries), "deadline": str(deadline)}
        self.check(f"{log}: it is made", self.lab.play(str(PLAY), f"{log}-make", **_named(given)), 0)

    def play(self, log: str, fault: str = "", **variables: str) -> int:
        """Run the playbook."""
        return self.lab.play("kraf.edge.job", log, fault, kraf_apps=[f"{DEVICE}/{NAME}"], **variables)

    def found(self) -> str:
        """What it left on its device."""
        return access.ssh(DEVICE, RESULT)

    def kept(self) -> tuple[object, ...]:
        """What its device has of its last run: result, reason, exit code (which may go with its pod) and log."""
        found = json.loads(access.ssh(DEVICE, f"cat {KEPT}/result.json"))
        return found["result"], found["reason"], found["exit_code"], access.ssh(DEVICE, f"cat {KEPT}/log")

    def ended(self, log: str, result: int, words: str, left: str, kept: tuple[object, ...]) -> None:
        """How the playbook has to end, and what has to be on the device then; see ``kept``."""
        said = self.lab.output(log)
        self.check(f"{log}: it ends with {result} and says {words!r}", (self.lab_rc, words in said), (result, True))
        self.check(f"{log}: its results are back", self.found(), left)
        self.check(f"{log}: its device knows how it ended", self.kept(), kept)
        self.check(f"{log}: only root does", access.ssh(DEVICE, MODES).split(), ["700:root", "600:root", "600:root"])
        side = access.ssh(DEVICE, f"docker inspect -f '{{{{.State.Status}}}}' {NAME}").strip()
        self.check(f"{log}: it did not run on the device", side, "created")
        jobs = f"{KUBECTL} -n kraf-{DEVICE} get job,pod -l kraf.io/app={NAME} -o name"
        self.check(f"{log}: nothing is left at the edge", access.ssh(CONTROL, jobs).strip(), "")

    def ends(self) -> None:
        """Those that end by themselves."""
        self.make("good", f"{RUNS}echo well done")
        self.lab_rc = self.play("good")
        self.ended("good", 0, f"{DEVICE}/{NAME} succeeded: exit code 0 ", ONCE, (*GOOD, "well done\n"))
        self.check("good: its log is shown", "  well done" in self.lab.output("good"), True)

        self.make("second", f"{RUNS}wc -l </data/runs; [ $(wc -l </data/runs) = 2 ] || exit 3", retries=2)
        self.lab_rc = self.play("second")
        self.ended("second", 0, f"{DEVICE}/{NAME} succeeded: exit code 0 ", f"run\n{ONCE}", (*GOOD, "2\n"))

        self.make("bad", f"{RUNS}echo no good >&2; exit 7")
        self.lab_rc = self.play("bad")
        self.ended("bad", 2, f"{DEVICE}/{NAME} failed (Error): exit code 7 ", ONCE, ("failed", "Error", 7, "no good\n"))

        self.make("late", f"{RUNS}sleep 600", deadline=5)
        self.lab_rc = self.play("late")
        late = "failed", "DeadlineExceeded", ANY, ""
        self.ended("late", 2, f"{DEVICE}/{NAME} failed (DeadlineExceeded): ", ONCE, late)

        self.make("slow", f"{RUNS}sleep 25")
        rc = self.play("slow-first", kraf_job_timeout="1")
        waits = "and has not ended" in self.lab.output("slow-first")
        self.check("slow: it is not waited for", (rc, waits), (2, True))
        self.lab_rc = self.play("slow")
        self.ended("slow", 0, f"{DEVICE}/{NAME} succeeded: exit code 0 ", ONCE, (*GOOD, ""))

    def taken_back(self) -> None:
        """One that is ended before its time, and those whose play is killed."""
        self.make("ended", f"{RUNS}echo so far; sleep 600")
        move = {"kraf_apps": [f"{DEVICE}/{NAME}"]}
        self.check(
            "ended: it is at the edge", self.lab.play("kraf.edge.migrate", "ended-to", **move, kraf_to="edge"), 0
        )
        self.lab_rc = self.lab.play(
            "kraf.edge.migrate", "ended", **move, kraf_to="device", kraf_job_timeout="1", kraf_job_kill="true"
        )
        killed = "killed", "taken back before its end", ANY, "so far\n"
        self.ended("ended", 0, f"{DEVICE}/{NAME} killed", ONCE, killed)

        for moment in MOMENTS:
            log = f"killed-{moment.replace(':', '-')}"
            self.make(log, f"{RUNS}echo {log}")
            self.check(f"{log}: the play is killed", self.play(f"{log}-first", fault=moment), -9)
            self.lab_rc = self.play(log)
            self.ended(log, 0, f"{DEVICE}/{NAME} succeeded: exit code 0 ", ONCE, (*GOOD, f"{log}\n"))

        for moment in BACK:
            log = f"back-{moment.replace(':', '-')}"
            self.make(log, f"{RUNS}echo {log}")
            to_edge = self.lab.play("kraf.edge.migrate", f"{log}-to", **move, kraf_to="edge")
            self.check(f"{log}: it is at the edge", to_edge, 0)
            first = self.lab.play("kraf.edge.migrate", f"{log}-first", moment, **move, kraf_to="device")
            self.check(f"{log}: the play is killed", first, -9)
            self.lab_rc = self.lab.play("kraf.edge.migrate", log, **move, kraf_to="device")
            self.ended(log, 0, f"{DEVICE}/{NAME} succeeded: exit code 0 ", ONCE, (*GOOD, f"{log}\n"))


PARTS = {"ends": Jobs.ends, "taken-back": Jobs.taken_back}


def _named(given: dict[str, str]) -> dict[str, str]:
    return {f"job_{key}": value for key, value in given.items()}


def main() -> int:
    """Run it; the exit status is 1 when something was wrong."""
    jobs = Jobs(Lab(access.INVENTORY.resolve(), access.ROOT / "build" / access.LAB.name / "jobs"))
    for part in sys.argv[1:] or PARTS:
        PARTS[part](jobs)
    return jobs.end(jobs.lab.logs)


if __name__ == "__main__":
    sys.exit(main())
