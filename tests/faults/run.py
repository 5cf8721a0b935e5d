# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kills the whole play before, within and after each step of a migration, or takes something from it that it needs,
in each direction, runs it again, and looks.

After the second run the app runs on exactly one side, every number that a client was told to be stored is in its log,
and nothing of the first run is left: no mover, workload, container, timer, unit or holder of the lock. The lab has to
be up, with its cluster (``make lab``, playbook ``site``). Results go to build/LAB/faults.json; what has passed is not
run again, so that an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import json
import re
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from tests.demo import access

from .lab import CHANGED, OTHER, App, Lab, both, devices, problems, published, settled, wait_until_alone
from .taken import Scene, small_disk, taken
from .writer import Writer, complaints, following

LEDGER = App("ledger", 8020, data=("/data",), second=8120)
ECHO = App("echo", 8021, overlap=True)
BRIM = App("brim", 8022, data=("/data",), named=False)
"""Its data are on a small disk, which can be filled; the device pushes its image."""
BULKY = App("bulky", 8023, data=("/data",), named=False, fresh=True)
"""Before each case there is something new to send: an image, and data."""
STEPS: dict[tuple[str, str], tuple[str, ...]] = {
    ("ledger", "edge"): (
        *("describe", "prepare", "hold", "stop", "copy", "compare", "commit", "start", "ready", "release", "confirm"),
    ),
    ("ledger", "device"): (
        *("describe", "prepare", "hold", "fence", "stop", "gone", "copy", "compare", "commit", "start", "release"),
        "confirm",
    ),
    ("echo", "edge"): ("describe", "prepare", "start", "ready", "commit", "release", "confirm"),
    ("echo", "device"): ("describe", "prepare", "start", "commit", "release", "stop", "gone", "confirm"),
}
TWICE = ("after:copy", "after:commit", "after:start", "after:release")
"""After these the second run is killed, too, before and after it has settled what the first one left."""
CUTS = {
    "edge": {"after:stop": True, "after:commit": False},
    "device": {"after:hold": True, "after:commit": False},
}
"""After these the device loses its power as well; whether it then gives clients back to the owner all by itself."""
TAKEN: dict[str, dict[str, tuple[str, ...]]] = {
    "edge": {
        "api": ("before:prepare", "after:hold", "after:compare", "after:commit", "after:release"),
        "registry": ("before:prepare", "after:commit"),
        "node": ("after:prepare", "after:hold", "after:commit", "after:start"),
        "network": ("after:prepare", "after:hold", "after:stop", "after:commit", "after:release"),
        "reboot": ("after:prepare", "after:hold", "after:compare", "after:start"),
        "sleeper": ("after:describe", "after:prepare", "after:hold", "after:compare", "after:commit", "after:start"),
        "rival": ("after:describe", "after:stop"),
    },
    "device": {
        "api": ("before:prepare", "after:hold", "after:stop", "after:compare", "after:commit", "after:release"),
        "registry": ("before:prepare",),
        "node": ("before:prepare", "after:hold", "after:stop", "after:commit"),
        "network": ("after:prepare", "after:hold", "after:stop", "after:commit", "after:release"),
        "reboot": ("after:prepare", "after:hold", "after:compare", "after:start"),
        "sleeper": ("after:describe", "after:prepare", "after:hold", "after:compare", "after:commit", "after:start"),
        "rival": ("after:describe", "after:stop"),
    },
}
"""When something is taken away while the play sleeps; "sleeper" and "rival" are another operator's run."""
AMIDST: dict[str, dict[str, tuple[float, ...]]] = {
    "edge": {"": (4, 14), "registry": (4,), "network": (4, 14)},
    "device": {"": (6,), "network": (6,)},
}
"""Seconds into the step prepare, while an image or data are sent, when a play is killed or something is taken away."""
SHORT = {
    ("ledger", "edge"): ("after:prepare", "after:stop", "before:commit", "after:commit"),
    ("ledger", "device"): ("after:stop", "after:compare", "after:commit", "before:release"),
    ("echo", "edge"): ("after:commit",),
    ("echo", "device"): ("before:release",),
}
"""Where a run that dies leaves most behind: what `make test` tries of all this."""
ALONE = 400.0
"""Seconds for the device to start, and for its dead-man's timer."""


@dataclass(frozen=True)
class Case:
    """One case: the app, the side it is to go to, and the moments at which one play after the other is killed; whether
    the power is cut then, and whether the device has to help itself before anybody comes back. Where something is
    taken, the play is not killed: it sleeps at the moment, and goes on without it. ``seconds`` is how far into a step
    "within" is; zero is at its begin."""

    app: App
    to: str
    faults: tuple[str, ...]
    cut: bool = False
    alone: bool = False
    taken: str = ""
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """As ``--only`` and the table have it."""
        more = f"{f'@{self.seconds:g}s' if self.seconds else ''}{'+power' if self.cut else ''}"
        more += f"+{self.taken}" if self.taken else ""
        return f"{self.app.name}-to-{self.to}/{'+'.join(self.faults)}{more}"

    def strikes(self, fault: str) -> str:
        """One of its faults, as the play is told of it."""
        return ":".join((fault, "STOP" if self.taken else "KILL", *([f"{self.seconds:g}"] if self.seconds else [])))

    @property
    def lone(self) -> bool:
        """Whether no case of another device can run beside it, for it takes what all have in common."""
        return self.taken in ("api", "registry", "node") or self.app is BRIM


@dataclass
class Outcome:
    """What became of a case."""

    case: str
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0
    longest_wait: float = 0.0
    acknowledged: int = 0
    failed: dict[str, int] = field(default_factory=dict)
    between: str = ""


def cases() -> list[Case]:
    """All of them, the directions alternating, so that each begins where the one before has ended."""
    found: list[Case] = []
    for app in (LEDGER, ECHO, BULKY, BRIM):
        ways = [list(_cases(app, to)) for to in ("edge", "device")]
        found += [case for pair in zip_longest(*ways) for case in pair if case]
    return found


def _cases(app: App, to: str) -> Iterator[Case]:
    for step in STEPS.get((app.name, to), ()):
        for when in ("before", "within", "after"):
            yield Case(app, to, (f"{when}:{step}",))
    if app is LEDGER:
        for first in TWICE:
            yield Case(app, to, (first, "before:settle"))
            yield Case(app, to, (first, "after:settle"))
        for first, alone in CUTS[to].items():
            yield Case(app, to, (first,), True, alone)
        for taken, moments in TAKEN[to].items():
            for moment in moments:
                yield Case(app, to, (moment,), taken=taken)
    if app is BULKY:
        for taken, moments in AMIDST[to].items():
            for seconds in moments:
                yield Case(app, to, ("within:prepare",), taken=taken, seconds=seconds)
    if app is BRIM:
        yield Case(app, to, ("before:prepare",), taken="space-device" if to == "device" else "space-edge")


def attempt(lab: Lab, case: Case, traces: Mapping[str, set[str]]) -> Outcome:
    """Run a case.

    Args:
        traces: what there is on either side after an undisturbed move.
    """
    outcome = Outcome(case.name)
    app, log = case.app, case.name.replace("/", "_").replace(":", "-")
    if lab.owner(app) != OTHER[case.to] and lab.move(app, OTHER[case.to], f"{log}.0"):
        outcome.wrong.append(f"it cannot begin, for the app cannot be brought there:\n{lab.said(f'{log}.0')}")
        return outcome
    if app.fresh:
        lab.freshen(app, OTHER[case.to])
    begin, container = time.monotonic(), lab.look(app).container
    # Numbers of earlier cases stay in the log, and have to.
    with Writer(lab.address, app.ports, _first(lab, app)) as writer:
        if not writer.written(3, 60):
            outcome.wrong.append("the app does not answer its client before the case begins")
            return outcome
        if case.taken:
            _without(lab, case, log, outcome)
        for number, fault in enumerate(() if case.taken else case.faults):
            rc = lab.move(app, case.to, f"{log}.{number + 1}", case.strikes(fault))
            if rc != -9:
                outcome.wrong.append(
                    f"{fault} killed nothing, the play ended with {rc}:\n{lab.said(f'{log}.{number + 1}')}"
                )
            if case.cut:
                lab.power_cut()
            between = wait_until_alone(lab, app, 0 if case.cut else 5)
            outcome.between = f"{between.placement.get('owner', '-')}, {between.device.get('phase', '-')}"
            if case.seconds:
                outcome.between += f" ({lab.last_said(app, f'{log}.{number + 1}')})"
            if both(between) and not app.overlap:
                outcome.wrong.append(f"after {fault} the app runs on both sides")
        if case.alone and not writer.written(3, ALONE):
            outcome.wrong.append("the device did not give the app back to its owner by itself")
        rc = lab.move(app, case.to, f"{log}.again")
        if rc:
            outcome.wrong.append(f"the run after it ended with {rc}:\n{lab.said(f'{log}.again')}")
        if not writer.written(3, 60):
            outcome.wrong.append("clients are not answered any more")
        writer.stop()
    outcome.seconds = round(time.monotonic() - begin, 1)
    outcome.longest_wait = round(writer.longest, 1)
    outcome.acknowledged, outcome.failed = len(writer.acknowledged), writer.failed
    side = settled(lab, app)
    outcome.wrong += problems(side, case.to, app)
    if side.container != container:
        outcome.wrong.append(f"the container is another one: {side.container}, not {container}")
    left = sorted(lab.traces() - traces[case.to])
    if left:
        outcome.wrong.append(f"left by what was killed: {left}")
    if app.data:
        outcome.wrong += complaints(lab.log_of(app), writer.acknowledged, writer.next)
    return outcome


def undisturbed(lab: Lab, app: App) -> dict[str, set[str]]:
    """What there is on either side after an undisturbed move there. One that is only asked for changes nothing,
    and neither does a second one, which says so.

    Raises:
        access.Failed: when a move is not so.
    """
    moved = {"kraf_apps": [f"{lab.device}/{app.name}"]}
    for side in ("edge", "device"):
        lab.move(app, side, f"{lab.device}-{app.name}-begin-{side}")
    settled(lab, app)
    traces, planned = {"device": lab.traces()}, dict[str, list[str]]()
    for side in ("edge", "device"):
        log = f"{lab.device}-{app.name}-undisturbed-{side}"
        rc = lab.play("kraf.edge.migrate", f"{log}-check", check=True, **moved, kraf_to=side)
        plan = lab.output(f"{log}-check").partition("in these steps")[2].partition('""')[0]
        planned[side] = _PLANNED.findall(plan)
        if rc or not planned[side] or lab.traces() - traces[OTHER[side]]:
            raise access.Failed(f"what it would do is not said, or done:\n{lab.said(f'{log}-check', 40)}")
        rc = lab.move(app, side, log)
        if rc or _DONE.findall(lab.output(log)) != planned[side]:
            raise access.Failed(f"undisturbed it does not move to the {side} as was said:\n{lab.said(log, 60)}")
        settled(lab, app)
        traces[side] = lab.traces()
        rc = lab.move(app, side, f"{log}-again")
        output = lab.output(f"{log}-again")
        if rc or "it is there already" not in output or CHANGED.search(output) or lab.traces() - traces[side]:
            raise access.Failed(f"a second move to the {side} is not nothing:\n{lab.said(f'{log}-again', 40)}")
    return traces


_PLANNED = re.compile(r'^\s+"  ([a-z]+) +', re.MULTILINE)
_DONE = re.compile(r"^\[\S+\] ([a-z]+) +[0-9.]+ s  ", re.MULTILINE)


def _without(lab: Lab, case: Case, log: str, outcome: Outcome) -> None:
    """A run that loses something on its way."""
    scene = Scene(lab, case.app, case.to, log)
    with taken(scene, case.taken) as take:
        rc = lab.move(case.app, case.to, f"{log}.1", case.strikes(case.faults[0]), take)
    outcome.wrong += scene.wrong
    side = wait_until_alone(lab, case.app, 5)
    outcome.between = f"ended with {rc}, {side.placement.get('owner', '-')}, {side.device.get('phase', '-')}"
    if case.seconds:
        outcome.between += f" ({lab.last_said(case.app, f'{log}.1')})"
    if both(side):
        outcome.wrong.append(f"without {case.taken} the app runs on both sides")
    undone = side.placement.get("phase") == "Settled" and side.device.get("phase") == "idle"
    if rc and undone and side.placement.get("owner") == OTHER[case.to]:
        # It was called off: as before, without a further run. What is prepared stays for the next move.
        kept = [one for one in side.left if not one.startswith(f"/srv/{case.app.name}.kraf-")]
        side = replace(side, left=kept)
        outcome.wrong += [f"called off: {one}" for one in problems(side, OTHER[case.to], case.app)]
        outcome.between += ", called off"


def _first(lab: Lab, app: App) -> int:
    if not app.data:
        return 1
    return following(lab.log_of(app))


def table(known: dict[str, dict[str, Any]]) -> str:
    """Steps against faults, for each app and direction; then what is no step and fault alone."""
    lines, shown = [], set[str]()
    for (name, to), steps in STEPS.items():
        lines.append(f"{name} to {to:<8}{'before':<12}{'within':<12}{'after':<12}")
        for step in steps:
            keys = [f"{name}-to-{to}/{when}:{step}" for when in ("before", "within", "after")]
            marks = [_mark(known.get(key)) for key in keys]
            lines.append(f"  {step:<16}{marks[0]:<12}{marks[1]:<12}{marks[2]:<12}")
            shown |= set(keys)
    return "\n".join([*lines, *(f"{key:<50}{_mark(known[key])}" for key in known if key not in shown)])


def _mark(row: dict[str, Any] | None) -> str:
    if row is None:
        return "-"
    return "WRONG" if row["wrong"] else f"ok {row['seconds']:.0f} s"


class Run:
    """Cases on all devices of the lab at once, each of which is on one case at a time.

    Args:
        folder: where results are kept, and outputs.
        inventory: of the lab.
    """

    def __init__(self, folder: Path, inventory: Path) -> None:
        self._results = folder / "faults.json"
        self.known: dict[str, dict[str, Any]] = json.loads(self._results.read_text()) if self._results.exists() else {}
        names, more = [host.name for host in access.LAB.hosts if host.is_device], devices(folder)
        self._labs = [Lab(inventory, folder / "faults", more, name) for name in names]
        self._lock = threading.Lock()
        self._todo: list[Case] = []
        self._count = self._done = 0

    def all(self, todo: list[Case]) -> None:
        """Run them; those that others cannot run beside come last, on the first device."""
        self._count, first = len(todo), self._labs[0]
        published()
        if todo and len(self._labs) > 1 and first.play("kraf.edge.site", "site"):
            raise access.Failed(f"the devices cannot be enrolled:\n{first.said('site', 30)}")
        self._todo = [case for case in todo if not case.lone]
        with ThreadPoolExecutor(len(self._labs)) as pool:
            list(pool.map(self._on, self._labs))
        self._todo = [case for case in todo if case.lone]
        self._on(first)

    def _on(self, lab: Lab) -> None:
        """Run cases on one device until none is left."""
        try:
            self._cases(lab)
        except access.Failed as error:
            say(f"{lab.device} takes no further case: {error}")
            raise

    def _cases(self, lab: Lab) -> None:
        deployed: set[App] = set()
        traces: dict[str, set[str]] = {}
        to = "edge"
        with contextlib.ExitStack() as stack:
            while case := self._next(to):
                if case.app not in deployed:
                    if case.app is BRIM:
                        stack.enter_context(small_disk(lab.device))
                    lab.deploy(case.app)
                    if case.app is BRIM:
                        lab.ballast(case.app)
                    deployed.add(case.app)
                    traces = undisturbed(lab, case.app)
                self._keep(attempt(lab, case, traces), lab)
                to = OTHER[case.to]

    def _next(self, to: str) -> Case | None:
        """Take the next one, to that side if there is such a one of the same app: the app is where it begins."""
        with self._lock:
            same = [case for case in self._todo if case.to == to and case.app is self._todo[0].app]
            case = next(iter(same or self._todo), None)
            if case:
                self._todo.remove(case)
            return case

    def _keep(self, outcome: Outcome, lab: Lab) -> None:
        with self._lock:
            self.known[outcome.case] = asdict(outcome)
            self._results.write_text(json.dumps(self.known, indent=1))
            self._done += 1
            wait = f"longest wait {outcome.longest_wait} s, between: {outcome.between}"
            head = f"[{self._done}/{self._count}] {lab.device} {outcome.case}: {_mark(self.known[outcome.case])}"
            say(f"{head}, {wait}, {outcome.failed or 'no request failed'}")
            for wrong in outcome.wrong:
                say(f"    {wrong}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", action="append", help="pattern of case names, such as 'ledger-to-edge/*:commit'; may be repeated"
    )
    parser.add_argument("--shard", default="1/1", help="I/N: every N-th case, beginning with the I-th")
    parser.add_argument("--again", action="store_true", help="run what has passed before, too")
    parser.add_argument("--list", action="store_true", help="print the names of the cases")
    parser.add_argument("--inventory", type=Path, default=access.INVENTORY)
    parser.add_argument("--short", action="store_true", help="only the cases that `make test` runs")
    given = parser.parse_args()
    part, parts = map(int, given.shard.split("/"))
    patterns = given.only or ["*"]
    chosen = [case for case in cases() if any(fnmatch.fnmatchcase(case.name, one) for one in patterns)]
    if given.short:
        short = {(*way, (fault,), False) for way, faults in SHORT.items() for fault in faults}
        chosen = [one for one in chosen if (one.app.name, one.to, one.faults, one.cut) in short and not one.taken]
    chosen = chosen[part - 1 :: parts]
    if given.list:
        sys.stdout.writelines(f"{case.name}\n" for case in chosen)
        return 0
    if not chosen:
        parser.error(f"no case is called {' or '.join(patterns)}; --list prints their names")
    run = Run(access.ROOT / "build" / access.LAB.name, given.inventory.resolve())
    run.all([case for case in chosen if given.again or case.name not in run.known or run.known[case.name]["wrong"]])
    known = run.known
    say(table(known))
    bad = [case.name for case in chosen if known[case.name]["wrong"]]
    say(f"{len(chosen) - len(bad)} of {len(chosen)} as they should be in lab {access.LAB.name}")
    return 1 if bad else 0


def say(text: str) -> None:
    """Print at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
