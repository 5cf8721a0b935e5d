# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Namespaces of devices: what has to be there before anything of a device can be put into one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..cluster.client import Cluster
from ..cluster.converge import Change, converge, key
from ..cluster.kinds import NAMESPACE, SECRET, kind_of
from ..core.names import SYSTEM_NAMESPACE
from ..manifests import namespace as manifest
from ..manifests.labels import check_owner

Object = dict[str, Any]


def wanted(cluster: Cluster, owners: Iterable[tuple[str, str]], current: dict[str, Object]) -> list[Object]:
    """The objects of these devices' namespaces, for ``converge``.

    Args:
        cluster: where the namespaces are, or will be.
        owners: name and uid of each device.
        current: takes up what is there of them.

    Raises:
        KrafError: when a namespace belongs to another device of the same name, or to someone else.
    """
    found: list[Object] = []
    pull_secret = cluster.get(SECRET, manifest.PULL_SECRET, SYSTEM_NAMESPACE)
    for device, uid in dict.fromkeys(owners):
        objects = manifest.objects(device, uid, pull_secret)
        existing = cluster.get(NAMESPACE, objects[0]["metadata"]["name"])
        found += objects
        if existing is None:
            continue
        check_owner(existing, device, uid)
        current[key(objects[0])] = existing
        for obj in objects[1:]:
            inside = cluster.get(kind_of(obj), obj["metadata"]["name"], obj["metadata"]["namespace"])
            if inside is not None:
                current[key(obj)] = inside
    return found


def ensure(cluster: Cluster, device: str, uid: str, check_mode: bool) -> Change:
    """Make a device's namespace and what belongs into it, or check that it is this device's.

    Raises:
        KrafError: when the namespace belongs to another device of the same name, or to someone else.
    """
    current: dict[str, Object] = {}
    objects = wanted(cluster, [(device, uid)], current)
    return converge(cluster, objects, check_mode, current)
