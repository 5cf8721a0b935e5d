# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Several containers of the device that are one app: where others name a container, a group is named by all of them.

The app's own container comes first. The others serve it: they start before it, in their order, and stop after it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import docker, sockets
from .container import Container, from_inspect

PREFIX = "group:"
"""What names a group where otherwise a container is named; no container's name has a colon, or a comma."""
BETWEEN = ","
OURS = ("", "bridge", "host", "none", "default")
"""Networks in which Docker finds no container by its name."""
RESOLVER = "127.0.0.11"
"""Where Docker's own resolver listens in a container of a user-defined network."""

Describe = Callable[[dict[str, Any], Sequence[tuple[str, str]]], dict[str, Any]]


def is_group(named: str) -> bool:
    """Whether an app's name for what runs it is that of a group."""
    return named.startswith(PREFIX)


def names_of(named: str) -> list[str]:
    """The names of a group's containers, the app's own first."""
    return named[len(PREFIX) :].split(BETWEEN)


def joined(texts: Sequence[str]) -> str:
    """What the record holds of each, in one text; alike ones once, so that ``no`` stays what it is for others."""
    return texts[0] if len(set(texts)) == 1 else BETWEEN.join(texts)


def split(text: str, number: int) -> list[str]:
    """The reverse of ``joined``."""
    found = text.split(BETWEEN)
    return found if len(found) == number else [text] * number


def describe(named: str, data: Sequence[tuple[str, str, str]], owned_here: bool, one: Describe) -> dict[str, Any]:
    """A group as it runs: ``members``, each as a container's report, and of all of them what a move asks of an app.

    Args:
        named: the group.
        data: of each data directory the name, the path, and the container that has it.
        owned_here: whether the device owns the app: the group then runs when all do, otherwise when any does.
        one: describes one container by Docker's answer, with its data directories.

    Returns:
        ``id``, ``image_id`` and ``restart_policy`` joined, ``running``, ``data`` of all; ``neighbours`` are other
        containers in their networks. ``absent`` names containers that are not there; no ``members`` are told then.
    """
    names = names_of(named)
    answers = {name: docker.inspect(name) for name in names}
    absent = [name for name in names if answers[name] is None]
    if absent:
        there = [from_inspect(answer) for answer in answers.values() if answer is not None]
        policy = policies([(one.restart_policy, one.restart_maximum) for one in there]) if there else "no"
        runs_on = not owned_here and any(one.running for one in there)
        return {"name": named, "absent": absent, "data": {}, "running": runs_on, "restart_policy": policy}
    members, found = [], [answers[name] or {} for name in names]
    for name, answer in zip(names, found):
        member = one(answer, [(at, path) for at, path, container in data if container in ("", name)])
        links = (answer.get("HostConfig") or {}).get("Links") or ()
        member["links"] = sorted(str(link).rpartition("/")[2] for link in links)
        member["listens"] = listening(int((answer.get("State") or {}).get("Pid") or 0))
        members.append(member)
    runs = [bool(member["running"]) for member in members]
    return {
        "name": named,
        "id": BETWEEN.join(str(member["id"]) for member in members),
        "image_id": BETWEEN.join(str(member["image_id"]) for member in members),
        "restart_policy": policies([(member["restart_policy"], member["restart_maximum"]) for member in members]),
        "running": all(runs) if owned_here else any(runs),
        "data": {key: value for member in members for key, value in member["data"].items()},
        "members": members,
        "neighbours": neighbours(found),
    }


def policies(found: Sequence[tuple[str, int]]) -> str:
    """Restart policies in one text, each with its number of tries if it has one."""
    return joined([f"{policy}:{maximum}" if maximum else policy for policy, maximum in found])


def neighbours(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Other containers in the same user-defined networks: ``container``, and ``names`` by which it is found there."""
    mine = {str(one.get("Id")) for one in found}
    networks = {name for one in found for name in _networks(one) if name not in OURS}
    listed = []
    for identity in docker.listed() if networks else ():
        other = docker.inspect(identity) if identity not in mine else None
        shared = networks & set(_networks(other or {}))
        if other is not None and shared:
            told = from_inspect(other)
            aliases = [alias for network in shared for alias in told.aliases.get(network, ())]
            listed.append({"container": told.name, "names": sorted({told.name, *aliases})})
    return sorted(listed, key=lambda one: str(one["container"]))


def _networks(found: Mapping[str, Any]) -> Mapping[str, Any]:
    return (found.get("NetworkSettings") or {}).get("Networks") or {}


def listening(pid: int) -> list[int]:
    """TCP ports that are open in the network of a process, by the kernel's table of its sockets (proc(5)); none for a
    process that is not there."""
    found = [one for name in ("tcp", "tcp6") for one in sockets.table([pid], name)]
    return sorted({one.port for one in found if one.state == sockets.LISTEN and one.address != RESOLVER})


def summary(named: str, found: Sequence[Container]) -> Container:
    """A group in the words of one container, for what a hand-over asks of it before clients are held."""
    first = found[0]
    return Container(
        name=named,
        id=BETWEEN.join(one.id for one in found),
        image="",
        image_id="",
        architecture=first.architecture,
        running=any(one.running for one in found),
        status=joined([one.status for one in found]),
        exit_code=0,
        pid=first.pid,
        path="",
        args=(),
        env={},
        ports=tuple(port for one in found for port in one.ports),
        restart_policy=policies([(one.restart_policy, one.restart_maximum) for one in found]),
        stop_timeout=sum(one.stop_timeout for one in found),
    )
