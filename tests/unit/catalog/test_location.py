# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""catalog/location and catalog/database: which databases are taken, and what is said of those that are not."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.catalog import location
from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import Device
from ansible_collections.kraf.edge.plugins.module_utils.catalog.store import Catalog, open_catalog
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError

MOUNTS = """\
sysfs /sys sysfs rw 0 0
/dev/sda1 / ext4 rw 0 0
server:/home /home nfs4 rw 0 0
/dev/sdb1 /home/local ext4 rw 0 0
http://127.0.0.1:8081/ /srv/kraf/photos fuse rw 0 0
//nas/share /mnt/my\\040share cifs rw 0 0
/dev/sdc1 /covered ext4 rw 0 0
server:/x /covered nfs rw 0 0
host:/a /sshfs fuse.sshfs rw 0 0
fuse-overlayfs /container fuse.fuse-overlayfs rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "mount_point", "kind"),
    [
        ("/home/anna/catalog.sqlite", "/home", "nfs4"),
        ("/srv/kraf/photos/catalog.sqlite", "/srv/kraf/photos", "fuse"),
        ("/mnt/my share/x", "/mnt/my share", "cifs"),
        ("/covered/x", "/covered", "nfs"),
        ("/sshfs/x", "/sshfs", "fuse.sshfs"),
    ],
)
def test_reg_03_a_file_on_a_network_file_system_is_refused_with_advice(path: str, mount_point: str, kind: str) -> None:
    with pytest.raises(KrafError) as caught:
        location.refuse_network_file_system(Path(path), MOUNTS)
    assert f"{mount_point} is one, of type {kind}" in caught.value.why
    assert "PostgreSQL" in caught.value.fix


@pytest.mark.parametrize("path", ["/var/x", "/home/local/x", "/homes/x", "/container/x", "/srv/kraf/photos2/x"])
def test_reg_03_a_file_on_a_local_file_system_is_taken(path: str) -> None:
    location.refuse_network_file_system(Path(path), MOUNTS)


def test_reg_03_a_link_does_not_hide_the_network_file_system(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/home/anna")
    with pytest.raises(KrafError, match="nfs4"):
        location.refuse_network_file_system(tmp_path / "link" / "catalog.sqlite", MOUNTS)


def test_the_default_is_in_the_users_data_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert location.url_of(None) == location.url_of("") == "sqlite:////data/kraf/catalog.sqlite"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/home/anna")
    assert location.url_of(None) == "sqlite:////home/anna/.local/share/kraf/catalog.sqlite"


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("/a/b.sqlite", "sqlite:////a/b.sqlite"),
        ("sqlite:////a/b.sqlite", "sqlite:////a/b.sqlite"),
        ("postgresql://h/n", "postgresql+psycopg://h/n"),
        ("postgres://h/n", "postgresql+psycopg://h/n"),
        ("postgresql+psycopg2://h/n", "postgresql+psycopg2://h/n"),
    ],
)
def test_a_path_or_a_url_names_the_database(text: str, url: str) -> None:
    assert location.url_of(text) == url


@pytest.mark.parametrize("text", ["mysql://u:canary@h/n", "sqlite://", "sqlite:///", "http://u:canary@h/n"])
def test_another_kind_of_database_is_refused_without_showing_its_password(text: str) -> None:
    with pytest.raises(KrafError) as caught:
        location.url_of(text)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:canary@h/n",
        "postgresql://u:can@ary@h/n",
        "postgresql://u:@canary@h/n",
        "postgresql://h/n?user=u&password=canary",
    ],
)
def test_a_password_is_hidden_wherever_it_stands(url: str) -> None:
    assert "***" in location.hidden(url)
    assert "ary" not in location.hidden(url)


def test_a_missing_database_is_an_error_for_a_reader(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    with pytest.raises(KrafError, match="there is no such database"), open_catalog(str(path)):
        pass
    assert not path.exists()


def test_a_database_without_tables_is_an_error_for_a_reader(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "catalog.sqlite").close()
    (tmp_path / "catalog.sqlite").touch()
    with pytest.raises(KrafError, match="holds no catalog"), open_catalog(str(tmp_path / "catalog.sqlite")):
        pass


def test_a_writer_makes_the_database_and_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "cat?alog#1.sqlite"
    with open_catalog(str(path), write=True) as catalog:
        catalog.put_devices([Device("pi1")])
    with open_catalog(str(path)) as catalog:
        assert [device.name for device in catalog.devices()] == ["pi1"]


def test_a_writer_in_check_mode_makes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "catalog.sqlite"
    with open_catalog(str(path), write=True, check_mode=True) as catalog:
        assert catalog.put_devices([Device("pi1")]).changed
    assert not path.parent.exists()


def test_what_a_failed_writer_wrote_is_taken_back(tmp_path: Path) -> None:
    path = str(tmp_path / "catalog.sqlite")
    with open_catalog(path, write=True) as catalog:
        catalog.put_devices([Device("pi1")])

    def fail(catalog: Catalog) -> None:
        catalog.put_devices([Device("pi2")])
        raise RuntimeError

    with pytest.raises(RuntimeError), open_catalog(path, write=True) as catalog:
        fail(catalog)
    with open_catalog(path) as catalog:
        assert [device.name for device in catalog.devices()] == ["pi1"]


def test_tables_of_a_later_release_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    with open_catalog(str(path), write=True):
        pass
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE kraf_schema SET version = 99")
    with pytest.raises(KrafError, match="version 99"), open_catalog(str(path), write=True):
        pass


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to be looked at" * 20)
    with pytest.raises(KrafError, match="something else than a SQLite database") as caught, open_catalog(str(path)):
        pass
    assert caught.value.value == str(path)


def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    url = "postgresql://kraf:canary@127.0.0.1:1/kraf"
    with pytest.raises(KrafError) as caught, open_catalog(url, write=True):
        pass
    assert "kraf:***@127.0.0.1:1/kraf" in str(caught.value)
    assert "canary" not in str(caught.value)
    assert caught.value.fix.startswith("Check that the database runs")


def test_a_url_that_is_malformed_is_an_error_and_no_traceback() -> None:
    with pytest.raises(KrafError, match="no URL"), open_catalog("postgresql://u:canary@h:port/n"):
        pass
