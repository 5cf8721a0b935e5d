# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two containers of a device that are one app, of which one asks the other by its name, move to the edge and back,
also by plays that are killed on their way; where one of them is missing, none moves. Then the device is lost and comes
back.

A client writes numbers all the time, and none that was acknowledged is missing in the end. The lab has to be up, with
its cluster.
"""

from __future__ import annotations

import functools
import json
import sys
from typing import Any

from tests.demo import access
from tests.demo.access import KUBECTL
from tests.lab import images

from . import moves
from .lab import CONTROL, DEVICE, FOLDER, Lab, published
from .lost import Checks, Subject

NAME, PORT, INSIDE = "group-ledger", 18700, 8100
CONTAINERS = (NAME, f"{NAME}-db")
POLICIES = {NAME: "on-failure:5", f"{NAME}-db": "unless-stopped:0"}
DOWN = dict.fromkeys(CONTAINERS, "no:0")
PLAY = FOLDER.parent / "groups.yml"
MOVES = (
    ("edge", ""),
    ("device", ""),
    ("edge", "before:copy"),
    ("device", "before:commit"),
    ("edge", "after:commit"),
    ("device", "after:commit"),
)
"""The side, and when a first play is killed; it is run again then, and settles what the first one left."""
_POLICY = ".HostConfig.RestartPolicy"
_STATE = f"{{{{.Name}}}} {{{{.State.Running}}}} {{{{{_POLICY}.Name}}}}:{{{{{_POLICY}.MaximumRetryCount}}}}"


def containers() -> tuple[dict[str, bool], dict[str, str]]:
    """Which of them run on the device, and by which restart policies."""
    lines = access.ssh(DEVICE, f"docker inspect -f '{_STATE}' {' '.join(CONTAINERS)}", timeout=60).split("\n")
    rows = [line.lstrip("/").split() for line in lines if line]
    return {row[0]: row[1] == "true" for row in rows}, {row[0]: row[2] for row in rows}


def started() -> str:
    """When each of them was started last."""
    return access.ssh(DEVICE, f"docker inspect -f '{{{{.State.StartedAt}}}}' {' '.join(CONTAINERS)}", timeout=60)


def pods() -> list[dict[str, Any]]:
    """Its pods at the edge."""
    found = access.ssh(CONTROL, f"{KUBECTL} -n kraf-{DEVICE} get pod -l kraf.io/app={NAME} -o json", timeout=60)
    return [one for one in json.loads(found)["items"] if not one["metadata"]["name"].startswith("mover-")]


def on_side(checks: Checks, to: str) -> None:
    """All of them on one side, none on the other."""
    running, policies = containers()
    checks.check("all or none of them run on the device", running, dict.fromkeys(CONTAINERS, to == "device"))
    checks.check("each has its restart policy", policies, POLICIES if to == "device" else DOWN)
    found = pods()
    checks.check("pods at the edge", len(found), 1 if to == "edge" else 0)
    for pod in found:
        checks.check("its containers", [one["name"] for one in pod["spec"]["containers"]], ["app", "ledger"])
        ready = [one["ready"] for one in pod["status"]["containerStatuses"]]
        checks.check("all of them are ready", ready, [True, True])


def one_missing(lab: Lab, checks: Checks) -> None:
    """One of them has another name: nothing moves."""
    inputs: dict[str, Any] = {"kraf_apps": [f"{DEVICE}/{NAME}"], "kraf_to": "edge"}
    access.ssh(DEVICE, f"docker rename {NAME}-db {NAME}-gone")
    try:
        checks.check("with one missing it does not move", lab.play("kraf.edge.migrate", "missing", **inputs), 2)
        told = " ".join(lab.output("missing").split())
        checks.check("which one is told", f"no container {NAME}-db, and a group moves as a whole" in told, True)
    finally:
        access.ssh(DEVICE, f"docker rename {NAME}-gone {NAME}-db")
    on_side(checks, "device")


def main() -> int:
    """Run it; the exit status is 1 when something was wrong."""
    lab, checks = Lab(access.INVENTORY.resolve(), access.ROOT / "build" / access.LAB.name / "groups"), Checks()
    given: dict[str, Any] = {"device": DEVICE, "app": NAME, "port": PORT, "inside": INSIDE, "image": published()}
    given["architecture"] = images.architecture()
    given["program"] = (FOLDER.parent / "front/front.py").read_text()
    made = lab.play(str(PLAY), "make", **{f"groups_{key}": value for key, value in given.items()})
    checks.check("it runs on its device", made, 0)
    if "moves" in moves.parts():
        one_missing(lab, checks)
    there = functools.partial(on_side, checks)
    kept = f"/srv/{NAME}.kraf-lost-*/log"
    app = Subject(NAME, (PORT,), INSIDE, started, lambda: any(containers()[0].values()), there, kept)
    return moves.run(lab, checks, app, MOVES)


if __name__ == "__main__":
    sys.exit(main())
