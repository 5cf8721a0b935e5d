# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a container on the device is the same at the edge, and what is not. Pure: a description in, a verdict out.

Nothing is passed over: what this collection does not know is refused by its name (``portable_settings``).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..catalog.records import SERVICE, App
from ..core import sizes
from ..core.errors import KrafError
from ..manifests.workload import Health, Process
from . import portable_settings as settings
from . import portable_storage as storage
from .verdicts import KEPT, LOST, REFUSED, TRANSLATED, Row, accepted, row

# https://kubernetes.io/docs/concepts/configuration/secret/#use-case-as-container-environment-variables
_ENV_NAME = re.compile(r"(?!\.\Z|\.\.)[-._a-zA-Z][-._a-zA-Z0-9]{0,252}\Z", re.ASCII)
LARGEST_ID = 2**31 - 1
LARGEST_ENVIRONMENT = 2**20
LONGEST_STOP = 600
"""Seconds for a container that Docker would wait for without an end."""
RESTARTS = {
    "no": "on the device nothing starts it again when it ends, ",
    "on-failure": "its number of tries is not counted, ",
}


def examine(app: App, found: Mapping[str, Any] | None, accept: Sequence[str] = ()) -> list[Row]:
    """The portability report of what runs.

    Args:
        app: its row in the catalog.
        found: the container as the device describes it; None when there is none.
        accept: properties whose refusal the operator accepts.

    Raises:
        KrafError: when there is nothing to examine.
    """
    if found is None:
        fix = "Start it, or correct the app's container in the catalog"
        raise KrafError(
            f"container of app {app.key}", app.container or app.name, "the device has none of this name", fix
        )
    udp = any(port.protocol == "UDP" for port in app.ports)
    rows = [row("argv", KEPT, "program and arguments as they run")]
    rows += _user(found)
    rows += _environment(app, found)
    rows += _ports(app, found)
    rows += storage.rows(app, found)
    rows += settings.rows(found)
    rows += limits(app, found)
    rows += _life(app, found)
    sees = "the door's address" + (", and 127.0.0.1 for datagrams" if udp else "")
    rows.append(row("address of clients", LOST, f"at the edge the app sees {sees}"))
    return accepted(rows, accept)


def returning(found: Mapping[str, Any]) -> list[Row]:
    """What the way back depends on."""
    return storage.data(found)


def process(found: Mapping[str, Any]) -> Process:
    """What is to run at the edge. What Kubernetes would refuse is left out; ``examine`` has said so."""
    ids = found.get("identity") or {}
    own_user = found.get("user") and found.get("user") != found.get("image_user")
    env = found.get("env") or {}
    mode = str(found.get("ipc_mode") or "")
    return Process(
        argv=tuple(found["argv"]),
        env={key: value for key, value in env.items() if is_variable(key)} if isinstance(env, Mapping) else {},
        working_dir=str(found.get("working_dir") or ""),
        user=ids.get("user") if own_user else None,
        group=ids.get("group") if own_user else None,
        groups=tuple(ids.get("groups") or ()),
        stop_seconds=_stop_seconds(found),
        tty=bool(found.get("tty")),
        read_only=bool(found.get("read_only")),
        stdin=bool(found.get("stdin")),
        stdin_once=bool(found.get("stdin_once")),
        tmpfs=storage.tmpfs(found),
        shm_bytes=0 if mode == "none" else storage.shm_bytes(found),
        files=tuple(
            (path, base64.b64decode(content), executable) for path, content, executable in storage.contents(found)
        ),
        read_only_paths=storage.read_only_paths(found),
        hosts=settings.hosts(found),
        capabilities=settings.capabilities(found),
        dropped=tuple(found.get("capabilities_dropped") or ()),
        no_new_privileges=settings.no_new_privileges(found),
        sysctls=settings.sysctls(found),
        health=_health(found),
    )


def is_variable(name: str) -> bool:
    """Whether Kubernetes takes a variable of this name from a Secret."""
    return bool(_ENV_NAME.match(name))


def _stop_seconds(found: Mapping[str, Any]) -> int:
    given = found.get("stop_timeout")
    return 10 if given is None else int(given) if int(given) >= 0 else LONGEST_STOP


def _health(found: Mapping[str, Any]) -> Health | None:
    given = found.get("healthcheck")
    if not given:
        return None
    return Health(tuple(given["argv"]), float(given["interval"]), float(given["timeout"]), int(given["retries"]))


def _user(found: Mapping[str, Any]) -> list[Row]:
    user, ids = str(found.get("user") or ""), found.get("identity") or {}
    rows = []
    unknown = [str(one) for one in ids.get("unknown") or ()]
    if user and user != found.get("image_user"):
        name = f"user {user}"
        if unknown and (ids.get("user") is None or ids.get("group") is None or set(unknown) & set(user.split(":"))):
            why = f"the container's /etc/passwd and /etc/group do not have {' and '.join(unknown)}"
            rows.append(row(name, REFUSED, why))
        elif not ids:
            rows.append(row(name, REFUSED, "its number is not known"))
        else:
            rows.append(row(name, KEPT, f"as number {ids['user']}, group {ids['group']}"))
    else:
        rows.append(row("user", KEPT, "the image's own"))
    for one in found.get("groups") or ():
        if one in unknown:
            why = "the container's /etc/group does not have it"
            rows.append(row(f"group {one}", REFUSED, why, "the app does not have this group"))
        else:
            rows.append(row(f"group {one}", KEPT, f"among its groups {_listed(ids.get('groups'))}"))
    wrong = [one for one in (ids.get("user"), ids.get("group"), *(ids.get("groups") or ())) if (one or 0) > LARGEST_ID]
    rows += [row(f"id {one}", REFUSED, f"Kubernetes takes numbers up to {LARGEST_ID}") for one in wrong]
    return rows


def _listed(values: Any) -> str:
    return ", ".join(map(str, values or ())) or "none"


def _environment(app: App, found: Mapping[str, Any]) -> list[Row]:
    env = found.get("env") or ()
    named = sorted(env)
    why = "Kubernetes takes letters, digits, '-', '_' and '.' in its name, and no digit at the start"
    rows = [
        row(f"variable {name}", REFUSED, why, "the app runs without this variable")
        for name in named
        if not is_variable(name)
    ]
    missing = sorted(set(app.env) - set(named) - set(found.get("image_env") or ()))
    rows += [
        row(f"variable {name}", REFUSED, "the catalog names it, the container does not have it") for name in missing
    ]
    if isinstance(env, Mapping) and sum(len(value.encode()) for value in env.values()) > LARGEST_ENVIRONMENT:
        rows.append(row("environment", REFUSED, "a Secret holds 1 MiB, its values are more"))
    elif named:
        rows.append(row("environment", KEPT, f"values go to a Secret: {', '.join(named)}"))
    return rows


def _ports(app: App, found: Mapping[str, Any]) -> list[Row]:
    rows = []
    without = "clients of the device do not reach this port while the app is at the edge"
    known = {(port.port, port.protocol.lower()): port.device_port for port in app.ports}
    for port in found.get("ports") or []:
        protocol = str(port["protocol"]).lower()
        address = f"{port['address']}:" if port.get("address") else ""
        name = f"port {address}{port['device_port']} to {port['port']}/{protocol}"
        wanted = known.get((port["port"], protocol))
        if wanted is None:
            rows.append(row(name, REFUSED, "it is published and not among the app's ports in the catalog", without))
        elif wanted != port["device_port"]:
            why = f"the catalog says that clients reach it under {wanted}"
            rows.append(row(name, REFUSED, why, without))
        elif address:
            why = "it is bound to one address, its forward is not"
            rows.append(row(name, REFUSED, why, "clients reach it under every address of the device"))
        else:
            rows.append(row(name, TRANSLATED, "the device's own port stays; its forward leads to the edge"))
        if wanted is not None and protocol == "udp":
            why = "datagrams to one address of the device reach the app at the edge, those to many do not"
            rows.append(row(f"broadcast and multicast to port {port['device_port']}/udp", LOST, why))
    for one in found.get("exposed") or ():
        rows.append(row(f"exposed port {one}", LOST, "other containers of the device do not reach it at the edge"))
    return rows


def limits(app: App, found: Mapping[str, Any]) -> list[Row]:
    """Memory and processors: at the edge the catalog's word counts."""
    rows = []
    for key, given, declared in (
        ("memory", sizes.human(int(found.get("memory_bytes") or 0)) if found.get("memory_bytes") else "", app.memory),
        ("cpus", f"{float(found.get('cpus') or 0):g}" if found.get("cpus") else "", app.cpu),
    ):
        if given and declared:
            rows.append(row(f"{key} {given}", TRANSLATED, f"the limit in the catalog: {declared}"))
        elif given:
            rows.append(row(f"{key} {given}", LOST, "the catalog names no limit, the namespace's own holds"))
    return rows


def _restarts(app: App, policy: str, shown: str) -> Row:
    name = f"restart policy {shown}"
    if app.kind == SERVICE:
        why = f"{RESTARTS.get(policy, '')}at the edge Kubernetes starts it again whenever it ends"
        # Most services run without a policy too, so whether it is one is the operator's word.
        meant = "" if policy in ("always", "unless-stopped") else "; what is meant to end is of kind job"
        return row(name, TRANSLATED, why + meant)
    if policy == "no":
        return row(name, KEPT, f"at the edge it is tried again {app.retries} times at most, as the catalog says")
    why = "Docker would start it again by itself; set it to no (docker update --restart=no), and declare retries"
    return row(name, REFUSED, why)


def _life(app: App, found: Mapping[str, Any]) -> list[Row]:
    """How it starts, is watched, and ends."""
    # Of a cronjob the description says how its schedule is started.
    policy = str(found.get("own_restart_policy") or found.get("restart_policy") or "no")
    maximum = int(found.get("restart_maximum") or 0)
    shown = f"{policy}:{maximum}" if maximum else policy
    rows = [_restarts(app, policy, shown)]
    if found.get("auto_remove"):
        rows.append(row("--rm", REFUSED, "Docker removes the container when it is stopped, so there is no way back"))
    if found.get("stop_signal") != found.get("image_stop_signal"):
        rows.append(row(f"stop signal {found.get('stop_signal')}", LOST, "at the edge the image's own is sent"))
    if (found.get("stop_timeout") or 0) < 0:
        rows.append(row("stop timeout", LOST, f"Docker would wait for ever, the edge waits {LONGEST_STOP} s"))
    elif found.get("stop_timeout") not in (None, 10):
        rows.append(row(f"stop timeout {found['stop_timeout']} s", KEPT, "at least 1 s"))
    health = found.get("healthcheck")
    if health and app.probe:
        rows.append(row("healthcheck", TRANSLATED, "the probe in the catalog is asked instead"))
    elif health:
        rows.append(row("healthcheck", TRANSLATED, "run as readiness probe; its time to start up is not needed there"))
    for starter in found.get("starters") or ():
        name = f"{starter['kind']} {starter['source']}"
        if starter["starts"]:
            why = "it would start the container on the device while the edge owns the app; switch it off"
            rows.append(row(name, REFUSED, why, "it is yours to keep it from starting the container"))
        else:
            rows.append(row(name, LOST, "who starts it by hand starts the container on the device"))
    return rows
