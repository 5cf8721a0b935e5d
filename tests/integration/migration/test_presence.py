# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What answers for an app without ports, behind a real door, and a container of a real Docker that heeds it."""

from __future__ import annotations

import dataclasses
import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.manifests import presence
from ansible_collections.kraf.edge.plugins.module_utils.on_device import docker, door, handover, placement, takeover
from ansible_collections.kraf.edge.plugins.module_utils.on_device.ways import Way
from tests.integration.device import parts
from tests.integration.device.engine import Create

from . import devices, movers
from .movers import Running


@contextmanager
def answering(mover: Running, epoch: int) -> Iterator[None]:
    """The sidecar as its pod runs it, in the network of the door."""
    argv = presence.container("edge:1", epoch)["command"]
    with parts.process(*(movers.placed(word, mover.folder) for word in argv)) as process:
        parts.until(lambda: parts.listening(presence.PORT, movers.ADDRESS), what="presence")
        yield
        process.send_signal(signal.SIGTERM)
        # A pod that is taken away is not kept for this one's sake.
        process.wait(2)


def way(mover: Running) -> Way:
    return Way(presence.PORT, presence.PORT, mover.sni(presence.PORT), presence.PATH)


def test_it_answers_with_its_epoch_as_long_as_it_runs(mover: Running) -> None:
    offered = [way(mover)]
    assert not takeover.answers("silent", offered, mover.doors)
    for epoch in (3, 4):
        with answering(mover, epoch):
            assert takeover.answers("silent", offered, mover.doors)
            with door.connect(mover.doors, offered[0].sni) as secure:
                secure.sendall(f"GET {presence.PATH} HTTP/1.0\r\n\r\n".encode())
                answer = b"".join(iter(lambda secure=secure: secure.recv(4096), b""))
            assert answer.endswith(f"\r\n\r\n{epoch}\n".encode())
    assert not takeover.answers("silent", offered, mover.doors)


def test_nothing_else_can_be_had_from_it(mover: Running) -> None:
    with answering(mover, 3):
        for path in ("/", "/conf", "/../conf", "/%2e%2e/conf"):
            with pytest.raises(door.KrafError, match="status 40"):
                door.probe_edge(mover.doors, mover.sni(presence.PORT), path, 1)


@pytest.mark.parametrize("how", ["boot", "watch"])
def test_mig_02_a_container_without_ports_stays_down_once_the_edge_has_taken_it_over(
    mover: Running, create: Create, tmp_path: Path, how: str
) -> None:
    (tmp_path / "results").mkdir()
    (tmp_path / "results/log").write_text("of the device")
    host = {"Binds": [f"{tmp_path}/results:/data"], "PortBindings": {}, "RestartPolicy": {"Name": "always"}}
    name = create(start=True, StopTimeout=1, HostConfig=host)
    with devices.playing(mover, tmp_path, name) as device:
        task = replace(device.task(1, 7, 0), new_tree=10**9, presence=(way(mover),))
        device.begin(handover.keep_ready, task).result(60)
        record = placement.load("notes")
        assert record is not None
        assert (record.ways, record.doors) == ((dataclasses.asdict(way(mover)),), mover.doors)
        takeover.main(how)
        assert docker.running(name)
        assert placement.load("notes") == record
        with answering(mover, 2):
            takeover.main(how)
        if how == "watch":
            assert not docker.running(name)
            assert placement.load("notes") == replace(record, diverged=True)
        else:
            path = Path(docker.root()) / "containers" / record.container_id / "hostconfig.json"
            assert json.loads(path.read_text())["RestartPolicy"]["Name"] == "no"
        # Told by the next run, it forgets whom it has asked.
        told = handover.settle(replace(device.task(2, 8, 0, "edge"), lost="device"))
        assert (told["record"]["owner"], told["record"]["ways"]) == ("edge", [])
        assert not docker.running(name)
