# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What runs an app on the device, behind one face: a hand-over asks for it to end or to begin, not how that is done.

Its record is what it is to be put back to; the functions here never write the record.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..core.errors import KrafError
from . import cron, docker, files, group, service
from .container import Container, from_inspect
from .forward_store import TCP
from .group_runner import Grouped
from .placement import Record
from .service_runner import Serviced

ANY = ("", "0.0.0.0", "::")  # noqa: S104
"""Addresses by which Docker publishes a port everywhere."""


class Runner(Protocol):
    """What runs one app on the device."""

    def describe(self) -> Container:
        """As it really runs.

        Raises:
            KrafError: when it is not there.
        """

    def prepare(self) -> None:
        """Before clients are held: what makes it quick to stop; it goes on as it was."""

    def tidy(self, record: Record) -> None:
        """Once the device owns it again and clients are let through: what ``prepare`` and ``stop`` have left."""

    def start(self, record: Record) -> bool:
        """As it was, running, also after the next boot; False when it ran already."""

    def stop(self, record: Record) -> None:
        """Stopped, and nothing that starts it again; also one that was made since under its name."""

    def running(self, record: Record) -> bool:
        """Whether it runs."""

    def pause(self, record: Record) -> None:
        """Frozen where it is; nothing of it ends."""

    def resume(self, record: Record) -> None:
        """Let one that is paused go on."""

    def keep_down(self, record: Record, docker_root: Path) -> bool:
        """Before Docker starts at boot: it will not start; False when it would not have."""

    def process(self) -> int:
        """Id of its first process; 0 when it does not run."""

    def address(self, port: int, protocol: str) -> tuple[str, str]:
        """Where one of its ports is reached on the device, as ip:port, and the device's address that clients use for
        it, ``*`` for every one.

        Raises:
            KrafError: when it has no such port.
        """


class Named(Protocol):
    """A record, or the task of a call: both say by what names the app is found."""

    @property
    def container(self) -> str:
        """Its container, its unit (``service.PREFIX``), or its group (``group.PREFIX``)."""


def of(app: Named) -> Runner:
    """What runs an app."""
    return named(app.container)


def named(container: str) -> Runner:
    """What runs the app of a container, of a unit (``service.PREFIX``), of a schedule (``cron.PREFIX``), or of a group
    (``group.PREFIX``)."""
    if cron.is_cron(container):
        return cron.of(container)
    if group.is_group(container):
        names = tuple(group.names_of(container))
        return Grouped(names, tuple(map(Contained, names)))
    return Serviced(service.name_of(container)) if service.is_unit(container) else Contained(container)


@dataclass(frozen=True)
class Contained:
    """A Docker container, by its name; ``container_id`` of the record is the one that was met last."""

    name: str

    def describe(self) -> Container:
        return docker.describe(self.name)

    def prepare(self) -> None:
        # Its restart policy changes at once.
        pass

    def tidy(self, record: Record) -> None:
        # The container itself is all that was changed.
        pass

    def start(self, record: Record) -> bool:
        name = record.container_id
        if docker.inspect(name) is None:
            # One that its owner has made anew since has a restart policy of its own.
            name = record.container
        elif record.restart_policy:
            docker.set_restart_policy(name, record.restart_policy, record.restart_maximum)
        return docker.start(name)

    def stop(self, record: Record) -> None:
        stopped = set()
        for name in filter(None, (record.container_id, record.container)):
            found = docker.inspect(name)
            if found is not None and found["Id"] not in stopped:
                docker.set_restart_policy(name, "no")
                docker.stop(name, from_inspect(found).stop_timeout)
                stopped.add(found["Id"])

    def running(self, record: Record) -> bool:
        return docker.running(record.container_id)

    def pause(self, record: Record) -> None:
        docker.pause(record.container_id)

    def resume(self, record: Record) -> None:
        docker.unpause(record.container_id)

    def keep_down(self, record: Record, docker_root: Path) -> bool:
        # Its own file says that Docker starts it again, unless this says otherwise.
        path = docker_root / "containers" / record.container_id / "hostconfig.json"
        content = files.read(path)
        if content is None:
            return False
        found = json.loads(content)
        found["RestartPolicy"] = {"Name": "no", "MaximumRetryCount": 0}
        files.write(path, json.dumps(found), os.stat(path).st_mode & 0o7777)
        return True

    def process(self) -> int:
        return docker.pid(self.name)

    def address(self, port: int, protocol: str) -> tuple[str, str]:
        found = docker.describe(self.name)
        for one in found.ports:
            if one["port"] == port and one["device_port"] and one["protocol"] == protocol:
                address = one["address"] if one["address"] not in ANY else "127.0.0.1"
                return f"{address}:{one['device_port']}", "*"
        named = port if protocol == TCP else f"{port}/{protocol}"
        why = f"the container publishes no port {named}"
        raise KrafError(f"container {self.name}", named, why, "Correct the app's ports in the catalog")
