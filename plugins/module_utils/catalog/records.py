# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the catalog holds, as plain values: no database, no Kubernetes.

Both kinds of row say what a person or a device *declared*. What runs is asked of the cluster; no secret stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

ARCHITECTURES = ("amd64", "arm64", "arm")
"""As container images name them (https://github.com/opencontainers/image-spec/blob/main/image-index.md)."""

SERVICE, JOB, CRONJOB = "service", "job", "cronjob"

ACTIVE = "active"
MAINTENANCE = "maintenance"
TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class Device:
    """An IoT device. An empty text or a zero means that nobody said.

    Attributes:
        uid: made at registration; a new device under an old name has another one.
        memory_bytes: RAM as the device reports it.
        state: ``active``, or ``maintenance`` with a reason and, if it ends by itself, the UTC time ``expires``.
        cluster_uid: the cluster that the device belongs to; every other one is refused.
    """

    name: str
    uid: str = ""
    machine_id: str = ""
    address: str = ""
    architecture: str = ""
    memory_bytes: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    state: str = ACTIVE
    reason: str = ""
    expires: str = ""
    cluster_uid: str = ""

    def in_maintenance(self, now: datetime | None = None) -> bool:
        """Whether plays should leave the device alone at this moment (timezone-aware; default: now)."""
        if self.state != MAINTENANCE:
            return False
        return not self.expires or (now or datetime.now(timezone.utc)).strftime(TIME) < self.expires

    def at(self, now: datetime | None = None) -> Device:
        """The device as it counts at this moment: a maintenance that has expired is over."""
        if self.state == ACTIVE or self.in_maintenance(now):
            return self
        return replace(self, state=ACTIVE, reason="", expires="")

    def as_dict(self) -> dict[str, Any]:
        """The row for a module's result."""
        return {**vars(self), "labels": dict(self.labels)}


@dataclass(frozen=True)
class Port:
    """A port of the container, TCP or UDP, and the one under which the device's clients have always reached it.

    ``member`` is whose it is in a group; empty is the app's own container.
    """

    port: int
    device_port: int
    protocol: str = "TCP"
    member: str = ""


@dataclass(frozen=True)
class Data:
    """A directory in the container (absolute path) whose content moves with the app; ``member`` as of a port."""

    name: str
    path: str
    member: str = ""


@dataclass(frozen=True)
class Probe:
    """An HTTP GET that a healthy app answers with a status from 200 to 399."""

    path: str
    port: int


@dataclass(frozen=True)
class Member:
    """A further container of an app that is a group: it moves with the app's own, or not at all.

    Attributes:
        name: by which the app's other containers call it.
        container: its Docker container on the device.

    The others are as of an app.
    """

    name: str
    container: str
    images: Mapping[str, str] = field(default_factory=dict)
    env: tuple[str, ...] = ()
    cpu: str = ""
    memory: str = ""


@dataclass(frozen=True)
class App:
    """An execution environment: what has to be true wherever the app runs.

    Attributes:
        images: image reference by architecture.
        container: the app's Docker container on the device; empty for an app that is a unit.
        unit: the app's systemd service on the device; empty for an app that is a container.
        command: argv that replaces the image's entry point; empty keeps it. ``args`` follow it.
        env: names of environment variables; their values are never in the catalog.
        cpu: Kubernetes quantity, ``250m`` or ``2``; empty for no limit of its own.
        memory: size such as ``256Mi``; empty for no limit of its own.
        vram: empty until GPUs are supported.
        overlap: whether the app may run on both sides at once for a moment.
        emulation: whether nodes may run the device's image by emulation where there is none for their architecture.
        retries: of a job, or of each run of a cronjob, how often it is tried again after it has failed.
        deadline_seconds: of the same, after how many seconds at the edge it is ended, all tries together; 0 is never.
        schedule: of a cronjob, when it is due, in UTC: the five fields of cron.
        members: of a group, its further containers, in the order in which they start; the app's own starts last.
    """

    device: str
    name: str
    kind: str = "service"
    images: Mapping[str, str] = field(default_factory=dict)
    container: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    ports: tuple[Port, ...] = ()
    data: tuple[Data, ...] = ()
    cpu: str = ""
    memory: str = ""
    vram: str = ""
    probe: Probe | None = None
    overlap: bool = False
    emulation: bool = False
    retries: int = 0
    deadline_seconds: int = 0
    unit: str = ""
    schedule: str = ""
    members: tuple[Member, ...] = ()

    @property
    def job(self) -> bool:
        """Whether it runs once, to its end."""
        return self.kind == JOB

    @property
    def cron(self) -> bool:
        """Whether it runs once for each slot of a schedule."""
        return self.kind == CRONJOB

    @property
    def runs_as(self) -> str:
        """What runs it on the device, as the device takes it: the name of its container; ``unit:`` and its unit;
        ``cron:``, schedule, app and container; or ``group:`` and the names of its containers, its own first."""
        container = self.container or self.name
        if self.cron:
            return f"cron:{self.schedule}|{self.name}|{container}"
        if self.members:
            return f"group:{','.join(one.container or one.name for one in self.parts())}"
        return f"unit:{self.unit}" if self.unit else container

    @property
    def key(self) -> str:
        """The app as a person names it: ``pi1/faces``."""
        return f"{self.device}/{self.name}"

    def parts(self) -> list[App]:
        """The app as one app for each of its containers, its own first: with what is this container's alone."""
        found = []
        for one in (None, *self.members):
            member = one.name if one else ""
            ports = tuple(port for port in self.ports if port.member == member)
            probe = self.probe if self.probe and self.probe.port in [port.port for port in ports] else None
            data = tuple(data for data in self.data if data.member == member)
            part = replace(self, members=(), ports=ports, data=data, probe=probe)
            if one:
                part = replace(part, **{**vars(one), "name": self.name}, command=(), args=())
            found.append(part)
        return found

    def places(self) -> list[dict[str, str]]:
        """Its data directories as the device is asked for them: name, path, and of a group the container."""
        containers = {member: part.container for member, part in zip(self.named(), self.parts())}
        return [
            {"name": one.name, "path": one.path, "container": containers[one.member] if self.members else ""}
            for one in self.data
        ]

    def named(self) -> list[str]:
        """The members' names as ports and data have them, in the order of ``parts``; empty is the app's own."""
        return ["", *(one.name for one in self.members)]

    def as_dict(self) -> dict[str, Any]:
        """The row for a module's result, tuples as lists; a member is named where there is one."""
        row = asdict(self)
        for key in ("ports", "data"):
            row[key] = tuple({k: v for k, v in one.items() if k != "member" or v} for one in row[key])
        return {name: list(value) if isinstance(value, tuple) else value for name, value in row.items()}

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> App:
        """The reverse of ``as_dict``; the row is taken as valid."""
        parts = dict(row)
        for name in ("command", "args", "env"):
            parts[name] = tuple(parts.get(name) or ())
        parts["ports"] = tuple(Port(**port) for port in parts.get("ports") or ())
        parts["data"] = tuple(Data(**data) for data in parts.get("data") or ())
        parts["members"] = tuple(
            Member(**{**one, "env": tuple(one.get("env") or ())}) for one in parts.get("members") or ()
        )
        parts["probe"] = Probe(**parts["probe"]) if parts.get("probe") else None
        return cls(**parts)
