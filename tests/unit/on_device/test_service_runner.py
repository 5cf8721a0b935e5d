# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stopping and starting a unit: what is written, and in which order, as long as systemd does what it is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.on_device import (
    placement,
    runner,
    service,
    service_runner,
    sockets,
    units,
)
from ansible_collections.kraf.edge.plugins.module_utils.on_device.run import Result

FOUND = json.loads((Path(__file__).parent / "systemd_252.json").read_text())
NAME = "ssh.service"
RECORD = placement.Record("faces", container=f"unit:{NAME}", container_id=f"unit:{NAME}", restart_policy="enabled")


class Systemd:
    """Does what it is told, as far as conditions let it, and notes it."""

    def __init__(self, folder: Path) -> None:
        self.drop_in, self.away = folder / "units" / f"{NAME}.d/{service.DROP_IN}", folder / "away" / NAME
        self.active, self.loaded, self.said = True, False, list[str]()

    def reload(self) -> None:
        self.said.append("reload")
        self.loaded = self.drop_in.exists()

    def start(self, *_names: str, timeout: float) -> None:
        self.said.append("start")
        self.active = not (self.loaded and self.away.exists())

    def stop(self, *_names: str, timeout: float) -> Result:
        # Whatever would start it again has to find it kept down already.
        assert self.loaded
        assert self.away.exists()
        self.said.append("stop")
        self.active = False
        return Result((), 0, "", "")

    def load(self, name: str, interface: str) -> dict[str, Any]:
        if name != NAME:
            return dict(FOUND["defaults"])
        condition = ["ConditionPathExists", False, True, str(self.away), 0]
        state = {
            "Conditions": [condition] if self.loaded else [],
            "ActiveState": "active" if self.active else "inactive",
        }
        return {**FOUND[interface.lower()], **(state if interface == "Unit" else {})}


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Systemd:
    found = Systemd(tmp_path)
    monkeypatch.setattr(service, "AWAY", tmp_path / "away")
    monkeypatch.setattr(units, "UNITS", tmp_path / "units")
    monkeypatch.setattr(units, "reload_units", found.reload)
    monkeypatch.setattr(units, "start", found.start)
    monkeypatch.setattr(units, "stop", found.stop)
    monkeypatch.setattr(units, "active", lambda name: found.active)
    monkeypatch.setattr(units, "properties", lambda name, *wanted: dict.fromkeys(wanted, "x"))
    monkeypatch.setattr(service_runner, "run", lambda argv, timeout: Result((), 0, "", ""))
    monkeypatch.setattr(service, "_load", found.load)
    monkeypatch.setattr(sockets, "listening", lambda group: [])
    return found


def test_an_app_of_a_unit_is_run_by_systemd() -> None:
    assert runner.of(RECORD) == service_runner.Serviced(NAME)
    assert runner.named("ssh.service") == runner.Contained("ssh.service")


def test_a_prepared_unit_stops_and_starts_without_a_reload_and_leaves_nothing(systemd: Systemd, tmp_path: Path) -> None:
    runs = runner.of(RECORD)
    runs.prepare()
    assert systemd.active
    systemd.said.clear()
    runs.stop(RECORD)
    assert runs.describe().restart_policy == "no"
    assert runs.start(RECORD)
    assert systemd.said == ["stop", "start"]
    assert systemd.active
    runs.tidy(RECORD)
    assert runs.describe().restart_policy == "enabled"
    assert [path for path in tmp_path.rglob("*") if path.is_file() or path.suffix == ".d"] == []
    assert not systemd.loaded


def test_one_that_was_not_prepared_is_kept_down_all_the_same(systemd: Systemd) -> None:
    runs = runner.of(RECORD)
    runs.stop(RECORD)
    systemd.start(NAME, timeout=1)
    assert not systemd.active


def test_others_drop_ins_stay(systemd: Systemd) -> None:
    runs = runner.of(RECORD)
    runs.prepare()
    other = systemd.drop_in.parent / "override.conf"
    other.write_text("[Service]\n")
    runs.tidy(RECORD)
    assert other.exists()
    assert not systemd.drop_in.exists()


def test_what_is_kept_ready_or_kept_down_is_not_tidied(systemd: Systemd) -> None:
    runs = runner.of(RECORD)
    runs.stop(RECORD)
    runs.tidy(RECORD)
    assert systemd.drop_in.exists()
    runs.start(RECORD)
    runs.tidy(placement.Record("faces", container=f"unit:{NAME}", ways=({"port": 1},)))
    assert systemd.drop_in.exists()


def test_a_unit_that_resets_conditions_is_refused(systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "reload_units", lambda: None)
    with pytest.raises(KrafError, match="it starts although"):
        runner.of(RECORD).prepare()


def test_a_unit_that_does_not_start_is_an_error(systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    systemd.active = False
    monkeypatch.setattr(units, "start", lambda *names, timeout: None)
    with pytest.raises(KrafError, match="systemd did not start it: ConditionResult=x"):
        runner.of(RECORD).start(RECORD)


def test_a_unit_that_does_not_stop_is_an_error(systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "stop", lambda *names, timeout: Result((), 1, "", "job canceled"))
    with pytest.raises(KrafError, match="job canceled"):
        runner.of(RECORD).stop(RECORD)


def test_what_is_gone_is_stopped(systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "find", lambda name: None)
    runner.of(RECORD).stop(RECORD)
    assert systemd.said == []
    assert systemd.away.exists()


@pytest.mark.parametrize(
    ("listens", "found"),
    [
        ([], ("127.0.0.1:22", "*")),
        (["0.0.0.0"], ("127.0.0.1:22", "*")),
        (["::"], ("127.0.0.1:22", "*")),
        (["127.0.0.1", "::1"], ("127.0.0.1:22", "127.0.0.1")),
        (["192.0.2.7"], ("192.0.2.7:22", "192.0.2.7")),
    ],
)
def test_clients_are_led_from_where_it_listens(
    systemd: Systemd, monkeypatch: pytest.MonkeyPatch, listens: list[str], found: tuple[str, str]
) -> None:
    ports = [{"address": one, "port": 22, "protocol": "tcp"} for one in listens]
    monkeypatch.setattr(sockets, "listening", lambda group: ports)
    assert runner.of(RECORD).address(22, "tcp") == found


def test_one_that_listens_on_ipv6_alone_is_refused(systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "listening", lambda group: [{"address": "::1", "port": 22, "protocol": "tcp"}])
    with pytest.raises(KrafError, match="a forward leads to IPv4"):
        runner.of(RECORD).address(22, "tcp")


def test_a_pause_freezes_its_group_until_it_goes_on(
    systemd: Systemd, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    freezer = tmp_path / "cgroup.freeze"
    freezer.write_text("0")
    (tmp_path / "cgroup.events").write_text("populated 1\nfrozen 1\n")
    monkeypatch.setattr(sockets, "freezer", lambda group: freezer)
    runner.of(RECORD).pause(RECORD)
    assert freezer.read_text() == "1"
    runner.of(RECORD).resume(RECORD)
    assert freezer.read_text() == "0"
    # One that does not freeze is let go at once.
    (tmp_path / "cgroup.events").write_text("populated 1\nfrozen 0\n")
    monkeypatch.setattr(service_runner, "FREEZE_LIMIT", 0.05)
    with pytest.raises(KrafError, match="did not freeze"):
        runner.of(RECORD).pause(RECORD)
    assert freezer.read_text() == "0"


def test_a_kernel_that_cannot_freeze_says_so(systemd: Systemd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "freezer", lambda group: None)
    with pytest.raises(KrafError, match="freezes no control group"):
        runner.of(RECORD).pause(RECORD)
    runner.of(RECORD).resume(RECORD)
