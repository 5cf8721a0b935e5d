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

from tests.demo.progress import Progress

from . import tasks
from .rows import Row


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


FLEET = 10_000


def rows(progress: Progress) -> list[Row]:
    """The figures of the catalog."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        database = str(folder / "catalog.sqlite")
        progress.say(f"200 devices, 200 apps, {FLEET} devices ...")
        seconds = _register(database)
        progress.say(f"the inventory of {FLEET} devices ...")
        source = folder / "fleet.kraf.yml"
        source.write_text(json.dumps({"plugin": "kraf.edge.catalog", "catalog": database}), encoding="utf-8")
        loaded, _host = _inventory(str(source), "--host", "pi-1")
        listing, listed = _inventory(str(source), "--list")
        # The same hosts, ready made: what is left of the time is Ansible's own.
        ready = folder / "ready"
        (folder / "ready.json").write_text(listed, encoding="utf-8")
        ready.write_text(f"#!/bin/sh\nexec cat {folder}/ready.json\n", encoding="utf-8")
        ready.chmod(0o755)
        own, _same = _inventory(str(ready), "--list")
        hosts = len(json.loads(listed)["_meta"]["hostvars"])
    return [
        Row("register_200_devices_seconds", seconds["devices"], 3, note="one task"),
        Row("register_200_apps_seconds", seconds["apps"], 3, note="one task"),
        Row("inventory_devices", hosts, FLEET, most=False),
        Row("inventory_load_seconds", loaded, 5, note="ansible-inventory --host: start, load all devices, show one"),
        Row("inventory_list_seconds", listing, note="ansible-inventory --list: the same, and all variables as JSON"),
        Row("inventory_list_ready_made_seconds", own, note="--list of the same hosts from a file, Ansible's own part"),
    ]


def _inventory(source: str, *arguments: str) -> tuple[float, str]:
    """Seconds and output of ``ansible-inventory``."""
    begin = time.monotonic()
    command = ["ansible-inventory", "-i", source, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return time.monotonic() - begin, done.stdout


def _register(database: str) -> dict[str, float]:
    """Seconds of each task."""
    play = {
        "name": "bench",
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
        "module_defaults": {"kraf.edge.device": {"catalog": database}, "kraf.edge.app": {"catalog": database}},
        "tasks": [
            {"name": "devices", "kraf.edge.device": {"devices": [device(number) for number in range(200)]}},
            {"name": "apps", "kraf.edge.app": {"apps": [app(number) for number in range(200)]}},
            {"name": "fleet", "kraf.edge.device": {"devices": [device(number) for number in range(FLEET)]}},
        ],
    }
    return {row["name"]: row["seconds"] for row in tasks.run([play], inventory="localhost,")}
