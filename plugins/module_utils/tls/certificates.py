# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The service CA and what it signs: pure functions from a description to PEM, nothing is read or stored here.

Profile of the certificates: RFC 5280. Keys are ECDSA P-256, which a Raspberry Pi signs with in a millisecond.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from ..core.errors import KrafError
from ..core.imports import require

BACKDATE = timedelta(days=1)
"""How far before its making a certificate starts to be valid: hosts without a battery-backed clock lag behind."""

USAGES = ("server", "client")


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes


@dataclass(frozen=True)
class Request:
    """What a certificate is to say.

    Args:
        common_name: subject; of a client it is the device's name.
        dns_names: names a client may know this server by.
        ip_addresses: addresses a client may know this server by.
        usages: server, client, or both.
        days: validity from now on.
    """

    common_name: str
    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[str, ...] = ()
    usages: tuple[str, ...] = ("server",)
    days: int = 397

    def checked(self) -> Request:
        """The same request.

        Raises:
            KrafError: when no certificate can say this.
        """
        what = f"certificate {self.common_name}"
        if not 1 <= len(self.common_name) <= 64:
            raise KrafError("common name of a certificate", self.common_name, "it has 1 to 64 characters", "Shorten it")
        for address in self.ip_addresses:
            try:
                ipaddress.ip_address(address)
            except ValueError as error:
                raise KrafError(
                    f"address in {what}", address, "it is no IP address", "Put names into dns_names"
                ) from error
        if not self.usages or set(self.usages) - set(USAGES):
            raise KrafError(f"usages of {what}", list(self.usages), "known are server and client", "Name one or both")
        if self.days < 1:
            raise KrafError(f"days of {what}", self.days, "it would never be valid", "Give at least 1")
        return self


def make_ca(name: str, days: int, now: datetime, key: bytes = b"") -> Pair:
    """A self-signed CA that signs end certificates only.

    Args:
        name: common name of the CA.
        days: validity from ``now`` on.
        now: the current time, with its time zone.
        key: sign with this key again, so that what the CA signed earlier stays valid; empty makes a new one.
    """
    x509 = require("cryptography.x509")
    hashes = require("cryptography.hazmat.primitives.hashes")
    private = _load_key(key) if key else _new_key()
    public = private.public_key()
    subject = _name(name)
    usage = _key_usage(key_cert_sign=True, crl_sign=True)
    built = (
        _builder(subject, subject, public, now - BACKDATE, now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(private, hashes.SHA256())
    )
    return Pair(_pem(built), key or _key_pem(private))


def issue(ca: Pair, request: Request, now: datetime) -> Pair:
    """A certificate with a new key, signed by the CA. It never outlives the CA.

    Raises:
        KrafError: when the clock cannot be right, or the request cannot be met.
    """
    x509 = require("cryptography.x509")
    oid = require("cryptography.x509.oid").ExtendedKeyUsageOID
    hashes = require("cryptography.hazmat.primitives.hashes")
    request.checked()
    authority = load(ca.certificate)
    check_clock(ca.certificate, now)
    private = _new_key()
    start = max(now - BACKDATE, authority.not_valid_before_utc)
    end = min(now + timedelta(days=request.days), authority.not_valid_after_utc)
    purposes = {"server": oid.SERVER_AUTH, "client": oid.CLIENT_AUTH}
    key_id = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        _builder(_name(request.common_name), authority.subject, private.public_key(), start, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([purposes[usage] for usage in request.usages]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_id), critical=False)
    )
    names = [x509.DNSName(name) for name in request.dns_names]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in request.ip_addresses]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return Pair(_pem(builder.sign(_load_key(ca.key), hashes.SHA256())), _key_pem(private))


def check_clock(ca_certificate: bytes, now: datetime) -> None:
    """Refuse to sign by a clock that is behind the CA's own making.

    Raises:
        KrafError: saying both times.
    """
    start = load(ca_certificate).not_valid_before_utc
    if now < start:
        why = f"the service CA is valid from {stamp(start)} on, so this clock is wrong"
        raise KrafError("clock of the controller", stamp(now), why, "Synchronise the controller's clock")


def load(certificate: bytes) -> Any:
    """The certificate as ``cryptography.x509.Certificate``.

    Raises:
        KrafError: when it is none.
    """
    x509 = require("cryptography.x509")
    try:
        return x509.load_pem_x509_certificate(certificate)
    except ValueError as error:
        fix = "Delete the Secret that holds it, then run this again"
        raise KrafError("stored certificate", None, f"it cannot be read: {error}", fix) from error


def stamp(moment: datetime) -> str:
    """A time as it is reported: RFC 3339, UTC, whole seconds."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _name(common_name: str) -> Any:
    x509 = require("cryptography.x509")
    return x509.Name([x509.NameAttribute(require("cryptography.x509.oid").NameOID.COMMON_NAME, common_name)])


def _builder(subject: Any, issuer: Any, public: Any, start: datetime, end: datetime) -> Any:
    x509 = require("cryptography.x509")
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )


def _key_usage(**on: bool) -> Any:
    names: Sequence[str] = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return require("cryptography.x509").KeyUsage(**{name: on.get(name, False) for name in names})


def _new_key() -> Any:
    ec = require("cryptography.hazmat.primitives.asymmetric.ec")
    return ec.generate_private_key(ec.SECP256R1())


def _load_key(key: bytes) -> Any:
    serialization = require("cryptography.hazmat.primitives.serialization")
    try:
        return serialization.load_pem_private_key(key, None)
    except (TypeError, ValueError) as error:
        # Its text is not passed on: it is about a secret.
        raise KrafError("private key of the service CA", None, "it cannot be read", "Restore the Secret") from error


def _key_pem(private: Any) -> bytes:
    serialization = require("cryptography.hazmat.primitives.serialization")
    return bytes(
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


def _pem(certificate: Any) -> bytes:
    return bytes(certificate.public_bytes(require("cryptography.hazmat.primitives.serialization").Encoding.PEM))
