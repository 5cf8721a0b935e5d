# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What runs on the device and would have to move: read, never changed; and its image, pushed."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..core.errors import KrafError
from . import docker, forward, images, placement, tree


def look(app: str, container: str, data: Sequence[tuple[str, str]], secrets: bool) -> dict[str, Any]:
    """Both what runs and what the device remembers of it.

    Args:
        app: name of the app.
        container: its container.
        data: name and path in the container of each data directory.
        secrets: whether the values of the environment are wanted, for the Secret at the edge.

    Returns:
        ``record``, ``forward``, ``container`` (None when there is none), and programs that are ``missing``.
    """
    record, found = placement.load(app), docker.inspect(container)
    way = forward.load(app)
    missing = [program for program in ("rsync", "openssl", "haproxy") if not shutil.which(program)]
    return {
        "record": record.as_json() if record else None,
        "forward": way.as_json() if way else None,
        "container": None if found is None else _container(found, data, secrets),
        "missing": missing,
    }


def _container(found: dict[str, Any], data: Sequence[tuple[str, str]], secrets: bool) -> dict[str, Any]:
    image = docker.inspect_image(str(found.get("Image", ""))) or {}
    config = image.get("Config") or {}
    container = docker.from_inspect(found, str(image.get("Architecture", "")))
    inherited = set(config.get("Env") or [])
    env = {key: value for key, value in container.env.items() if f"{key}={value}" not in inherited}
    result = container.report()
    result["env"] = env if secrets else sorted(env)
    result["image_user"] = str(config.get("User") or "")
    result["image_stop_signal"] = str(config.get("StopSignal") or "SIGTERM")
    result["mounts"] = [{**mount, "empty": _is_empty(mount)} for mount in container.mounts]
    result["process"] = _process(container.pid) if container.running else None
    result["image_digests"] = list(image.get("RepoDigests") or [])
    result["auto_remove"] = bool((found.get("HostConfig") or {}).get("AutoRemove"))
    folders = {}
    for name, path in data:
        folder = _folder(container, path)
        folders[name] = {"path": path, "folder": folder, **_state(folder)}
    result["data"] = folders
    return result


def _is_empty(mount: dict[str, Any]) -> bool:
    """Whether a volume holds nothing; of other mounts nobody needs to know."""
    try:
        return mount["type"] == "volume" and not os.listdir(mount["source"])
    except OSError:
        return False


def _process(pid: int) -> dict[str, Any] | None:
    """Numbers of user and groups of the container's first process, which a name in its image stands for."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    fields = {key: value.split() for key, _colon, value in (line.partition(":") for line in lines)}
    return {
        "user": int(fields["Uid"][1]),
        "group": int(fields["Gid"][1]),
        "groups": [int(one) for one in fields["Groups"]],
    }


def _folder(container: docker.Container, path: str) -> str:
    """Where a directory of the container lies on the device; empty when it is in no bind and no volume."""
    best = ""
    for mount in container.mounts:
        at = str(mount["path"]).rstrip("/")
        if (path == at or path.startswith(f"{at}/")) and len(at) > len(best) and mount["type"] in ("bind", "volume"):
            best = at
            folder = str(mount["source"]) + path[len(at) :]
    # What is renamed later is the directory itself, not a link that leads to it.
    return os.path.realpath(folder) if best else ""


def _state(folder: str) -> dict[str, Any]:
    if not folder or not os.path.isdir(folder):
        return {"exists": False, "bytes": 0, "mount_point": False, "free_bytes": 0}
    disk = os.statvfs(folder)
    return {
        "exists": True,
        "bytes": tree.size(folder),
        # A directory that is itself a mount point cannot be renamed.
        "mount_point": os.path.ismount(folder),
        "free_bytes": disk.f_bavail * disk.f_frsize,
    }


def push(image: str, name: str, login: images.Login, limit: float) -> dict[str, Any]:
    """Push an image of the device to the image registry; layers that are there already are not sent.

    Args:
        image: id of the image.
        name: its name at the image registry, with the registry's address and a tag.
        login: credentials of the image registry.
        limit: seconds.

    Returns:
        ``reference`` by digest.

    Raises:
        KrafError: with what Docker said.
    """
    begin = time.monotonic()
    images.tag(image, name)
    try:
        images.push(name, login, limit)
        digest = images.served(name, login)
    finally:
        images.untag(name)
    if not digest:
        raise KrafError("image", name, "the image registry has it not, though its push ended well", "See its log")
    reference = f"{images.Reference.of(name).untagged}@{digest}"
    return {"reference": reference, "digest": digest, "seconds": round(time.monotonic() - begin, 3)}
