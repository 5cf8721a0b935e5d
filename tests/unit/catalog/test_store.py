# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""catalog/store: rows that stay apart, also when two operators write at once."""

from __future__ import annotations

import multiprocessing
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import App, Data, Device, Port, Probe
from ansible_collections.kraf.edge.plugins.module_utils.catalog.store import Catalog, open_catalog
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError

FACES = App(
    device="pi1",
    name="faces",
    images={"arm64": "registry/faces:1"},
    container="faces",
    args=("--fast",),
    env=("API_KEY",),
    ports=(Port(80, 8000),),
    data=(Data("results", "/data"),),
    probe=Probe("/health", 80),
)


@pytest.fixture
def path(tmp_path: Path) -> str:
    path = str(tmp_path / "catalog.sqlite")
    with open_catalog(path, write=True) as catalog:
        catalog.put_devices([Device("pi1", machine_id="1" * 32), Device("pi2")])
    return path


def test_a_device_gets_a_uid_and_keeps_it(path: str) -> None:
    with open_catalog(path, write=True) as catalog:
        before = catalog.device("pi1")
        assert before is not None
        assert len(before.uid) == 36
        change = catalog.put_devices([replace(before, uid="", address="10.0.0.1")])
        assert catalog.device("pi1") == replace(before, address="10.0.0.1")
    assert change.before["pi1"]["address"] == ""
    assert change.after["pi1"]["address"] == "10.0.0.1"


def test_a_device_that_comes_again_under_an_old_name_has_another_uid(path: str) -> None:
    with open_catalog(path, write=True) as catalog:
        old = catalog.device("pi1")
        assert catalog.remove_devices(["pi1"]).after == {}
        catalog.put_devices([Device("pi1")])
        new = catalog.device("pi1")
    assert old is not None
    assert new is not None
    assert old.uid != new.uid


def test_rows_that_are_as_wanted_are_no_change(path: str) -> None:
    with open_catalog(path, write=True) as catalog:
        catalog.put_apps([FACES])
        assert not catalog.put_apps([FACES]).changed
        assert not catalog.put_devices(catalog.devices()).changed
        assert not catalog.remove_devices(["pi9"]).changed
        assert not catalog.remove_apps([("pi1", "nosuch"), ("pi9", "faces")]).changed


def test_an_app_is_read_back_as_it_was_put(path: str) -> None:
    with open_catalog(path, write=True) as catalog:
        catalog.put_apps([FACES, replace(FACES, device="pi2", probe=None, overlap=True)])
    with open_catalog(path) as catalog:
        assert catalog.app("pi1", "faces") == FACES
        assert catalog.app("pi2", "faces") == replace(FACES, device="pi2", probe=None, overlap=True)
        assert [app.key for app in catalog.apps("pi1")] == ["pi1/faces"]
        assert [app.key for app in catalog.apps()] == ["pi1/faces", "pi2/faces"]
        assert catalog.app("pi1", "nosuch") is None


def test_an_app_is_changed_and_removed(path: str) -> None:
    with open_catalog(path, write=True) as catalog:
        catalog.put_apps([FACES, replace(FACES, device="pi2")])
        change = catalog.put_apps([replace(FACES, cpu="2")])
        assert (change.before["pi1/faces"]["cpu"], change.after["pi1/faces"]["cpu"]) == ("", "2")
        assert list(catalog.remove_apps([("pi1", "faces")]).before) == ["pi1/faces"]
        assert [app.key for app in catalog.apps()] == ["pi2/faces"]


@pytest.mark.parametrize(("one", "other"), [("Foo", "foo"), ("Pi_4", "pi-4"), ("pi--4", "pi-4")])
def test_reg_01_names_that_fold_to_one_are_refused_and_both_are_named(path: str, one: str, other: str) -> None:
    with open_catalog(path, write=True) as catalog:
        catalog.put_devices([Device(one)])
    with pytest.raises(KrafError) as caught, open_catalog(path, write=True) as catalog:
        catalog.put_devices([Device(other)])
    assert caught.value.facts["devices"] == [one, other]
    assert repr(one) in str(caught.value)
    assert repr(other) in str(caught.value)


def test_reg_01_the_database_itself_refuses_a_second_row_of_a_folded_name(path: str) -> None:
    with sqlite3.connect(path) as connection, pytest.raises(sqlite3.IntegrityError, match="folded"):
        connection.execute("INSERT INTO kraf_device SELECT 'u', 'PI1', 'pi1', NULL, '', '', 0, '{}', '', '', '', ''")


def _put(
    path: str, name: str, barrier: multiprocessing.synchronize.Barrier, answers: multiprocessing.Queue[str]
) -> None:
    barrier.wait()
    try:
        with open_catalog(path, write=True) as catalog:
            catalog.put_devices([Device(name)])
        answers.put("")
    except KrafError as error:
        answers.put(str(error))


def test_reg_01_of_writers_at_the_same_time_one_wins_and_the_others_name_both_rows(tmp_path: Path) -> None:
    names = ["Pi_4", "pi-4", "PI-4", "pi--4"]
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(len(names)), context.Queue()
    path = str(tmp_path / "new.sqlite")
    writers = [context.Process(target=_put, args=(path, name, barrier, answers)) for name in names]
    for writer in writers:
        writer.start()
    said = [answers.get(timeout=60) for _writer in writers]
    for writer in writers:
        writer.join(timeout=60)
    with open_catalog(path) as catalog:
        winner = [device.name for device in catalog.devices()]
    assert len(winner) == 1
    assert said.count("") == 1
    assert all(repr(winner[0]) in text and "same name" in text for text in said if text)


def test_ins_09_two_devices_with_one_machine_id_are_refused_and_both_are_named(path: str) -> None:
    with pytest.raises(KrafError) as caught, open_catalog(path, write=True) as catalog:
        catalog.put_devices([Device("pi3", machine_id="1" * 32)])
    assert caught.value.facts["devices"] == ["pi1", "pi3"]
    assert "truncate -s 0 /etc/machine-id" in caught.value.fix


def test_ins_09_any_number_of_devices_may_have_no_machine_id(path: str) -> None:
    with open_catalog(path, write=True) as catalog:
        catalog.put_devices([Device("pi3"), Device("pi4")])
        assert len(catalog.devices()) == 4


def test_machine_ids_can_change_hands_in_one_call(path: str) -> None:
    with open_catalog(path, write=True) as catalog:
        catalog.put_devices([Device("pi2", machine_id="2" * 32)])
        catalog.put_devices([Device("pi1", machine_id="2" * 32), Device("pi2", machine_id="1" * 32)])
        assert [device.machine_id for device in catalog.devices()] == ["2" * 32, "1" * 32]
        catalog.put_devices([Device("pi3", machine_id="1" * 32), Device("pi2", machine_id="3" * 32)])
        assert [device.machine_id[:1] for device in catalog.devices()] == ["2", "3", "1"]


def test_an_app_of_a_device_that_is_not_registered_is_refused(path: str) -> None:
    with pytest.raises(KrafError, match="no such device") as caught, open_catalog(path, write=True) as catalog:
        catalog.put_apps([replace(FACES, device="PI1")])
    assert caught.value.fix == "Did you mean 'pi1'"


def test_a_device_with_apps_is_not_removed(path: str) -> None:
    with open_catalog(path, write=True) as catalog:
        catalog.put_apps([FACES])
    with pytest.raises(KrafError, match="pi1/faces"), open_catalog(path, write=True) as catalog:
        catalog.remove_devices(["pi2", "pi1"])
    with open_catalog(path) as catalog:
        assert len(catalog.devices()) == 2


@pytest.mark.parametrize(
    "twin",
    [
        replace(FACES, name="faces2", container="c2"),
        replace(FACES, name="faces2", ports=(), container="faces"),
        replace(FACES, name="fa--ces", ports=(), container="c2"),
    ],
)
def test_apps_of_one_device_cannot_share_a_port_a_container_or_a_name(path: str, twin: App) -> None:
    def put(catalog: Catalog) -> None:
        catalog.put_apps([replace(FACES, name="fa-ces" if twin.name == "fa--ces" else "faces")])
        catalog.put_apps([twin])

    with pytest.raises(KrafError) as caught, open_catalog(path, write=True) as catalog:
        put(catalog)
    assert twin.key in caught.value.facts["apps"]


def test_apps_of_two_devices_may_share_everything(path: str) -> None:
    with open_catalog(path, write=True) as catalog:
        assert len(catalog.put_apps([FACES, replace(FACES, device="pi2")]).after) == 2
