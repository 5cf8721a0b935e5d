# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A push whose process ends, with a word or without; pushes themselves: tests/integration/device/test_push.py."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.on_device import placement, pushing
from ansible_collections.kraf.edge.plugins.module_utils.on_device.pushing import Wanted

WANTED = Wanted("10.0.0.10:5000/pi1/faces", "sha256:1", "amd64")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement, "LOCKS", tmp_path)
    monkeypatch.setattr(pushing, "LOOK", 0.01)


def test_a_process_that_is_killed_again_and_again_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    def killed(_app: str, lock: int, _work: Callable[[], None]) -> None:
        started.append(lock)
        os.close(lock)

    monkeypatch.setattr(pushing, "_start", killed)
    with pytest.raises(KrafError, match=r"ended 3 times without a word.*memory"):
        pushing.push("faces", 1, WANTED, 60)
    assert len(started) == pushing.MOST_STARTS


def test_what_goes_wrong_in_its_process_is_raised_in_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ValueError("unexpected")

    monkeypatch.setattr(pushing, "bring", broken)
    with pytest.raises(KrafError, match="ValueError: unexpected"):
        pushing.push("faces", 1, WANTED, 60)


def test_the_result_of_an_earlier_run_is_not_this_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    def bring(wanted: Wanted, _note: pushing.Note) -> dict[str, object]:
        return {"reference": wanted.image}

    monkeypatch.setattr(pushing, "bring", bring)
    assert pushing.push("faces", 1, WANTED, 60) == {"reference": "sha256:1"}
    left = Wanted(WANTED.repository, "sha256:2", "amd64")
    pushing._write(pushing._state("faces"), {"key": "1 other", "ended": True, "result": {"reference": "old"}})
    assert pushing.push("faces", 2, left, 60) == {"reference": "sha256:2"}
