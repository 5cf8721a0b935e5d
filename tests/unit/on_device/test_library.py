# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""on_device/library: the code that stays on the device, of which release it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ansible_collections.kraf.edge.plugins.module_utils.core import release
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.on_device import library

GALAXY = Path(__file__).parents[3] / "galaxy.yml"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(library, "FOLDER", tmp_path)
    return tmp_path


def of(monkeypatch: pytest.MonkeyPatch, number: str) -> None:
    monkeypatch.setattr(release, "RELEASE", number)


def test_the_code_knows_its_release() -> None:
    assert yaml.safe_load(GALAXY.read_text())["version"] == release.RELEASE


def test_releases_in_their_order() -> None:
    ordered = ["", "0.1.0", "0.2.0-rc.1", "0.2.0", "0.10.0", "1.0.0"]
    assert sorted(ordered, key=release.order) == ordered


def test_an_older_operator_leaves_a_later_release_s_code(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of(monkeypatch, "0.3.0")
    assert library.install()
    script = library.install_script("deadman", "ends a hold.", "deadman.fire(sys.argv[1])")
    script.write_text("the later one's")
    file = next(folder.rglob("library.py"))
    file.write_text("the later one's, too")
    of(monkeypatch, "0.2.0")
    assert not library.install()
    library.install_script("deadman", "ends a hold.", "deadman.fire(sys.argv[1])")
    assert (script.read_text(), file.read_text()) == ("the later one's", "the later one's, too")
    assert (folder / "release").read_text() == "0.3.0\n"


def test_a_later_operator_replaces_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of(monkeypatch, "0.2.0")
    library.install()
    next(folder.rglob("library.py")).write_text("the older one's")
    of(monkeypatch, "0.2.1")
    assert library.install()
    assert "RELEASE" in next(folder.rglob("library.py")).read_text()
    assert not library.install()


def test_what_a_later_release_lacks_is_said_and_not_mixed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of(monkeypatch, "2.0.0")
    library.install()
    next(folder.rglob("library.py")).unlink()
    of(monkeypatch, "1.0.0")
    with pytest.raises(KrafError, match=r"release 2\.0\.0.*lacks .*library\.py.*1\.0\.0"):
        library.install()
    assert not list(folder.rglob("library.py"))
