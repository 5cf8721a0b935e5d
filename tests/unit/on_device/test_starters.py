# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What would start a container again: found by name, id or compose project, wherever it stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.on_device import starters

ID = "73a15b31635a526d78b9a8361980b8404eca9182e359a325eab02a8c651d3c4e"
WEB: dict[str, Any] = {"name": "web", "id": ID, "compose": None}
STACK = {
    **WEB,
    "compose": {"project": "stack", "service": "web", "files": ["/srv/stack/c.yml"], "folder": "/srv/stack"},
}


def write(root: Path, path: str, text: str) -> None:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)


def enable(root: Path, unit: str, name: str = "") -> None:
    folder = root / "etc/systemd/system/multi-user.target.wants"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / (name or unit)).symlink_to(f"/etc/systemd/system/{unit}")


UNIT = "[Service]\nExecStart={}\n"


@pytest.mark.parametrize(
    "command",
    [
        "/usr/bin/docker start -a web",
        "/usr/bin/docker run --rm --name web nginx",
        f"docker start {ID[:12]}",
        "/usr/bin/podman start web",
        "/opt/start-web",
    ],
)
def test_a_unit_is_found_by_what_it_runs(tmp_path: Path, command: str) -> None:
    write(tmp_path, "etc/systemd/system/kitchen.service", UNIT.format(command))
    write(tmp_path, "opt/start-web", "#!/bin/sh\nexec docker start web\n")
    assert starters.find(WEB, tmp_path) == [{"kind": "unit", "source": "kitchen.service", "starts": False}]
    enable(tmp_path, "kitchen.service")
    assert [one["starts"] for one in starters.find(WEB, tmp_path)] == [True]


@pytest.mark.parametrize(
    "text",
    [
        UNIT.format("/usr/bin/docker start website"),
        UNIT.format("/usr/bin/docker start my-web"),
        UNIT.format("/usr/bin/nginx web"),
        "[Service]\n# ExecStart=docker start web\nExecStart=/bin/true\n",
        "[Unit]\nAfter=docker.service\nDescription=web\n",
    ],
)
def test_what_names_another_container_or_none_is_left_alone(tmp_path: Path, text: str) -> None:
    write(tmp_path, "etc/systemd/system/other.service", text)
    assert starters.find(WEB, tmp_path) == []


@pytest.mark.parametrize(
    "command",
    [
        "docker compose -f /srv/stack/c.yml up",
        "docker compose --project-directory /srv/stack up -d",
        "docker-compose -p stack start",
    ],
)
def test_mig_17_a_unit_of_the_compose_project_is_found(tmp_path: Path, command: str) -> None:
    write(tmp_path, "lib/systemd/system/stack-up.service", UNIT.format(command))
    assert starters.find(WEB, tmp_path) == []
    assert [one["source"] for one in starters.find(STACK, tmp_path)] == ["stack-up.service"]


def test_a_unit_that_a_timer_starts_starts_by_itself(tmp_path: Path) -> None:
    write(tmp_path, "etc/systemd/system/nightly.service", UNIT.format("docker start web"))
    enable(tmp_path, "nightly.timer")
    assert [one["starts"] for one in starters.find(WEB, tmp_path)] == [True]


def test_a_drop_in_counts_for_its_unit_and_a_masked_unit_for_nothing(tmp_path: Path) -> None:
    write(tmp_path, "etc/systemd/system/a.service.d/x.conf", UNIT.format("docker start web"))
    (tmp_path / "etc/systemd/system/b.service").symlink_to("/dev/null")
    write(tmp_path, "etc/systemd/system/kraf-deadman@.service", UNIT.format("docker start web"))
    assert [one["source"] for one in starters.find(WEB, tmp_path)] == ["a.service"]


@pytest.mark.parametrize(
    "path", ["etc/crontab", "etc/cron.d/web", "etc/cron.daily/web", "var/spool/cron/crontabs/pi", "etc/rc.local"]
)
def test_an_entry_of_cron_is_found_by_its_file(tmp_path: Path, path: str) -> None:
    write(tmp_path, path, "# docker start other\n@reboot root docker start web\n")
    assert starters.find(WEB, tmp_path) == [{"kind": "cron", "source": f"/{path}", "starts": True}]


def test_a_program_that_is_no_text_is_not_searched(tmp_path: Path) -> None:
    write(tmp_path, "etc/crontab", "@reboot root /opt/program\n")
    (tmp_path / "opt").mkdir()
    (tmp_path / "opt/program").write_bytes(b"\x7fELF\0docker web")
    assert starters.find(WEB, tmp_path) == []
