# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Is the fence around a device's namespace more than a declaration? One connection that must fail tells."""

from __future__ import annotations

import secrets
import uuid
from typing import Any

from ..cluster.client import Cluster
from ..cluster.converge import converge
from ..cluster.kinds import NAMESPACE, POD, SECRET, SERVICE_ACCOUNT
from ..core import names
from ..core.errors import KrafError
from ..manifests import namespace as manifest
from ..manifests.labels import labels

PORT = 8080
SETTINGS = f'server.document-root = "/tmp"\\nserver.port = {PORT}\\n'
LISTEN = f"printf '{SETTINGS}' > /tmp/conf; exec lighttpd -D -f /tmp/conf"
CONNECT = f"exec 3<>/dev/tcp/$1/{PORT}"
TRIES = 5


def pod(device: str, uid: str, image: str) -> dict[str, Any]:
    """A pod that listens, in the namespace of a device."""
    restricted = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    container = {
        "name": "probe",
        "image": image,
        "command": ["bash", "-c", LISTEN],
        "securityContext": restricted,
        "readinessProbe": {"tcpSocket": {"port": PORT}, "periodSeconds": 1},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108
    }
    spec = {
        "automountServiceAccountToken": False,
        "imagePullSecrets": [{"name": manifest.PULL_SECRET}],
        "terminationGracePeriodSeconds": 0,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65534, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
    }
    metadata = {"name": "probe", "namespace": names.namespace(device), "labels": labels(device, uid)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def is_enforced(cluster: Cluster, image: str, wait: float) -> bool:
    """Make two devices' namespaces with a pod each, and try to get from one to the other.

    Raises:
        KrafError: when the pods cannot be reached at all, so that nothing can be said.
    """
    devices = [f"isolation-{secrets.token_hex(3)}-{part}" for part in "ab"]
    pull_secret = cluster.get(SECRET, manifest.PULL_SECRET, names.SYSTEM_NAMESPACE)
    try:
        addresses = []
        for device in devices:
            uid = str(uuid.uuid4())
            converge(cluster, manifest.objects(device, uid, pull_secret), check_mode=False, current={})
            # A namespace takes no pod until a controller has given it this, which can be busy, or starting.
            cluster.wait(SERVICE_ACCOUNT, "default", names.namespace(device), lambda found: found is not None, wait)
            converge(cluster, [pod(device, uid, image)], check_mode=False, current={})
        for device in devices:
            found = cluster.wait(POD, "probe", names.namespace(device), _is_ready, wait) or {}
            addresses.append(str(found["status"]["podIP"]))
        first, second = (names.namespace(device) for device in devices)
        # A stranger who cannot connect proves nothing unless a friend can.
        if not _connects(cluster, first, addresses[0]):
            why = f"the pod at {addresses[0]} cannot be reached from its own namespace either"
            raise KrafError("probe of isolation", None, why, "Look at the network plugin's pods")
        return not any(_connects(cluster, second, addresses[0]) for _attempt in range(TRIES))
    finally:
        for device in devices:
            cluster.delete(NAMESPACE, names.namespace(device))


def _is_ready(found: dict[str, Any] | None) -> bool:
    conditions = ((found or {}).get("status") or {}).get("conditions") or []
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def _connects(cluster: Cluster, namespace: str, address: str) -> bool:
    argv = ["timeout", "2", "bash", "-c", CONNECT, "bash", address]
    return cluster.exec("probe", namespace, argv, timeout=20).rc == 0
