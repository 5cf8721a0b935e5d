# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Data on the mount of a volume: what the app has at the edge, what the mover's scripts find, what is reported."""

from __future__ import annotations

import base64
import dataclasses
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import App, Data, Port
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.manifests import export, mover, standby, workload
from ansible_collections.kraf.edge.plugins.module_utils.manifests.workload import Disk, Process, Workload
from ansible_collections.kraf.edge.plugins.module_utils.on_device import disk as on_device
from ansible_collections.kraf.edge.plugins.module_utils.on_device.davfs import Mount
from ansible_collections.kraf.edge.plugins.module_utils.placement import disks, portable_storage

DATA = (Data("results", "/data"), Data("own", "/own"))
APP = App("pi1", "faces", images={"amd64": "r/faces:1"}, ports=(Port(8000, 80),), data=DATA)
DISK = Disk("results", "photos", "faces/out", "n2")
WANTED = Workload(APP, "uid", Process(("run",)), "r/faces@sha256:1", "r/edge:1", ("amd64",), 2, 7, disks=(DISK,))
Script = Callable[[str], str]


def spec() -> dict[str, Any]:
    return dict(workload.running(WANTED)["spec"]["template"]["spec"])


def test_the_app_has_the_volume_itself_and_the_copy_of_the_rest() -> None:
    mounts = {one["mountPath"]: (one["name"], one["subPath"]) for one in spec()["containers"][0]["volumeMounts"]}
    assert mounts == {"/data": ("disk-photos", "files/faces/out"), "/own": ("data", "7/own")}
    claims = {one["name"]: one["persistentVolumeClaim"]["claimName"] for one in spec()["volumes"]}
    assert claims == {"data": "app-faces", "disk-photos": "photos"}


def test_the_marker_stays_on_the_app_s_own_volume() -> None:
    assert [one["name"] for one in spec()["initContainers"][0]["volumeMounts"]] == ["data"]


def test_the_app_can_use_the_files_of_the_volume_s_server() -> None:
    assert spec()["securityContext"]["supplementalGroups"] == [export.USER]


def test_the_pod_runs_where_the_volume_can_be_mounted() -> None:
    assert spec()["nodeSelector"]["kubernetes.io/hostname"] == "n2"
    pod = mover.pod(mover.Mover("pi1", "uid", "faces", 1, 1, "r/edge:1", "t", disks=(DISK,)))
    assert pod["spec"]["nodeSelector"] == {"kubernetes.io/hostname": "n2"}


def test_a_standby_remembers_it() -> None:
    assert standby.read(standby.secret(WANTED)) == WANTED


def test_an_export_whose_volume_is_taken_has_no_pod() -> None:
    data = {"username": "", "password": "", "users": "", "tls.crt": "", "tls.key": "", "ca.crt": ""}
    served = export.Export("pi1", "uid", "photos", "r/edge:1")
    held = export.objects(dataclasses.replace(served, held_by="faces"), data, {})[-1]
    assert (held["spec"]["replicas"], held["metadata"]["annotations"]) == (0, {export.HELD_BY: "faces"})
    free = export.objects(served, data, {})[-1]
    assert free["spec"]["replicas"] == 1
    assert held["spec"]["template"] == free["spec"]["template"]


def look(owner: str, data: dict[str, Any], remembered: list[list[str]]) -> dict[str, Any]:
    return {"container": {"data": data}, "record": {"owner": owner, "phase": "idle", "disks": remembered}}


ON = {"results": {"volume": "photos", "inside": "faces/out", "mounted": True}}


def test_what_is_known_of_a_volume_outlives_a_further_look() -> None:
    assert disks.read(APP, look("device", ON, []), (DISK,)) == (DISK,)


@pytest.mark.parametrize("data", [{"results": {}}, {"results": {"volume": "other"}}, {}])
def test_data_that_lay_on_a_volume_and_do_no_more_are_refused(data: dict[str, Any]) -> None:
    with pytest.raises(KrafError, match="volume photos"):
        disks.read(APP, look("edge", data, [["results", "photos"]]))
    assert disks.read(APP, look("device", {"results": {}}, [["results", "photos"]])) == ()


def test_the_report_says_that_nothing_is_copied_and_names_what_does_not_fit() -> None:
    unsuited = [{"path": "a/b.db", "why": "a SQLite database"}]
    one = {
        **ON["results"],
        "path": "/data",
        "folder": "/srv/kraf/photos/faces/out",
        "exists": True,
        "mount_point": False,
    }
    found = {"running": True, "data": {"results": {**one, "unsuited": unsuited}}}
    rows = {row["property"]: row for row in portable_storage.rows(APP, found)}
    assert "nothing is copied" in rows["data results"]["why"]
    assert rows["file a/b.db of data results"]["verdict"] == "lost"
    assert "mount of data results" not in rows
    assert "open files of data results" not in rows
    found["data"]["results"].update(unseen=["hub (12)"], unnamed=3)
    rows = {row["property"]: row for row in portable_storage.rows(APP, found)}
    assert "3 more files of data results" in rows
    assert "hub (12)" in rows["open files of data results"]["why"]
    found["data"]["results"]["mounted"] = False
    rows = {row["property"]: row for row in portable_storage.rows(APP, found)}
    assert rows["mount of data results"]["verdict"] == "refused"


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    found = tmp_path / "disks/disk-photos/files"
    (found / "sub").mkdir(parents=True)
    (found / "sub/one").write_bytes(b"1")
    (found / os.fsdecode(b"n\xff \n\\x")).write_bytes(b"22")
    (found / "lost+found").mkdir()
    box = tmp_path / "box/files/token"
    box.mkdir(parents=True)
    (tmp_path / "token").write_text("token")
    return found


@pytest.fixture
def script(tmp_path: Path, volume: Path) -> Callable[..., str]:
    """One of the mover's scripts, run here."""

    def execute(text: str, *arguments: str) -> str:
        for old, new in (
            (mover.DISKS, "/disks"),
            (mover.BOX, "/box"),
            ("/kraf/secret/token", "/token"),
        ):
            text = text.replace(old, f"{tmp_path}{new}")
        result = subprocess.run(["sh", "-c", text, "x", *arguments], stdout=subprocess.PIPE, text=True, check=True)
        return result.stdout

    return execute


def device(volume: Path) -> on_device.Disk:
    return on_device.Disk("results", str(volume), Mount("photos", str(volume), 1, "kraf"))


def test_mover_and_device_say_the_same_of_the_same_directory(
    tmp_path: Path, volume: Path, script: Callable[..., str]
) -> None:
    told = tmp_path / "box/files/token/disk-results"
    told.write_text(on_device.told(on_device.read(device(volume))))
    assert script(mover.COMPARE, "results", str(volume), "all") == ""
    script(mover.SHOW, "results", str(volume), "auto")
    on_device.compare(device(volume), told.read_text())


@pytest.mark.parametrize("change", ["changed", "more", "less"])
def test_mover_names_what_differs(tmp_path: Path, volume: Path, script: Callable[..., str], change: str) -> None:
    (tmp_path / "box/files/token/disk-results").write_text(on_device.told(on_device.read(device(volume))))
    if change == "less":
        (volume / "sub/one").unlink()
    else:
        (volume / f"sub/{'one' if change == 'changed' else 'two'}").write_bytes(b"9")
    assert "sub/" in script(mover.COMPARE, "results", str(volume), "all")


def test_mover_names_what_a_mount_does_not_show(tmp_path: Path, volume: Path, script: Callable[..., str]) -> None:
    (volume / "link").symlink_to("sub")
    os.mkfifo(volume / "pipe")
    os.link(volume / "sub/one", volume / "hard")
    said = script(mover.SHOW, "results", str(volume), "auto").splitlines()
    assert sorted(said) == ["f hard", "f sub/one", "l link", "p pipe"]
    records = base64.b64decode((tmp_path / "box/files/token/disk-results").read_text()).split(b"\0")
    assert {b"x - link", b"x - pipe"} <= set(records)
