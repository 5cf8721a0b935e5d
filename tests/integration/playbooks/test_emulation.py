"""The role kubernetes says on a node what it emulates: its verification, against a real API server."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.cluster.client import Cluster
from ansible_collections.kraf.edge.plugins.module_utils.cluster.kinds import NODE
from tests.integration.apiserver import ApiServer
from tests.lab import programs, settings

from .test_inputs import ROOT

NAME = "emulating.example"
PLAY = """
- hosts: all
  gather_facts: false
  tasks:
    - ansible.builtin.include_role:
        name: kraf.edge.kubernetes
        tasks_from: verify
"""


@pytest.fixture
def node(cluster: Cluster, api: ApiServer) -> Any:
    """A node that is ready, and the only one: the role waits for all of them."""
    for other in cluster.list(NODE):
        cluster.delete(NODE, other["metadata"]["name"])
    cluster.apply(
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NAME}, "spec": {"podCIDR": "10.244.1.0/24"}}
    )
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True", "reason": "x", "message": "x"}]}}
    url = f"{api.server}/api/v1/nodes/{NAME}/status"
    headers = {"Authorization": f"Bearer {api.token}", "Content-Type": "application/merge-patch+json"}
    request = urllib.request.Request(url, json.dumps(ready).encode(), headers, method="PATCH")
    urllib.request.urlopen(request, context=ssl.create_default_context(cafile=str(api.ca_cert)), timeout=10).close()
    yield NAME
    cluster.delete(NODE, NAME)


def verified(api: ApiServer, folder: Path, emulates: list[str]) -> str:
    """What the role says; it ends where it would reach the cluster's DNS, which is not there."""
    (kubectl,) = programs.build(settings.from_environment(), ["kubectl"])
    (folder / "kubectl").unlink(missing_ok=True)
    (folder / "kubectl").symlink_to(kubectl)
    (folder / "play.yml").write_text(PLAY)
    given = {
        "__kubernetes_facts": {"architecture": "amd64", "emulates": emulates},
        "__kubernetes_name": NAME,
        "__kubernetes_control": "one",
        "__kubernetes_environment": {"KUBECONFIG": str(api.kubeconfig), "PATH": f"{folder}:{os.environ['PATH']}"},
        "__kubernetes_cache": str(folder / "cache"),
        "kubernetes_wait": 30,
        "ansible_python_interpreter": sys.executable,
    }
    argv = [
        str(Path(sys.executable).parent / "ansible-playbook"),
        "-i",
        "one,",
        "-c",
        "local",
        str(folder / "play.yml"),
    ]
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build/collections"),
        "ANSIBLE_HOME": str(folder / "home"),
    }
    done = subprocess.run(
        [*argv, "--extra-vars", json.dumps(given)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert "Reach the cluster's DNS" in done.stdout, done.stdout + done.stderr
    return done.stdout


def labels(cluster: Cluster) -> dict[str, str]:
    found = (cluster.get(NODE, NAME) or {})["metadata"].get("labels") or {}
    return {key: value for key, value in found.items() if key.startswith("kraf.io/")}


def test_img_01_a_node_is_labelled_by_what_it_emulates_and_no_longer_when_it_does_not(
    cluster: Cluster, api: ApiServer, node: str, tmp_path: Path
) -> None:
    assert "changed=1" in verified(api, tmp_path, ["arm", "arm64"])
    assert labels(cluster) == {"kraf.io/emulates-arm": "true", "kraf.io/emulates-arm64": "true"}
    assert "changed=0" in verified(api, tmp_path, ["arm", "arm64"])
    # Its own architecture is no emulation.
    assert "changed=1" in verified(api, tmp_path, ["amd64", "arm64"])
    assert labels(cluster) == {"kraf.io/emulates-arm64": "true"}
