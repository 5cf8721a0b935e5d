# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The harness of other architectures: its apps are what they are to show, and what it leaves is nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.catalog import records
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.placement import image
from tests.demo import access
from tests.faults import emulation, says
from tests.faults.emulation import App, Emulation
from tests.faults.lab import Lab
from tests.integration import emulator
from tests.lab.steps import LabError

MADE = {one: f"10.0.0.2:5000/docker.io/kraf/says:1-{one}" for one in ("amd64", "arm64")}
MADE["both"] = "10.0.0.2:5000/docker.io/kraf/says:1"
DIGEST = f"sha256:{'5' * 64}"
PUSHED = f"10.0.0.11:5000/pi1/says-arm64@{DIGEST}"
OFFERS = {
    MADE["both"]: {"digest": DIGEST, "architectures": ["amd64", "arm64"], "absent": False, "why": ""},
    PUSHED: {"digest": DIGEST, "architectures": ["arm64"], "absent": False, "why": ""},
}


def chosen(app: App, *emulated: str) -> image.Choice:
    """What the collection runs of it at an edge of amd64."""
    row = records.App("pi1", app.name, images=app.named, emulation=app.emulation)
    target = image.Target(("amd64",), emulated, "10.0.0.11:5000")
    repository = app.image.rpartition(":")[0]
    found = {"architecture": app.runs, "image_digests": [f"{repository}@{DIGEST}"]}
    return image.choose(row, found, target, {one: OFFERS[one] for one in image.to_ask(row, found, target)})


def test_each_app_is_what_it_is_to_show() -> None:
    alone, both, index = emulation.apps(MADE)
    with pytest.raises(KrafError, match="no node emulates arm64"):
        chosen(alone)
    assert (chosen(alone, "arm64").own, chosen(alone, "arm64").emulated) == (True, "arm64")
    # Its own architecture comes before emulation.
    found = chosen(both, "arm64")
    assert (found.emulated, found.reference) == ("", f"{MADE['both'].rpartition(':')[0]}@{DIGEST}")
    index.named["arm64"] = PUSHED
    found = chosen(index, "arm64")
    assert (found.architectures, found.own, found.others) == (("amd64", "arm64"), True, {"arm64": PUSHED})
    assert len({one.port for one in (alone, both, index)}) == 3


class Hosts:
    """Hosts that tell what they were asked, and a play that ends as it is told."""

    def __init__(self, patch: pytest.MonkeyPatch, folder: Path) -> None:
        self.asked: list[str] = []
        self.played: list[str] = []
        self.labelled = self.owner = self.failing = ""
        self._shown = False
        patch.setattr(access, "ssh", self._ssh)
        self.emulation = Emulation(Lab(folder / "inventory", folder))
        patch.setattr(self.emulation.lab, "play", self._play)

    def _ssh(self, host: str, command: str, stdin: bytes = b"", timeout: float = 600) -> str:
        self.asked.append(f"{host}: {command}")
        if command in (emulation.SHOWN, emulation.HIDDEN):
            self._shown = command == emulation.SHOWN
        if command == emulation.LABELLED:
            return self.labelled
        return self.owner if "spec.owner" in command else ""

    def _play(self, playbook: str, log: str, *_given: Any, **_more: Any) -> int:
        self.played.append(log)
        if playbook == "kraf.edge.cluster":
            self.labelled = f"node/{emulation.NODE}\n" if self._shown else ""
        if log == self.failing:
            raise subprocess.TimeoutExpired(log, 1)
        return 0


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Hosts:
    return Hosts(monkeypatch, tmp_path)


def test_after_a_failure_no_node_is_known_to_emulate(hosts: Hosts) -> None:
    seen = []

    def within() -> None:
        with hosts.emulation.emulating():
            seen.append(hosts.labelled.split())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        within()
    assert seen == [[f"node/{emulation.NODE}"]]
    assert not hosts.labelled
    assert f"{emulation.NODE}: {emulation.HIDDEN}" in hosts.asked
    assert hosts.emulation.wrong == []


def test_an_app_that_stayed_at_the_edge_is_brought_back_before_it_is_taken_away(hosts: Hosts) -> None:
    app = emulation.apps(MADE)[0]
    hosts.owner = "edge"
    hosts.emulation.gone(app)
    assert hosts.played == ["says-arm64-back", "says-arm64-absent"]
    assert any("delete placements.kraf.io says-arm64" in one for one in hosts.asked)


def test_an_app_that_cannot_be_taken_away_does_not_keep_the_others(
    hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_app: App) -> None:
        raise RuntimeError

    hosts.failing = "says-arm64-absent"
    monkeypatch.setattr(hosts.emulation, "refused", fails)
    with pytest.raises(RuntimeError):
        hosts.emulation.run(MADE)
    assert hosts.played == ["says-arm64-absent", "says-both-absent", "says-index-absent"]
    assert len(hosts.emulation.wrong) == 1


@pytest.mark.parametrize("address", ["", "http://10.0.0.2:5000", "http://mirror:5000"])
@pytest.mark.parametrize(("query", "joint"), [("", "?"), ("?_state=x", "?_state=x&")])
def test_a_layer_goes_where_the_registry_wants_it(
    monkeypatch: pytest.MonkeyPatch, address: str, query: str, joint: str
) -> None:
    sent: list[tuple[str, str]] = []
    begun = Mock(status=202, headers={"Location": f"{address}/v2/says/blobs/uploads/7{query}"})

    def ask(_self: says.Registry, method: str, path: str, *_given: Any, **_more: Any) -> tuple[Any, bytes]:
        sent.append((method, path))
        return begun, b""

    monkeypatch.setattr(says.Registry, "_ask", ask)
    found = says.Registry("10.0.0.2:5000").blob("says", b"a layer", "kind")
    assert sent[1:] == [("PUT", f"/v2/says/blobs/uploads/7{joint}digest={found['digest']}")]


def test_a_kernel_without_registrations_is_told_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def run(argv: list[object], **_options: object) -> None:
        raise LabError("command failed with status 32: mount: unknown filesystem type 'binfmt_misc'")

    monkeypatch.setattr(emulator, "FOLDER", tmp_path)
    monkeypatch.setattr(emulator, "run", run)
    with pytest.raises(LabError, match=r"has no binfmt_misc(.|\n)*unknown filesystem"), emulator.registered():
        pass
