# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Twenty claims by one task with a list, beside a loop of twenty ``kubernetes.core.k8s`` tasks."""

from __future__ import annotations

import uuid
from typing import Any

from tests.demo import access
from tests.demo.access import KUBECTL
from tests.demo.progress import Progress

from . import tasks
from .idle import HERE
from .rows import Row

COUNT = 20
DEVICE = "bench"


def rows(progress: Progress) -> list[Row]:
    """The figures of many volumes: made from nothing, and again when nothing is to do."""
    progress.say(f"{COUNT} volumes by one task, by a loop of {COUNT} tasks ...")
    cluster = {"kubeconfig": str(access.KUBECONFIG)}
    owner = {"device": DEVICE, "device_uid": str(uuid.uuid4())}
    volumes = [{**owner, "name": f"v{number}", "size": "1Gi", "storage_class": "kraf-local"} for number in range(COUNT)]
    listed = {"kraf.edge.volume": {**cluster, "volumes": volumes}}
    loop = {
        "kubernetes.core.k8s": {**cluster, "apply": True, "definition": _claim("looped-{{ item }}")},
        "loop": list(range(COUNT)),
    }
    _clean()
    try:
        ran = tasks.run(
            [
                {
                    "name": "volumes",
                    "gather_facts": False,
                    **HERE,
                    "tasks": [
                        {"name": "list", **listed},
                        {"name": "loop", **loop},
                        {"name": "list again", **listed},
                        {"name": "loop again", **loop},
                    ],
                }
            ]
        )
    finally:
        _clean()
    seconds = {row["name"]: row["seconds"] for row in ran}
    return [
        Row("volumes_list_seconds", seconds["list"], note=f"{COUNT} volumes, each a claim and a persistent volume"),
        Row("volumes_loop_seconds", seconds["loop"], note=f"{COUNT} claims by kubernetes.core.k8s"),
        Row("volumes_loop_ratio", seconds["loop"] / seconds["list"], 5, most=False, note="loop / list, from nothing"),
        Row(
            "volumes_loop_again_ratio", seconds["loop again"] / seconds["list again"], 5, most=False, note="second run"
        ),
    ]


def _clean() -> None:
    access.ssh(
        "control1",
        f"{KUBECTL} delete ns kraf-{DEVICE} --ignore-not-found >/dev/null;"
        f" {KUBECTL} delete pv -l kraf.io/device={DEVICE} >/dev/null",
    )


def _claim(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": f"kraf-{DEVICE}"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "kraf-local",
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
