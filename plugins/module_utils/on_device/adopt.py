# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What runs on the device and would have to move: read, never changed."""

from __future__ import annotations

import base64
import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import cron, disk, docker, forward, group, inside, placement, service, starters, tree
from .container import Container, from_inspect

LARGEST_FILE = 2**20
"""Bytes that a Secret takes (ValidateSecret of Kubernetes)."""


def look(app: str, container: str, data: Sequence[tuple[str, str, str]], secrets: bool) -> dict[str, Any]:
    """Both what runs and what the device remembers of it.

    Args:
        app: name of the app.
        container: its container.
        data: of each data directory the name, the path in the container, and, of a group, that container.
        secrets: whether the values of the environment are wanted, and of bound files the content, for Secrets.

    Returns:
        ``record``, ``forward`` (its target; one that tells when the app's ports do not agree), ``container`` (None when
        there is none), and programs that are ``missing``.
    """
    record = placement.load(app)
    owned_here = record is None or record.owner == placement.DEVICE
    found = _found(container, data, secrets, owned_here)
    missing = [program for program in ("rsync", "openssl", "haproxy") if not shutil.which(program)]
    return {
        "record": record.as_json() if record else None,
        "forward": _leads(forward.members(app), record),
        "container": found,
        "missing": missing,
    }


def _found(
    container: str, data: Sequence[tuple[str, str, str]], secrets: bool, owned_here: bool
) -> dict[str, Any] | None:
    """What runs the app, described; None when there is nothing of that name. What acts is chosen in ``runner``."""
    if group.is_group(container):
        return group.describe(container, data, owned_here, lambda answer, own: describe(answer, own, secrets))
    places = [(name, path) for name, path, _container in data]
    if service.is_unit(container):
        unit = service.find(service.name_of(container))
        return None if unit is None else describe_unit(unit, places, secrets)
    if cron.is_cron(container):
        return _scheduled(cron.of(container), places, secrets)
    found = docker.inspect(container)
    return None if found is None else describe(found, places, secrets)


def _scheduled(runs: cron.Scheduled, data: Sequence[tuple[str, str]], secrets: bool) -> dict[str, Any] | None:
    """A container that a schedule starts, as it counts for a move; ``own_restart_policy`` is what Docker says."""
    found = docker.inspect(runs.container)
    if found is None:
        return None
    result = describe(found, data, secrets)
    counts = runs.as_it_counts(from_inspect(found))
    own = result["restart_policy"]
    return {**result, "running": counts.running, "restart_policy": counts.restart_policy, "own_restart_policy": own}


def describe_unit(found: service.Service, data: Sequence[tuple[str, str]], secrets: bool) -> dict[str, Any]:
    """A unit with all that only the device can tell of it, in the shape of a container's report with ``unit``.

    Args:
        found: the unit.
        data: name and path of each data directory; the path is the same for the unit and for its device.
        secrets: whether the values of the environment are wanted.
    """
    result = found.report()
    if secrets:
        result["env"] = found.own_env
    result["identity"] = service.identity(found)
    # What is renamed later is the directory itself: of a dynamic user, the one that the unit's link leads to.
    folders = {name: (path, os.path.realpath(path)) for name, path in data}
    result["data"] = {name: {"path": path, "folder": at, **_state(name, at)} for name, (path, at) in folders.items()}
    result["full"] = [one for one in found.unit["directories"].get("configuration", ()) if _holds(one)]
    return result


def _holds(folder: str) -> bool:
    return os.path.isdir(folder) and bool(os.listdir(folder))


def _leads(ways: Sequence[forward.Forward], record: placement.Record | None) -> dict[str, Any] | None:
    """Where the app's clients are led. A run that was cut off between two ports has let some of them through: before
    the owner's last word that counts as released, otherwise as not settled."""
    targets = {one.target for one in ways}
    if len(targets) <= 1:
        return {"target": targets.pop()} if targets else None
    if record is not None and record.phase == placement.READY:
        return {"target": min(targets - {forward.HELD})}
    return {"target": forward.HELD}


def report(name: str) -> dict[str, Any]:
    """A container or a unit with all that can be told of it, but for the values of its environment.

    Args:
        name: of the container, or, after ``service.PREFIX``, of the unit.

    Raises:
        KrafError: when there is none of that name.
    """
    if service.is_unit(name):
        return describe_unit(service.describe(service.name_of(name)), (), False)
    found = docker.inspect(name)
    if found is None:
        raise docker.missing(name)
    return describe(found, (), False)


def describe(found: dict[str, Any], data: Sequence[tuple[str, str]], secrets: bool) -> dict[str, Any]:
    """A container with all that only the device can tell of it.

    Args:
        found: Docker's answer for the container.
        data: name and path in the container of each data directory.
        secrets: whether the values of the environment and the content of bound files are wanted.

    Returns:
        The container's report, with ``identity`` (numbers of user and groups), ``data``, ``changes``, ``starters``,
        and of each mount its ``kind`` (directory, file, other, missing, unreadable), ``bytes`` and ``empty``.
    """
    container = from_inspect(found, docker.inspect_image(str(found.get("Image", ""))))
    result = container.report()
    if secrets:
        result["env"] = container.own_env
    result["mounts"] = [{**mount, **_mounted(mount, secrets)} for mount in container.mounts]
    if container.user or container.groups:
        result["identity"] = inside.identity(container.id, container.user or "0", container.groups)
    if container.runtime not in ("", "runc"):
        result["runtime_is_default"] = container.runtime == docker.default_runtime()
    elsewhere = [str(one["path"]) for one in (*container.mounts, *container.tmpfs)]
    result["changes"] = inside.changes(container.id, elsewhere)
    result["starters"] = starters.find(result)
    folders = {}
    for name, path in data:
        folder = _folder(container, path)
        folders[name] = {"path": path, "folder": folder, **_state(name, folder)}
    result["data"] = folders
    return result


def _mounted(mount: dict[str, Any], secrets: bool) -> dict[str, Any]:
    """What is mounted; of a small file also its content, for the Secret at the edge."""
    source = str(mount["source"])
    try:
        state = os.stat(source)
        if stat.S_ISDIR(state.st_mode):
            with os.scandir(source) as entries:
                empty = next(entries, None) is None
            return {"kind": "directory", "empty": empty, "bytes": 0, "mount_point": os.path.ismount(source)}
        if not stat.S_ISREG(state.st_mode):
            return {"kind": "other", "empty": False, "bytes": 0}
        found = {"kind": "file", "empty": False, "bytes": state.st_size, "executable": bool(state.st_mode & 0o111)}
        if secrets and state.st_size <= LARGEST_FILE:
            found["content"] = base64.b64encode(Path(source).read_bytes()).decode()
        return found
    except FileNotFoundError:
        return {"kind": "missing", "empty": False, "bytes": 0}
    except OSError as error:
        # Such as a mount of FUSE that is another user's: root may not look into it.
        return {"kind": "unreadable", "empty": False, "bytes": 0, "why": error.strerror or str(error)}


def _folder(container: Container, path: str) -> str:
    """Where a directory of the container lies on the device; empty when it is in no bind and no volume."""
    best = ""
    for mount in container.mounts:
        at = str(mount["path"]).rstrip("/")
        if (path == at or path.startswith(f"{at}/")) and len(at) > len(best) and mount["type"] in ("bind", "volume"):
            best = at
            folder = str(mount["source"]) + path[len(at) :]
    # What is renamed later is the directory itself, not a link that leads to it.
    return os.path.realpath(folder) if best else ""


def _state(name: str, folder: str) -> dict[str, Any]:
    on_mount = disk.of([(name, folder)]) if folder else []
    if on_mount:
        return disk.state(on_mount[0])
    if not folder or not os.path.isdir(folder):
        return {"exists": False, "bytes": 0, "mount_point": False, "free_bytes": 0}
    room = os.statvfs(folder)
    return {
        "exists": True,
        "bytes": tree.size(folder),
        # A directory that is itself a mount point cannot be renamed.
        "mount_point": os.path.ismount(folder),
        "free_bytes": room.f_bavail * room.f_frsize,
    }
