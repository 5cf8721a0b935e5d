# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""on_device/leave: what of kraf.edge is found on a device, and that nothing goes while data could be lost."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.on_device import leave, outcome, placement, service
from ansible_collections.kraf.edge.plugins.module_utils.on_device.run import Result

MOUNTS = """\
proc /proc proc rw 0 0
systemd-1 /srv/kraf/photos autofs rw 0 0
http://127.0.0.1:8100/ /srv/kraf/photos fuse rw 0 0
http://127.0.0.1:8101/ /srv/kraf/photos/my\\040films fuse rw 0 0
http://dav.example.org/ /mnt/mine fuse rw 0 0
https://localhost:1/ /mnt/overlay overlay rw 0 0
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A device with one volume mounted, another one of its owner's own, and a forward."""
    units = tmp_path / "etc/systemd/system"
    for folder in (units, tmp_path / "proc", tmp_path / "etc/kraf/tls", tmp_path / "etc/davfs2"):
        folder.mkdir(parents=True)
    (tmp_path / "proc/mounts").write_text(MOUNTS)
    (tmp_path / "etc/kraf/tls/device.pem").write_text("key")
    (tmp_path / "etc/davfs2/secrets").write_text('# mine\nhttp://dav.example.org/ a b\n"/srv/kraf/photos" u p\n')
    (units / "kraf-forward.service").touch()
    (units / "kraf-deadman@.timer").touch()
    for name, source in (("srv-kraf-photos", "http://127.0.0.1:8100/"), ("mnt-mine", "http://dav.example.org/")):
        (units / f"{name}.mount").write_text(f"[Mount]\nWhat={source}\nWhere=/{name.replace('-', '/')}\n")
        (units / f"{name}.automount").touch()
    return tmp_path


@pytest.fixture
def asked(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Commands that were run; an unmount takes the line out of the list of mounts."""
    commands: list[str] = []

    def run(argv: list[str], _timeout: float = 0, _stdin: str = "") -> Result:
        commands.append(" ".join(argv))
        if argv[0] == "umount":
            lines = (root / "proc/mounts").read_text().splitlines(keepends=True)
            gone = argv[1].replace(" ", "\\040")
            (root / "proc/mounts").write_text("".join(line for line in lines if line.split(" ")[1] != gone))
        return Result(tuple(argv), 1 if argv[0] == "nft" else 0, "", "")

    monkeypatch.setattr(leave, "run", run)
    monkeypatch.setattr(leave.units, "run", run)
    monkeypatch.setattr(leave.units, "reload_units", lambda: commands.append("reload"))
    return commands


def test_what_is_mounted_through_forwards_is_found_the_innermost_first() -> None:
    assert leave.mounted(MOUNTS) == ["/srv/kraf/photos/my films", "/srv/kraf/photos"]


def test_what_is_ours_is_found_and_what_is_the_owners_is_not(root: Path, asked: list[str]) -> None:
    found = leave.look(root)
    assert [path.name for path in found.units] == [
        "kraf-deadman@.timer",
        "kraf-forward.service",
        "srv-kraf-photos.mount",
        "srv-kraf-photos.automount",
    ]
    assert found.folders == (root / "etc/kraf",)
    assert found.secrets == (2,)
    assert not found.redirected


def test_the_condition_of_a_unit_goes_and_its_owners_drop_in_stays(root: Path, asked: list[str]) -> None:
    folders = [root / f"etc/systemd/system/{name}.service.d" for name in ("faces", "meter")]
    for folder in folders:
        folder.mkdir()
        (folder / "zzz-kraf.conf").touch()
    (folders[1] / "override.conf").touch()
    leave.leave(leave.look(root), 600, root)
    assert not folders[0].exists()
    assert [path.name for path in folders[1].iterdir()] == ["override.conf"]
    assert asked[-1] == "reload"


def test_everything_of_ours_is_taken_away_and_a_second_look_finds_nothing(root: Path, asked: list[str]) -> None:
    leave.leave(leave.look(root), 600, root)
    assert not leave.look(root).anything
    left = sorted(path.name for path in (root / "etc/systemd/system").iterdir())
    assert left == ["mnt-mine.automount", "mnt-mine.mount"]
    assert (root / "etc/davfs2/secrets").read_text() == "# mine\nhttp://dav.example.org/ a b\n"
    assert not (root / "etc/kraf").exists()
    stops = [number for number, command in enumerate(asked) if "stop" in command or "umount" in command]
    assert [asked[number].split()[-1] for number in stops] == [
        "srv-kraf-photos.automount",
        "films",
        "/srv/kraf/photos",
        "kraf-*",
    ]


def test_what_jobs_have_left_goes_with_the_rest(root: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "ROOT", root / "var/lib/kraf")
    outcome.keep("train", 3, '{"result": "succeeded", "log": "password: hunter2"}')
    assert root / "var/lib/kraf/jobs" in leave.look(root).folders
    leave.leave(leave.look(root), 600, root)
    assert list((root / "var/lib/kraf").iterdir()) == []
    assert not leave.look(root).anything


def test_a_mount_that_stays_leaves_everything_as_it_is(
    root: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(argv: list[str], _timeout: float = 0, _stdin: str = "") -> Result:
        return Result(tuple(argv), 32, "", "umount: target is busy.")

    found = leave.look(root)
    monkeypatch.setattr(leave, "run", busy)
    with pytest.raises(KrafError, match="target is busy") as caught:
        leave.leave(found, 600, root)
    assert caught.value.value == "/srv/kraf/photos/my films"
    assert leave.look(root).units == found.units
    assert (root / "etc/kraf/tls/device.pem").exists()


def test_all_that_the_device_remembers_of_apps_is_known() -> None:
    sources = "".join(path.read_text() for path in Path(leave.__file__).parent.glob("*.py"))
    folders = {f"var/lib/kraf/{name}" for name in re.findall(r'ROOT / "([a-z-]+)"', sources)}
    assert folders | {str(service.AWAY.relative_to("/"))} <= set(leave.LEFT)
