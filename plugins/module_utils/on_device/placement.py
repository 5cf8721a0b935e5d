# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the device itself knows of an app's owner, and who on the device may change it.

One file per app, root's alone. Whoever acts on an app holds a lock; a newer run ends what an older one left at work,
and an older one that comes late is refused.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..core.errors import KrafError
from . import files, units
from .container import Container
from .run import run

ROOT = Path("/var/lib/kraf")
LOCKS = Path("/run/kraf")
DEVICE, EDGE = "device", "edge"
IDLE, MOVING, READY = "idle", "moving", "ready"
LOCK_LIMIT = 30.0


@dataclass(frozen=True)
class Record:
    """The device's own account of an app.

    Attributes:
        owner: ``device`` or ``edge``; with ``epoch`` as the Placement had them when the device last heard of it.
        phase: ``idle``; ``moving`` from the hold on, with the dead-man's timer armed; ``ready`` once the new side's
            data are verified and the timer is disarmed.
        to: the side that the hand-over leads to.
        fence: number of the newest run that was here.
        overlap: whether the app may run on both sides for a moment.
        job: whether the app runs once: on the device it is at rest, and no hand-over starts it there.
        container: its name and id, and how it was started: ``restart_policy``, ``restart_maximum``.
        data: name and directory of each of its data directories.
        disks: name and volume of those data directories that lie on the mount of a volume; nothing of them is copied.
        ways: its ports as the edge would serve them, or what answers there in their place, while the edge is kept ready
            to take over; the guard asks there.
        doors: addresses of the doors, for an app that has no forward.
        paused: whether its container is paused for the end of a copy.
        verified: when its own copy of the data was last known to be the owner's, seconds since 1970; 0 is unknown.
        lost: whether it has taken the app over from an edge that was lost, which has not heard of it.
        diverged: whether the device ran it after the edge had taken over; its data of then are kept for good.
    """

    app: str
    owner: str = DEVICE
    epoch: int = 1
    phase: str = IDLE
    to: str = DEVICE
    fence: int = 0
    overlap: bool = False
    job: bool = False
    container: str = ""
    container_id: str = ""
    restart_policy: str = ""
    restart_maximum: int = 0
    data: tuple[tuple[str, str], ...] = field(default_factory=tuple)
    disks: tuple[tuple[str, str], ...] = ()
    ways: tuple[Mapping[str, Any], ...] = field(default_factory=tuple)
    doors: tuple[str, ...] = ()
    paused: bool = False
    verified: float = 0.0
    lost: bool = False
    diverged: bool = False

    def as_json(self) -> dict[str, Any]:
        """As its file holds it."""
        data, disks = [list(one) for one in self.data], [list(one) for one in self.disks]
        offered = [dict(one) for one in self.ways]
        return {**vars(self), "data": data, "disks": disks, "ways": offered, "doors": list(self.doors)}

    def noted(self, container: str, found: Container) -> Record:
        """With what runs the app now and how it is started: its owner may have made it anew since."""
        return replace(
            self,
            container=container,
            container_id=found.id,
            restart_policy=found.restart_policy,
            restart_maximum=found.restart_maximum,
        )

    @property
    def trees(self) -> tuple[tuple[str, str], ...]:
        """Those of its data directories that are copied when it moves."""
        on_mounts = {name for name, _volume in self.disks}
        return tuple((name, folder) for name, folder in self.data if name not in on_mounts)


def path(app: str) -> Path:
    """File of an app."""
    return ROOT / "placements" / f"{app}.json"


def load(app: str) -> Record | None:
    """The record of an app; None when the device has none."""
    found = files.load_json(path(app))
    if found is None:
        return None
    known = {key: value for key, value in found.items() if key in Record.__dataclass_fields__}
    known["data"] = tuple((str(name), str(folder)) for name, folder in known.get("data") or ())
    known["disks"] = tuple((str(name), str(volume)) for name, volume in known.get("disks") or ())
    known["ways"] = tuple(dict(one) for one in known.get("ways") or ())
    known["doors"] = tuple(known.get("doors") or ())
    return Record(**known)


def save(record: Record) -> Record:
    """Write the record, durably."""
    files.save_json(path(record.app), record.as_json(), 0o600)
    return record


def agrees(record: Record, owner: str, epoch: int, lost: str = "") -> bool:
    """Whether the record can belong to a Placement of this owner and epoch: the rule of the protocol's table."""
    if lost == DEVICE and owner == EDGE and epoch > record.epoch:
        return True
    if record.phase == READY:
        committed = epoch == record.epoch + 1 and owner == record.to
        given_back = epoch == record.epoch + 2 and owner == record.owner
        if committed or given_back:
            return True
    if record.overlap and epoch == record.epoch + 1:
        return True
    return (record.owner, record.epoch) == (owner, epoch)


def unit(app: str, epoch: int) -> str:
    """Name, without its suffix, of what works for an app's migration; the dot is in no app's name."""
    return f"kraf-copy-{app}.{epoch}"


@contextlib.contextmanager
def exclusive(app: str, limit: float = LOCK_LIMIT) -> Iterator[None]:
    """Hold the app's lock.

    Raises:
        KrafError: when another process keeps it longer than ``limit`` seconds.
    """
    files.make_directory(LOCKS)
    descriptor = os.open(LOCKS / f"app-{app}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        end = time.monotonic() + limit
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() >= end:
                    why = f"another process on the device has worked on it for more than {limit:g} s"
                    raise KrafError(f"app {app}", None, why, f"See systemctl list-units 'kraf-copy-{app}.*'") from None
                time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


def stop_others(app: str) -> None:
    """End what an earlier run left at work on this app, and wait until it is gone."""
    if units.running():
        run(["systemctl", "--no-ask-password", "stop", f"kraf-copy-{app}.*.scope", f"kraf-copy-{app}.*.service"], 60)


def enter_scope(app: str, epoch: int) -> None:
    """Make this process and its children a unit, so that a later run can find and end all of them."""
    if not units.running():
        return
    name = f"{unit(app, epoch)}.{os.getpid()}.scope"
    manager = ["org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"]
    properties = ["2", "PIDs", "au", "1", str(os.getpid()), "TimeoutStopUSec", "t", "5000000"]
    run(
        [
            "busctl",
            "--quiet",
            "call",
            *manager,
            "StartTransientUnit",
            "ssa(sv)a(sa(sv))",
            name,
            "fail",
            *properties,
            "0",
        ],
        10,
    )


def refuse_overtaken(app: str, fence: int) -> Record | None:
    """The record of an app, for a run that nobody has overtaken; it changes nothing and needs no lock.

    Raises:
        KrafError: for a run that was overtaken.
    """
    record = load(app)
    if record is not None and fence < record.fence:
        why = f"run {record.fence} has taken the app in hand since, this is run {fence}"
        raise KrafError(
            f"app {app}", None, why, "Nothing was changed; see who is at work, and run it again", overtaken=True
        )
    return record


def admit(app: str, fence: int) -> Record | None:
    """Let a run act, and remember it; a run that was overtaken is refused like by ``refuse_overtaken``."""
    record = refuse_overtaken(app, fence)
    return save(replace(record, fence=fence)) if record is not None and fence > record.fence else record
