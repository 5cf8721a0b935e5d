# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an export's Secret holds: an account that every client can write down, and a certificate of the service CA."""

from __future__ import annotations

import base64
import secrets
import string
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from ..cluster.client import Cluster
from ..cluster.kinds import SECRET
from ..core.errors import KrafError
from ..core.names import SYSTEM_NAMESPACE
from ..manifests.export import Export
from ..tls.certificates import Pair, Request, issue
from ..tls.renewal import needs_renewal

CA_SECRET = "kraf-ca"  # noqa: S105
ALPHABET = string.ascii_letters + string.digits
"""Nothing that davfs2's file of secrets, a shell or a URL reads as something else."""
LENGTH = 40
RENEW_BEFORE_DAYS = 60


def data(cluster: Cluster, export: Export, current: Mapping[str, Any] | None, rotate: bool) -> dict[str, str]:
    """The Secret's data: what is there stays, unless it is to be rotated, is missing, or ends soon.

    Raises:
        KrafError: when a certificate is needed and there is no service CA.
    """
    found = dict((current or {}).get("data") or {})
    if rotate or not (found.get("username") and found.get("password")):
        password = "".join(secrets.choice(ALPHABET) for _character in range(LENGTH))
        found["username"], found["password"] = encode(export.device), encode(password)
    found["users"] = encode(f"{decode(found['username'])}:{decode(found['password'])}\n")
    now = datetime.now(timezone.utc)
    request = Request(export.host, dns_names=(export.host,))
    stored = Pair(_raw(found, "tls.crt"), _raw(found, "tls.key"))
    if needs_renewal(stored, Pair(_raw(found, "ca.crt"), b""), request, RENEW_BEFORE_DAYS, now):
        authority = _authority(cluster, export)
        pair = issue(authority, request, now)
        for name, value in (("tls.crt", pair.certificate), ("tls.key", pair.key), ("ca.crt", authority.certificate)):
            found[name] = base64.b64encode(value).decode()
    return {name: found[name] for name in ("username", "password", "users", "tls.crt", "tls.key", "ca.crt")}


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
