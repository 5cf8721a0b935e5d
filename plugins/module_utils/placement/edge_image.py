# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The image for the edge: what there is is asked for, and what the cluster's registry lacks is brought there."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..cluster.kinds import NODE, SECRET
from ..core import names, sizes
from ..core.errors import KrafError
from ..manifests.labels import ARCHITECTURE, emulates
from ..manifests.namespace import PULL_SECRET
from ..storage.credentials import decode
from . import image
from .image import Choice, Offers, Target
from .job import Job


def pushing(found: Mapping[str, int]) -> str:
    """How far a push is, for a person: bytes as the device has them, before they are compressed."""
    if not found["total"]:
        return "push: the image registry is asked for what it has"
    waiting = f", {found['waiting']} more layers to look at" if found["waiting"] else ""
    share = 100 * found["done"] // found["total"]
    return f"push {share:3d} %, {sizes.human(found['done'])} of {sizes.human(found['total'])}{waiting}"


def pushed(sent: int, layers: Mapping[str, int]) -> str:
    """What a push did, for a person."""
    return f"push: {sizes.human(sent)} in {layers['sent']} layers, {layers['there']} were there already"


def differ(target: Target) -> bool:
    """Whether an image that one node can run may be none for another."""
    return len(target.architectures) > 1 or bool(target.emulated)


def choose(job: Job, node: str = "") -> Choice:
    """Choose it; the device is asked what registries serve under the names that the app has.

    Args:
        job: the app on its way.
        node: the one on which its data are to lie, if that is known.

    Raises:
        KrafError: when there is none, with the ways out.
    """
    target = _target(job, node)
    references = image.to_ask(job.app, job.found, target)
    offers: Offers = {}
    if references:
        username, password = _account(job)
        offers = job.call(
            "served",
            app=job.app.name,
            container=job.container,
            references=references,
            registry=job.site.registry,
            username=username,
            password=password,
        )["served"]
    return image.choose(job.app, job.found, target, offers)


def push(job: Job, choice: Choice) -> str:
    """Let the device push what runs, and make an index of it and what is there, if there are several architectures.

    It tells how far it is, a call to the device each time.

    Returns:
        The reference by digest.

    Raises:
        KrafError: when it does not end within the limit for a copy.
    """
    end = time.monotonic() + job.limits.copy
    username, password = _account(job)
    while True:
        found = job.call(
            "push",
            app=job.app.name,
            container=job.container,
            fence=job.run,
            repository="/".join(filter(None, (job.site.registry, job.device.name, job.app.name, job.member))),
            own_image=choice.own,
            others=dict(choice.others),
            username=username,
            password=password,
            copy_limit=job.limits.copy,
        )
        if found.get("reference"):
            job.pushed_bytes, job.pushed_layers = int(found["pushed_bytes"]), dict(found["pushed_layers"])
            job.say(pushed(job.pushed_bytes, job.pushed_layers))
            return str(found["reference"])
        job.say(pushing(found["progress"]))
        if time.monotonic() > end:
            why = f"its push did not end within {job.limits.copy:g} s"
            fix = "Run it again, it goes on where it was; or give it longer (copy_timeout)"
            raise KrafError(f"image of app {job.app.key}", None, why, fix)


def _target(job: Job, node: str) -> Target:
    """What can run the app: the cluster, or the node on which its data are to lie."""
    target = job.site.target
    one = job.cluster.get(NODE, node) if node else None
    if one is not None and ARCHITECTURE in _labels(one):
        emulated = tuple(name for name in target.emulated if _emulates(one, name))
        return Target((_labels(one)[ARCHITECTURE],), emulated, target.registry, node)
    if job.app.emulation and target.emulated:
        # As it is now: a node with an emulator may be gone, or take no pods.
        nodes = job.cluster.list(NODE)
        return replace(
            target, emulated=tuple(name for name in target.emulated if any(_emulates(n, name) for n in nodes))
        )
    return target


def _labels(node: Mapping[str, Any]) -> Mapping[str, str]:
    return node["metadata"].get("labels") or {}


def _emulates(node: Mapping[str, Any], architecture: str) -> bool:
    """Whether pods may come to a node, and run programs of an architecture there by emulation."""
    spec = node.get("spec") or {}
    closed = spec.get("unschedulable") or any(
        one.get("effect") in ("NoSchedule", "NoExecute") for one in spec.get("taints") or []
    )
    return not closed and _labels(node).get(emulates(architecture)) == "true"


def _account(job: Job) -> tuple[str, str]:
    """User and password of the cluster's image registry."""
    account = (job.cluster.get(SECRET, PULL_SECRET, names.SYSTEM_NAMESPACE) or {}).get("data") or {}
    return decode(account.get("username", "")), decode(account.get("password", ""))
