# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The labels by which the collection knows its own objects, and whose they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.errors import KrafError

MANAGED_BY = "app.kubernetes.io/managed-by"
DEVICE = "kraf.io/device"
DEVICE_UID = "kraf.io/device-uid"
APP = "kraf.io/app"
VOLUME = "kraf.io/volume"
COMPONENT = "app.kubernetes.io/component"
EPOCH = "kraf.io/epoch"
"""Annotation: the epoch of an app's ownership that an object was made for."""
ARCHITECTURE = "kubernetes.io/arch"
"""Label of nodes, kubelet's own."""
OURS = {MANAGED_BY: "kraf"}


def labels(device: str, uid: str, app: str = "", volume: str = "") -> dict[str, str]:
    """Labels of an object that belongs to a device, and to an app or a volume of it."""
    found = {**OURS, DEVICE: device, DEVICE_UID: uid, APP: app, VOLUME: volume}
    return {key: value for key, value in found.items() if value}


def emulates(architecture: str) -> str:
    """Label of nodes that run programs of another architecture by emulation; the role kubernetes sets it."""
    return f"kraf.io/emulates-{architecture}"


def check_owner(obj: Mapping[str, Any], device: str, uid: str) -> None:
    """Refuse an object that is not this device's, so that a new device of an old name inherits nothing.

    Raises:
        KrafError: naming both owners.
    """
    metadata = obj["metadata"]
    found = metadata.get("labels") or {}
    what = f"{obj['kind']} {metadata['name']}"
    if found.get(MANAGED_BY) != "kraf":
        why = f"it exists and was not made by kraf.edge (no label {MANAGED_BY}=kraf)"
        raise KrafError(what, None, why, "Use another name, or remove the object by the tool that made it")
    if found.get(DEVICE_UID) != uid or found.get(DEVICE) != device:
        owner = f"{found.get(DEVICE)} ({found.get(DEVICE_UID)})"
        why = f"it belongs to the device {owner}, not to {device} ({uid})"
        fix = "Remove what the former device left (playbook device_remove), or register this device by another name"
        raise KrafError(what, None, why, fix, owner=owner)
