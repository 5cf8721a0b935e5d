# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An export: the WebDAV server of one volume, its Service and its credentials."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..core import names
from . import export_files as files
from .labels import COMPONENT, labels
from .namespace import PULL_SECRET

CONTAINER = "webdav"
HELD_BY = "kraf.io/held-by"
"""Annotation of the StatefulSet: the app that has the volume at the edge."""
USER = 33
"""www-data, who owns the files on the volume."""
CONFIG_FILES = {"lighttpd.conf": files.LIGHTTPD, "quota.lua": files.QUOTA, "start": files.START, "probe": files.PROBE}
RESOURCES = {"requests": {"cpu": "20m", "memory": "32Mi"}, "limits": {"cpu": "2", "memory": "256Mi"}}


@dataclass(frozen=True)
class Export:
    """The export of a volume, as it is wanted.

    Args:
        device: name of the device.
        device_uid: uid of the device.
        volume: name of the volume.
        image: the image with lighttpd.
        held_by: an app that runs at the edge with the volume; nothing is served then, and connections are refused.
    """

    device: str
    device_uid: str
    volume: str
    image: str = ""
    held_by: str = ""

    @property
    def namespace(self) -> str:
        """Where its objects are."""
        return names.namespace(self.device)

    @property
    def name(self) -> str:
        """What its objects are called."""
        return names.export(self.volume)

    @property
    def title(self) -> str:
        """The export in a message."""
        return f"export of volume {self.volume} of {self.device}"

    @property
    def host(self) -> str:
        """The name that its certificate carries."""
        return f"{self.name}.{self.namespace}.svc"

    @property
    def marks(self) -> dict[str, str]:
        """Labels of its objects."""
        return {**labels(self.device, self.device_uid, volume=self.volume), COMPONENT: "export"}


def objects(export: Export, data: Mapping[str, str], annotations: Mapping[str, str]) -> list[dict[str, Any]]:
    """Everything of an export.

    Args:
        export: with its image.
        data: of the Secret, each value in base64: username, password, users, tls.crt, tls.key, ca.crt.
        annotations: of the Secret.
    """
    metadata = {**_metadata(export), "annotations": dict(annotations)}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": dict(data)}
    ports = [
        {"name": name, "port": port, "targetPort": port, "protocol": "TCP"}
        for name, port in (("plain", files.PLAIN_PORT), ("tls", files.TLS_PORT))
    ]
    spec = {"type": "ClusterIP", "selector": _selector(export), "ports": ports}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": _metadata(export), "spec": spec}
    return [secret, service, _stateful_set(export, data)]


def _metadata(export: Export) -> dict[str, Any]:
    return {"name": export.name, "namespace": export.namespace, "labels": export.marks}


def _selector(export: Export) -> dict[str, str]:
    return {key: value for key, value in export.marks.items() if key.endswith(("/component", "/volume"))}


def _stateful_set(export: Export, data: Mapping[str, str]) -> dict[str, Any]:
    """One pod at most, ever: the volume is written by one server, and a name that stays is easy to find."""
    digest = hashlib.sha256("".join(f"{key}={data[key]}\n" for key in sorted(data)).encode()).hexdigest()[:16]
    # The configuration travels in the pod's own annotations: whatever changes it changes the pod.
    annotations = {f"config.kraf.io/{name}": text for name, text in CONFIG_FILES.items()}
    annotations["kraf.io/credentials"] = digest
    template = {"metadata": {"labels": export.marks, "annotations": annotations}, "spec": _pod(export)}
    spec = {
        "replicas": 0 if export.held_by else 1,
        "serviceName": export.name,
        "selector": {"matchLabels": _selector(export)},
        "template": template,
    }
    metadata = _metadata(export)
    if export.held_by:
        metadata["annotations"] = {HELD_BY: export.held_by}
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": metadata, "spec": spec}


def _pod(export: Export) -> dict[str, Any]:
    items = [
        {"path": name, "fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.annotations['config.kraf.io/{name}']"}}
        for name in CONFIG_FILES
    ]
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "imagePullSecrets": [{"name": PULL_SECRET}],
        "terminationGracePeriodSeconds": 15,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(export)],
        "volumes": [
            {"name": "data", "persistentVolumeClaim": {"claimName": names.claim(export.volume)}},
            {"name": "credentials", "secret": {"secretName": export.name, "defaultMode": 0o440}},
            {"name": "config", "downwardAPI": {"defaultMode": 0o444, "items": items}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "16Mi"}},
        ],
    }


def _container(export: Export) -> dict[str, Any]:
    probe = {"exec": {"command": ["bash", f"{files.CONFIG}/probe"]}, "timeoutSeconds": 15}
    return {
        "name": CONTAINER,
        "image": export.image,
        "command": ["bash", f"{files.CONFIG}/start"],
        "ports": [
            {"name": "plain", "containerPort": files.PLAIN_PORT, "protocol": "TCP"},
            {"name": "tls", "containerPort": files.TLS_PORT, "protocol": "TCP"},
        ],
        "resources": RESOURCES,
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "startupProbe": {**probe, "periodSeconds": 1, "failureThreshold": 120},
        "readinessProbe": {**probe, "periodSeconds": 10, "failureThreshold": 3},
        "livenessProbe": {"tcpSocket": {"port": "tls"}, "periodSeconds": 20, "failureThreshold": 3},
        "volumeMounts": [
            {"name": "data", "mountPath": files.VOLUME},
            {"name": "credentials", "mountPath": files.CREDENTIALS, "readOnly": True},
            {"name": "config", "mountPath": files.CONFIG, "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
        ],
    }
