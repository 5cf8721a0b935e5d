# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The namespace of a device: its fence, its limits, and what its pods need to pull images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..core.names import SYSTEM_NAMESPACE, namespace
from .labels import labels

PULL_SECRET = "image-registry"  # noqa: S105
PULL_KEY = ".dockerconfigjson"
QUOTA = {"pods": "100", "persistentvolumeclaims": "100", "services.nodeports": "0", "services.loadbalancers": "0"}
"""No service of a device leaves the cluster but by the door, so none may take a port of a node."""
DEFAULT_LIMIT = {"cpu": "1", "memory": "512Mi"}
DEFAULT_REQUEST = {"cpu": "50m", "memory": "64Mi"}


def objects(device: str, uid: str, pull_secret: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Everything that a device's namespace holds before anything runs in it, the namespace first.

    Args:
        device: name of the device.
        uid: uid of the device.
        pull_secret: the Secret of the system namespace by which nodes pull from the image registry; None leaves it out.
    """
    name, mine = namespace(device), labels(device, uid)
    found = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": mine}},
        _object("v1", "ResourceQuota", "limits", name, mine, spec={"hard": QUOTA}),
        _object("v1", "LimitRange", "limits", name, mine, spec={"limits": [_container_limits()]}),
        _object("networking.k8s.io/v1", "NetworkPolicy", "only-own-and-system", name, mine, spec=_policy()),
    ]
    if pull_secret:
        # The original also holds the account in clear and the registry's own file of accounts, which are not for pods.
        data = {PULL_KEY: pull_secret["data"][PULL_KEY]}
        found.append(_object("v1", "Secret", PULL_SECRET, name, mine, type=pull_secret["type"], data=data))
    return found


def _object(api_version: str, kind: str, name: str, into: str, mine: dict[str, str], **content: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": into, "labels": mine}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **content}


def _container_limits() -> dict[str, Any]:
    return {"type": "Container", "default": DEFAULT_LIMIT, "defaultRequest": DEFAULT_REQUEST}


def _policy() -> dict[str, Any]:
    """Into every pod of the namespace come its own pods and the system's (the door), nobody else."""
    system = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": SYSTEM_NAMESPACE}}}
    return {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": {}}, system]}]}
