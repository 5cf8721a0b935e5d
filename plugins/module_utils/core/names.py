# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Names: what a person may call a thing, and what Kubernetes calls it.

Names of objects follow from device, app and volume names alone, so nothing has to be stored to find them again.
Rules: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/ (RFC 1123 labels).
"""

from __future__ import annotations

import re

from .errors import KrafError

SYSTEM_NAMESPACE = "kraf-system"
DOOR_DOMAIN = "door.kraf.internal"
MAX_NAME = 40
"""Longest name of a device, app or volume: leaves room in 63 characters for prefixes and a StatefulSet's hash."""

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")
_RESERVED = frozenset({"all", "ungrouped", "localhost", "system"})


def fold(name: str) -> str:
    """The form in which two names are the same name: ``Pi_4`` and ``pi-4`` are one device."""
    folded = re.sub(r"[^a-z0-9]+", "-", name.strip().lower()).strip("-")
    return folded[:MAX_NAME].rstrip("-")


def check(kind: str, name: object) -> str:
    """Return the name if Kubernetes takes it.

    Args:
        kind: what is named ("device", "app", "volume"), for the message.
        name: the name as it was given.

    Raises:
        KrafError: with a name that would do as suggestion.
    """
    if not isinstance(name, str) or not name:
        raise KrafError(f"{kind} name", name, "a name is a text of at least one character", f"Give the {kind} a name")
    why = _refusal(kind, name)
    if why:
        suggestion = fold(name)
        usable = suggestion and not _refusal(kind, suggestion)
        raise KrafError(f"{kind} name", name, why, f"Use {suggestion!r}" if usable else "Choose another name")
    return name


def _refusal(kind: str, name: str) -> str:
    if len(name) > MAX_NAME:
        return f"it has {len(name)} characters, {MAX_NAME} are allowed"
    if not _LABEL.match(name):
        return "Kubernetes takes lower-case letters, digits and '-', and a letter or digit at both ends"
    if kind == "device" and name in _RESERVED:
        return "Ansible or kraf.edge uses this name for something else"
    if kind == "volume" and name.startswith("app-"):
        return "claims that start with app- hold the data of apps"
    return ""


def namespace(device: str) -> str:
    """The namespace of a device."""
    return f"kraf-{device}"


def claim(volume: str) -> str:
    """The PersistentVolumeClaim of a volume, in its device's namespace."""
    return volume


def persistent_volume(device: str, volume: str) -> str:
    """The PersistentVolume of a volume of the local class; cluster-wide, so it carries the device."""
    return f"kraf-{device}-{volume}"


def export(volume: str) -> str:
    """StatefulSet, Service, Secret and ConfigMap of a volume's WebDAV server."""
    return f"export-{volume}"


def workload(app: str) -> str:
    """Workload, Service, claim and Lease of an app."""
    return f"app-{app}"


def mover(app: str) -> str:
    """Pod, ConfigMap and Secret through which an app's data are copied."""
    return f"mover-{app}"


def mover_service(app: str, run: int) -> str:
    """The Service of one run's mover: no cache of a DNS knows an older address of a name that is new."""
    return f"{mover(app)}-{run}"


def migration(app: str, epoch: int) -> str:
    """The record of the change of owner that made this epoch."""
    return f"{app}-{epoch}"


def door_name(port: int, service: str, device: str) -> str:
    """The TLS server name (SNI) by which a device asks the door for one port of one of its services."""
    return f"{port}.{service}.{device}.{DOOR_DOMAIN}"
