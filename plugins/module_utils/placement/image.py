# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which image the app runs from at the edge. Pure: what is declared, runs and is served in, a choice out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..catalog.records import App
from ..core.errors import KrafError
from ..on_device.reference import Reference
from . import verdicts
from .verdicts import KEPT, LOST, Row

Offers = Mapping[str, Mapping[str, Any]]
"""What registries serve under references, as the device saw it (``on_device.images.offered``)."""


@dataclass(frozen=True)
class Target:
    """What the cluster can run.

    Attributes:
        architectures: of its nodes.
        emulated: architectures whose programs some of its nodes run by emulation.
        registry: address of its image registry.
        node: the one on which the app's data are to lie, if it can run nowhere else.
    """

    architectures: tuple[str, ...]
    emulated: tuple[str, ...] = ()
    registry: str = ""
    node: str = ""


@dataclass(frozen=True)
class Choice:
    """An image for the edge.

    Attributes:
        architectures: of the nodes that can run it; none for one that is emulated.
        reference: to be pulled; empty when the device has to bring it to the image registry.
        own: whether the device pushes what it runs.
        others: images of the image registry, by architecture, that become one index with what is pushed.
        emulated: the architecture that nodes have to emulate; empty for none.
        report: rows of the portability report.
    """

    architectures: tuple[str, ...]
    reference: str = ""
    own: bool = False
    others: Mapping[str, str] = field(default_factory=dict)
    emulated: str = ""
    report: tuple[Row, ...] = ()


def to_ask(app: App, found: Mapping[str, Any], target: Target) -> list[str]:
    """References of which it has to be known what they serve: named ones that the edge could run from.

    What runs on the device is known, and asked for only where its name may serve other architectures, too.
    """
    mine = _architecture(found)
    runs = mine in target.architectures
    asked = {
        image
        for one, image in app.images.items()
        if not (runs and one == mine) and (one in target.architectures or _is_in(image, target.registry))
    }
    if asked and runs and pinned(app.images.get(mine, ""), found.get("image_digests") or []):
        asked.add(app.images[mine])
    return sorted(asked)


def choose(app: App, found: Mapping[str, Any], target: Target, offers: Offers | None = None) -> Choice:
    """Choose the image: what runs on the device if the cluster can run it, otherwise what the app names.

    Where there are images for several architectures, the pod is to run on any of them: by an index that an image
    registry serves already, or by one that is made in the cluster's.

    Args:
        app: its row in the catalog.
        found: the container as the device describes it.
        target: what the cluster can run.
        offers: what registries serve, of those of ``to_ask`` at most; of a reference that is missing nothing is known.

    Raises:
        KrafError: when there is none that any node can run.
    """
    offers, mine = offers or {}, _architecture(found)
    images: dict[str, str] = {}
    if mine in target.architectures:
        images[mine] = pinned(app.images.get(mine, ""), found.get("image_digests") or [])
    named = {one: image for one, image in app.images.items() if one != mine or mine not in target.architectures}
    images.update({one: named[one] for one in target.architectures if one in named and _fits(one, named[one], offers)})
    if not images:
        return _emulated(app, mine, target, offers)
    # What the cluster's own registry has costs nothing, and a node of that architecture may come.
    spare = {
        one: image
        for one, image in named.items()
        if one not in images and _is_in(image, target.registry) and _fits(one, image, offers)
    }
    return _joined(app, mine, images, spare, target, offers)


def _joined(
    app: App, mine: str, images: Mapping[str, str], spare: Mapping[str, str], target: Target, offers: Offers
) -> Choice:
    """One image for as many architectures as there can be; the first of ``images`` is among them in any case."""
    first = next(iter(images))
    served = _served(images[first], offers)
    alike = [one for one in images if served and _covers(one, images[one], served, offers)]
    if len(alike) == len(images) > 1:
        return Choice(tuple(alike), served, report=(_kept(f"{served}, an index of {', '.join(alike)}"),))
    mixed = {**images, **spare}
    if len(images) > 1 and images.get(mine) and not _is_in(images[mine], target.registry):
        # An index holds images of its own registry alone, so that the device's goes there, too.
        mixed[mine] = ""
    parts = {one: image for one, image in mixed.items() if not image or _is_in(image, target.registry)}
    if first in parts and len(parts) > 1:
        kept = _kept(f"an index of {', '.join(sorted(parts))} in the image registry")
        others = {one: image for one, image in parts.items() if image}
        left = _left([one for one in images if one not in parts], "an index of the others", target)
        return Choice(tuple(sorted(parts)), "", "" in parts.values(), others, report=(kept, *left))
    left = _left([one for one in images if one != first], images[first], target)
    return _single(app, mine, first, images[first], left, offers)


def _single(app: App, mine: str, first: str, image: str, left: Sequence[Row], offers: Offers) -> Choice:
    if not image:
        return Choice((first,), own=True, report=(_kept(_PUSHED), *left))
    if first == mine:
        why = f"{app.images[mine]}, by the digest that runs on the device"
        return Choice((first,), image, report=(_kept(why), *left))
    why = f"the device runs {mine}; for {first} the app names this image" if mine else f"named by the app for {first}"
    unknown = offers.get(image, {}).get("why")
    if unknown:
        why += f"; whether it is for {first} could not be asked from the device ({unknown})"
    return Choice((first,), _served(image, offers) or image, report=(_kept(why), *left))


def _emulated(app: App, mine: str, target: Target, offers: Offers) -> Choice:
    """What the device runs, by emulation, where app and nodes allow it.

    Raises:
        KrafError: with the ways out.
    """
    if app.emulation and mine in target.emulated:
        # Always pushed: of an index a node would pull its own architecture's image, or none.
        slower = f"nodes emulate {mine}: several times slower, and what reads the processor's name sees another"
        kept = _kept(_PUSHED)
        return Choice((), own=True, emulated=mine, report=(kept, verdicts.row("architecture", LOST, slower)))
    nodes = f"node {target.node}, where its data lie, is" if target.node else "the cluster's nodes are"
    why = f"{nodes} {', '.join(target.architectures)}, the app has images for {_has(app, mine, offers)}"
    wanted = target.architectures[0] if target.architectures else "amd64"
    fix = f"Name one in the app's row in the catalog (images: {{{wanted}: ...}}), or build one (playbook image_build)"
    if app.unit:
        # A unit has no image that a node could emulate.
        pass
    elif mine in target.emulated:
        fix += f", or allow that nodes emulate {mine} (emulation: true in the row)"
    elif app.emulation:
        why += f"; the app allows emulation, and {'it does not emulate' if target.node else 'no node emulates'} {mine}"
        fix += _INSTALL
    else:
        fix += f", or allow emulation (emulation: true in the row) once a node has it{_INSTALL}"
    raise KrafError(f"image of app {app.key}", None, why, fix)


_PUSHED = "what runs on the device is pushed to the image registry"
_INSTALL = "; package qemu-user-static on the nodes, then the playbook cluster, bring emulation"


def _has(app: App, mine: str, offers: Offers) -> str:
    """The architectures of an app's images, and of a named one that is not what it should be, why."""
    has = []
    for one in sorted({mine, *app.images} - {""}):
        image = app.images.get(one, "")
        if one == mine or _fits(one, image, offers):
            has.append(one)
        elif offers[image].get("absent"):
            has.append(f"{one} (but {image} is not there)")
        else:
            has.append(f"{one} (but {image} is for {', '.join(offers[image]['architectures'])})")
    return ", ".join(has)


def _left(architectures: Sequence[str], runs: str, target: Target) -> list[Row]:
    """Of which architectures' nodes the app does not run, although there are images, and why.

    Args:
        architectures: of these nodes.
        runs: what the app runs from instead.
        target: what the cluster can run.
    """
    registry = target.registry or "the cluster's image registry"
    why = (
        f"an index holds images of one registry, and not all of the app's lie in {registry}. It runs from "
        f"{runs or 'what the device pushes'}. To have more, push them there, or build them (playbook image_build)"
    )
    return [
        verdicts.row(f"image for {one}", LOST, f"it does not run on nodes of {one}: {why}") for one in architectures
    ]


def _kept(why: str) -> Row:
    return verdicts.row("image", KEPT, why)


def _architecture(found: Mapping[str, Any]) -> str:
    return str(found.get("architecture") or "")


def _is_in(image: str, registry: str) -> bool:
    return bool(registry) and Reference.of(image).registry == registry


def _fits(architecture: str, image: str, offers: Offers) -> bool:
    """Whether nothing is known against an image."""
    offer = offers.get(image) or {}
    return not offer.get("absent") and (not offer.get("architectures") or architecture in offer["architectures"])


def _served(image: str, offers: Offers) -> str:
    """An image by the digest under which it is served; empty when that is not known."""
    if "@" in image:
        return image
    digest = (offers.get(image) or {}).get("digest")
    return f"{Reference.of(image).untagged}@{digest}" if digest else ""


def _covers(architecture: str, image: str, served: str, offers: Offers) -> bool:
    """Whether a reference by digest is known to serve an architecture, and to be what is named for it."""
    known = [offer for name, offer in offers.items() if _served(name, offers) == served]
    return (_served(image, offers) == served) and any(architecture in one["architectures"] for one in known)


def pinned(named: str, digests: Sequence[str]) -> str:
    """The digest by which a registry served what runs, if it is the repository that the app names."""
    if not named:
        return ""
    wanted = Reference.of(named.partition("@")[0]).untagged
    return next((one for one in digests if one.partition("@")[0] == wanted), "")
