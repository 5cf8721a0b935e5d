"""Mounts of real davfs2 on real servers: what it sends, what it leaves, and that nothing waits for ever."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from io import RawIOBase
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.catalog.store import open_catalog
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.on_device import davfs, mounts
from ansible_collections.kraf.edge.plugins.modules import mount as module
from tests.integration import modules, webdav
from tests.integration.webdav import Server
from tests.unit.on_device.test_davfs import PASSWORDS

from . import parts
from .mounting import Init, Stub, daemons

Mount = Callable[..., dict[str, Any]]
POINT = Path("/srv/kraf/photos")
UNIT = "srv-kraf-photos.mount"


@pytest.fixture
def server(init: Init, tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "server").mkdir()
    with webdav.serving(tmp_path / "server") as running:
        yield running


@pytest.fixture
def mount(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Mount:
    """The module, on this device."""

    def call(**options: Any) -> dict[str, Any]:
        given = {"name": "photos", "username": "pi1", "password": "secret", **options}
        return modules.run(module, given, False, monkeypatch, capsys)

    return call


def test_dav_08_a_mount_is_made_listed_proven_and_then_left_alone(mount: Mount, server: Server) -> None:
    first = mount(port=server.port)
    assert first["changed"]
    (POINT / "file").write_text("text")
    assert set(os.listdir(POINT)) == {"file", "lost+found"}
    again = mount(port=server.port)
    assert (again["changed"], again["differed"]) == (False, [])
    gone = mount(state="absent")
    assert gone["changed"]
    assert (server.files / "file").read_text() == "text"
    assert not POINT.exists()


def test_dav_01_dav_03_every_password_logs_in(mount: Mount, server: Server) -> None:
    passwords = [*PASSWORDS, "a" * davfs.LONGEST_PASSWORD]
    lines = [f"user{number}:{password}\n" for number, password in enumerate(passwords)]
    (server.root / "credentials/users").write_text("".join(lines))
    # The canary writes through the mount and asks the server itself, both with the password.
    failed = {}
    for number, password in enumerate(passwords):
        options = {"name": f"p{number}", "username": f"user{number}", "password": password, "port": server.port}
        result = mount(**options)
        if result["failed"]:
            failed[password] = result["msg"]
    assert failed == {}


def test_dav_02_a_server_sees_nothing_but_the_real_pair(mount: Mount, init: Init) -> None:
    with Stub().running() as stub:
        mounts.SECRETS.write_text("\ufeff# a file that an editor of Windows saved\n", encoding="utf-8")
        assert mount(port=stub.port, canary="never")["changed"]
        os.listdir(POINT)
        assert mount(state="absent")["changed"]
        assert stub.seen == {"pi1:secret"}


UNUSABLE = [
    "",
    '"/srv/kraf/photos" "pi1"',
    '"/srv/kraf/photos" "pi1" #secret',
    '"/srv/kraf/photos" "pi1" ""',
    '# "/srv/kraf/photos" "pi1" "secret"',
    '\ufeff"/srv/kraf/photos" "pi1" "secret"',
    '"/srv/kraf/photos2" "pi1" "secret"',
    '"/srv/kraf/photos" "pi1" "secret',
]


def test_dav_02_without_a_usable_entry_nothing_is_mounted_and_nothing_is_sent(mount: Mount, init: Init) -> None:
    with Stub().running() as stub:
        assert mount(port=stub.port, canary="never")["changed"]
        init.stop(UNIT)
        stub.seen.clear()
        for line in UNUSABLE:
            mounts.SECRETS.write_text(f"{line}\n", encoding="utf-8")
            # As the automount unit does it at the next access.
            with pytest.raises(KrafError, match="no user and password for /srv/kraf/photos"):
                init.start(UNIT)
        assert stub.seen == set()


def test_dav_05_nothing_is_written_below_a_mount_point_where_nothing_is_mounted(
    mount: Mount, server: Server, init: Init
) -> None:
    mount(port=server.port)
    init.stop(UNIT)
    with pytest.raises(PermissionError):
        (POINT / "file").write_text("on the card")
    assert mount(port=server.port)["differed"] == ["mount"]
    (POINT / "file").write_text("on the volume")
    assert not mount(state="absent")["failed"]
    assert (server.files / "file").read_text() == "on the volume"


def test_dav_05_what_a_mount_would_hide_is_named(mount: Mount, server: Server) -> None:
    POINT.mkdir(parents=True)
    (POINT / "before").write_text("old")
    result = mount(port=server.port)
    assert result["failed"]
    assert "1 entries (before) that a mount would hide" in result["msg"]
    assert (POINT / "before").read_text() == "old"


def silent() -> socket.socket:
    """A port that takes connections and never answers."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.listen(64)
    return listener


def test_dav_07_a_wrong_password_is_an_error(mount: Mount, server: Server) -> None:
    result = mount(port=server.port, password="other")
    assert result["failed"]
    assert "Could not authenticate to server" in result["msg"]
    assert not mounts.mounted(str(POINT))


def test_dav_07_a_server_that_never_answers_is_an_error_within_the_limit(mount: Mount, init: Init) -> None:
    with silent() as listener:
        result = mount(port=listener.getsockname()[1], timeout=2)
    assert result["failed"]
    assert "within 2 s" in result["msg"]
    assert not mounts.mounted(str(POINT))


def test_dav_07_a_server_that_falls_silent_is_an_error_within_the_limit(mount: Mount, server: Server) -> None:
    mount(port=server.port)
    with silent() as listener:
        result = mount(port=listener.getsockname()[1], canary="always", timeout=2)
    assert result["failed"]


def test_dav_07_a_daemon_that_died_is_not_taken_for_a_mount(mount: Mount, server: Server, init: Init) -> None:
    mount(port=server.port)
    (POINT / "file").write_text("text")
    parts.until((server.files / "file").exists, what="the file on the server")
    os.kill(daemons()[0], signal.SIGKILL)
    parts.until(lambda: not mounts.mounted(str(POINT)), what="the end of the mount")
    result = mount(port=server.port)
    assert result["differed"] == ["mount"]
    assert (POINT / "file").read_text() == "text"
    assert len(result["quarantined"]) == 1


def test_reg_03_a_catalog_on_a_mount_is_refused(mount: Mount, server: Server) -> None:
    mount(port=server.port)
    with (
        pytest.raises(KrafError, match="network file systems, and /srv/kraf/photos is one, of type fuse"),
        open_catalog(str(POINT / "catalog.sqlite"), write=True),
    ):
        pass
    assert set(os.listdir(POINT)) == {"lost+found"}


@pytest.fixture
def small(init: Init) -> Path:
    """A disk of 64 MiB for the cache."""
    folder = Path("/var/lib/kraf/small")
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)], check=True)
    return folder


def test_dav_06_a_cache_that_would_fill_its_disk_is_refused(mount: Mount, small: Path, server: Server) -> None:
    result = mount(port=server.port, cache_dir=str(small))
    assert result["failed"]
    assert "the file system of /var/lib/kraf/small has 64 MiB" in result["msg"]
    assert "Take at most 32" in result["msg"]
    assert not POINT.exists()


def fill(file: RawIOBase, size: int) -> None:
    while size:
        size -= file.write(bytes(min(size, 2**20))) or 0


def test_dav_06_a_file_larger_than_the_disk_of_the_cache_ends_with_an_error_and_the_mount_goes_on(
    mount: Mount, small: Path, server: Server
) -> None:
    assert modules.warnings(mount(port=server.port, cache_dir=str(small), cache_mib=16)) == []
    (POINT / "before").write_bytes(b"b" * 1_000_000)
    with (POINT / "large").open("wb", buffering=0) as file:
        with pytest.raises(OSError, match="No space left") as failed:
            fill(file, 100_000_000)
        again = mount(port=server.port, cache_dir=str(small), cache_mib=16)
    assert failed.value.errno == errno.ENOSPC
    assert not again["failed"]
    assert again["cache"]["used"] > again["cache"]["limit"] == 16 * 2**20
    assert "holds 64 MiB, its limit is 16 MiB" in modules.warnings(again)[0]
    (POINT / "large").unlink()
    (POINT / "after").write_bytes(b"a" * 1_000_000)
    assert not mount(state="absent")["failed"]
    assert (server.files / "before").read_bytes() == b"b" * 1_000_000
    assert (server.files / "after").read_bytes() == b"a" * 1_000_000


def test_dav_06_a_disk_without_room_for_the_cache_is_told(mount: Mount, small: Path, server: Server) -> None:
    (small / "other").write_bytes(bytes(50 * 2**20))
    result = mount(port=server.port, cache_dir=str(small / "cache"), cache_mib=16)
    assert not result["failed"]
    assert "has 14 MiB free, and the cache may take 16 MiB" in modules.warnings(result)[0]


def write_while(server: Server, is_away: int) -> None:
    """Three files that davfs2 has and the server has not."""
    opened = [(POINT / f"file{number}").open("w") for number in range(3)]
    server.signal(is_away)
    for file in opened:
        file.write("text")
        file.close()


def test_dav_12_what_a_silent_server_did_not_get_is_pending_and_arrives_later(
    mount: Mount, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(davfs.SETTINGS, "read_timeout", "1")
    mount(port=server.port)
    try:
        write_while(server, signal.SIGSTOP)
        result = mount(state="absent", timeout=2)
    finally:
        server.signal(signal.SIGCONT)
    assert result["failed"]
    assert "pending: 3 files" in result["msg"]
    again = mount(state="absent")
    assert not again["failed"], again["msg"]
    assert [path.read_text() for path in server.files.glob("file*")] == ["text"] * 3


def test_dav_12_what_a_server_that_is_down_did_not_get_is_pending_and_arrives_later(
    mount: Mount, server: Server
) -> None:
    mount(port=server.port)
    write_while(server, signal.SIGKILL)
    result = mount(state="absent")
    assert result["failed"]
    assert "pending: 3 files" in result["msg"]
    assert mounts.SECRETS.read_text() != ""
    with webdav.started(server.root):
        assert not mount(state="absent")["failed"]
    assert [path.read_text() for path in server.files.glob("file*")] == ["text"] * 3
