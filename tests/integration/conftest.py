"""Fixtures of the integration tests."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.cluster.client import Cluster, connect
from ansible_collections.kraf.edge.plugins.module_utils.on_device import docker
from tests.integration import apiserver, emulator, packages
from tests.integration.apiserver import ApiServer
from tests.integration.device import engine as engines
from tests.integration.device.engine import Engine


@pytest.fixture(scope="session", autouse=True)
def distribution() -> None:
    """The programs that tests run."""
    packages.install()
    # Before a test is in a network of its own.
    emulator.interpreter()


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


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """A running Docker Engine with an image that has users and a few programs."""
    if os.geteuid() != 0:
        pytest.skip("needs root: containers")
    with tempfile.TemporaryDirectory(prefix="kraf-engine-") as folder, engines.running(Path(folder)) as engine:
        (Path(folder) / "root").mkdir()
        engine.make_image(engines.IMAGE, engines.root(Path(folder) / "root"))
        yield engine


@pytest.fixture
def create(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[engines.Create]:
    """Containers that are gone after the test, on the engine that the device's code speaks to."""
    monkeypatch.setattr(docker, "SOCKET", str(engine.socket))
    made: list[str] = []

    def call(start: bool = False, **given: Any) -> str:
        name = given.pop("name", f"app-{secrets.token_hex(4)}")
        given["HostConfig"] = {**engines.PORT, **given.get("HostConfig", {})}
        engine.create(name, **{"Cmd": engines.SLEEP, **given})
        made.append(name)
        if start:
            engine.start(name)
        return str(name)

    yield call
    for name in made:
        engine.remove(name)


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
