"""What the tests of the whole lab share: Kubernetes as its control plane host sees it."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from testinfra.host import Host

Kubectl = Callable[..., Any]
Play = Callable[[str, list[dict[str, Any]]], dict[str, Any]]


@pytest.fixture
def kubectl(host: Host) -> Kubectl:
    """Runs kubectl on the host under test, and gives the objects that it prints."""

    def run(*words: str) -> Any:
        command = shlex.join(["kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", *words, "-o", "json"])
        return json.loads(host.check_output(command))

    return run


@pytest.fixture
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    """Runs tasks on one of the hosts, or on this machine as localhost, and gives each task's result by its name."""

    def run(name: str, tasks: list[dict[str, Any]]) -> dict[str, Any]:
        content: dict[str, Any] = {"hosts": name, "gather_facts": False, "tasks": tasks}
        if name == "localhost":
            content["vars"] = {"ansible_python_interpreter": sys.executable, "ansible_connection": "local"}
        (tmp_path / "play.json").write_text(json.dumps([content]))
        inventory = request.config.getoption("--ansible-inventory")
        done = subprocess.run(
            ["ansible-playbook", "-i", inventory, str(tmp_path / "play.json")],
            env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"},
            capture_output=True,
            text=True,
            check=False,
        )
        shown = json.loads(done.stdout[done.stdout.index("{") :])
        return {task["task"]["name"]: task["hosts"].get(name) for task in shown["plays"][0]["tasks"]}

    return run
