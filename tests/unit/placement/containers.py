# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A container as the device describes it (module app_handover, step look)."""

from __future__ import annotations

from typing import Any

from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import App, Data, Port

ID = "73a15b31635a526d78b9a8361980b8404eca9182e359a325eab02a8c651d3c4e"
APP = App("pi1", "faces", ports=(Port(8000, 80),), data=(Data("results", "/data"),))


def container(**changes: Any) -> dict[str, Any]:
    """A plain one: a port, a data directory, restarted by Docker."""
    return {
        "name": "faces",
        "id": ID,
        "image": "registry.example/faces:1",
        "image_id": "sha256:" + "1" * 64,
        "image_digests": ["registry.example/faces@sha256:" + "2" * 64],
        "architecture": "amd64",
        "running": True,
        "argv": ["python3", "/faces.py"],
        "env": {"TOKEN": "secret"},
        "settings": {},
        "user": "",
        "image_user": "",
        "groups": [],
        "working_dir": "/",
        "hostname": ID[:12],
        "labels": {},
        "ports": [{"port": 8000, "protocol": "tcp", "device_port": 80, "address": ""}],
        "mounts": [{"type": "bind", "name": "", "source": "/srv/faces", "path": "/data", "empty": False}],
        "data": {
            "results": {
                "path": "/data",
                "folder": "/srv/faces",
                "exists": True,
                "bytes": 10,
                "mount_point": False,
                "free_bytes": 2**30,
            }
        },
        "network_mode": "default",
        "pid_mode": "",
        "ipc_mode": "private",
        "restart_policy": "unless-stopped",
        "privileged": False,
        "devices": [],
        "capabilities": [],
        "stop_signal": "SIGTERM",
        "image_stop_signal": "SIGTERM",
        "stop_timeout": 10,
        "auto_remove": False,
        **changes,
    }
