"""A mover that really runs, and a device that speaks to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ansible_collections.kraf.edge.plugins.module_utils.cluster.client import connect
from ansible_collections.kraf.edge.plugins.module_utils.cluster.kinds import CRD
from ansible_collections.kraf.edge.plugins.module_utils.cluster.rollout import is_rolled_out
from ansible_collections.kraf.edge.plugins.module_utils.on_device import door, placement, tree, units
from tests.integration.apiserver import ApiServer

from . import movers

FILES = Path(__file__).parents[3] / "roles/crds/files"


@pytest.fixture(scope="module")
def kinds(api: ApiServer) -> None:
    """The API server knows the collection's own resources."""
    server = connect(api.params())
    for path in sorted(FILES.glob("*.yaml")):
        definition = yaml.safe_load(path.read_text())
        server.apply(definition)
        server.wait(CRD, definition["metadata"]["name"], "", is_rolled_out, 30)


@pytest.fixture
def mover(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[movers.Running]:
    """A mover and the device's way to it."""
    if os.geteuid() != 0:
        pytest.skip("needs root: owners of files, network namespaces")
    with movers.running(tmp_path) as running:
        monkeypatch.setattr(door, "CA", tmp_path / "tls/ca.crt")
        monkeypatch.setattr(door, "PAIR", tmp_path / "tls/device.pem")
        monkeypatch.setattr(placement, "LOCKS", tmp_path / "locks")
        monkeypatch.setattr(tree, "LOCKS", tmp_path / "locks")
        monkeypatch.setattr(units, "running", lambda: False)
        yield running
