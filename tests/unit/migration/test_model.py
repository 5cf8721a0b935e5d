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


LOST, STANDBY = "lost", "standby"
"""What an operator wants besides a side: to let the edge take over from a device that is away, to keep it ready."""
NODES, ALL = "nodes", "all"
"""What of the edge is away: its nodes, or the API server, too. An operator who wants so lets the device take over."""


@dataclass(frozen=True)
class System:
    world: World
    operators: tuple[Operator, ...]
    holder: int = -1
    fence: int = 0
    away: bool = False
    edge: str = ""


def steps_of(operator: Operator, world: World) -> tuple[Step, ...]:
    if operator.part in (NODES, ALL):
        return table.edge_lost(operator.part == NODES)
    if operator.part == "reconcile":
        return (table.RECONCILE,)
    if operator.part in ("settle-device-lost", "settle-edge-lost"):
        return table.settle(operator.part.split("-")[1], world.overlap, EDGE)
    if operator.part in ("lost-device", "lost-edge"):
        return table.device_lost(operator.part.split("-")[1], world.overlap)
    if operator.part == "standby":
        return table.standby()
    if operator.part in ("settle-device", "settle-edge"):
        return table.settle(operator.part.split("-")[1], world.overlap)
    if operator.part == "give-back":
        return table.give_back(operator.to)
    return table.plan(operator.to, world.overlap, world.job)


def decide(operator: Operator, world: World) -> Operator:
    """What a run does once it has the lock and has read both sides."""
    if operator.to == LOST:
        return replace(operator, part=f"lost-{world.owner}", at=0, epoch=world.epoch)
    if operator.to in (NODES, ALL):
        done = world.record_owner == DEVICE or world.record_phase != IDLE
        if done or (operator.to == NODES and world.owner == DEVICE):
            return replace(operator, part="done")
        if operator.to == ALL:
            return replace(operator, part=ALL, at=0, epoch=0, fence=world.fence + 1)
        return replace(operator, part=NODES, at=0, epoch=world.epoch)
    if not table.record_agrees(world):
        return replace(operator, part="refused")
    if table.took_over(world, world.epoch):
        return replace(operator, part="reconcile", at=0, epoch=world.epoch)
    if not table.settled(world):
        more = "-lost" if world.lost == EDGE else ""
        return replace(operator, part=f"settle-{world.owner}{more}", at=0, epoch=world.epoch)
    if world.owner == operator.to:
        return replace(operator, part="done")
    if operator.to == STANDBY:
        return replace(operator, part="done" if world.owner == EDGE else "standby", at=0, epoch=world.epoch)
    return replace(operator, part="move", at=0, epoch=world.epoch)


def after(operator: Operator, world: World) -> Operator:
    """The operator's next place after a step that succeeded."""
    operator = replace(operator, at=operator.at + 1)
    if operator.at < len(steps_of(operator, world)):
        return operator
    if operator.part in ("move", "standby", "lost-device", "lost-edge", NODES, ALL):
        return replace(operator, part="done")
    return replace(operator, part="decide", at=0)


def failed(operator: Operator) -> Operator:
    """A run that meets a refusal looks at both sides once more, then gives up."""
    if operator.tries:
        return replace(operator, part="dead")
    return replace(operator, part="decide", at=0, tries=1)


def reaches(operator: Operator, world: World, away: bool, edge: str = "") -> bool:
    """Whether the operator's next move is possible: one that asks the device fails while that is away."""
    if operator.to in (NODES, ALL):
        return edge == operator.to
    if edge == ALL:
        return False
    if operator.to == LOST:
        return away  # the operator's word is true: the device does not run
    if operator.part == "decide":
        return not away
    return not away or steps_of(operator, world)[operator.at].where == table.CLUSTER


def advance(operator: Operator, world: World, away: bool = False, edge: str = "") -> list[tuple[Operator, World]]:
    """All that can come of the operator's next move."""
    if operator.part not in ("lock", "done", "dead", "refused") and not reaches(operator, world, away, edge):
        return [(replace(operator, part="dead"), world)]
    if operator.part == "decide":
        run = Run(operator.to, operator.epoch, operator.fence)
        if operator.to != ALL and not table.LOCK.requires(world, run):
            return [(replace(operator, part="dead"), world)]
        following = decide(operator, world)
        if operator.to == ALL:  # nobody is asked for a lock
            return [(following, world)]
        return [(following, table.LOCK.effect(world, run) if following.part not in ("done", "refused") else world)]
    if operator.part in ("lock", "done", "dead", "refused"):
        return []
    step = steps_of(operator, world)[operator.at]
    run = Run(operator.to, operator.epoch, operator.fence)
    outcomes = []
    if step.requires(world, run):
        done = step.effect(world, run)
        if step is table.LOST_COMMIT:  # the operator has accepted it: what the last copy lacks is not the owner's
            done = replace(done, latest=done.edge_data)
        if step is table.EDGE_LOST_START:
            done = replace(done, latest=done.device_data)
        outcomes = [(after(operator, done), done), (failed(operator), done)]
    elif step.name in ("gone", "ready", "finish") or step is table.SETTLE_READY:
        outcomes = [(failed(operator), world)]  # the limit of a wait
    else:
        outcomes = [(failed(operator), world)]
    if step in (table.READY_EDGE, table.JOB_READY_EDGE, table.RELEASE_DEVICE):
        outcomes.append((replace(operator, part="give-back", at=0), world))
    return outcomes


def untold(world: World) -> bool:
    """Whether a side that was lost has not heard of the new owner."""
    if world.lost == EDGE or world.record_lost:
        return True
    return world.lost == DEVICE and world.record_epoch < world.epoch


def returned(world: World) -> World:
    """The device starts again. Its guard asks the edge first, and leaves an app stopped that answers there."""
    guarded = world.passed and not world.overlap and not world.record_lost
    return replace(world, running=False, restart=False) if guarded else replace(world, running=world.restart)


def guarded(world: World) -> list[World]:
    """The guard asks again from time to time."""
    if world.overlap or world.record_lost or not (world.passed and world.running and world.record_phase == IDLE):
        return []
    return [replace(world, running=False, restart=False, forward=EDGE)]


def nature(world: World, no_nodes: bool = False) -> list[World]:
    """What happens without any operator."""
    found = guarded(world)
    if world.armed:  # the dead-man's timer
        if world.record_to == EDGE:
            runs = not world.job
            found.append(replace(world, armed=False, running=runs, restart=runs, forward=DEVICE, record_phase=IDLE))
        else:
            found.append(replace(world, armed=False, forward=EDGE, record_phase=IDLE))
    found.append(returned(world))  # a reboot of the device
    found += [] if no_nodes else pods(world)
    if world.latest < WRITES:
        if world.running and world.forward == DEVICE:
            mine = world.lost != DEVICE or world.record_epoch >= world.epoch
            latest = world.device_data + 1 if mine else world.latest
            found.append(replace(world, device_data=min(world.device_data + 1, 2), latest=latest))
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


def of_the_edge(system: System) -> list[System]:
    """The edge goes and comes. Without nodes no pod runs or goes; what was to go is gone once they are back."""
    wanted = {one.to for one in system.operators} & {NODES, ALL}
    if system.edge:
        return [replace(system, edge="")]
    away = replace(system.world, passed=False)
    return [replace(system, world=away, edge=one) for one in sorted(wanted)]


def successors(system: System) -> list[System]:
    if system.away:
        found = [replace(system, world=world) for world in pods(system.world)]
        found.append(replace(system, world=returned(system.world), away=False))
    else:
        found = [replace(system, world=world) for world in nature(system.world, bool(system.edge))]
        found += of_the_edge(system)
        if any(one.to == LOST for one in system.operators):
            found.append(replace(system, world=replace(system.world, running=False), away=True))
    for number, operator in enumerate(system.operators):
        if operator.part == "lock":
            # A lease lapses when its record does not change; its holder may be asleep rather than dead.
            holding = replace(operator, part="decide", fence=system.fence + 1)
            found.append(_with(replace(system, holder=number, fence=system.fence + 1), number, holding))
            continue
        for moved, world in advance(operator, system.world, system.away, system.edge):
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
    # A lost device that comes back while the edge is away, too, starts its app, until its guard or a run tells it.
    if world.running and world.passed and not untold(world):
        return "both sides run"
    if world.running and world.owner != DEVICE and not untold(world):
        return "the container runs, but the edge owns the app"
    if world.passed and world.owner != EDGE and not untold(world):
        return "the pod runs, but the device owns the app"
    ready = world.record_phase == "ready" and world.record_to == DEVICE and world.epoch == world.record_epoch + 1
    taken = world.incoming if ready and world.incoming != -1 else world.device_data
    owner = DEVICE if table.took_over(world, world.epoch) else world.owner
    data = world.edge_data if owner == EDGE else taken
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


def takes_over(world: World, fence: int) -> str:
    """Let the edge take over, alone, and say what is wrong at the end."""
    operator = Operator(LOST, "decide", fence=fence + 1)
    for __ in range(40):
        for __ in range(4):
            moved = [] if world.passed and world.pod == world.workload else pods(world)
            if moved:
                world = moved[0]
        if operator.part in ("done", "dead", "refused"):
            break
        operator, world = advance(operator, world, away=True)[0]
    good = operator.part == "done" and world.owner == EDGE and world.passed and world.pod == world.epoch
    return "" if good and not wrong(world) else f"it ends {operator.part} and leaves {world}"


MOVES = [(one, two) for one in (EDGE, DEVICE) for two in (EDGE, DEVICE)]
TAKEN_OVER = [(away, other) for away in (NODES, ALL) for other in (EDGE, DEVICE)]
KEPT_READY = [(LOST, other) for other in (EDGE, DEVICE, STANDBY)]
"""Neither is of jobs: one that is at rest is no loss, and one that is at the edge may have run there already."""


@pytest.mark.parametrize(
    ("kind", "goals"),
    [
        *((kind, goals) for kind in ("service", "overlap") for goals in (*MOVES, *KEPT_READY, *TAKEN_OVER)),
        *(("job", goals) for goals in MOVES),
    ],
)
@pytest.mark.parametrize("owner", [DEVICE, EDGE])
def test_at_most_one_side_runs_with_its_data_and_every_state_has_a_way_on(
    owner: str, goals: tuple[str, str], kind: str
) -> None:
    overlap, job = kind == "overlap", kind == "job"
    world = World(overlap=overlap, job=job, running=not job, restart=not job, edge_data=-1 if STANDBY in goals else 0)
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
            device_data=0 if goals[0] in (NODES, ALL) else -1,
            overlap=overlap,
            job=job,
        )
    start = System(world, tuple(Operator(goal) for goal in goals))
    seen, waiting, ended = {start: ""}, [start], set()
    while waiting:
        system = waiting.pop()
        broken = "" if system.away and overlap else wrong(system.world)
        assert not broken, f"{broken}: {system}"
        if system.away:
            ready = system.world.overlap or system.world.edge_data != -1
            problem = takes_over(system.world, system.fence) if ready else ""
            assert not problem, f"{problem} from {system}"
        for goal in (DEVICE, EDGE) if not system.away and not system.edge else ():
            if (system.world, goal) not in ended:
                ended.add((system.world, goal))
                problem = ends_well(system.world, goal, system.fence)
                assert not problem, f"{problem} from {system}"
        for following in successors(system):
            if following not in seen and following.world.epoch <= EPOCHS:
                seen[following] = ""
                waiting.append(following)
    assert len(seen) > 20
