# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An app of several containers: each is judged and gets its image as if it were alone, then all are one pod.

So there is one owner, one epoch, one Lease, one volume and one gate: together or not at all is what the protocol does
for any app. In a pod all containers have one address. The names by which they call each other on the device lead to
127.0.0.1 there, and no two of them can listen on the same port.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..catalog.records import App
from ..core.errors import KrafError
from ..manifests import presence
from ..manifests.workload import Companion, Process
from . import edge_image, portability
from .image import Choice
from .job import Job
from .verdicts import KEPT, LOST, REFUSED, TRANSLATED, Row, accepted, row

# https://v1-22.docs.kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names
_HOST = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z", re.ASCII)
_NOT_FOUND = "at the edge the app does not find it by this name"


@dataclass(frozen=True)
class Part:
    """One container of a group: the member's name (empty is the app's own), its view of the app, and as it runs."""

    member: str
    app: App
    found: Mapping[str, Any]

    @property
    def shown(self) -> str:
        """As a person is told of it."""
        return self.member or "app"


def parts(app: App, found: Mapping[str, Any]) -> list[Part]:
    """The containers of a group, the app's own first.

    Args:
        app: its row in the catalog.
        found: the group as the device describes it.
    """
    return [Part(*one) for one in zip(app.named(), app.parts(), found["members"])]


def examine(app: App, found: Mapping[str, Any], accept: Sequence[str] = ()) -> list[Row]:
    """The portability report of a group: rows of each container begin with its name in the catalog, ``app`` for the
    app's own; then what they have in common.

    Args:
        app: its row in the catalog.
        found: the group as the device describes it.
        accept: properties whose refusal the operator accepts.
    """
    listed = parts(app, found)
    rows = [
        {**one, "property": f"{part.shown}: {one['property']}"[:256]}
        for part in listed
        for one in portability.examine(part.app, part.found)
        if not _given(one)
    ]
    rows += [one for part in listed for one in _state(part)]
    rows += _names(listed)
    rows += _ports(listed)
    rows += _neighbours(listed, found.get("neighbours") or ())
    rows += _shared(listed)
    return accepted(rows, accept)


def _given(one: Row) -> bool:
    """Whether a row of one container is about names of others, which a group is told of as a whole. A network that is
    no network of its own is not: what is refused of it stays refused."""
    return one["property"].startswith("Links ") or (
        one["property"].startswith("network ") and one["verdict"] != REFUSED
    )


def names(app: App, found: Mapping[str, Any]) -> tuple[str, ...]:
    """By what names the containers of a group call each other, of those that /etc/hosts of a pod takes."""
    known = dict.fromkeys(name for part in parts(app, found) for name in _called(part))
    return tuple(name for name in known if _is_host(name))


def companions(app: App, found: Mapping[str, Any], images: Sequence[str]) -> tuple[Companion, ...]:
    """What the further containers of a group run.

    Args:
        app: its row in the catalog.
        found: the group as the device describes it.
        images: by digest, of all its containers, the app's own first.
    """
    listed = list(zip(parts(app, found), images))[1:]
    return tuple(Companion(part.member, portability.process(part.found), image) for part, image in listed)


def process(app: App, found: Mapping[str, Any]) -> Process:
    """What the app's own container runs."""
    return portability.process(parts(app, found)[0].found)


def choose(job: Job, node: str = "") -> list[Choice]:
    """The image of each container, the app's own first, for nodes that can run all of them.

    Args:
        job: the app on its way.
        node: the one on which its data are to lie, if that is known.

    Raises:
        KrafError: when there is none for one of them, or no architecture that all have.
    """
    choices = [edge_image.choose(one, node) for one in _jobs(job)]
    common = [one for one in choices[0].architectures if all(one in choice.architectures for choice in choices)]
    if not common:
        has = "; ".join(
            f"{part.shown} for {', '.join(choice.architectures)}"
            for part, choice in zip(parts(job.app, job.found), choices)
        )
        fix = "Name images of one architecture for all of them in the catalog (images)"
        raise KrafError(f"images of app {job.app.key}", None, f"no node can run all of its containers: {has}", fix)
    shown = [part.shown for part in parts(job.app, job.found)]
    return [
        replace(
            choice,
            architectures=tuple(common),
            report=tuple({**one, "property": f"{name}: {one['property']}"} for one in choice.report),
        )
        for name, choice in zip(shown, choices)
    ]


def bring(job: Job, choices: Sequence[Choice]) -> list[str]:
    """The image of each container by digest; what only the device has is pushed, one after the other."""
    references = []
    for one, choice in zip(_jobs(job), choices):
        references.append(choice.reference or edge_image.push(one, choice))
        job.pushed_bytes += one.pushed_bytes
        for key, number in one.pushed_layers.items():
            job.pushed_layers[key] = job.pushed_layers.get(key, 0) + number
    return references


def _jobs(job: Job) -> list[Job]:
    """The job as one of each container alone, for its image."""
    return [
        replace(
            job,
            app=part.app,
            member=part.member,
            look={**job.look, "container": part.found},
            pushed_bytes=0,
            pushed_layers={},
        )
        for part in parts(job.app, job.found)
    ]


def _state(part: Part) -> list[Row]:
    if part.found.get("running"):
        return []
    why = f"it does not run on the device ({part.found.get('status') or 'stopped'})"
    return [row(f"{part.shown}: state", REFUSED, why, "at the edge it is started with the others")]


def _called(part: Part) -> list[str]:
    """The names by which one container of a group is called by the others."""
    aliases = [alias for listed in (part.found.get("aliases") or {}).values() for alias in listed]
    return list(dict.fromkeys([*filter(None, [part.member, str(part.found.get("name") or "")]), *aliases]))


def _is_host(name: str) -> bool:
    return bool(_HOST.match(name)) and len(name) <= 253


def _names(listed: Sequence[Part]) -> list[Row]:
    """Names of the group's own containers, and links by which one has given another a name of its own."""
    rows = []
    owners: dict[str, str] = {}
    for part in listed:
        for name in _called(part):
            if not _is_host(name) and (users := _users(listed, name)):
                why = f"{users} names it, and Kubernetes takes no such name in /etc/hosts"
                rows.append(row(f"name {name}", REFUSED, why, _NOT_FOUND))
            elif not _is_host(name):
                rows.append(row(f"name {name}", LOST, "Kubernetes takes no such name in /etc/hosts"))
            elif owners.setdefault(name, part.shown) != part.shown:
                why = f"both {owners[name]} and {part.shown} are called so; at the edge the port tells them apart"
                rows.append(row(f"name {name} of two", LOST, why))
    if owners:
        why = f"at the edge they lead to 127.0.0.1, which the containers of a group share: {' '.join(owners)}"
        rows.append(row("names", TRANSLATED, why))
    for part in listed:
        for link in part.found.get("links") or ():
            if link not in owners:
                why = "it is a link to a container under a name that this one does not have itself"
                rows.append(row(f"{part.shown}: link {link}", REFUSED, f"{why}; give it as network alias", _NOT_FOUND))
    return rows


def _ports(listed: Sequence[Part]) -> list[Row]:
    """A port that two containers listen on: at the edge the second one could not."""
    rows = []
    users: dict[int, list[str]] = {}
    if presence.needed(replace(listed[0].app, ports=tuple(port for part in listed for port in part.app.ports))):
        users[presence.PORT] = ["kraf.edge itself"]
    for part in listed:
        declared = {port.port for port in part.app.ports}
        # What an image only says that it exposes counts while it cannot be seen what is open.
        exposed = {int(one.partition("/")[0]) for one in part.found.get("exposed") or () if one.endswith("/tcp")}
        for port in declared | (set(part.found.get("listens") or ()) if part.found.get("running") else exposed):
            users.setdefault(port, []).append(part.shown)
    for port, names_ in sorted(users.items()):
        if len(names_) > 1:
            why = f"{' and '.join(names_)} listen on it, and at the edge they share one address: let one use another"
            rows.append(row(f"port {port} of {' and '.join(names_)}", REFUSED, why))
    if not rows:
        rows.append(row("address of each container", TRANSLATED, "at the edge all of them share one; no port collides"))
    return rows


def _neighbours(listed: Sequence[Part], found: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Containers of the same networks that are not of the group, and whether one of it names them."""
    rows = []
    mine = {name for part in listed for name in _called(part)}
    for one in found:
        container, called = str(one["container"]), [name for name in one["names"] if name not in mine]
        users = [f"{user} names {name}" for name in called if (user := _users(listed, name))]
        name = f"container {container}"
        if users:
            why = f"{'; '.join(users)}; it is in its network and no member, and is not reached from the edge"
            rows.append(row(name, REFUSED, why, "the app does not reach it at the edge"))
        else:
            rows.append(row(name, LOST, "it is in the group's network, no member, and not reached from the edge"))
    return rows


def _users(listed: Sequence[Part], name: str) -> str:
    """Which containers name another in a value or an argument; the value itself may be a secret."""
    word = re.compile(rf"(?<![\w.-]){re.escape(name)}(?![\w-]|\.[A-Za-z])")
    users = []
    for part in listed:
        env = part.found.get("env") or {}
        places = [f"variable {key}" for key, value in sorted(env.items()) if word.search(value)]
        places += ["an argument"] * any(word.search(one) for one in part.found.get("argv") or ())
        users += [f"{place} of {part.shown}" for place in places]
    return ", ".join(users)


def _shared(listed: Sequence[Part]) -> list[Row]:
    """What a pod has once."""
    rows = []
    processes = {part.shown: portability.process(part.found) for part in listed}
    values: dict[str, dict[str, list[str]]] = {}
    for shown, one in processes.items():
        for key, value in one.sysctls:
            values.setdefault(key, {}).setdefault(value, []).append(shown)
    for key, by_value in sorted(values.items()):
        if len(by_value) > 1:
            why = "containers of a group share it, and want different values"
            rows.append(row(f"sysctl {key} of the group", REFUSED, why, "one of the values holds for all"))
    groups = {one.groups for one in processes.values()}
    if len(groups) > 1:
        rows.append(row("groups", LOST, "at the edge each container has the supplementary groups of all"))
    longest = max(one.stop_seconds for one in processes.values())
    if len({one.stop_seconds for one in processes.values()}) > 1:
        rows.append(row("stop timeouts", TRANSLATED, f"all are stopped at once, each has {longest} s"))
    rows.append(row("group", KEPT, f"{len(listed)} containers in one pod: {' '.join(processes)}"))
    return rows
