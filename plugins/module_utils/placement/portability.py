# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a container on the device is the same at the edge, and what is not. Pure: a description in, a verdict out.

Each property is kept, translated (Kubernetes has other words for it), lost (the app runs without it) or refused (it
would not be the same app; nothing is changed then).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..catalog.records import App
from ..core.errors import KrafError
from ..manifests.workload import Process

KEPT, TRANSLATED, LOST, REFUSED = "kept", "translated", "lost", "refused"
# https://kubernetes.io/docs/concepts/configuration/secret/#use-case-as-container-environment-variables
_ENV_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*\Z")
_ANONYMOUS = re.compile(r"[0-9a-f]{64}\Z")
_BRIDGES = ("", "default", "bridge")


def row(name: str, verdict: str, why: str) -> dict[str, str]:
    """One line of the report."""
    return {"property": name[:256], "verdict": verdict, "why": why[:1024]}


def examine(app: App, found: Mapping[str, Any] | None) -> list[dict[str, str]]:
    """The portability report of what runs.

    Args:
        app: its row in the catalog.
        found: the container as the device describes it; None when there is none.

    Raises:
        KrafError: when there is nothing to examine.
    """
    if found is None:
        fix = "Start it, or correct the app's container in the catalog"
        raise KrafError(
            f"container of app {app.key}", app.container or app.name, "the device has none of this name", fix
        )
    rows = [row("argv", KEPT, "program and arguments as they run")]
    rows += _user(found)
    rows += _environment(app, found)
    rows += _ports(app, found)
    rows += _mounts(app, found)
    rows += _isolation(found)
    policy = str(found.get("restart_policy") or "no")
    rows.append(row(f"restart policy {policy}", TRANSLATED, "at the edge Kubernetes starts it again whenever it ends"))
    if found.get("auto_remove"):
        rows.append(row("--rm", REFUSED, "Docker removes the container when it is stopped, so there is no way back"))
    if found.get("stop_signal") != found.get("image_stop_signal"):
        rows.append(row(f"stop signal {found.get('stop_signal')}", LOST, "at the edge the image's own is sent"))
    if found.get("hostname") != str(found.get("id") or "")[:12]:
        rows.append(row("host name", LOST, "at the edge it is the name of the pod"))
    rows.append(row("address of clients", LOST, "at the edge the app sees the door's address"))
    return rows


def refuse(app: App, rows: Sequence[Mapping[str, str]]) -> None:
    """Stop when a property is refused.

    Raises:
        KrafError: naming every refused property.
    """
    refused = [f"{one['property']}: {one['why']}" for one in rows if one["verdict"] == REFUSED]
    if refused:
        fix = "Change the container or the app's row in the catalog; nothing was changed"
        raise KrafError(f"app {app.key}", None, f"it cannot run at the edge as it is: {'; '.join(refused)}", fix)


def process(found: Mapping[str, Any]) -> Process:
    """What is to run at the edge."""
    ids = found.get("process") or {}
    overridden = found.get("user") and found.get("user") != found.get("image_user")
    user, group = _numbers(str(found.get("user") or "")) if overridden else (None, None)
    if overridden and ids:
        user, group = int(ids["user"]), int(ids["group"])
    env = found.get("env") or {}
    return Process(
        argv=tuple(found["argv"]),
        env=dict(env) if isinstance(env, Mapping) else {},
        working_dir=str(found.get("working_dir") or ""),
        user=user,
        group=group,
        groups=tuple(int(one) for one in found.get("groups") or () if str(one).isdigit()),
        stop_seconds=int(found.get("stop_timeout") or 10),
        tty=bool(found.get("tty")),
        read_only=bool(found.get("read_only")),
    )


def _numbers(user: str) -> tuple[int | None, int | None]:
    name, _colon, group = user.partition(":")
    return (int(name) if name.isdigit() else None), (int(group) if group.isdigit() else None)


def _user(found: Mapping[str, Any]) -> list[dict[str, str]]:
    user = str(found.get("user") or "")
    if not user or user == found.get("image_user"):
        return [row("user", KEPT, "the image's own")]
    wanted = process(found)
    if wanted.user is None:
        why = "its number is known only while the container runs: start it"
        return [row(f"user {user}", REFUSED, why)]
    return [row(f"user {user}", KEPT, f"as number {wanted.user}, group {wanted.group}")]


def _environment(app: App, found: Mapping[str, Any]) -> list[dict[str, str]]:
    named = sorted(found.get("env") or ())
    rows = [
        row(f"variable {name}", REFUSED, "Kubernetes takes letters, digits, '-', '_' and '.' in its name")
        for name in named
        if not _ENV_NAME.match(name)
    ]
    missing = sorted(set(app.env) - set(named))
    rows += [
        row(f"variable {name}", REFUSED, "the catalog names it, the container does not have it") for name in missing
    ]
    if named:
        rows.append(row("environment", KEPT, f"values go to a Secret: {', '.join(named)}"))
    return rows


def _ports(app: App, found: Mapping[str, Any]) -> list[dict[str, str]]:
    rows = []
    if len(app.ports) != 1:
        rows.append(row("ports", REFUSED, f"the app has {len(app.ports)} ports in the catalog, one can move so far"))
    known = {port.port for port in app.ports}
    for port in found.get("ports") or []:
        name = f"port {port['device_port']} to {port['port']}/{port['protocol']}"
        if port["port"] in known and port["protocol"].lower() == "tcp":
            rows.append(row(name, TRANSLATED, "the device's own port stays; its forward leads to the edge"))
        else:
            rows.append(row(name, REFUSED, "it is published and not among the app's ports in the catalog"))
    return rows


def _mounts(app: App, found: Mapping[str, Any]) -> list[dict[str, str]]:
    rows = []
    declared = {data.path.rstrip("/"): data.name for data in app.data}
    for name, data in sorted((found.get("data") or {}).items()):
        if not data["folder"] or not data["exists"]:
            rows.append(row(f"data {name}", REFUSED, f"{data['path']} lies in no directory or volume of the device"))
        elif data["mount_point"]:
            rows.append(row(f"data {name}", REFUSED, f"{data['folder']} is a mount point and cannot be exchanged"))
        else:
            rows.append(row(f"data {name}", KEPT, f"{data['folder']} is copied, {data['bytes']} bytes"))
    for mount in found.get("mounts") or []:
        path = str(mount["path"]).rstrip("/")
        inside = any(path == at or at.startswith(f"{path}/") for at in declared)
        name = f"{mount['type']} {mount.get('source') or mount.get('name')} at {path}"
        if not inside and mount.get("empty") and _ANONYMOUS.match(str(mount.get("name"))):
            rows.append(row(f"volume at {path}", TRANSLATED, "it is the image's own, and empty; the edge has one, too"))
        elif not inside:
            rows.append(row(name, REFUSED, "it is not among the app's data in the catalog and would be missing"))
    return rows


def _isolation(found: Mapping[str, Any]) -> list[dict[str, str]]:
    rows = []
    mode = str(found.get("network_mode") or "")
    if mode == "host" or mode.startswith("container:"):
        rows.append(row(f"network {mode}", REFUSED, "at the edge it has a network of its own"))
    elif mode not in _BRIDGES:
        rows.append(row(f"network {mode}", LOST, "other containers of the device are not found by name at the edge"))
    for key in ("pid_mode", "ipc_mode"):
        if str(found.get(key) or "") in ("host",) or str(found.get(key) or "").startswith("container:"):
            rows.append(row(f"{key} {found[key]}", REFUSED, "at the edge it has its own"))
    if found.get("privileged"):
        rows.append(row("privileged", REFUSED, "nothing runs privileged at the edge"))
    rows += [row(f"device {one}", REFUSED, "the edge does not have it") for one in found.get("devices") or []]
    for one in found.get("capabilities") or []:
        rows.append(row(f"capability {one}", REFUSED, "capabilities are not given at the edge"))
    if (found.get("labels") or {}).get("com.docker.compose.project"):
        rows.append(row("compose project", LOST, "docker compose up on the device would start it there again"))
    return rows
