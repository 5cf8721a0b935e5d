# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A volume: the claim, and for the local class the PersistentVolume that is its file on a node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..core import names, sizes
from .labels import labels

LOCAL_ROOT = "/var/lib/kraf/volumes"
LOCAL_DATA = "data"
"""A folder inside the volume's file system: while that is not mounted there is no such path, and no pod starts."""
NO_PROVISIONER = "kubernetes.io/no-provisioner"
LOCAL_LABEL = "kraf.io/local"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
READ_WRITE_ONCE = "ReadWriteOnce"
ACCESS_MODES = {"RWO": READ_WRITE_ONCE, "ROX": "ReadOnlyMany", "RWX": "ReadWriteMany", "RWOP": "ReadWriteOncePod"}


@dataclass(frozen=True)
class Volume:
    """A volume of a device, as it is wanted.

    Args:
        device: name of the device.
        device_uid: uid of the device.
        name: name of the volume, and of its claim.
        size: bytes.
        storage_class: name of the class; empty leaves an existing claim's, or takes the default class.
        access_modes: in Kubernetes' long form; empty leaves an existing claim's, or takes ReadWriteOnce.
        node: for the local class, the node that holds the file; empty takes the class's own.
        app: the app whose data this is, if it is one's.
    """

    device: str
    device_uid: str
    name: str
    size: int
    storage_class: str = ""
    access_modes: tuple[str, ...] = ()
    node: str = ""
    app: str = ""

    @property
    def namespace(self) -> str:
        """The claim's namespace."""
        return names.namespace(self.device)

    @property
    def persistent_volume(self) -> str:
        """Name of the PersistentVolume, of the local class."""
        return names.persistent_volume(self.device, self.name)

    @property
    def title(self) -> str:
        """The volume in a message."""
        return f"volume {self.name} of {self.device}"


def is_local(storage_class: Mapping[str, Any]) -> bool:
    """True for a class whose volumes are files on a node, made by the role storage_local."""
    marks = storage_class["metadata"].get("labels") or {}
    return storage_class.get("provisioner") == NO_PROVISIONER and marks.get(LOCAL_LABEL) == "true"


def claim(volume: Volume, local: bool) -> dict[str, Any]:
    """The PersistentVolumeClaim; class and access modes must be resolved."""
    spec: dict[str, Any] = {
        "accessModes": list(volume.access_modes or (READ_WRITE_ONCE,)),
        "storageClassName": volume.storage_class,
        "resources": {"requests": {"storage": sizes.to_kubernetes(volume.size)}},
    }
    if local:
        spec["volumeName"] = volume.persistent_volume
    mine = labels(volume.device, volume.device_uid, volume.app, volume.name)
    metadata = {"name": names.claim(volume.name), "namespace": volume.namespace, "labels": mine}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def persistent_volume(volume: Volume, current: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The PersistentVolume of a volume of the local class.

    Args:
        volume: with class, access modes and node resolved.
        current: the PersistentVolume as it is; the uid by which it is bound is kept.
    """
    reference = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "namespace": volume.namespace,
        "name": names.claim(volume.name),
    }
    bound = ((current or {}).get("spec") or {}).get("claimRef") or {}
    # The controller wrote these two; an apply without them would unbind the volume.
    reference.update({key: bound[key] for key in ("uid", "resourceVersion") if key in bound})
    spec = {
        "capacity": {"storage": sizes.to_kubernetes(volume.size)},
        "accessModes": list(volume.access_modes or (READ_WRITE_ONCE,)),
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": volume.storage_class,
        "volumeMode": "Filesystem",
        "local": {"path": f"{LOCAL_ROOT}/{volume.persistent_volume}/{LOCAL_DATA}"},
        "claimRef": reference,
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [_on(volume.node)]}]}},
    }
    mine = labels(volume.device, volume.device_uid, volume.app, volume.name)
    metadata = {"name": volume.persistent_volume, "labels": mine}
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec}


def _on(node: str) -> dict[str, Any]:
    return {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}


def node_of(obj: Mapping[str, Any] | None) -> str:
    """The node on which a local PersistentVolume lies; empty when it lies on none."""
    affinity = ((obj or {}).get("spec") or {}).get("nodeAffinity") or {}
    for term in (affinity.get("required") or {}).get("nodeSelectorTerms") or []:
        for match in term.get("matchExpressions") or []:
            if match.get("key") == "kubernetes.io/hostname":
                return str(match["values"][0])
    return ""
