# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keeps the service CA, and what it signed, in the Secrets of one cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..cluster.client import Cluster
from ..cluster.converge import Change, by_key, converge
from ..cluster.errors import AlreadyExists
from ..cluster.kinds import NAMESPACE, SECRET
from ..cluster.predict import converge_or_predict
from ..core import names
from ..core.errors import KrafError
from ..manifests import certificate as manifests
from ..manifests.labels import OURS, check_owner, labels
from ..manifests.namespace import PULL_SECRET
from ..manifests.namespace import objects as namespace_objects
from .certificates import Pair, Request, check_clock, issue, make_ca
from .renewal import ca_needs_renewal, describe, needs_renewal

CA_COMMON_NAME = "kraf service CA"
DEVICE_SECRET = "device-tls"  # noqa: S105  the name of a Secret
NOTHING = Pair(b"", b"")


@dataclass(frozen=True)
class Leaf:
    """One certificate and where it is kept."""

    namespace: str
    name: str
    request: Request
    device: str = ""
    device_uid: str = ""


def wanted(entry: Mapping[str, Any], days: int) -> Leaf:
    """The certificate that one entry of the module's option asks for.

    Raises:
        KrafError: when the entry asks for what cannot be.
    """
    device = entry.get("device")
    if device:
        names.check("device", device)
        request = Request(device, usages=("client",), days=days)
        return Leaf(names.namespace(device), DEVICE_SECRET, request.checked(), device, entry["device_uid"])
    request = Request(
        common_name=entry["common_name"] or entry["name"],
        dns_names=tuple(entry["dns_names"]),
        ip_addresses=tuple(entry["ip_addresses"]),
        usages=tuple(entry["usages"]),
        days=days,
    )
    return Leaf(entry["namespace"], entry["name"], request.checked())


@dataclass
class Issuer:
    """The CA of one cluster, at one moment.

    Args:
        cluster: where the Secrets are.
        now: the current time, with its time zone.
        check_mode: predict, write nothing.
        change: what was, or would be, changed.
    """

    cluster: Cluster
    now: datetime
    check_mode: bool
    change: Change = field(default_factory=Change)
    _ca: Pair = NOTHING

    def authority(self, days: int, renew_before_days: int) -> dict[str, Any]:
        """Make sure of the CA; to be called first. Returns what may be said about it.

        Raises:
            KrafError: when the clock is wrong, or the stored CA is broken: a new one would cut off every device.
        """
        stored = self.cluster.get(SECRET, manifests.CA_NAME, names.SYSTEM_NAMESPACE)
        old, reason = manifests.pair_of(stored), "there is none"
        if old != NOTHING:
            check_clock(old.certificate, self.now)
            reason = ca_needs_renewal(old.certificate, renew_before_days, self.now)
        self._ca = make_ca(CA_COMMON_NAME, days, self.now, old.key) if reason else old
        if stored is None:
            self._create(manifests.authority(self._ca))
        elif reason:
            self._converge([manifests.authority(self._ca)], [stored])
        self._converge([manifests.public_authority(self._ca.certificate)])
        facts = self._note("service CA", old, self._ca, reason)
        public = self._ca.certificate.decode()
        return {**facts, "certificate": public, "renewed": bool(reason), "reason": reason}

    def leaf(self, leaf: Leaf, renew_before_days: int) -> dict[str, Any]:
        """Make sure of one certificate. Returns what may be said about it."""
        if leaf.device:
            self._make_room(leaf)
        stored = self.cluster.get(SECRET, leaf.name, leaf.namespace)
        old, reason = manifests.pair_of(stored), "there is none"
        if old != NOTHING:
            reason = needs_renewal(old, self._ca, leaf.request, renew_before_days, self.now)
        mine = labels(leaf.device, leaf.device_uid) if leaf.device else OURS
        new = issue(self._ca, leaf.request, self.now) if reason else old
        secret = manifests.leaf(leaf.namespace, leaf.name, new, self._ca.certificate, mine)
        self._converge([secret], [stored] if stored else None)
        facts = self._note(f"certificate {leaf.namespace}/{leaf.name}", old, new, reason)
        return {"namespace": leaf.namespace, "name": leaf.name, **facts, "renewed": bool(reason), "reason": reason}

    def _make_room(self, leaf: Leaf) -> None:
        """The namespace of a device, which must not be one that another device of this name left."""
        space = self.cluster.get(NAMESPACE, leaf.namespace)
        if space:
            check_owner(space, leaf.device, leaf.device_uid)
        pull = self.cluster.get(SECRET, PULL_SECRET, names.SYSTEM_NAMESPACE)
        self._converge(namespace_objects(leaf.device, leaf.device_uid, pull))

    def _create(self, secret: dict[str, Any]) -> None:
        """Create the CA's Secret. Of two that start at once one makes the CA, and the other takes it over."""
        self._converge([manifests.system_namespace()])
        if self.check_mode:
            self.change.note(None, secret)
            return
        try:
            self.change.note(None, self.cluster.create(secret))
        except AlreadyExists:
            self._ca = manifests.pair_of(self.cluster.get(SECRET, manifests.CA_NAME, names.SYSTEM_NAMESPACE))

    def _converge(self, objects: Sequence[Mapping[str, Any]], stored: Sequence[dict[str, Any]] | None = None) -> None:
        if stored is None:
            self.change.add(converge_or_predict(self.cluster, objects, self.check_mode))
        else:
            self.change.add(converge(self.cluster, objects, self.check_mode, by_key(stored)))

    def _note(self, title: str, old: Pair, new: Pair, reason: str) -> dict[str, Any]:
        """Add names and dates to the diff; return those of the certificate that is stored now."""
        before = describe(old.certificate).public(self.now) if _readable(old) else {}
        if not reason:
            return before
        predicted = {**describe(new.certificate).public(self.now), "fingerprint": ""}
        after = predicted if self.check_mode else describe(new.certificate).public(self.now)
        self.change.before[title], self.change.after[title] = before, {**after, "reason": reason}
        return after


def _readable(pair: Pair) -> bool:
    try:
        describe(pair.certificate)
    except KrafError:
        return False
    return True
