# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an export's Secret holds: an account that every client can write down, and a certificate of the service CA."""

from __future__ import annotations

import base64
import hashlib
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from ..cluster.client import Cluster
from ..cluster.kinds import SECRET
from ..core.errors import KrafError
from ..core.names import SYSTEM_NAMESPACE
from ..manifests.export import Export
from ..tls.certificates import Pair, Request, issue, stamp
from ..tls.renewal import describe, needs_renewal

CA_SECRET = "kraf-ca"  # noqa: S105
ALPHABET = string.ascii_letters + string.digits
"""Nothing that davfs2's file of secrets, a shell or a URL reads as something else."""
LENGTH = 40
RENEW_BEFORE_DAYS = 60
ACCOUNT = ("username", "password", "users")
PAIR = ("tls.crt", "tls.key", "ca.crt")
CHECKED = "kraf.io/certificate-checked"
GOOD_UNTIL = "kraf.io/certificate-good-until"
"""A certificate that was checked is known again by its digest: to read it takes longer than all else of an idle run."""


@dataclass(frozen=True)
class Credentials:
    """What an export's Secret is to hold: its data, each value in base64, and its annotations."""

    data: Mapping[str, str]
    annotations: Mapping[str, str]


def wanted(cluster: Cluster, export: Export, current: Mapping[str, Any] | None, rotate: bool) -> Credentials:
    """The Secret's content: what is there stays, unless it is to be rotated, is missing, or ends soon.

    Raises:
        KrafError: when a certificate is needed and there is no service CA.
    """
    found = dict((current or {}).get("data") or {})
    notes = ((current or {}).get("metadata") or {}).get("annotations") or {}
    if rotate or not (found.get("username") and found.get("password")):
        password = "".join(secrets.choice(ALPHABET) for _character in range(LENGTH))
        found["username"], found["password"] = encode(export.device), encode(password)
    found["users"] = encode(f"{decode(found['username'])}:{decode(found['password'])}\n")
    now = datetime.now(timezone.utc)
    request = Request(export.host, dns_names=(export.host,))
    checked = {name: str(notes.get(name, "")) for name in (CHECKED, GOOD_UNTIL)}
    if checked[CHECKED] != _digest(found, request) or checked[GOOD_UNTIL] <= stamp(now):
        checked = _certified(cluster, export, found, request, now)
    return Credentials({name: found[name] for name in (*ACCOUNT, *PAIR)}, checked)


def _certified(
    cluster: Cluster, export: Export, found: dict[str, str], request: Request, now: datetime
) -> dict[str, str]:
    """Check the certificate in ``found`` and replace it where it must be; the annotations that tell of it."""
    stored = Pair(_raw(found, "tls.crt"), _raw(found, "tls.key"))
    if needs_renewal(stored, Pair(_raw(found, "ca.crt"), b""), request, RENEW_BEFORE_DAYS, now):
        authority = _authority(cluster, export)
        stored = issue(authority, request, now)
        for name, value in zip(PAIR, (stored.certificate, stored.key, authority.certificate)):
            found[name] = base64.b64encode(value).decode()
    until = describe(stored.certificate).not_after - timedelta(days=RENEW_BEFORE_DAYS)
    return {CHECKED: _digest(found, request), GOOD_UNTIL: stamp(until)}


def _digest(found: Mapping[str, str], request: Request) -> str:
    """Of the certificate, its key, its CA, and what it was asked to say."""
    parts = [*(found.get(name, "") for name in PAIR), repr(replace(request, days=0))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _authority(cluster: Cluster, export: Export) -> Pair:
    secret = cluster.get(SECRET, CA_SECRET, SYSTEM_NAMESPACE)
    if secret is None:
        why = f"the cluster has no service CA (Secret {SYSTEM_NAMESPACE}/{CA_SECRET})"
        raise KrafError(f"certificate of the {export.title}", None, why, "Run playbook kraf.edge.cluster first")
    return Pair(_raw(secret["data"], "tls.crt"), _raw(secret["data"], "tls.key"))


def _raw(found: Mapping[str, str], name: str) -> bytes:
    return base64.b64decode(found.get(name, ""))


def encode(text: str) -> str:
    """Base64 as Secrets hold it."""
    return base64.b64encode(text.encode()).decode()


def decode(text: str) -> str:
    """The text behind a Secret's base64."""
    return base64.b64decode(text).decode()
