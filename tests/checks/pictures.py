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
    ("To the edge, an app with data", EDGE, False),
    ("To the device, an app with data", DEVICE, False),
    ("To the edge, an app that may run on both sides", EDGE, True),
    ("To the device, an app that may run on both sides", DEVICE, True),
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
    return "\n".join("\n".join(_picture(title, to, overlap)) for title, to, overlap in MOVES)


def walk(to: str, overlap: bool) -> Iterator[tuple[Step, World]]:
    """The steps of a move that nothing disturbs, each with the state after it.

    Raises:
        ValueError: when the table refuses a step of its own plan.
    """
    world = World(overlap=overlap)
    if to == DEVICE:
        world = replace(
            world, owner=EDGE, record_owner=EDGE, running=False, restart=False, forward=EDGE, workload=1, edge_data=0
        )
        world = _edge(world if overlap else replace(world, marker=1))
    run = Run(to, world.epoch, 1)
    for step in (*table.OPENING, *table.plan(to, overlap)):
        if not step.requires(world, run):
            raise ValueError(f"step {step.name} of the plan to the {to} is refused")
        world = _edge(step.effect(world, run))
        yield step, world


def _edge(world: World) -> World:
    """What the cluster does by itself: pods come and go with their workload, the gate opens for its marker."""
    pod = world.workload
    started = world.passed and world.pod == pod
    return replace(world, pod=pod, passed=bool(pod) and (started or world.overlap or world.marker == pod))


def _picture(title: str, to: str, overlap: bool) -> list[str]:
    steps = list(walk(to, overlap))
    start = replace(World(), owner=other(to))
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
    lines += _back(states, committed, overlap)
    return [*lines, "```", "", *_rows(steps), ""]


def _back(states: list[str], committed: int, overlap: bool) -> Iterator[str]:
    """The ways back: settle before the commit, give back between commit and release."""
    for number, state in enumerate(states[1:], 1):
        if number < committed:
            yield f"    s{number} --> s0: settle"
        elif not overlap and "clients wait" in state:
            yield f"    s{number} --> s0: give back"


def _state(world: World) -> str:
    runs = [side for side, is_there in ((DEVICE, world.running), (EDGE, world.passed)) if is_there]
    where = "clients wait" if world.forward == HELD else f"clients at the {world.forward}"
    timer = ", timer armed" if world.armed else ""
    return f"owner {world.owner}, runs at {' and '.join(runs) or 'neither'}, {where}{timer}"


def _rows(steps: list[tuple[Step, World]]) -> list[str]:
    rows = ["| step | where | what it does | taken back by | clients wait |", "|---|---|---|---|---|"]
    for step, world in steps:
        waits = "yes" if world.forward == HELD else ""
        rows.append(f"| {step.name} | {step.where} | {step.does} | {step.undo} | {waits} |")
    return rows


def main() -> int:
    page = Path(__file__).resolve().parents[2] / PAGE
    page.write_text(drawn(page.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
