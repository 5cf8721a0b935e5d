# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

CONNECT = """
import sys
from ansible_collections.kraf.edge.plugins.module_utils.cluster import connection
link = connection.transport({"kubeconfig": sys.argv[1]})
assert link.server == "https://192.0.2.1:6443", link.server
assert link._headers() == {"authorization": "Bearer shhh"}, link._headers()
"""


@pytest.fixture(name="kubeconfig")
def fixture_kubeconfig(tmp_path: Path) -> Path:
    path = tmp_path / "kubeconfig"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": "https://192.0.2.1:6443"}}],
        "users": [{"name": "u", "user": {"token": "shhh"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }
    path.write_text(yaml.safe_dump(content))
    return path


def _python(program: str, kubeconfig: Path) -> str:
    result = subprocess.run(
        [sys.executable, "-c", program, str(kubeconfig)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_a_connection_loads_no_models(kubeconfig: Path) -> None:
    heavy = ("kubernetes.client.models", "kubernetes.client.api.", "oauthlib", "requests_oauthlib")
    loaded = f"print([name for name in sys.modules if name.startswith({heavy})])"
    assert _python(CONNECT + loaded, kubeconfig).strip() == "[]"


@pytest.mark.parametrize("first", [True, False], ids=["connection-first", "package-first"])
def test_the_whole_package_can_be_used_as_well(kubeconfig: Path, first: bool) -> None:
    whole = """
import kubernetes
import kubernetes.client.rest
assert kubernetes.client.CoreV1Api().api_client is not None
assert kubernetes.client.rest.RESTClientObject and kubernetes.config.load_kube_config and kubernetes.watch.Watch
"""
    _python(CONNECT + whole if first else whole + CONNECT, kubeconfig)


def test_stand_ins_lead_to_what_they_stand_for(kubeconfig: Path) -> None:
    """kube_config renews an OpenID Connect token with an ApiClient and an OAuth2Session of its own."""
    ask = """
from ansible_collections.kraf.edge.plugins.module_utils.cluster.package import parts
kube_config = parts().config.kube_config
client = kube_config.ApiClient(configuration=kube_config.Configuration())
assert type(client).__module__ == "kubernetes.client.api_client", type(client)
session = kube_config.OAuth2Session(client_id="me")
error = kube_config.oauthlib.oauth2.rfc6749.errors.InvalidClientIdError
import oauthlib.oauth2, requests_oauthlib
assert type(session) is requests_oauthlib.OAuth2Session, type(session)
assert error is oauthlib.oauth2.rfc6749.errors.InvalidClientIdError
"""
    _python(CONNECT + ask, kubeconfig)


def test_another_release_is_loaded_whole(kubeconfig: Path) -> None:
    """Of which kubernetes.config needs more than there is a stand-in for."""
    missing = """
from ansible_collections.kraf.edge.plugins.module_utils.cluster import package
package.LATER = {"requests_oauthlib": ()}
"""
    _python(missing + CONNECT + "assert 'kubernetes.client' in sys.modules", kubeconfig)
