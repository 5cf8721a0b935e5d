# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an operator of the lab has: playbooks, SSH to a host, the cluster's API. Demo and bench act through it alone."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.lab import settings

ROOT = Path(__file__).resolve().parents[2]
LAB = settings.from_environment()
INVENTORY = ROOT / "inventories" / "lab"
KUBECONFIG = ROOT / "build" / LAB.name / "kubeconfig"
KUBECTL = "kubectl --kubeconfig /etc/kubernetes/admin.conf"
"""On the control plane host, as root."""
_RECAP = re.compile(r"^(\S+)\s+: ok=(\d+)\s+changed=(\d+)\s+unreachable=(\d+)\s+failed=(\d+)", re.MULTILINE)


class Failed(RuntimeError):
    """A step did not do what it should; the text ends with the last lines of its output."""


@dataclass
class Played:
    """One run of a playbook: seconds from start to end, tasks that changed something, all tasks, begin and end."""

    seconds: float
    changed: int
    tasks: int
    begin: float
    end: float
    output: str


def play(playbook: str | Path, log: Path, **variables: Any) -> Played:
    """Run a playbook on the lab's inventory; the variables are extra vars. Raises Failed."""
    command = ["ansible-playbook", "-i", str(INVENTORY), str(playbook), "-e", json.dumps(variables)]
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "ANSIBLE_FORCE_COLOR": "0", "ANSIBLE_NOCOLOR": "1"}
    begin = time.monotonic()
    with open(log, "w", encoding="utf-8") as file:
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT, check=False)
    end = time.monotonic()
    output = log.read_text(encoding="utf-8")
    if done.returncode:
        tail = "\n".join(output.splitlines()[-40:])
        raise Failed(f"{' '.join(command)} ended with status {done.returncode}; the whole output is in {log}\n{tail}")
    hosts = _RECAP.findall(output)
    return Played(
        seconds=end - begin,
        changed=sum(int(host[2]) for host in hosts),
        tasks=sum(int(host[1]) for host in hosts),
        begin=begin,
        end=end,
        output=output,
    )


def address(host: str) -> str:
    """The address of a host of the lab."""
    return next(each.address for each in LAB.hosts if each.name == host)


def ssh(host: str, command: str, stdin: bytes = b"", timeout: float = 600) -> str:
    """Run a shell command on a host as root and return what it printed. Raises Failed."""
    options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    argv = ["ssh", "-i", str(LAB.ssh_key), *options, f"root@{address(host)}", command]
    done = subprocess.run(argv, input=stdin, capture_output=True, timeout=timeout, check=False)
    if done.returncode:
        raise Failed(
            f"on {host}: {command!r} ended with status {done.returncode}\n{done.stderr.decode(errors='replace')}"
        )
    return done.stdout.decode()


def registry_ref(name: str) -> str:
    """The name under which the lab's mirror serves an image."""
    return f"{LAB.mirror_address}:5000/{name}"
