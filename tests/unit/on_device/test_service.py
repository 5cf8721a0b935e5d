# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A systemd service as it is described: from what systemd 252 says of ssh.service on a device."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.on_device import service, sockets, units

FOUND = json.loads((Path(__file__).parent / "systemd_252.json").read_text())
NO_PROGRAM = [False, 0, 0, 0, 0, 0, 0, 0]
LISTENS = [{"address": "0.0.0.0", "port": 22, "protocol": "tcp"}]


@pytest.fixture(autouse=True)
def nobody_is_kept_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "AWAY", tmp_path)
    monkeypatch.setattr(sockets, "listening", lambda group: LISTENS)


def described(unit: dict[str, Any] | None = None, **changes: Any) -> service.Service:
    return service.from_properties(
        {**FOUND["unit"], **(unit or {})}, {**FOUND["service"], **changes}, FOUND["defaults"]
    )


def test_a_unit_is_described_in_the_words_of_a_container() -> None:
    found = described()
    assert (found.name, found.id) == ("ssh.service", "unit:ssh.service")
    assert found.running
    assert found.argv == ["/usr/sbin/sshd", "-D", "$SSHD_OPTS"]
    assert found.restart_policy == "enabled"
    assert found.stop_timeout == 90
    assert found.unit["expands"]
    assert found.unit["directories"] == {"runtime": ["/run/sshd"]}
    assert found.unit["commands"] == {"ExecStartPre": 1, "ExecReload": 2}
    assert found.unit["listens"] == LISTENS
    # Whatever it has that a unit which does not exist has not is either a field or a setting.
    assert set(found.settings) == {
        "KillMode",
        "LimitNOFILE",
        "LimitNOFILESoft",
        "NotifyAccess",
        "RestartPreventExitStatus",
    }


def test_arguments_are_taken_as_they_are() -> None:
    argv = ["/bin/x", "two words", "costs $$5", "a'b"]
    found = described(ExecStart=[["/bin/x", argv, *NO_PROGRAM]])
    assert found.argv == ["/bin/x", "two words", "costs $5", "a'b"]
    assert not found.unit["expands"]


def test_values_of_the_environment_are_shown_nowhere(tmp_path: Path) -> None:
    (tmp_path / "env").write_text("B=from-a-file\nTOKEN='canary one'\n")
    found = described(
        Environment=["A=canary-two", "B=1", "EMPTY"],
        EnvironmentFiles=[[f"{tmp_path}/env", False], ["/none-1", True], ["/none-2", False]],
        UnsetEnvironment=["C", "A=other"],
        SetCredential=[["key", [99, 97, 110]]],
    )
    assert found.env["A"] == "canary-two"
    assert (found.env["B"], found.env["TOKEN"]) == ("from-a-file", "canary one")
    assert found.unit["unreadable"] == ["/none-2"]
    assert "canary" not in repr(found)
    assert "canary" not in json.dumps(found.report())
    assert found.report()["settings"]["SetCredential"] == ""


def test_its_directories_are_named_in_its_environment() -> None:
    found = described(StateDirectory=["faces", "faces/more"], DynamicUser=True, User="")
    assert found.env["STATE_DIRECTORY"] == "/var/lib/faces:/var/lib/faces/more"
    assert found.user == "dynamic"


def test_a_user_is_a_number() -> None:
    assert service.identity(described(User="root"))["user"] == 0
    assert service.identity(described())["user"] == 0
    assert service.identity(described(User="12345678"))["user"] == 12345678
    assert service.identity(described(User="no-such-user"))["unknown"] == ["no-such-user"]
    assert service.identity(described(Group="no-such-group"))["unknown"] == ["no-such-group"]


def test_a_dynamic_user_has_the_number_of_its_process() -> None:
    found = described(DynamicUser=True, User="", MainPID=os.getpid())
    at_rest = described(DynamicUser=True, User="", MainPID=0)
    assert service.identity(found)["user"] == (os.getuid() or None)
    assert service.identity(at_rest)["user"] is None


def test_one_that_is_kept_down_has_no_restart_policy(tmp_path: Path) -> None:
    (tmp_path / "ssh.service").write_text("")
    ours = ["ConditionPathExists", False, True, f"{tmp_path}/ssh.service", 1]
    other = ["ConditionPathExists", False, True, "/etc/ssh/no", 1]
    found = described({"Conditions": [ours, other]})
    assert found.restart_policy == "no"
    assert found.unit["conditions"] == ["ConditionPathExists=/etc/ssh/no"]


@pytest.mark.parametrize(("given", "limit"), [(2**64 - 1, -1), (0, -1), (1, 1), (90_000_000, 90), (90_900_000, 90)])
def test_the_time_to_stop_is_in_seconds(given: int, limit: int) -> None:
    assert described(TimeoutStopUSec=given).stop_timeout == limit


def test_capabilities_have_names() -> None:
    found = described(CapabilityBoundingSet=1 << 10 | 1 << 40, AmbientCapabilities=1 << 12)
    assert found.unit["bounding"] == ["NET_BIND_SERVICE", "CHECKPOINT_RESTORE"]
    assert found.unit["ambient"] == ["NET_ADMIN"]


@pytest.mark.skipif(not units.running() or os.geteuid() != 0, reason="systemd is not the init of this machine")
def test_systemd_itself_is_understood() -> None:
    found = service.find("systemd-journald.service")
    assert found is not None
    assert found.running
    assert service.find("kraf-no-such-unit.service") is None


@pytest.mark.parametrize(
    ("unit", "why"),
    [
        ({"LoadState": "bad-setting", "LoadError": ["org.x", "ExecStart= is bad"]}, "ExecStart= is bad"),
        ({"Id": "sshd.service"}, "another name"),
    ],
)
def test_what_cannot_be_loaded_is_refused(unit: dict[str, Any], why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_load", lambda name, interface: {**FOUND["unit"], **unit})
    with pytest.raises(KrafError, match=why):
        service.find("ssh.service")


def test_one_that_does_not_exist_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_load", lambda name, interface: FOUND["defaults"])
    assert service.find("none.service") is None
    with pytest.raises(KrafError, match="systemd on the device has none of this name"):
        service.describe("none.service")
