"""Fixtures of the integration tests."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.cluster.client import Cluster, connect
from tests.integration import apiserver, packages
from tests.integration.apiserver import ApiServer


@pytest.fixture(scope="session", autouse=True)
def distribution() -> None:
    """The programs that tests run."""
    packages.install()


@pytest.fixture(scope="session")
def api() -> Iterator[ApiServer]:
    """A running API server."""
    with apiserver.running() as server:
        yield server


@pytest.fixture(scope="session")
def controllers(api: ApiServer) -> Iterator[None]:
    """The controllers that bind claims, let go of deleted ones, and empty namespaces."""
    names = ["persistentvolume-binder", "pvc-protection", "pv-protection", "namespace"]
    with apiserver.controllers(api, names):
        yield


@pytest.fixture
def cluster(api: ApiServer) -> Cluster:
    """A connection of the test's own, so that its requests can be counted."""
    return connect(api.params())


@pytest.fixture
def device() -> str:
    """A device name that no other test uses."""
    return f"pi-{secrets.token_hex(4)}"


@pytest.fixture
def run_module(
    api: ApiServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Any]:
    """Run a module's main() in this process, as Ansible would, against the API server; returns its result."""
    from tests.integration.modules import run

    def call(module: Any, check: bool = False, **options: Any) -> dict[str, Any]:
        return run(module, {**api.params(), **options}, check, monkeypatch, capsys)

    return call
