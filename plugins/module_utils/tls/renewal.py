# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a certificate has to be made again, and what may be said about it in public."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..core.imports import require
from .certificates import Pair, Request, load, stamp


@dataclass(frozen=True)
class Facts:
    """What anybody may know of a certificate."""

    common_name: str
    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]
    usages: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    fingerprint: str

    def days_left(self, now: datetime) -> int:
        """Whole days until it ends; negative once it has."""
        return (self.not_after - now) // timedelta(days=1)

    def public(self, now: datetime) -> dict[str, Any]:
        """For a module's result."""
        return {
            "common_name": self.common_name,
            "dns_names": list(self.dns_names),
            "ip_addresses": list(self.ip_addresses),
            "usages": list(self.usages),
            "not_before": stamp(self.not_before),
            "not_after": stamp(self.not_after),
            "days_left": self.days_left(now),
            "fingerprint": self.fingerprint,
        }


def describe(certificate: bytes) -> Facts:
    """Read a certificate.

    Raises:
        KrafError: when it is none.
    """
    x509 = require("cryptography.x509")
    oids = require("cryptography.x509.oid")
    hashes = require("cryptography.hazmat.primitives.hashes")
    cert = load(certificate)
    subject = cert.subject.get_attributes_for_oid(oids.NameOID.COMMON_NAME)
    names = _extension(cert, x509.SubjectAlternativeName)
    purposes = _extension(cert, x509.ExtendedKeyUsage) or ()
    known = {oids.ExtendedKeyUsageOID.SERVER_AUTH: "server", oids.ExtendedKeyUsageOID.CLIENT_AUTH: "client"}
    return Facts(
        common_name=str(subject[0].value) if subject else "",
        dns_names=tuple(names.get_values_for_type(x509.DNSName)) if names else (),
        ip_addresses=tuple(str(one) for one in names.get_values_for_type(x509.IPAddress)) if names else (),
        usages=tuple(known[purpose] for purpose in purposes if purpose in known),
        not_before=cert.not_valid_before_utc,
        not_after=cert.not_valid_after_utc,
        fingerprint=cert.fingerprint(hashes.SHA256()).hex(),
    )


def ca_needs_renewal(certificate: bytes, renew_before_days: int, now: datetime) -> str:
    """Why the CA has to be signed anew; empty when it has not."""
    return _ends_soon(describe(certificate), renew_before_days, now)


def needs_renewal(pair: Pair, ca: Pair, request: Request, renew_before_days: int, now: datetime) -> str:
    """Why a certificate has to be issued anew; empty when it has not.

    Args:
        pair: the stored certificate and key; what cannot be read counts as missing.
        ca: the CA that is to have signed it.
        request: what it is to say.
        renew_before_days: it must remain valid for longer than this.
        now: the current time, with its time zone.
    """
    try:
        facts = describe(pair.certificate)
        own = _public_bytes(load(pair.certificate).public_key()) == _public_bytes(_private(pair.key).public_key())
    except Exception:  # whatever is wrong with what is stored, a new one cures it
        return "it cannot be read"
    if not own:
        return "certificate and key do not belong together"
    if not signed_by(pair.certificate, ca.certificate):
        return "the service CA changed"
    if facts.common_name != request.common_name:
        return f"its subject is {facts.common_name}"
    stored = (set(facts.dns_names), set(facts.ip_addresses), set(facts.usages))
    if stored != (set(request.dns_names), {_plain(one) for one in request.ip_addresses}, set(request.usages)):
        return "names, addresses or usages changed"
    if now < facts.not_before:
        return f"it is not valid before {stamp(facts.not_before)}"
    # One that cannot last longer than its CA would be made anew on each run until the CA is.
    if facts.not_after >= describe(ca.certificate).not_after > now:
        return ""
    return _ends_soon(facts, renew_before_days, now)


def signed_by(certificate: bytes, ca_certificate: bytes) -> bool:
    """True when this CA's key signed it under the CA's name."""
    exceptions = require("cryptography.exceptions")
    try:
        load(certificate).verify_directly_issued_by(load(ca_certificate))
    except (ValueError, TypeError, exceptions.InvalidSignature):
        return False
    return True


def _ends_soon(facts: Facts, renew_before_days: int, now: datetime) -> str:
    if facts.not_after - now > timedelta(days=renew_before_days):
        return ""
    return f"it ends on {stamp(facts.not_after)}, {facts.days_left(now)} days from now"


def _plain(address: str) -> str:
    return str(ipaddress.ip_address(address))


def _extension(certificate: Any, kind: Any) -> Any:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except require("cryptography.x509").ExtensionNotFound:
        return None


def _private(key: bytes) -> Any:
    return require("cryptography.hazmat.primitives.serialization").load_pem_private_key(key, None)


def _public_bytes(public: Any) -> bytes:
    serialization = require("cryptography.hazmat.primitives.serialization")
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return bytes(public.public_bytes(serialization.Encoding.DER, form))
