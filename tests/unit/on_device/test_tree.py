# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""on_device/tree: a copy takes the place of the old data, and gives it back, whatever moment the device dies at."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Callable

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.on_device import tree

NAMES = ("data", "_data", "da ta", "[a-z]*")


class Crash(Exception):
    """The device dies here."""


class Disk:
    """Lets the process die before, or halfway through, its n-th change of the disk."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.left = -1
        self.rename, self.rmtree = os.rename, shutil.rmtree
        monkeypatch.setattr(tree.os, "rename", lambda *given: self._do(self.rename, *given))
        monkeypatch.setattr(tree, "shutil", SimpleNamespace(rmtree=lambda path: self._remove(Path(path))))

    def _count(self) -> bool:
        self.left -= 1
        return self.left == -1

    def _do(self, act: Callable[..., Any], *given: Any) -> None:
        if self._count():
            raise Crash
        act(*given)

    def _remove(self, path: Path) -> None:
        if self._count():
            raise Crash
        for entry in list(path.iterdir())[:1]:
            entry.unlink()
        if self._count():
            raise Crash
        self.rmtree(path)

    def dies(self, after: int, act: Callable[[str, int], object], folder: str) -> bool:
        """Whether the act came to its crash."""
        self.left = after
        try:
            act(folder, 3)
        except Crash:
            return True
        finally:
            self.left = -1
        return False


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def make(root: Path, name: str, leftover: bool = False) -> str:
    folder = root / name
    shutil.rmtree(root, ignore_errors=True)
    for path, text in ((folder, "old"), (Path(tree.beside(str(folder), 3)), "new")):
        path.mkdir(parents=True)
        (path / "content").write_text(text)
        (path / "more").write_text(text)
    if leftover:
        Path(tree.kept(str(folder), 3)).mkdir()
        (Path(tree.kept(str(folder), 3)) / "content").write_text("of an earlier try")
    return str(folder)


def content(folder: str | Path) -> str:
    path = Path(folder) / "content"
    return path.read_text() if path.exists() else ""


def swapped(folder: str) -> bool:
    return content(folder) == "new" and content(tree.kept(folder, 3)) == "old"


def as_before(folder: str) -> bool:
    return content(folder) == "old" and not Path(tree.kept(folder, 3)).exists()


@pytest.mark.parametrize("name", NAMES)
def test_copy_takes_the_place_and_gives_it_back_with_what_was_written(tmp_path: Path, name: str) -> None:
    folder = make(tmp_path / "at", name)
    tree.swap(folder, 3)
    assert swapped(folder)
    (Path(folder) / "content").write_text("written by the new side")
    tree.unswap(folder, 3)
    assert as_before(folder)
    assert content(tree.beside(folder, 3)) == "written by the new side"


def test_both_may_be_repeated(tmp_path: Path) -> None:
    folder = make(tmp_path / "at", "data")
    tree.swap(folder, 3)
    tree.swap(folder, 3)
    assert swapped(folder)
    tree.unswap(folder, 3)
    tree.unswap(folder, 3)
    assert as_before(folder)
    tree.swap(folder, 3)
    assert swapped(folder)


def test_taking_back_what_was_never_put_in_place_changes_nothing(tmp_path: Path) -> None:
    folder = make(tmp_path / "at", "data")
    tree.unswap(folder, 3)
    assert content(folder) == "old"
    assert content(tree.beside(folder, 3)) == "new"


@pytest.mark.parametrize("leftover", [False, True])
@pytest.mark.parametrize("then", ["swap", "unswap"])
def test_swap_that_died_anywhere_is_finished_or_taken_back(
    tmp_path: Path, disk: Disk, then: str, leftover: bool
) -> None:
    crashes = 0
    for moment in range(10):
        folder = make(tmp_path / "at", "data", leftover)
        crashes += disk.dies(moment, tree.swap, folder)
        assert "old" in (content(folder), content(tree.kept(folder, 3)))
        if then == "swap":
            tree.swap(folder, 3)
            assert swapped(folder)
        elif not leftover:
            tree.unswap(folder, 3)
            assert as_before(folder)
    assert crashes == (4 if leftover else 2)


@pytest.mark.parametrize("then", ["swap", "unswap"])
def test_unswap_that_died_anywhere_is_finished_or_put_in_place_again(tmp_path: Path, disk: Disk, then: str) -> None:
    crashes = 0
    for moment in range(10):
        folder = make(tmp_path / "at", "data")
        tree.swap(folder, 3)
        crashes += disk.dies(moment, tree.unswap, folder)
        assert "old" in (content(folder), content(tree.kept(folder, 3)))
        assert "new" in (content(folder), content(tree.beside(folder, 3)))
        if then == "swap":
            tree.swap(folder, 3)
            assert swapped(folder)
        else:
            tree.unswap(folder, 3)
            assert as_before(folder)
    assert crashes == 2


def test_device_that_never_had_the_data_gets_them(tmp_path: Path) -> None:
    folder = make(tmp_path / "at", "data")
    shutil.rmtree(folder)
    tree.swap(folder, 3)
    assert content(folder) == "new"


def test_nothing_there_at_all_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KrafError, match="neither it nor its copy"):
        tree.swap(str(tmp_path / "data"), 3)


@pytest.mark.parametrize("name", NAMES)
def test_purge_keeps_the_newest_replaced_tree_and_everything_that_is_not_ours(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    gone = [f"{name}.kraf-2", f"{name}.kraf-before-3", f"{name}.kraf-before-9"]
    kept = [
        name,
        "other.kraf-2",
        f"{name}.kraf-4",
        f"{name}.kraf-5",
        f"{name}.kraf-before-11",
        f"{name}.kraf-x",
        f"x{name}.kraf-2",
    ]
    for one in (*gone, *kept):
        (tmp_path / one).mkdir()
    assert sorted(Path(one).name for one in tree.purge(str(folder), 5)) == sorted(gone)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)
    assert tree.purge(str(folder), 5) == []
