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
import dataclasses
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..core.errors import KrafError
from . import cron, deadman, disk, door, forward, manifest, outcome, placement, runner, standby, takeover, tree, ways
from .placement import DEVICE, EDGE, IDLE, MOVING, READY, Record
from .ways import Way


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
        good_tree: number of the good tree at the edge; 0 is none.
        new_tree: number of the tree that a standby's copy makes.
        slot: of a cronjob, the one that was begun last at the edge, a minute since 1970; 0 is none.
        lost: side that was declared lost when the owner was last changed, and has not been told.
        pause_seconds: for how long the app may be paused at most for the end of a standby's copy.
        presence: of an app without ports, what answers at the edge in their place.
        outcome: how its last run at the edge ended, for ``outcome.keep``; empty when nothing is known of one.
    """

    app: str
    epoch: int
    fence: int
    container: str = ""
    ways: tuple[Way, ...] = ()
    doors: tuple[str, ...] = ()
    box_sni: str = ""
    rsync_sni: str = ""
    token: str = field(default="", repr=False)
    data: tuple[tuple[str, str], ...] = ()
    good_tree: int = 0
    new_tree: int = 0
    slot: int = 0
    lost: str = ""
    pause_seconds: float = 10.0
    presence: tuple[Way, ...] = ()
    overlap: bool = False
    job: bool = False
    outcome: str = field(default="", repr=False)
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


def _as_it_runs(task: Task, record: Record) -> Record:
    """The record with what runs the app now."""
    return record.noted(task.container, runner.of(task).describe())


def admit(task: Task) -> Record:
    """Let the run act on the app; a first record is made for an app that the device has owned so far."""
    record = placement.admit(task.app, task.fence)
    cron.remember(task.app, task.slot)
    if record is None:
        first = Record(task.app, DEVICE, 1, fence=task.fence, overlap=task.overlap, job=task.job, data=task.data)
        first = replace(first, disks=disk.named(disk.of(task.data)), doors=task.doors)
        return placement.save(_as_it_runs(task, first))
    record = deadman.resume(record)
    # A run that does not reach the cluster does not know them.
    record = replace(record, doors=task.doors or record.doors)
    if record.owner == DEVICE and record.phase == IDLE and task.container:
        data = task.data or record.data
        disks = disk.named(disk.of(data))
        record = replace(record, data=data, disks=disks, overlap=task.overlap, job=task.job)
        # Once the edge owns the app, the container has the policy that a run gave it, and the record its owner's.
        if task.owner != EDGE:
            record = _as_it_runs(task, record)
    return record


def _agreed(task: Task) -> Record:
    """Let the run act on an app of which device and Placement tell the same story.

    Raises:
        KrafError: when they do not.
    """
    record = admit(task)
    if not placement.agrees(record, task.owner, task.epoch, task.lost):
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
        disks = disk.of(record.data, record.disks)
        if to == EDGE:
            pairs = tree.to_edge(record.trees, task.remote, task.epoch + 1, task.good_tree)
            disk.back(disks, task.limit)
        else:
            pairs = tree.to_device(record.trees, task.remote, task.good_tree, task.epoch + 1)
        # Before the first copy reads anything: what changes from now on is read again.
        seen = {name: manifest.make(folder) for name, folder in record.trees} if to == EDGE else {}
        sums = {one.name: disk.read(one) for one in disks} if to == EDGE else {}
        shown: dict[str, str] = {}
        copied = {"first": 0, "held": 0}
        if pairs:
            tell = _progress(box, clock)
            copied["first"] = tree.first(task.app, task.epoch, pairs, task.remote, task.copy_limit, tell).bytes
        relays = [one.relay for one in led if to == EDGE]
        with door.sessions(relays, len(task.doors)):
            deadman.install()
            runs = runner.of(task)
            if to == EDGE:
                runs.prepare()
            try:
                clock.mark("prepared")
                box.put("prepared")
                _await(task, box, "go", task.limit * 5)
            except KrafError:
                runs.tidy(record)
                raise
        found = runs.describe() if owner == DEVICE else None
        if found and found.running and task.job:
            why = "it was started on the device meanwhile, and would begin anew at the edge"
            raise KrafError(f"job {task.app}", task.container, why, "Wait until it has ended, then move it")
        if found:
            record = record.noted(task.container, found)
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
                runs.stop(record)
                clock.mark("halted")
                box.put("halted")
                changes = _changes(record, seen)
                _leave(task, box, disks, sums, clock)
            else:
                changes = dict(json.loads(_await(task, box, "stopped", task.limit) or "{}"))
                clock.mark("halted")
                shown = {one.name: box.get(f"disk-{one.name}") or "" for one in disks}
            if pairs:
                copied["held"] = _copy(task, record, pairs, changes, clock)
            if disks and to == EDGE:
                _await(task, box, "compared", task.copy_limit)
                clock.mark("compared")
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
            disk.back(disks, task.limit)
            for one in disks:
                disk.compare(one, shown[one.name])
            outcome.keep(task.app, task.epoch + 1, task.outcome)
            start_here(task, record)
        elif task.ways:
            ways.probe_edge(task.ways, task.doors, task.limit)
        else:
            _await(task, box, "running", task.limit)
        clock.mark("answers")
        ways.release(task.app, to)
        clock.mark("released")
        verified = time.time() if to == EDGE else 0.0
        record = replace(record, owner=to, epoch=task.epoch + 1, phase=IDLE, ways=(), verified=verified)
        placement.save(record)
        box.put("answers")
        more = {"cut": drained.cut, "ended": drained.ended, "copied_bytes": copied}
        more["datagrams"] = ways.datagrams(task.app)
        return _finish(task, record, clock, more)


def _leave(task: Task, box: door.Box, disks: Sequence[disk.Disk], sums: Mapping[str, disk.Sums], clock: Clock) -> None:
    """The volumes of the app are the edge's: all is sent, nothing is mounted, and the mover is told what was there."""
    if not disks:
        return
    found = {one.name: disk.told(disk.read(one, sums[one.name])) for one in disks}
    clock.mark("read")
    disk.leave(disks, task.limit)
    clock.mark("unmounted")
    for name, text in found.items():
        box.put(f"disk-{name}", text)
    box.put("unmounted")


def keep_ready(task: Task) -> dict[str, Any]:
    """The device's part of a standby: a verified copy at the edge, and something that asks there before the app starts.

    The app goes on meanwhile. Only if it writes is it paused for the rest of the copy, for ``task.pause_seconds`` at
    most; its clients wait so long.
    """
    clock = Clock()
    with _meeting(task) as box:
        record = _expect(admit(task), task, DEVICE)
        runs = runner.of(task)
        found = runs.describe()
        ways.ensure(task.app, task.container, task.ways, task.doors)
        pairs = tree.to_edge(record.trees, task.remote, task.new_tree, task.good_tree)
        seen = {name: manifest.make(folder) for name, folder in record.trees}
        copied = {"first": 0, "held": 0}
        if pairs:
            tell = _progress(box, clock)
            copied["first"] = tree.first(task.app, task.epoch, pairs, task.remote, task.copy_limit, tell).bytes
        deadman.install()
        runs.prepare()
        clock.mark("prepared")
        box.put("prepared")
        if pairs and not _unchanged(task, record, pairs, seen):
            with standby.paused(record, found, task.pause_seconds):
                clock.mark("held")
                changes = _changes(record, seen)
                limit = task.pause_seconds if found.running else task.copy_limit
                copied["held"] = tree.final(task.app, pairs, task.remote, limit, changes).bytes
                tree.compare(task.app, pairs, task.remote, limit, changes)
                seen = {name: manifest.make(folder) for name, folder in record.trees}
            clock.mark("released")
        standby.remember(task.app, seen)
        offered = tuple(dataclasses.asdict(one) for one in task.ways or task.presence)
        record = placement.save(replace(record.noted(task.container, found), ways=offered))
        takeover.install()
        tree.forget(task.app)
        paused = round(clock.at["released"] - clock.at["held"], 3) if "held" in clock.at else 0.0
        done = {"changed": True, "record": record.as_json(), "clock": clock.at, "copied_bytes": copied}
        return {**done, "held_seconds": paused}


def take_over(task: Task) -> dict[str, Any]:
    """The app of an edge that is lost runs here again, with the device's own last copy of its data.

    Raises:
        KrafError: when the edge answers.
    """
    with placement.exclusive(task.app):
        record = admit(task)
        if record.owner == DEVICE and record.phase == IDLE:
            return {"changed": False, "record": record.as_json()}
        if takeover.answers(task.app, task.ways or task.presence, record.doors):
            why, fix = "it answers at the edge", "Leave edge_lost out, and it moves as ever"
            raise KrafError(f"app {task.app}", None, why, fix)
        if record.disks:
            volumes = ", ".join(sorted({volume for _name, volume in record.disks}))
            why, fix = f"its data lie on the volume {volumes}, in the cluster that is lost", "Bring the cluster back"
            raise KrafError(f"app {task.app}", None, why, fix)
        # A copy that was verified and not yet put in place is the newest there is.
        taken = record.phase == READY and record.to == DEVICE
        start_here(task, record if taken else replace(record, phase=IDLE))
        ways.release(task.app, DEVICE)
        deadman.clear(task.app)
        # Whether a commit came through is not known then: no story of the Placement is newer than this one.
        epoch = max(task.epoch, record.epoch) + (3 if record.phase == READY else 1)
        age = round(time.time() - record.verified, 1) if record.verified and not taken else None
        record = placement.save(replace(record, owner=DEVICE, epoch=epoch, phase=IDLE, to=DEVICE, lost=True, ways=()))
        runner.of(record).tidy(record)
        return {"changed": True, "record": record.as_json(), "copy_age_seconds": age}


def _unchanged(task: Task, record: Record, pairs: Sequence[tree.Pair], seen: Mapping[str, manifest.Manifest]) -> bool:
    """Whether the first copy holds the data as they were at one moment: nothing was written while it was made."""
    if not all(manifest.same(folder, seen[name]) for name, folder in record.trees):
        return False
    try:
        tree.compare(task.app, pairs, task.remote, task.copy_limit, dict.fromkeys(seen, ""))
    except KrafError:
        return False
    return True


def abandon(task: Task) -> dict[str, Any]:
    """Nothing is kept ready for the app any more: what a copy left here, and what asks there before it starts."""
    with placement.exclusive(task.app):
        record = admit(task)
        gone = [path for _name, folder in record.trees for path in tree.abandon(folder, record.epoch)]
        standby.forget(task.app)
        tree.forget(task.app)
        record = placement.save(replace(record, ways=()))
        runner.of(record if record.container else task).tidy(record)
        return {"changed": True, "record": record.as_json(), "removed": gone}


def _progress(box: door.Box, clock: Clock) -> tree.Tell:
    """Tells the controller how far the first copy is: bytes done, and seconds since this part began."""

    def tell(done: int) -> None:
        # A box that cannot be reached now is no reason to end a copy; rsync has a connection of its own.
        with contextlib.suppress(KrafError):
            box.put("progress", f"{done} {time.monotonic() - clock.begin:.1f}")

    return tell


def _changes(record: Record, seen: Mapping[str, manifest.Manifest]) -> dict[str, str]:
    """Lists of the files that have to be read again, now that nothing writes any more, by the directory's name."""
    lists = {}
    for name, folder in record.trees:
        paths = manifest.changed(folder, seen[name])
        if paths is not None:
            lists[name] = tree.listed(record.app, name, paths) if paths else ""
    return lists


def _copy(task: Task, record: Record, pairs: Sequence[tree.Pair], changes: tree.Changes, clock: Clock) -> int:
    """What changed since the first copy, durable once it is whole; bytes sent."""
    sent = tree.final(task.app, pairs, task.remote, task.copy_limit, changes).bytes
    clock.mark("copied")
    tree.compare(task.app, pairs, task.remote, task.copy_limit, changes)
    if record.to == DEVICE:
        for _name, folder in record.trees:
            tree.durable(tree.beside(folder, task.epoch + 1))
    clock.mark("compared")
    return sent


def start_here(task: Task, record: Record) -> None:
    """The copy into its place, the container as it was, and its probe; a job is not started: it has run."""
    if record.phase == READY and record.to == DEVICE:
        for _name, folder in record.trees:
            tree.swap(folder, record.epoch + 1)
    disk.back(disk.of(record.data, record.disks), task.limit)
    if record.job:
        return
    runner.of(record).start(record)
    ways.probe_device(task.app, task.ways, task.limit, container=task.container)


def _unswap(record: Record) -> None:
    """Take back what ``start_here`` has put in place; what the app wrote meanwhile is kept aside."""
    if record.phase == READY and record.to == DEVICE:
        for _name, folder in record.trees:
            tree.unswap(folder, record.epoch + 1)


def _stop_here(task: Task, record: Record) -> int:
    """The app stopped, its volumes unmounted; files that could not be sent, of a device that was lost meanwhile."""
    runner.of(record).stop(record)
    return disk.leave(disk.of(record.data, record.disks), task.limit, sent=task.lost != DEVICE)


def settle(task: Task) -> dict[str, Any]:
    """Bring the device to what the Placement says: ``task.owner``, ``task.epoch``."""
    clock = Clock()
    with placement.exclusive(task.app):
        record = _agreed(task)
        if task.owner == DEVICE:
            ways.ensure(task.app, task.container, task.ways, task.doors)
            taken = record.phase == READY and record.to == DEVICE and task.epoch == record.epoch + 1
            outcome.keep(task.app, task.epoch, task.outcome)
            start_here(task, record if taken else replace(record, phase=IDLE))
            ways.release(task.app, DEVICE)
        else:
            _stop_here(task, record)
            if not task.lost:
                _unswap(record)
            ways.ensure(task.app, task.container, task.ways, task.doors)
            if any(one.target == DEVICE for one in forward.members(task.app)):
                ways.hold(task.app)
            ways.probe_edge(task.ways, task.doors, task.limit)
            ways.release(task.app, EDGE)
        # What is kept ready at the edge is of this ownership; the next standby says it anew.
        mine = record.ways if (record.owner, record.epoch) == (task.owner, task.epoch) else ()
        record = replace(record, owner=task.owner, epoch=task.epoch, phase=IDLE, to=task.owner, ways=mine, lost=False)
        return _finish(task, placement.save(record), clock, {})


def fence_off(task: Task) -> dict[str, Any]:
    """The edge owns the app, or is to get it back: the container stopped, before anything starts there."""
    with placement.exclusive(task.app):
        record = _agreed(task)
        unsent = _stop_here(task, record)
        if not task.lost:
            _unswap(record)
            return {"changed": True, "record": record.as_json()}
        # The edge has gone on from the last copy; what this side wrote after it is in no other place.
        found = {**standby.divergence(record), **disk.damage(disk.of(record.data, record.disks), unsent)}
        record = placement.save(replace(record, diverged=record.diverged or any(found.values())))
        return {"changed": True, "record": record.as_json(), "diverged": found}


def still_held(task: Task) -> dict[str, Any]:
    """Before an owner is given back: no client has been let through to the new side."""
    with placement.exclusive(task.app):
        record = admit(task)
        released = sorted({one.target for one in forward.members(task.app)} - {forward.HELD})
        if released or record.phase != READY:
            why = f"its forward leads to {', '.join(released) or 'nowhere'}: clients have spoken to the new side"
            raise KrafError(f"app {task.app}", record.phase, why, "Run the playbook again; it goes on from there")
        if record.to == DEVICE:
            _stop_here(task, record)
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
                record = _as_it_runs(task, record)
            record = placement.save(record)
            runner.of(record).stop(record)
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
    if record.owner == DEVICE:
        runner.of(record).tidy(record)
    tree.forget(task.app)
    if record.diverged and record.owner == DEVICE:
        for _name, folder in record.trees:
            tree.set_aside(folder, record.epoch)
        record = placement.save(replace(record, diverged=False))
    for _name, folder in record.trees:
        tree.purge(folder, record.epoch)
    held = round(clock.at["released"] - clock.at["held"], 3) if "released" in clock.at and "held" in clock.at else 0.0
    aside = [tree.beside(folder, record.epoch - 1) for _name, folder in record.trees]
    aside += [path for _name, folder in record.trees for path in tree.set_asides(folder)]
    more = {**more, "slot": cron.last(task.app), "aside": [path for path in aside if os.path.exists(path)]}
    return {"changed": True, "record": record.as_json(), "clock": clock.at, "held_seconds": held, **more}
