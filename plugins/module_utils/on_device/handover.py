# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The device's part of a migration, as few calls: while clients wait, nothing is spent on starting programs from afar.

Device and controller meet at the mover's box: ``prepared``, ``held``, ``halted``, ``verified`` and ``ready`` come from
here, ``go``, ``stopped``, ``disarm`` and ``committed`` from there. A wait that ends in nothing before ``ready`` undoes
what was done; after it nobody here knows whether the owner has changed, so clients stay held until the next run has
read both sides.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..core.errors import KrafError
from . import deadman, docker, door, forward, manifest, placement, tree, ways
from .container import Container, from_inspect
from .placement import DEVICE, EDGE, IDLE, MOVING, READY, Record


@dataclass(frozen=True)
class Task:
    """What a call is about.

    Attributes:
        app: name of the app; also of the forward of its first port.
        epoch: of the Placement when the run had settled.
        fence: number of the run.
        container: of the app on the device.
        ways: its ports; an app without any has no clients that could be held.
        doors: addresses of the doors.
        box_sni: name of the mover's box at the door; ``rsync_sni`` of its rsync.
        token: shared with the mover.
        data: name and directory of each data directory.
        good_tree: epoch of the good tree at the edge; 0 is none.
    """

    app: str
    epoch: int
    fence: int
    container: str = ""
    ways: tuple[ways.Way, ...] = ()
    doors: tuple[str, ...] = ()
    box_sni: str = ""
    rsync_sni: str = ""
    token: str = field(default="", repr=False)
    data: tuple[tuple[str, str], ...] = ()
    good_tree: int = 0
    overlap: bool = False
    owner: str = ""
    drain_seconds: float = 1.0
    deadman_seconds: int = 120
    limit: float = 120.0
    disarm_limit: float = 20.0
    copy_limit: float = 3600.0

    @property
    def remote(self) -> tree.Remote:
        """The mover's rsync."""
        return tree.Remote(self.doors, self.rsync_sni, self.token)


def _as_it_runs(task: Task, record: Record, found: Container) -> Record:
    """The record with what its container is now: its owner may have made it anew since."""
    return replace(
        record,
        container=task.container,
        container_id=found.id,
        restart_policy=found.restart_policy,
        restart_maximum=found.restart_maximum,
    )


def admit(task: Task) -> Record:
    """Let the run act on the app; a first record is made for an app that the device has owned so far."""
    record = placement.admit(task.app, task.fence)
    if record is None:
        first = Record(task.app, DEVICE, 1, fence=task.fence, overlap=task.overlap, data=task.data)
        return placement.save(_as_it_runs(task, first, docker.describe(task.container)))
    if record.owner == DEVICE and record.phase == IDLE and task.container:
        record = replace(record, data=task.data or record.data, overlap=task.overlap)
        # Once the edge owns the app, the container has the policy that a run gave it, and the record its owner's.
        if task.owner != EDGE:
            record = _as_it_runs(task, record, docker.describe(task.container))
    return record


def _agreed(task: Task) -> Record:
    """Let the run act on an app of which device and Placement tell the same story.

    Raises:
        KrafError: when they do not.
    """
    record = admit(task)
    if not placement.agrees(record, task.owner, task.epoch):
        raise mismatch(task, record)
    return record


class Clock:
    """When each part of a hand-over was done, in seconds since its begin."""

    def __init__(self) -> None:
        self.begin = time.monotonic()
        self.at: dict[str, float] = {}

    def mark(self, name: str) -> None:
        """Note a moment."""
        self.at[name] = round(time.monotonic() - self.begin, 3)


def _await(task: Task, box: door.Box, name: str, limit: float) -> str:
    """Wait for the controller's word; what it said with it.

    Raises:
        KrafError: when it calls the migration off, or says nothing.
    """
    found, why = box.wait([name, "aborted"], limit)
    if found == "aborted":
        raise KrafError("migration", task.app, why or "the controller called it off")
    return why


def _disarm(task: Task, box: door.Box, record: Record) -> Record:
    """From here on the dead-man's timer undoes nothing; only for a controller that is alive and about to commit."""
    box.put("verified")
    _await(task, box, "disarm", task.disarm_limit)
    return placement.save(replace(record, phase=READY))


@contextlib.contextmanager
def _meeting(task: Task) -> Iterator[door.Box]:
    """The box of the mover; a failure here is told there, too, so that nobody waits for its time to run out."""
    with placement.exclusive(task.app), door.box(task.doors, task.box_sni, task.token) as box:
        try:
            yield box
        except KrafError as error:
            with contextlib.suppress(KrafError):
                box.put("failed", str(error))
            raise


def move_to_edge(task: Task) -> dict[str, Any]:
    """From the first copy to the release of the forward, device to edge."""
    return _hand_over(task, DEVICE, EDGE)


def move_to_device(task: Task) -> dict[str, Any]:
    """From the first copy to the release of the forward, edge to device."""
    return _hand_over(task, EDGE, DEVICE)


def _hand_over(task: Task, owner: str, to: str) -> dict[str, Any]:
    clock = Clock()
    with _meeting(task) as box:
        record = _expect(admit(task), task, owner)
        led = ways.ensure(task.app, task.container, task.ways, task.doors)
        if to == EDGE:
            pairs = tree.to_edge(task.data, task.remote, task.epoch + 1, task.good_tree)
        else:
            pairs = tree.to_device(record.data, task.remote, task.good_tree, task.epoch + 1)
        # Before the first copy reads anything: what changes from now on is read again.
        seen = {name: manifest.make(folder) for name, folder in task.data} if to == EDGE else {}
        copied = {"first": 0, "held": 0}
        if pairs:
            tell = _progress(box, clock)
            copied["first"] = tree.first(task.app, task.epoch, pairs, task.remote, task.copy_limit, tell).bytes
        relays = [one.relay for one in led if to == EDGE]
        with door.sessions(relays, len(task.doors)):
            deadman.install()
            clock.mark("prepared")
            box.put("prepared")
            _await(task, box, "go", task.limit * 5)
        found = docker.describe(task.container) if owner == DEVICE else None
        if found:
            record = replace(_as_it_runs(task, record, found), data=task.data)
        record = placement.save(replace(record, phase=MOVING, to=to))
        try:
            deadman.arm(task.app, task.deadman_seconds)
            clock.mark("armed")
            ways.hold(task.app)
            clock.mark("held")
            drained = forward.drain(task.app, task.drain_seconds)
            box.put("held")
            clock.mark("drained")
            if found:
                docker.set_restart_policy(record.container_id, "no")
                docker.stop(record.container_id, found.stop_timeout)
                clock.mark("halted")
                box.put("halted")
                changes = _changes(task, seen)
            else:
                changes = dict(json.loads(_await(task, box, "stopped", task.limit) or "{}"))
                clock.mark("halted")
            if pairs:
                copied["held"] = _copy(task, record, pairs, changes, clock)
            record = _disarm(task, box, record)
        except BaseException:
            # The edge may have stopped its own: clients stay held until the run has settled, or the timer fires.
            if to == EDGE:
                deadman.restore(record)
            raise
        box.put("ready")
        clock.mark("ready")
        _await(task, box, "committed", task.limit)
        clock.mark("committed")
        if to == DEVICE:
            start_here(task, record)
        elif task.ways:
            ways.probe_edge(task.ways, task.doors, task.limit)
        else:
            _await(task, box, "running", task.limit)
        clock.mark("answers")
        ways.release(task.app, to)
        clock.mark("released")
        record = placement.save(replace(record, owner=to, epoch=task.epoch + 1, phase=IDLE))
        box.put("answers")
        more = {"cut": drained.cut, "ended": drained.ended, "copied_bytes": copied}
        more["datagrams"] = ways.datagrams(task.app)
        return _finish(task, record, clock, more)


def _progress(box: door.Box, clock: Clock) -> tree.Tell:
    """Tells the controller how far the first copy is: bytes done, and seconds since this part began."""

    def tell(done: int) -> None:
        # A box that cannot be reached now is no reason to end a copy; rsync has a connection of its own.
        with contextlib.suppress(KrafError):
            box.put("progress", f"{done} {time.monotonic() - clock.begin:.1f}")

    return tell


def _changes(task: Task, seen: Mapping[str, manifest.Manifest]) -> dict[str, str]:
    """Lists of the files that have to be read again, now that nothing writes any more, by the directory's name."""
    lists = {}
    for name, folder in task.data:
        paths = manifest.changed(folder, seen[name])
        if paths is not None:
            lists[name] = tree.listed(task.app, name, paths) if paths else ""
    return lists


def _copy(task: Task, record: Record, pairs: Sequence[tree.Pair], changes: tree.Changes, clock: Clock) -> int:
    """What changed since the first copy, durable once it is whole; bytes sent."""
    sent = tree.final(task.app, pairs, task.remote, task.copy_limit, changes).bytes
    clock.mark("copied")
    tree.compare(task.app, pairs, task.remote, task.copy_limit, changes)
    if record.to == DEVICE:
        for _name, folder in record.data:
            tree.durable(tree.beside(folder, task.epoch + 1))
    clock.mark("compared")
    return sent


def start_here(task: Task, record: Record) -> None:
    """The copy into its place, the container as it was, and its probe."""
    if record.phase == READY and record.to == DEVICE:
        for _name, folder in record.data:
            tree.swap(folder, record.epoch + 1)
    deadman.start(record)
    ways.probe_device(task.app, task.ways, task.limit, container=task.container)


def stop_here(record: Record) -> None:
    """The container stopped, and nothing that starts it again; also one that was made since under its name."""
    for name in dict.fromkeys(filter(None, (record.container_id, record.container))):
        found = docker.inspect(name)
        if found is not None:
            docker.set_restart_policy(name, "no")
            docker.stop(name, from_inspect(found).stop_timeout)


def _unswap(record: Record) -> None:
    """Take back what ``start_here`` has put in place; what the app wrote meanwhile is kept aside."""
    if record.phase == READY and record.to == DEVICE:
        for _name, folder in record.data:
            tree.unswap(folder, record.epoch + 1)


def settle(task: Task) -> dict[str, Any]:
    """Bring the device to what the Placement says: ``task.owner``, ``task.epoch``."""
    clock = Clock()
    with placement.exclusive(task.app):
        record = _agreed(task)
        if task.owner == DEVICE:
            ways.ensure(task.app, task.container, task.ways, task.doors)
            taken = record.phase == READY and record.to == DEVICE and task.epoch == record.epoch + 1
            start_here(task, record if taken else replace(record, phase=IDLE))
            ways.release(task.app, DEVICE)
        else:
            stop_here(record)
            _unswap(record)
            ways.ensure(task.app, task.container, task.ways, task.doors)
            if any(one.target == DEVICE for one in forward.members(task.app)):
                ways.hold(task.app)
            ways.probe_edge(task.ways, task.doors, task.limit)
            ways.release(task.app, EDGE)
        record = placement.save(replace(record, owner=task.owner, epoch=task.epoch, phase=IDLE, to=task.owner))
        return _finish(task, record, clock, {})


def fence_off(task: Task) -> dict[str, Any]:
    """The edge owns the app, or is to get it back: the container stopped, before anything starts there."""
    with placement.exclusive(task.app):
        record = _agreed(task)
        stop_here(record)
        _unswap(record)
        return {"changed": True, "record": record.as_json()}


def still_held(task: Task) -> dict[str, Any]:
    """Before an owner is given back: no client has been let through to the new side."""
    with placement.exclusive(task.app):
        record = admit(task)
        released = sorted({one.target for one in forward.members(task.app)} - {forward.HELD})
        if released or record.phase != READY:
            why = f"its forward leads to {', '.join(released) or 'nowhere'}: clients have spoken to the new side"
            raise KrafError(f"app {task.app}", record.phase, why, "Run the playbook again; it goes on from there")
        if record.to == DEVICE:
            stop_here(record)
            _unswap(record)
        return {"changed": True, "record": record.as_json()}


def start_beside(task: Task) -> dict[str, Any]:
    """An app that may run on both sides: the container starts beside the workload."""
    with placement.exclusive(task.app):
        record = _expect(admit(task), task, EDGE)
        ways.ensure(task.app, task.container, task.ways, task.doors)
        start_here(task, replace(record, restart_policy=""))
        return {"changed": True, "record": record.as_json()}


def switch(task: Task) -> dict[str, Any]:
    """An app that may run on both sides: the forward leads to the new owner, then the old side ends here."""
    clock = Clock()
    with placement.exclusive(task.app):
        record = _agreed(task)
        ways.ensure(task.app, task.container, task.ways, task.doors)
        if task.owner == EDGE:
            ways.probe_edge(task.ways, task.doors, task.limit)
            clock.mark("answers")
            ways.release(task.app, EDGE)
            drained = forward.drain(task.app, task.drain_seconds)
            if record.owner == DEVICE:
                record = _as_it_runs(task, record, docker.describe(task.container))
            record = placement.save(record)
            stop_here(record)
        else:
            start_here(task, record)
            clock.mark("answers")
            ways.release(task.app, DEVICE)
            drained = forward.drain(task.app, task.drain_seconds)
        record = placement.save(replace(record, owner=task.owner, epoch=task.epoch, phase=IDLE, to=task.owner))
        return _finish(task, record, clock, {"cut": drained.cut, "ended": drained.ended})


def _expect(record: Record, task: Task, owner: str) -> Record:
    if (record.owner, record.epoch, record.phase) != (owner, task.epoch, IDLE):
        raise mismatch(replace(task, owner=owner), record)
    return record


def mismatch(task: Task, record: Record) -> KrafError:
    """The device and the cluster tell different stories; nobody may guess which is right."""
    mine = f"owner {record.owner}, epoch {record.epoch}, {record.phase}"
    why = f"the device's file says {mine}; the Placement says owner {task.owner}, epoch {task.epoch}"
    fix = f"Find out which is right (a restored etcd, a re-flashed device?), then correct {placement.path(task.app)}"
    return KrafError(f"owner of app {task.app}", None, why, fix, record=record.as_json())


def _finish(task: Task, record: Record, clock: Clock, more: dict[str, Any]) -> dict[str, Any]:
    """What has to be cleared up, and the app's answer through the device's own port."""
    ways.probe_device(task.app, task.ways, task.limit, direct=False)
    clock.mark("confirmed")
    deadman.clear(task.app)
    tree.forget(task.app)
    for _name, folder in record.data:
        tree.purge(folder, record.epoch)
    held = round(clock.at["released"] - clock.at["held"], 3) if "released" in clock.at and "held" in clock.at else 0.0
    aside = [tree.beside(folder, record.epoch - 1) for _name, folder in record.data]
    more = {**more, "aside": [path for path in aside if os.path.exists(path)]}
    return {"changed": True, "record": record.as_json(), "clock": clock.at, "held_seconds": held, **more}
