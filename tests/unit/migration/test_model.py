# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The protocol's table, explored exhaustively.

Two operators run at once; either may stop for ever, or for a while, between any two steps; a lease may lapse
while its holder still acts; a reply may be lost, so that a step was done but its run thinks it failed; the
dead-man's timer may fire whenever it is armed; the device may reboot; pods come and go as the workload object
says. In every state: at most one side runs, only the owner does, and the owner's data are what clients were
last told. From every state one more run ends well.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.migration import table
from ansible_collections.kraf.edge.plugins.module_utils.migration.table import Step
from ansible_collections.kraf.edge.plugins.module_utils.migration.world import DEVICE, EDGE, IDLE, Run, World

WRITES = 1
EPOCHS = 4


@dataclass(frozen=True)
class Operator:
    """One run: which part of the protocol it is in, how far, and what it knows."""

    to: str
    part: str = "lock"
    at: int = 0
    epoch: int = 0
    fence: int = 0
    tries: int = 0


@dataclass(frozen=True)
class System:
    world: World
    operators: tuple[Operator, ...]
    holder: int = -1
    fence: int = 0


def steps_of(operator: Operator, world: World) -> tuple[Step, ...]:
    if operator.part in ("settle-device", "settle-edge"):
        return table.settle(operator.part.split("-")[1], world.overlap)
    if operator.part == "give-back":
        return table.give_back(operator.to)
    return table.plan(operator.to, world.overlap, world.job)


def decide(operator: Operator, world: World) -> Operator:
    """What a run does once it has the lock and has read both sides."""
    if not table.record_agrees(world):
        return replace(operator, part="refused")
    if not table.settled(world):
        return replace(operator, part=f"settle-{world.owner}", at=0, epoch=world.epoch)
    if world.owner == operator.to:
        return replace(operator, part="done")
    return replace(operator, part="move", at=0, epoch=world.epoch)


def after(operator: Operator, world: World) -> Operator:
    """The operator's next place after a step that succeeded."""
    operator = replace(operator, at=operator.at + 1)
    if operator.at < len(steps_of(operator, world)):
        return operator
    if operator.part == "move":
        return replace(operator, part="done")
    return replace(operator, part="decide", at=0)


def failed(operator: Operator) -> Operator:
    """A run that meets a refusal looks at both sides once more, then gives up."""
    if operator.tries:
        return replace(operator, part="dead")
    return replace(operator, part="decide", at=0, tries=1)


def advance(operator: Operator, world: World) -> list[tuple[Operator, World]]:
    """All that can come of the operator's next move."""
    if operator.part == "decide":
        run = Run(operator.to, operator.epoch, operator.fence)
        if not table.LOCK.requires(world, run):
            return [(replace(operator, part="dead"), world)]
        following = decide(operator, world)
        return [(following, table.LOCK.effect(world, run) if following.part not in ("done", "refused") else world)]
    if operator.part not in ("settle-device", "settle-edge", "move", "give-back"):
        return []
    step = steps_of(operator, world)[operator.at]
    run = Run(operator.to, operator.epoch, operator.fence)
    outcomes = []
    if step.requires(world, run):
        done = step.effect(world, run)
        outcomes = [(after(operator, done), done), (failed(operator), done)]
    elif step.name in ("gone", "ready", "finish") or step is table.SETTLE_READY:
        outcomes = [(failed(operator), world)]  # the limit of a wait
    else:
        outcomes = [(failed(operator), world)]
    if step in (table.READY_EDGE, table.JOB_READY_EDGE, table.RELEASE_DEVICE):
        outcomes.append((replace(operator, part="give-back", at=0), world))
    return outcomes


def nature(world: World) -> list[World]:
    """What happens without any operator."""
    found = []
    if world.armed:  # the dead-man's timer
        if world.record_to == EDGE:
            runs = not world.job
            found.append(replace(world, armed=False, running=runs, restart=runs, forward=DEVICE, record_phase=IDLE))
        else:
            found.append(replace(world, armed=False, forward=EDGE, record_phase=IDLE))
    found.append(replace(world, running=world.restart))  # a reboot of the device
    found += pods(world)
    if world.latest < WRITES:
        if world.running and world.forward == DEVICE:
            found.append(replace(world, device_data=world.device_data + 1, latest=world.device_data + 1))
        if world.passed and world.forward == EDGE and not world.job:
            found.append(replace(world, edge_data=world.edge_data + 1, latest=world.edge_data + 1))
    return [one for one in found if one != world]


def pods(world: World) -> list[World]:
    if world.pod and world.pod != world.workload:
        return [replace(world, pod=0, passed=False)]
    if world.job and world.passed:
        # By itself, with its results; or with its pod, and does not begin again: the gate counts the runs.
        done = replace(world, passed=False, ended=world.pod)
        results = world.edge_data + (world.latest < WRITES)
        return [replace(done, edge_data=results, latest=max(results, world.latest)), replace(done, pod=0)]
    if world.job and world.workload and world.ended == world.workload:
        return [replace(world, pod=0)] if world.pod else []  # its pod may be cleared away; no other one comes
    if world.workload and not world.pod:
        return [replace(world, pod=world.workload)]
    if world.pod and not world.passed and (world.overlap or world.marker == world.pod):
        return [replace(world, passed=True)]
    if world.pod:  # evicted, or its node restarted
        return [replace(world, pod=0, passed=False)]
    return []


def successors(system: System) -> list[System]:
    found = [replace(system, world=world) for world in nature(system.world)]
    for number, operator in enumerate(system.operators):
        if operator.part == "lock":
            # A lease lapses when its record does not change; its holder may be asleep rather than dead.
            holding = replace(operator, part="decide", fence=system.fence + 1)
            found.append(_with(replace(system, holder=number, fence=system.fence + 1), number, holding))
            continue
        for moved, world in advance(operator, system.world):
            found.append(_with(replace(system, world=world), number, moved))
        if operator.part not in ("dead", "done", "refused"):
            found.append(_with(system, number, replace(operator, part="dead")))
    return found


def _with(system: System, number: int, operator: Operator) -> System:
    if operator.part in ("dead", "done", "refused"):  # where it came from no longer matters
        operator = Operator(operator.to, operator.part)
    operators = list(system.operators)
    operators[number] = operator
    return replace(system, operators=tuple(operators))


def wrong(world: World) -> str:
    """The invariant that this state breaks, or nothing."""
    if world.overlap:
        lost = world.forward == DEVICE and not world.running and world.owner == DEVICE and world.restart
        return "the forward leads to a container that was stopped" if lost else ""
    if world.running and world.passed:
        return "both sides run"
    if world.running and world.owner != DEVICE:
        return "the container runs, but the edge owns the app"
    if world.passed and world.owner != EDGE:
        return "the pod runs, but the device owns the app"
    ready = world.record_phase == "ready" and world.record_to == DEVICE and world.epoch == world.record_epoch + 1
    taken = world.incoming if ready and world.incoming != -1 else world.device_data
    data = world.edge_data if world.owner == EDGE else taken
    return "" if data == world.latest else f"the owner's data are {data}, clients were told {world.latest}"


def stranded(world: World) -> str:
    """Whether clients of an app that may run on both sides are led to one that was taken away."""
    if world.overlap and world.forward == DEVICE and not world.running and not world.restart:
        return "the forward leads to a container that was stopped"
    if world.overlap and world.forward == EDGE and not world.workload:
        return "the forward leads to a workload that was deleted"
    return ""


def ends_well(world: World, to: str, fence: int) -> str:
    """Run once more, alone, and say what is wrong at the end."""
    operator = Operator(to, "decide", fence=fence + 1)
    for __ in range(80):
        for __ in range(4):
            resting = world.begun(world.workload) and (to == EDGE or not world.job or world.ended == world.workload)
            moved = [] if resting else pods(world)
            if moved:
                world = moved[0]
        if operator.part in ("done", "dead", "refused"):
            break
        before = stranded(world)
        operator, world = advance(operator, world)[0]
        broken = wrong(world) or (stranded(world) if not before else "")
        if broken:
            return broken
    if operator.part != "done":
        return f"it ends {operator.part}"
    good = table.settled(world) and world.owner == to and world.forward == to and world.armed is False
    good = good and world.running == (to == DEVICE and not world.job)
    return "" if good and world.begun(world.epoch) == (to == EDGE) else f"it leaves {world}"


@pytest.mark.parametrize("kind", ["service", "overlap", "job"])
@pytest.mark.parametrize("goals", [(EDGE, EDGE), (EDGE, DEVICE), (DEVICE, EDGE), (DEVICE, DEVICE)])
@pytest.mark.parametrize("owner", [DEVICE, EDGE])
def test_at_most_one_side_runs_with_its_data_and_every_state_has_a_way_on(
    owner: str, goals: tuple[str, str], kind: str
) -> None:
    overlap, job = kind == "overlap", kind == "job"
    world = World(overlap=overlap, job=job, running=not job, restart=not job)
    if owner == EDGE:
        world = World(
            owner=EDGE,
            epoch=2,
            record_owner=EDGE,
            record_epoch=2,
            running=False,
            restart=False,
            forward=EDGE,
            workload=2,
            pod=2,
            passed=True,
            marker=2,
            edge_data=0,
            device_data=-1,
            overlap=overlap,
            job=job,
        )
    start = System(world, tuple(Operator(goal) for goal in goals))
    seen, waiting, ended = {start: ""}, [start], set()
    while waiting:
        system = waiting.pop()
        assert not wrong(system.world), f"{wrong(system.world)}: {system}"
        for goal in (DEVICE, EDGE):
            if (system.world, goal) not in ended:
                ended.add((system.world, goal))
                problem = ends_well(system.world, goal, system.fence)
                assert not problem, f"{problem} from {system}"
        for following in successors(system):
            if following not in seen and following.world.epoch <= EPOCHS:
                seen[following] = ""
                waiting.append(following)
    assert len(seen) > 20
