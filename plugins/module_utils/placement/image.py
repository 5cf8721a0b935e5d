# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which image the app runs from at the edge. Pure: what is declared and what runs in, a choice out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..catalog.records import App
from ..core.errors import KrafError
from ..on_device.images import Reference


@dataclass(frozen=True)
class Choice:
    """An image for the edge.

    Attributes:
        architecture: of the nodes that can run it.
        reference: to be pulled; empty when the device has to push what it runs.
        why: one sentence for the report.
    """

    architecture: str
    reference: str
    why: str


def choose(app: App, found: Mapping[str, Any], architectures: Sequence[str]) -> Choice:
    """Choose the image: what runs on the device if the cluster can run it, otherwise what the app names.

    Args:
        app: its row in the catalog.
        found: the container as the device describes it.
        architectures: of the cluster's nodes.

    Raises:
        KrafError: when there is none for any of them.
    """
    mine = str(found.get("architecture") or "")
    if mine in architectures:
        named = app.images.get(mine, "")
        digest = pinned(named, found.get("image_digests") or [])
        if digest:
            return Choice(mine, digest, f"{named}, by the digest that runs on the device")
        return Choice(mine, "", "what runs on the device is pushed to the image registry")
    for architecture in architectures:
        if app.images.get(architecture):
            why = f"the device runs {mine}; for {architecture} the app names this image"
            return Choice(architecture, app.images[architecture], why)
    has = ", ".join(sorted({mine, *app.images} - {""}))
    why = f"the cluster's nodes are {', '.join(architectures)}, the app has images for {has}"
    wanted = architectures[0] if architectures else "amd64"
    fix = f"Name one in the app's row in the catalog (images: {{{wanted}: ...}}), or build one (playbook image_build)"
    raise KrafError(f"image of app {app.key}", None, why, fix)


def pinned(named: str, digests: Sequence[str]) -> str:
    """The digest by which a registry served what runs, if it is the repository that the app names."""
    if not named:
        return ""
    wanted = Reference.of(named.partition("@")[0]).untagged
    return next((one for one in digests if one.partition("@")[0] == wanted), "")
