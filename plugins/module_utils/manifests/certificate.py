# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The objects that hold the service CA and the certificates it signed."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

from ..core.names import SYSTEM_NAMESPACE
from ..tls.certificates import Pair
from .labels import OURS

CA_NAME = "kraf-ca"


def system_namespace() -> dict[str, Any]:
    """The namespace of what serves all devices."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM_NAMESPACE, "labels": dict(OURS)}}


def authority(pair: Pair) -> dict[str, Any]:
    """The Secret with the service CA and its key."""
    return _tls(SYSTEM_NAMESPACE, CA_NAME, pair, OURS)


def public_authority(certificate: bytes) -> dict[str, Any]:
    """The ConfigMap with what everybody has to trust."""
    metadata = {"name": CA_NAME, "namespace": SYSTEM_NAMESPACE, "labels": dict(OURS)}
    data = {"ca.crt": certificate.decode()}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def leaf(namespace: str, name: str, pair: Pair, ca_certificate: bytes, mine: Mapping[str, str]) -> dict[str, Any]:
    """The Secret with a certificate, its key, and the CA to trust."""
    secret = _tls(namespace, name, pair, mine)
    secret["data"]["ca.crt"] = b64encode(ca_certificate).decode()
    return secret


def pair_of(secret: Mapping[str, Any] | None) -> Pair:
    """Certificate and key of a Secret; empty where it holds none."""
    data = (secret or {}).get("data") or {}
    return Pair(b64decode(data.get("tls.crt", "")), b64decode(data.get("tls.key", "")))


def _tls(namespace: str, name: str, pair: Pair, mine: Mapping[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(mine)},
        "type": "kubernetes.io/tls",
        "data": {"tls.crt": b64encode(pair.certificate).decode(), "tls.key": b64encode(pair.key).decode()},
    }
