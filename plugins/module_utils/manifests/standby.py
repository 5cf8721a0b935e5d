# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the edge is kept ready with: all that a workload is rendered from, in a Secret, since values of the environment
are part of it. Read back on the day when the device cannot be asked what it ran. Pure.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from ..catalog.records import App
from ..core import names
from ..core.errors import KrafError
from .labels import COMPONENT, labels
from .workload import Companion, Disk, Health, Process, Workload, services

KEY = "workload"
LARGEST = 2**20
"""Bytes that a Secret takes (ValidateSecret of Kubernetes)."""


def secret_name(app: str) -> str:
    """Name of the Secret."""
    return f"{names.workload(app)}-standby"


def objects(workload: Workload) -> list[dict[str, Any]]:
    """The Secret, and the Service already.

    A device that asks whether its app was taken over would else have the cluster's DNS remember for half a minute that
    there is no such name.
    """
    return [secret(workload), *services(workload)]


def secret(workload: Workload) -> dict[str, Any]:
    """The Secret.

    Raises:
        KrafError: when it is larger than Kubernetes takes.
    """
    app = workload.app
    content = json.dumps(_plain(dataclasses.asdict(workload)), sort_keys=True).encode()
    if len(content) > LARGEST:
        why = f"with its environment and files it takes {len(content)} bytes, a Secret holds {LARGEST}"
        raise KrafError(f"description of app {app.key}", None, why, "Give it large files as data instead")
    mine = {**labels(app.device, workload.device_uid, app.name), COMPONENT: "standby"}
    metadata = {"name": secret_name(app.name), "namespace": workload.namespace, "labels": mine}
    data = {KEY: base64.b64encode(content).decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data}


def read(found: Mapping[str, Any]) -> Workload:
    """The workload that a Secret holds."""
    row = _frozen(json.loads(base64.b64decode(found["data"][KEY])))
    app, process = App.from_dict(row.pop("app")), _process(row.pop("process"))
    row["companions"] = tuple(
        Companion(**{**one, "process": _process(one["process"])}) for one in row.get("companions") or ()
    )
    row["disks"] = tuple(Disk(**one) for one in row.get("disks") or ())
    return Workload(app=app, process=process, **row)


def _process(row: Mapping[str, Any]) -> Process:
    process = dict(row)
    process["files"] = tuple((path, base64.b64decode(content), runs) for path, content, runs in process["files"])
    process["health"] = Health(**process["health"]) if process["health"] else None
    return Process(**process)


def _plain(value: Any) -> Any:
    """Values that JSON has."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value


def _frozen(value: Any) -> Any:
    """The reverse of ``_plain`` but for bytes: sequences are tuples again."""
    if isinstance(value, dict):
        return {key: _frozen(one) for key, one in value.items()}
    return tuple(_frozen(one) for one in value) if isinstance(value, list) else value
