"""What the tests of the whole lab share: Kubernetes as its control plane host sees it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from typing import Any

import pytest
from testinfra.host import Host

Kubectl = Callable[..., Any]


@pytest.fixture
def kubectl(host: Host) -> Kubectl:
    """Runs kubectl on the host under test, and gives the objects that it prints."""

    def run(*words: str) -> Any:
        command = shlex.join(["kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", *words, "-o", "json"])
        return json.loads(host.check_output(command))

    return run
