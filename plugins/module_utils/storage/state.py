# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the cluster holds of volumes, read with one request per kind, and only the kinds that are asked for."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from ..cluster.client import Cluster
from ..cluster.errors import ClusterError
from ..cluster.kinds import NODE, PERSISTENT_VOLUME, PERSISTENT_VOLUME_CLAIM, POD, STATEFUL_SET, STORAGE_CLASS
from ..core import names, sizes
from ..manifests.labels import DEVICE, OURS, VOLUME
from ..manifests.volume import DEFAULT_CLASS, Volume

Object = dict[str, Any]
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"


class State:
    """Claims, PersistentVolumes and classes.

    Args:
        cluster: where to read.
        devices: the devices concerned: with one, only its namespace is read.
    """

    def __init__(self, cluster: Cluster, devices: Iterable[str]) -> None:
        self._cluster = cluster
        spaces = {names.namespace(device) for device in devices}
        self._nodes: dict[str, bool] = {}
        self._namespace = spaces.pop() if len(spaces) == 1 else ""

    @cached_property
    def claims(self) -> dict[tuple[str, str], Object]:
        """Claims by namespace and name, whoever made them."""
        found = self._cluster.list(PERSISTENT_VOLUME_CLAIM, self._namespace)
        return {(item["metadata"]["namespace"], item["metadata"]["name"]): item for item in found}

    @cached_property
    def persistent_volumes(self) -> dict[str, Object]:
        """PersistentVolumes by name."""
        return {item["metadata"]["name"]: item for item in self._cluster.list(PERSISTENT_VOLUME)}

    @cached_property
    def classes(self) -> dict[str, Object]:
        """StorageClasses by name."""
        return {item["metadata"]["name"]: item for item in self._cluster.list(STORAGE_CLASS)}

    @cached_property
    def version(self) -> tuple[int, int]:
        """Version of the API server."""
        return self._cluster.version()

    def has_node(self, name: str) -> bool:
        """True when the cluster has a node of this name."""
        if name not in self._nodes:
            self._nodes[name] = self._cluster.get(NODE, name) is not None
        return self._nodes[name]

    def claim(self, volume: Volume) -> Object | None:
        """The claim of a volume."""
        return self.claims.get((volume.namespace, names.claim(volume.name)))

    def persistent_volume(self, volume: Volume) -> Object | None:
        """The PersistentVolume that the claim names, or the local one, or the one left of a former claim."""
        claim = self.claim(volume) or {}
        name = (claim.get("spec") or {}).get("volumeName") or volume.persistent_volume
        found = self.persistent_volumes.get(name)
        if found or claim:
            return found
        for item in self.persistent_volumes.values():
            marks = item["metadata"].get("labels") or {}
            if (marks.get(DEVICE), marks.get(VOLUME)) == (volume.device, volume.name):
                return item
        return None

    def storage_class(self, name: str, title: str) -> Object:
        """The class of this name, or without a name the default one.

        Raises:
            ClusterError: naming the classes that there are.
        """
        known = ", ".join(sorted(self.classes)) or "none"
        if name:
            if name not in self.classes:
                why = f"this cluster has no such StorageClass, it has: {known}"
                raise ClusterError(
                    f"storage class of {title}", name, why, "Use one of these, or create the class first"
                )
            return self.classes[name]
        marked = [item for item in self.classes.values() if _is_default(item)]
        if len(marked) != 1:
            why = f"{len(marked)} classes are marked as default, of: {known}"
            raise ClusterError(f"storage class of {title}", None, why, "Name the class (storage_class)")
        return marked[0]

    def users(self, volume: Volume) -> list[str]:
        """Names of the pods that use a volume's claim, and of exports that will start such pods."""
        claim = names.claim(volume.name)
        used = []
        for pod in self._cluster.list(POD, volume.namespace):
            ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
            if not ended and _mounts(pod["spec"], claim):
                used.append(f"pod {pod['metadata']['name']}")
        for workload in self._cluster.list(STATEFUL_SET, volume.namespace, OURS):
            if _mounts(workload["spec"]["template"]["spec"], claim):
                used.append(f"StatefulSet {workload['metadata']['name']}")
        return used


def _is_default(storage_class: Object) -> bool:
    return (storage_class["metadata"].get("annotations") or {}).get(DEFAULT_CLASS) == "true"


def _mounts(pod_spec: Object, claim: str) -> bool:
    sources = [item.get("persistentVolumeClaim") or {} for item in pod_spec.get("volumes") or []]
    return claim in [source.get("claimName") for source in sources]


def requested(claim: Object) -> int:
    """Bytes that a claim asks for."""
    return sizes.from_kubernetes(claim["spec"]["resources"]["requests"]["storage"])


def real(claim: Object) -> int:
    """Bytes that a claim really has; 0 while it is not bound."""
    return sizes.from_kubernetes(((claim.get("status") or {}).get("capacity") or {}).get("storage", "0"))


def is_provisioned(existing: Object) -> bool:
    """True for a PersistentVolume that a provisioner made, which then also removes what is behind it."""
    return PROVISIONED_BY in (existing["metadata"].get("annotations") or {})


def is_bound(claim: Object) -> bool:
    """True once a PersistentVolume serves the claim."""
    return (claim.get("status") or {}).get("phase") == "Bound"
