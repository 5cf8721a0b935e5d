# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One app on its way: all that the steps of a run share."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Callable

from ..catalog.records import SERVICE, App, Device, Port
from ..cluster.client import Cluster
from ..cluster.kinds import CONFIG_MAP
from ..core import names
from ..core.errors import KrafError
from ..manifests import mover as mover_manifest
from ..manifests import presence, relay
from ..manifests.workload import Disk
from .edge import Seen
from .image import Target
from .outcome import Outcome
from .records import KEEP_SECONDS, Placement

DeviceCall = Callable[..., dict[str, Any]]


@dataclass(frozen=True)
class Limits:
    """How long a run waits, in seconds, and how large a new volume is made, in bytes.

    ``job`` is for a job to end before it is moved back; ``kill`` says whether it is ended then, or left to run.
    """

    lock: float = 60.0
    wait: float = 180.0
    hold: float = 60.0
    copy: float = 3600.0
    drain: float = 1.0
    deadman: int = 120
    volume_bytes: int = 2 * 2**30
    storage_class: str = ""
    pause: float = 10.0
    keep: float = KEEP_SECONDS
    job: float = 3600.0
    kill: bool = False


@dataclass(frozen=True)
class Site:
    """What a run needs to know of the cluster, from the ConfigMap that the roles leave there."""

    doors: tuple[str, ...]
    image: str
    registry: str
    architectures: tuple[str, ...]
    emulated: tuple[str, ...] = ()

    @property
    def target(self) -> Target:
        """What of it the choice of an image depends on."""
        return Target(self.architectures, self.emulated, self.registry)


def site(cluster: Cluster) -> Site:
    """Read it.

    Raises:
        KrafError: when the roles did not get that far.
    """
    found = (cluster.get(CONFIG_MAP, "kraf-cluster", names.SYSTEM_NAMESPACE) or {}).get("data") or {}
    missing = [
        key for key in ("door_addresses", "image_edge", "registry_address", "architectures") if not found.get(key)
    ]
    if missing:
        why = f"its ConfigMap kraf-cluster lacks {', '.join(missing)}"
        raise KrafError("cluster", cluster.server, why, "Run the playbook kraf.edge.cluster")
    return Site(
        tuple(found["door_addresses"].split(",")),
        found["image_edge"],
        found["registry_address"],
        tuple(found["architectures"].split(",")),
        tuple(one for one in found.get("emulated", "").split(",") if one),
    )


class Background(threading.Thread):
    """A call to the device that goes on while the controller does its part."""

    def __init__(self, call: Callable[[], dict[str, Any]]) -> None:
        super().__init__(daemon=True)
        self._call = call
        self._result: dict[str, Any] = {}
        self._error: Exception | None = None
        self.start()

    def run(self) -> None:
        """Make the call."""
        try:
            self._result = self._call()
        except Exception as error:  # told to whoever waits for it
            self._error = error

    def check(self) -> None:
        """Raise what the call raised, or that it ended too early."""
        if not self.is_alive():
            self.result(0)

    def result(self, limit: float) -> dict[str, Any]:
        """What the call returned.

        Raises:
            KrafError: when it takes longer than ``limit`` seconds; else what the call raised.
        """
        self.join(limit)
        if self.is_alive():
            raise KrafError("device", None, f"its part of the move did not end within {limit:g} s", "Run it again")
        if self._error is not None:
            raise self._error
        return self._result


@dataclass
class Job:
    """One app on its way.

    Attributes:
        to: the side that is to own it.
        holder: names this run for others.
        call: runs the module app_handover on the device: step, then its options.
        placement: as last read or written.
        look: what the device said last.
        seen: what was last seen at the edge.
        run: number of this run, from the Lease.
        epoch: of the Placement when the run had settled.
        tree: the good tree at the edge at that time.
        disks: data directories on volumes of the device, of which nothing is copied.
        token: shared by mover and device for this run.
        background: the device's part of the move.
        report: portability of what runs.
        accept: properties whose refusal the operator accepts.
        say: tells a person how far the run is.
        new_tree: number of the tree that a standby's copy makes.
        diverged: what a device wrote after the edge had taken over, by the data directory's name.
        was_ready: whether the edge was kept ready when the run began.
        removed: what was abandoned.
        copy_age: seconds since the copy was verified that the app goes on from, where a side is lost.
        member: of a group, the one whose container this is about; empty is the app's own.
        outcome: of a job, how it has ended; of a cronjob, how its last run at the edge has.
        data_bytes: that the app's data take on the owner's side; ``copied`` were sent before and while clients wait.
        pushed_bytes: of layers that the device sent to the image registry, ``pushed_layers`` how many of them.
    """

    cluster: Cluster
    app: App
    device: Device
    to: str
    holder: str
    site: Site
    limits: Limits
    call: DeviceCall
    placement: Placement | None = None
    look: dict[str, Any] = field(default_factory=dict)
    seen: Seen = field(default_factory=Seen)
    run: int = 0
    epoch: int = 0
    tree: int = 0
    disks: tuple[Disk, ...] = ()
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    background: Background | None = None
    report: list[dict[str, str]] = field(default_factory=list)
    accept: tuple[str, ...] = ()
    image: str = ""
    clock: dict[str, float] = field(default_factory=dict)
    say: Callable[[str], None] = field(default=lambda _text: None, repr=False)
    outcome: Outcome | None = None
    data_bytes: int = 0
    copied: dict[str, int] = field(default_factory=dict)
    held_seconds: float = 0.0
    pushed_bytes: int = 0
    pushed_layers: dict[str, int] = field(default_factory=dict)
    new_tree: int = 0
    diverged: dict[str, list[str]] = field(default_factory=dict)
    was_ready: bool = False
    removed: list[str] = field(default_factory=list)
    copy_age: float | None = None
    member: str = ""

    @property
    def placed(self) -> Placement:
        """The Placement, which is there from the lock on."""
        return self.placement or Placement()

    @property
    def container(self) -> str:
        """What runs the app on the device: its container, or its unit (``App.runs_as``)."""
        return self.app.runs_as

    @property
    def found(self) -> Mapping[str, Any]:
        """The container as the device describes it.

        Raises:
            KrafError: when there is none.
        """
        found = self.look.get("container")
        if found and found.get("absent"):
            why = f"the device has no container {', '.join(found['absent'])}, and a group moves as a whole"
            fix = "Create it again from its image, or correct the members in the catalog; nothing was changed"
            raise KrafError(f"group of app {self.app.key}", None, why, fix)
        if not found and self.app.unit:
            why, fix = "systemd on the device has none of this name", "Install it again, or correct the catalog"
            raise KrafError(f"unit of app {self.app.key}", self.app.unit, why, fix)
        if not found:
            why, fix = (
                "the device has none of this name",
                "Create it again from its image, stopped, or correct the catalog",
            )
            raise KrafError(f"container of app {self.app.key}", self.container, why, fix)
        return dict(found)

    @property
    def device_bytes(self) -> int:
        """What the app's data take on the device."""
        return sum(int(one["bytes"]) for one in (self.found.get("data") or {}).values())

    def on_device(self, step: str, owner: str = "", epoch: int = 0) -> dict[str, Any]:
        """One step on the device, for this run."""
        app = self.app
        data = (self.look.get("container") or {}).get("data") or {}
        folders = {name: one["folder"] for name, one in data.items() if one["folder"]}
        for name, folder in (self.look.get("record") or {}).get("data") or []:
            folders.setdefault(name, folder)
        mover, service = names.mover_service(app.name, self.run), names.workload(app.name)
        return self.call(
            step,
            app=app.name,
            container=self.container,
            owner=owner or None,
            epoch=epoch or self.epoch,
            fence=self.run,
            data=[{"name": name, "path": folder} for name, folder in sorted(folders.items())],
            good_tree=self.tree,
            new_tree=self.new_tree,
            slot=self.placed.slot,
            lost=self.placed.lost or None,
            pause_seconds=self.limits.pause,
            ways=[self._way(port, service) for port in app.ports],
            presence=[self._presence(service)] if presence.needed(app) else [],
            doors=list(self.site.doors),
            box_sni=names.door_name(mover_manifest.BOX_PORT, mover, app.device),
            rsync_sni=names.door_name(mover_manifest.RSYNC_PORT, mover, app.device),
            token=self.token,
            overlap=app.overlap,
            job=app.job,
            outcome=self.outcome.told() if self.outcome else None,
            drain_seconds=self.limits.drain,
            deadman_seconds=self.limits.deadman,
            # A job has no clients that wait while its pod is made.
            limit=self.limits.hold if app.kind == SERVICE else max(self.limits.hold, self.limits.wait),
            copy_limit=self.limits.copy,
        )

    def _way(self, port: Port, service: str) -> dict[str, Any]:
        """One of the app's ports, as the device is told of it."""
        probe, udp = self.app.probe, port.protocol == "UDP"
        at_edge = relay.ports(self.app)[port.port] if udp else port.port
        return {
            "port": port.device_port,
            "container_port": port.port,
            "sni": names.door_name(at_edge, service, self.app.device),
            "probe": probe.path if probe and probe.port == port.port and not udp else "",
            "protocol": port.protocol.lower(),
        }

    def _presence(self, service: str) -> dict[str, Any]:
        """Where the device asks whether an app without ports runs at the edge."""
        port = presence.PORT
        sni = names.door_name(port, service, self.app.device)
        return {"port": port, "container_port": port, "sni": sni, "probe": presence.PATH, "protocol": "tcp"}
