"""Demo and bench: what is computed from what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bench import pings
from tests.bench.rows import Row, table
from tests.demo import report, speed
from tests.demo.clients import Clients, Request, Window


def window(
    begin: float, end: float, *requests: Request, kept: tuple[Request, ...] = (), cuts: tuple[float, ...] = ()
) -> Window:
    clients = Clients("192.0.2.1", 1)
    clients.done, clients.kept, clients.cuts = list(requests), list(kept), list(cuts)
    return clients.window(begin, end)


def test_a_request_counts_when_a_part_of_it_lies_in_the_window() -> None:
    seen = window(
        10,
        20,
        Request(8, 9),
        Request(9, 11),
        Request(12, 13),
        Request(19, 24),
        Request(21, 22),
        kept=(Request(14, 15),),
    )
    assert (seen.requests, seen.failed, seen.longest_wait_seconds) == (4, 0, 5)


def test_a_wrong_answer_fails_and_ends_no_gap() -> None:
    seen = window(0, 10, Request(0, 1), Request(1, 5, "status 503"), Request(1, 8), Request(8, 9, "status 503"))
    assert (seen.failed, seen.reasons) == (2, {"status 503": 2})
    assert seen.longest_client_gap_seconds == 7


def test_the_gap_reaches_to_the_ends_of_the_window() -> None:
    assert window(0, 10, Request(1, 2)).longest_client_gap_seconds == 8
    assert window(0, 10).longest_client_gap_seconds == 10


def test_only_cuts_inside_the_window_count() -> None:
    assert window(10, 20, cuts=(9.0, 10.0, 15.0, 21.0)).kept_connection_cuts == 2


@pytest.mark.parametrize(
    ("device", "edge", "moves", "images"), [(1.0, 2.0, 60.0, 120), (0.5, 4.0, 7.0, 4), (2.0, 2.0, 60.0, None)]
)
def test_break_even_is_the_number_of_images_whose_gain_pays_for_both_moves(
    device: float, edge: float, moves: float, images: int | None
) -> None:
    found = speed.break_even_images(device, edge, moves)
    assert found == images
    if images is not None:
        assert images / device >= moves + images / edge
        assert (images - 1) / device < moves + (images - 1) / edge


def test_the_report_is_the_table_as_json(tmp_path: Path) -> None:
    figures = {"cluster_seconds": 12.341, "to_edge": {"failed": 0, "reasons": {}}, "equal": True}
    report.write(figures, tmp_path / "folder" / "report.json")
    assert json.loads((tmp_path / "folder" / "report.json").read_text()) == figures
    lines = [line.split() for line in report.table(figures, {"to_edge.failed": "of all"}).splitlines()]
    assert lines == [
        ["cluster_seconds", "12.34"],
        ["to_edge.failed", "0", "of", "all"],
        ["to_edge.reasons", "{}"],
        ["equal", "true"],
    ]


@pytest.mark.parametrize(
    ("row", "reached", "target"),
    [
        (Row("a", 1.99, 2), True, "<= 2"),
        (Row("a", 2.01, 2), False, "<= 2"),
        (Row("a", 0.9, 0.9, most=False), True, ">= 0.9"),
        (Row("a", 999, 1000, most=False), False, ">= 1000"),
        (Row("a", True, True, most=False), True, "yes"),
        (Row("a", False, True, most=False), False, "yes"),
        (Row("a", 5.0), None, ""),
    ],
)
def test_a_row_says_whether_its_target_was_reached(row: Row, reached: bool | None, target: str) -> None:
    assert (row.reached, row.target, row.report()["reached"]) == (reached, target, reached)


def test_a_missed_target_stands_out_in_the_table() -> None:
    lines = table([Row("good", 1.0, 2, note="n"), Row("bad", 3.0, 2), Row("plain", 7)]).splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["good", "1.00", "<=", "2", "ok", "n"],
        ["bad", "3.00", "<=", "2", "MISSED"],
        ["plain", "7"],
    ]


OUTPUT = """
PLAY [Check] *******************************************************************

TASK [one] *********************************************************************
ok: [localhost]

PLAY [Hosts] *******************************************************************

TASK [two] *********************************************************************
ok: [control1]
changed: [worker1]
skipping: [worker2]

TASK [three] *******************************************************************
ok: [control1 -> localhost]
ok: [worker1 -> localhost({{ lab_prefix }}.12)]

TASK [four] ********************************************************************
skipping: [control1]

RUNNING HANDLER [five] *********************************************************
ok: [control1]
ok: [worker1]

PLAY RECAP *********************************************************************
control1                   : ok=3    changed=0    unreachable=0    failed=0
"""


def test_pings_have_the_shape_of_the_run_that_they_stand_beside() -> None:
    plays = pings.like(OUTPUT)
    assert [(play["hosts"], len(play["tasks"])) for play in plays] == [
        ("localhost", 1),
        ("control1,worker1", 1),
        ("localhost", 1),
        ("control1,worker1", 1),
    ]
    assert [play.get("connection") for play in plays] == ["local", None, "local", None]
