"""A mover that really runs, and a device that speaks to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.on_device import door, placement, tree, units

from . import movers


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
