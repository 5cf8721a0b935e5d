# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalog: many devices and apps by one task each, and the inventory of a large fleet."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from . import tasks


def device(number: int) -> dict[str, Any]:
    """One device of a made-up fleet."""
    return {
        "name": f"pi-{number}",
        "address": f"192.0.2.{number % 250 + 1}",
        "architecture": "arm64",
        "memory": "4Gi",
        "labels": {"room": f"r{number % 40}"},
    }


def app(number: int) -> dict[str, Any]:
    """One app of that fleet."""
    return {
        "device": f"pi-{number}",
        "name": "camera",
        "kind": "service",
        "images": {"amd64": "registry.example/camera:1"},
        "ports": [{"port": 8000, "device_port": 8000}],
        "probe": {"path": "/health", "port": 8000},
    }


def figures() -> dict[str, Any]:
    """Seconds of one task of 200 devices, of one task of 200 apps, and of an inventory of 10,000 devices."""
    with tempfile.TemporaryDirectory() as folder:
        database = f"{folder}/catalog.sqlite"
        rows = tasks.run(
            [
                {
                    "name": "bench",
                    "hosts": "localhost",
                    "connection": "local",
                    "gather_facts": False,
                    "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
                    "module_defaults": {
                        "kraf.edge.device": {"catalog": database},
                        "kraf.edge.app": {"catalog": database},
                    },
                    "tasks": [
                        {"name": "devices", "kraf.edge.device": {"devices": [device(number) for number in range(200)]}},
                        {"name": "apps", "kraf.edge.app": {"apps": [app(number) for number in range(200)]}},
                        {
                            "name": "fleet",
                            "kraf.edge.device": {"devices": [device(number) for number in range(10_000)]},
                        },
                    ],
                }
            ],
            inventory="localhost,",
        )
        seconds = {row["name"]: row["seconds"] for row in rows}
        source = Path(folder) / "fleet.kraf.yml"
        source.write_text(json.dumps({"plugin": "kraf.edge.catalog", "catalog": database}), encoding="utf-8")
        begin = time.monotonic()
        listed = subprocess.run(["ansible-inventory", "-i", str(source), "--list"], capture_output=True, check=True)
        inventory = time.monotonic() - begin
        hosts = len(json.loads(listed.stdout)["_meta"]["hostvars"])
        begin = time.monotonic()
        subprocess.run(["ansible-inventory", "-i", "localhost,", "--list"], capture_output=True, check=True)
        nothing = time.monotonic() - begin
    return {
        "register_200_devices_seconds": seconds["devices"],
        "register_200_apps_seconds": seconds["apps"],
        "inventory_devices": hosts,
        "inventory_seconds": inventory,
        "inventory_of_nothing_seconds": nothing,
    }
