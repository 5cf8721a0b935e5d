# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""core/coerce, core/query, core/imports: values as surveys send them, hostile text, what is not installed."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kraf.edge.plugins.module_utils.core import coerce, imports, query
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError


@pytest.mark.parametrize(
    ("value", "elements"),
    [
        (None, []),
        ("", []),
        (" \n ", []),
        ([], []),
        ("pi1/faces", ["pi1/faces"]),
        ("a,b", ["a", "b"]),
        ("a, b,", ["a", "b"]),
        ("a\nb\r\nc\n", ["a", "b", "c"]),
        (["a", " b ", "", None], ["a", "b"]),
        (("a", "b"), ["a", "b"]),
        (5, [5]),
        ([1, 2], [1, 2]),
    ],
)
def test_awx_01_a_list_is_read_in_every_form_a_survey_sends(value: object, elements: list[object]) -> None:
    assert coerce.as_list(value) == elements


def test_a_mapping_is_no_list_and_its_values_are_not_echoed() -> None:
    with pytest.raises(KrafError) as caught:
        coerce.as_list({"API_KEY": "canary"}, "env")
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("value", ["false", "False", "no", "off", "0", "n", 0, "f"])
def test_awx_01_the_text_false_is_false(value: object) -> None:
    assert coerce.as_bool(value) is False


@pytest.mark.parametrize("value", ["true", "True", "YES", " on ", "1", 1, True, "t", "y"])
def test_awx_01_the_text_true_is_true(value: object) -> None:
    assert coerce.as_bool(value) is True


@pytest.mark.parametrize("value", [None, "", "  "])
def test_awx_01_nothing_is_the_default_or_refused(value: object) -> None:
    assert coerce.as_bool(value, default=False) is False
    with pytest.raises(KrafError, match="neither true nor false"):
        coerce.as_bool(value)


@pytest.mark.parametrize("value", ["maybe", 2, "2", []])
def test_awx_01_what_is_no_boolean_is_refused(value: object) -> None:
    with pytest.raises(KrafError, match="neither true nor false"):
        coerce.as_bool(value, default=True)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07x", "x"),
        ("a\x00b\x7fc", "abc"),
        ("two\nlines\tand", "two lines and"),
        ("\u202egnp", "gnp"),
        ("Raspberry Pi 4 – Küche", "Raspberry Pi 4 – Küche"),
    ],
)
def test_sec_01_escape_sequences_and_control_characters_are_dropped(text: str, shown: str) -> None:
    assert coerce.printable(text) == shown


def test_sec_01_a_megabyte_is_cut_and_marked() -> None:
    assert coerce.printable("x" * 2**20, limit=10) == "x" * 9 + "…"


@given(st.text())
def test_sec_01_what_is_shown_is_printable_and_short(text: str) -> None:
    shown = coerce.printable(text, limit=20)
    assert shown.isprintable()
    assert len(shown) <= 20


def test_a_query_selects_from_rows() -> None:
    rows = [{"name": "pi1", "memory_bytes": 1}, {"name": "pi2", "memory_bytes": 2}]
    assert query.search("[?memory_bytes > `1`].name", rows) == ["pi2"]


@pytest.mark.parametrize("expression", ["[?", "nosuch(@)", "length(@[0].name, @)"])
def test_a_query_that_jmespath_refuses_is_named(expression: str) -> None:
    with pytest.raises(KrafError) as caught:
        query.search(expression, [{"name": "pi1"}])
    assert caught.value.value == expression


def test_awx_10_a_package_that_is_missing_is_named_with_the_interpreter() -> None:
    with pytest.raises(KrafError) as caught:
        imports.require("kraf_no_such_package")
    assert sys.executable in str(caught.value)
    assert "pip install kraf_no_such_package" in str(caught.value)
