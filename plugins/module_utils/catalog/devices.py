# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What makes a declaration of a device valid, and how it changes the row that is there."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from ..core import coerce, names, sizes
from ..core.errors import KrafError
from .records import ACTIVE, ARCHITECTURES, MAINTENANCE, TIME, Device

KERNEL_NAMES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "armv6l": "arm", "armhf": "arm"}
"""What ``uname -m`` and Debian say, and what images say."""

_HOST = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9.]{0,251}[A-Za-z0-9])?\Z", re.ASCII)
_LABEL_KEY = re.compile(
    r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?\Z", re.ASCII
)
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?\Z", re.ASCII)


def declared(raws: Sequence[Mapping[str, Any]], current: Iterable[Device]) -> list[Device]:
    """The rows that a list of declarations asks for.

    Args:
        raws: options of the module ``device``; what is None stays as it is, an empty text or mapping is taken away.
        current: the rows that are there.

    Raises:
        KrafError: for the first declaration that is not valid.
    """
    rows = {device.name: device for device in current}
    refuse_same_names([raw["name"] for raw in raws], rows)
    return [_declared(raw, rows.get(names.check("device", raw["name"]))) for raw in raws]


def refuse_same_names(wanted: Sequence[str], known: Iterable[str]) -> None:
    """Refuse two names that are one name once folded, before anything else is said about either."""
    seen = {names.fold(name): name for name in known}
    asked: set[str] = set()
    for name in wanted:
        if name in asked:
            raise KrafError("device", name, "it stands in the list twice", "Remove one of the two")
        asked.add(name)
        other = seen.setdefault(names.fold(name), name)
        if other != name:
            raise _same_name(name, other)


def refuse_twins(devices: Iterable[Device]) -> None:
    """Refuse rows that share a folded name or a machine id."""
    by_name: dict[str, Device] = {}
    by_machine: dict[str, Device] = {}
    for device in devices:
        other = by_name.setdefault(names.fold(device.name), device)
        if other is not device:
            raise _same_name(device.name, other.name)
        other = by_machine.setdefault(device.machine_id, device) if device.machine_id else device
        if other is not device:
            why = f"devices {other.name} and {device.name} have the same one, so one is a copy of the other's SD card"
            fix = "On the copy run: truncate -s 0 /etc/machine-id; systemd-machine-id-setup; reboot"
            raise KrafError("machine id", device.machine_id, why, fix, devices=[other.name, device.name])


def _same_name(name: str, other: str) -> KrafError:
    why = f"it and {other!r} are the same name, {names.fold(name)!r}, as far as groups and Kubernetes can tell"
    fix = f"Use {other!r} if this is the same device, else choose another name"
    return KrafError("device name", name, why, fix, devices=[other, name])


def _declared(raw: Mapping[str, Any], row: Device | None) -> Device:
    name = raw["name"]
    row = row or Device(name)
    changes: dict[str, Any] = {}
    if raw.get("address") is not None:
        changes["address"] = _address(name, raw["address"])
    if raw.get("architecture") is not None:
        changes["architecture"] = _architecture(name, raw["architecture"])
    if raw.get("memory") is not None:
        changes["memory_bytes"] = sizes.parse(raw["memory"], f"memory of device {name}") if raw["memory"] else 0
    if raw.get("machine_id") is not None:
        changes["machine_id"] = _machine_id(name, raw["machine_id"])
    if raw.get("labels") is not None:
        changes["labels"] = _labels(name, raw["labels"])
    if raw.get("maintenance") is not None:
        changes.update(_maintenance(name, raw["maintenance"]))
    if raw.get("cluster_uid") is not None:
        changes["cluster_uid"] = _cluster_uid(row, raw["cluster_uid"])
    return replace(row, **changes)


def is_address(text: str) -> bool:
    """Whether a text is an IP address or a host name, and so neither an option nor a user for ssh."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return bool(_HOST.match(text))
    return True


def _address(name: str, address: str) -> str:
    if address and not is_address(address):
        why = "it is neither an IP address nor a host name"
        raise KrafError(f"address of device {name}", address, why, "Write it without user, port and scheme")
    return address


def _architecture(name: str, architecture: str) -> str:
    known = KERNEL_NAMES.get(architecture, architecture)
    if known and known not in ARCHITECTURES:
        fix = f"Write one of {', '.join(ARCHITECTURES)}"
        raise KrafError(f"architecture of device {name}", architecture, "no image is built for it", fix)
    return known


def _machine_id(name: str, machine_id: str) -> str:
    found = machine_id.strip().lower()
    if found and not re.fullmatch(r"[0-9a-f]{32}", found, re.ASCII):
        why = "a machine id has 32 hexadecimal digits, see machine-id(5)"
        raise KrafError(
            f"machine id of device {name}", machine_id, why, "Give what /etc/machine-id holds on the device"
        )
    return found


def _labels(name: str, labels: Mapping[Any, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in sorted(labels.items(), key=lambda label: str(label[0])):
        text = str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)
        what = f"label of device {name}"
        why = "Kubernetes takes up to 63 letters, digits, '-', '_' and '.', and a letter or digit at both ends"
        if not isinstance(key, str) or not _LABEL_KEY.match(key):
            raise KrafError(what, key, why, "Rename the label")
        if not _LABEL_VALUE.match(text):
            raise KrafError(f"{what}, {key}", text, why, "Shorten or rewrite the value")
        found[key] = text
    return found


def _maintenance(name: str, maintenance: Mapping[str, Any]) -> dict[str, Any]:
    reason, expires = (maintenance.get(key) or "" for key in ("reason", "expires"))
    if not reason:
        if expires:
            fix = "Say why in reason, for those who find the device left out"
            raise KrafError(f"maintenance of device {name}", None, "it has an expiry, but no reason", fix)
        return {"state": ACTIVE, "reason": "", "expires": ""}
    if coerce.printable(reason, limit=500) != reason:
        why = "it has control characters, line ends, or more than 500 characters"
        raise KrafError(
            f"reason of maintenance of device {name}", coerce.printable(reason), why, "Write one line of text"
        )
    return {"state": MAINTENANCE, "reason": reason, "expires": _expires(name, expires) if expires else ""}


def _expires(name: str, text: str) -> str:
    """A UTC time; a date alone lasts to its end."""
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        fix = "Write a date such as 2026-12-24, or a time such as 2026-12-24T18:00:00Z"
        raise KrafError(f"expiry of maintenance of device {name}", text, "it is no date", fix) from error
    if len(text) == len("2026-12-24"):
        moment += timedelta(days=1)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return moment.astimezone(timezone.utc).strftime(TIME)


def _cluster_uid(row: Device, uid: str) -> str:
    if uid and row.cluster_uid and uid != row.cluster_uid:
        why = f"device {row.name} belongs to the cluster {row.cluster_uid}, where its volumes and apps are"
        fix = (
            "Connect to that cluster, or take the device out of it first (playbook kraf.edge.device_remove); "
            "where it is gone for good, set the device's cluster_uid to an empty text (module kraf.edge.device)"
        )
        raise KrafError("cluster", uid, why, fix)
    return uid
