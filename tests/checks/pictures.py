"""Pictures of docs/migration.md, from the protocol's own table: `python -m tests.checks.pictures` draws them anew."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from plugins.module_utils.migration import table
from plugins.module_utils.migration.table import Step
from plugins.module_utils.migration.world import DEVICE, EDGE, HELD, Run, World, other

PAGE = Path("docs/migration.md")
BEGIN, END = "<!-- begin: drawn by python -m tests.checks.pictures -->", "<!-- end -->"
MOVES = (
    ("To the edge, an app with data", EDGE, World()),
    ("To the device, an app with data", DEVICE, World()),
    ("To the edge, an app that may run on both sides", EDGE, World(overlap=True)),
    ("To the device, an app that may run on both sides", DEVICE, World(overlap=True)),
    ("To the edge, a job", EDGE, World(job=True, running=False, restart=False)),
    ("To the device, a job", DEVICE, World(job=True, running=False, restart=False)),
)


def complaints(root: Path) -> list[str]:
    page = root / PAGE
    text = page.read_text(encoding="utf-8")
    if text == drawn(text):
        return []
    return [f"{PAGE}: the pictures are not those of the protocol's table; run python -m tests.checks.pictures"]


def drawn(text: str) -> str:
    """The page with its pictures drawn anew."""
    before, begin, rest = text.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE} lacks the line {BEGIN} or {END}")
    return f"{before}{BEGIN}\n\n{pictures()}\n{END}{after}"


def pictures() -> str:
    """One diagram and one list of steps for each kind of move."""
    return "\n".join("\n".join(_picture(title, to, kind)) for title, to, kind in MOVES)


def walk(to: str, world: World) -> Iterator[tuple[Step, World]]:
    """The steps of a move that nothing disturbs, each with the state after it.

    Args:
        to: the side that is to own the app.
        world: a settled app on its device.

    Raises:
        ValueError: when the table refuses a step of its own plan.
    """
    overlap = world.overlap
    if to == DEVICE:
        world = replace(
            world, owner=EDGE, record_owner=EDGE, running=False, restart=False, forward=EDGE, workload=1, edge_data=0
        )
        world = _edge(world if overlap else replace(world, marker=1))
    run = Run(to, world.epoch, 1)
    for step in (*table.OPENING, *table.plan(to, overlap, world.job)):
        if step is table.FINISH:
            world = replace(world, passed=False, ended=world.workload)
        if not step.requires(world, run):
            raise ValueError(f"step {step.name} of the plan to the {to} is refused")
        world = _edge(step.effect(world, run))
        yield step, world


def _edge(world: World) -> World:
    """What the cluster does by itself: pods come and go with their workload, the gate opens for its marker."""
    pod = world.workload
    started = world.passed and world.pod == pod
    if world.job and pod and world.ended == pod:
        return replace(world, pod=pod, passed=False)
    return replace(world, pod=pod, passed=bool(pod) and (started or world.overlap or world.marker == pod))


def _picture(title: str, to: str, kind: World) -> list[str]:
    steps = list(walk(to, kind))
    start = replace(kind, owner=other(to))
    lines = [f"### {title}", "", "```mermaid", "stateDiagram-v2", "    direction TB"]
    labels: list[str] = []
    states: list[str] = []
    committed = -1
    for step, world in steps:
        labels.append(step.name)
        state = _state(world)
        if states and state == states[-1]:
            continue
        if states:
            lines.append(f"    s{len(states) - 1} --> s{len(states)}: {', '.join(labels)}")
        states.append(state)
        if committed < 0 and world.owner != start.owner:
            committed = len(states) - 1
        labels = []
    lines += [f"    s{number}: {state}" for number, state in enumerate(states)]
    if labels:
        lines.append(f"    s{len(states) - 1} --> [*]: {', '.join(labels)}")
    lines += _back(states, committed, kind.overlap or (kind.job and to == DEVICE))
    return [*lines, "```", "", *_rows(steps), ""]


def _back(states: list[str], committed: int, forward_only: bool) -> Iterator[str]:
    """The ways back: settle before the commit, give back between commit and release, where there is one."""
    for number, state in enumerate(states[1:], 1):
        if number < committed:
            yield f"    s{number} --> s0: settle"
        elif not forward_only and "clients wait" in state:
            yield f"    s{number} --> s0: give back"


def _state(world: World) -> str:
    if world.job:
        where = "runs at the edge" if world.passed else "has run" if world.ended else "at rest"
        return f"owner {world.owner}, {where}{', timer armed' if world.armed else ''}"
    runs = [side for side, is_there in ((DEVICE, world.running), (EDGE, world.passed)) if is_there]
    where = "clients wait" if world.forward == HELD else f"clients at the {world.forward}"
    timer = ", timer armed" if world.armed else ""
    return f"owner {world.owner}, runs at {' and '.join(runs) or 'neither'}, {where}{timer}"


def _rows(steps: list[tuple[Step, World]]) -> list[str]:
    rows = ["| step | where | what it does | taken back by | clients wait |", "|---|---|---|---|---|"]
    for step, world in steps:
        waits = "yes" if world.forward == HELD and not world.job else ""
        rows.append(f"| {step.name} | {step.where} | {step.does} | {step.undo} | {waits} |")
    return rows


def main() -> int:
    page = Path(__file__).resolve().parents[2] / PAGE
    page.write_text(drawn(page.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
