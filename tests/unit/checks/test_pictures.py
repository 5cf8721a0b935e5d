"""tests/checks/pictures: the page about the protocol cannot differ from the protocol."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.module_utils.migration.world import DEVICE, EDGE, HELD, IDLE, World
from tests.checks import pictures

ROOT = Path(__file__).parents[3]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / pictures.PAGE).write_text((ROOT / pictures.PAGE).read_text(encoding="utf-8"), encoding="utf-8")
    return tmp_path


def test_page_that_differs_from_the_table_is_complained_about_and_drawn_again(root: Path) -> None:
    page = root / pictures.PAGE
    whole = page.read_text(encoding="utf-8")
    assert pictures.complaints(root) == []
    page.write_text(whole.replace("s3 --> s4: commit", "s2 --> s4: commit"), encoding="utf-8")
    assert pictures.complaints(root) == [
        "docs/migration.md: the pictures are not those of the protocol's table; run python -m tests.checks.pictures"
    ]
    assert pictures.drawn(page.read_text(encoding="utf-8")) == whole


def test_page_without_a_place_for_pictures_is_an_error() -> None:
    with pytest.raises(ValueError, match="lacks the line"):
        pictures.drawn("# Moving an app\n")


@pytest.mark.parametrize(("title", "to", "kind"), pictures.MOVES)
def test_a_move_that_nothing_disturbs_ends_settled_at_its_side(title: str, to: str, kind: World) -> None:
    worlds = [world for _step, world in pictures.walk(to, kind)]
    last = worlds[-1]
    assert (last.owner, last.forward, last.record_phase, last.armed, last.epoch) == (to, to, IDLE, False, 2)
    assert (last.running, last.passed) == (to == DEVICE and not kind.job, to == EDGE)
    assert any(world.forward == HELD for world in worlds) is not kind.overlap
