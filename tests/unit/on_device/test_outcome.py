# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""on_device/outcome: how a job ended is on its device, whole, root's alone, and the last run's only."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.on_device import files, outcome, placement

GOOD = {
    "result": "succeeded",
    "reason": "",
    "exit_code": 0,
    "runs": 1,
    "started": "2026-05-04T10:00:00Z",
    "finished": "2026-05-04T10:01:30Z",
    "seconds": 90.0,
    "log": "one\nlast",
}
BAD = {**GOOD, "result": "failed", "reason": "OOMKilled", "exit_code": 137, "log": "no good"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(placement, "ROOT", tmp_path / "kraf")
    return tmp_path / "kraf/jobs/train"


def keep(epoch: int, told: dict[str, Any]) -> bool:
    return outcome.keep("train", epoch, json.dumps(told))


def kept(folder: Path) -> tuple[dict[str, Any], str]:
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return result, (folder / "log").read_text()


def test_result_and_log_of_a_job_are_files_of_roots_alone(folder: Path) -> None:
    before = os.umask(0)
    try:
        assert keep(3, GOOD)
    finally:
        os.umask(before)
    result, log = kept(folder)
    assert result == {**{key: value for key, value in GOOD.items() if key != "log"}, "epoch": 3}
    assert log == "one\nlast\n"
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (folder.parent, folder, *folder.iterdir())}
    assert modes == {
        folder.parent: 0o700,
        folder: 0o700,
        folder / "result.json": 0o600,
        folder / "log": 0o600,
    }


def test_what_is_there_is_not_written_again(folder: Path) -> None:
    keep(3, GOOD)
    before = {path.name: path.stat().st_ino for path in folder.iterdir()}
    assert not keep(3, GOOD)
    assert {path.name: path.stat().st_ino for path in folder.iterdir()} == before


def test_a_file_that_others_may_read_is_put_right(folder: Path) -> None:
    keep(3, GOOD)
    (folder / "log").chmod(0o644)
    assert keep(3, GOOD)
    assert stat.S_IMODE((folder / "log").stat().st_mode) == 0o600


def test_nothing_that_is_known_leaves_no_file_and_an_earlier_one(folder: Path) -> None:
    assert not outcome.keep("train", 3, "")
    assert not folder.parent.exists()
    keep(3, GOOD)
    assert not outcome.keep("train", 5, "")
    assert kept(folder)[0]["epoch"] == 3


def test_a_job_that_ran_again_leaves_nothing_of_the_run_before(folder: Path) -> None:
    for epoch, told in ((3, GOOD), (5, BAD), (7, {**GOOD, "log": ""})):
        assert keep(epoch, told)
        result, log = kept(folder)
        assert (result["epoch"], result["exit_code"]) == (epoch, told["exit_code"])
        assert log == (f"{told['log']}\n" if told["log"] else "")
        assert len(list(folder.parent.iterdir())) == 2, "the link, and what it leads to"


@pytest.mark.parametrize("cut", ["log", "result.json", "link"])
def test_a_write_that_is_cut_off_leaves_the_run_before_as_it_was(
    folder: Path, monkeypatch: pytest.MonkeyPatch, cut: str
) -> None:
    keep(3, GOOD)
    before = kept(folder)
    write, replace = files.write, os.replace

    def cut_off(path: Path, content: str, mode: int) -> bool:
        if path.name == cut:
            raise OSError("no space left")
        return write(path, content, mode)

    def no_rename(source: Path, target: Path) -> None:
        if target == folder:
            raise OSError("power")
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(files, "write", cut_off)
        patch.setattr(os, "replace", no_rename)
        with pytest.raises(OSError, match=r"no space left|power"):
            keep(5, BAD)
    assert kept(folder) == before
    (folder.parent / ".train.b/.log.tmp").touch()
    assert keep(5, BAD)
    assert kept(folder)[1] == "no good\n"
    assert {path.name for path in folder.iterdir()} == {"log", "result.json"}
    assert len(list(folder.parent.iterdir())) == 2


def test_files_of_one_app_are_not_anothers(folder: Path) -> None:
    keep(3, GOOD)
    outcome.keep("train-2", 4, json.dumps(BAD))
    assert keep(5, BAD)
    assert kept(folder.with_name("train-2"))[0]["epoch"] == 4
    assert kept(folder)[0]["epoch"] == 5


def test_files_are_durable_before_they_have_their_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep(3, GOOD)
    done: list[str] = []
    sync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        done.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")).name.split("json")[0])
        sync(descriptor)

    def renamed(source: Path, target: Path) -> None:
        replace(source, target)
        if target == folder:
            done.append("link")

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    keep(5, BAD)
    before, after = done[: done.index("link")], done[done.index("link") + 1 :]
    assert {one.split(".")[1] for one in before if one.startswith(".")} >= {"log", "result"}
    assert before[-1] == "jobs"
    assert after == ["jobs"]
