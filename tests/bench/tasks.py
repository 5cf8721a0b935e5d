# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long tasks take, by Ansible's own clock: plays are given as data, durations read from its JSON callback."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.demo import access

PING: dict[str, Any] = {"ansible.builtin.ping": {}}


def run(plays: list[dict[str, Any]], inventory: Path | str = access.INVENTORY) -> list[dict[str, Any]]:
    """Run plays and return one row a task: name, seconds, and the result of each host. Raises access.Failed."""
    with tempfile.NamedTemporaryFile("w", suffix=".yml", delete=False) as file:
        json.dump(plays, file)
    environment = {**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json", "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1"}
    done = subprocess.run(
        ["ansible-playbook", "-i", str(inventory), file.name],
        cwd=access.ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    os.unlink(file.name)
    if done.returncode:
        raise access.Failed(
            f"bench play ended with status {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-1000:]}"
        )
    answer = json.loads(done.stdout[done.stdout.index("{") :])
    return [
        {"name": task["task"]["name"], "seconds": _seconds(task["task"]["duration"]), "hosts": task["hosts"]}
        for play in answer["plays"]
        for task in play["tasks"]
    ]


def _seconds(duration: dict[str, str]) -> float:
    start, end = (datetime.fromisoformat(duration[key].replace("Z", "+00:00")) for key in ("start", "end"))
    return (end - start).total_seconds()


def alternating(
    host: str, task: dict[str, Any], other: dict[str, Any], times: int = 7, **play: Any
) -> tuple[float, float]:
    """Median seconds of two tasks that are run in turn on one host; the first of each is not counted."""
    tasks = []
    for number in range(times + 1):
        tasks += [{"name": f"one {number}", **task}, {"name": f"other {number}", **other}]
    rows = run([{"name": "bench", "hosts": host, "gather_facts": False, "tasks": tasks, **play}])
    halves = [[row["seconds"] for row in rows if row["name"].startswith(word)][1:] for word in ("one", "other")]
    return statistics.median(halves[0]), statistics.median(halves[1])
