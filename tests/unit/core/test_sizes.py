# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""core/sizes: what a person may write, what each consumer gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kraf.edge.plugins.module_utils.core import sizes
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError

REFUSED = {
    "10GB": "without the B",
    "25GB": "without the B",
    "6GiB": "without the B",
    "10gi": "lower-case i",
    "10GI": "lower-case i",
    "10 Gi": "blank",
    "1K": "decimal units",
    "1G": "decimal units",
    "0x10": "hexadecimal",
    "1,5Gi": "point",
    "\uff11\uff10Gi": "not a size",
    "": "empty",
    "  ": "empty",
    "0": "no unit",
    "0Gi": "at least 1 MiB",
    "-1Gi": "no sign",
    "+1Gi": "no sign",
    "10m": "thousandth",
    "100m": "thousandth",
    "10": "no unit",
    "1e9": "exponents",
    "1000Ei": "no store",
    "1000000Pi": "64-bit",
    "1Ki": "at least 1 MiB",
    "1023Ki": "at least 1 MiB",
    "1Gi\n": "not a size",
    "Gi": "not a size",
    ".5Gi": "not a size",
    "1.Gi": "not a size",
}


@pytest.mark.parametrize(("text", "reason"), REFUSED.items())
def test_vol_01_a_size_that_could_mean_something_else_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(KrafError) as caught:
        sizes.parse(text, "size of volume photos")
    assert reason in caught.value.why
    assert str(caught.value).startswith(f"size of volume photos: {text!r}.")
    assert "10Gi" in caught.value.fix


@pytest.mark.parametrize("value", [8, 10.5, True, None, ["1Gi"]])
def test_vol_01_a_number_from_yaml_is_refused_since_010_has_already_become_8(value: object) -> None:
    with pytest.raises(KrafError, match="with its unit"):
        sizes.parse(value)


@pytest.mark.parametrize(
    ("text", "size"),
    [("1Mi", 2**20), ("1024Ki", 2**20), ("1Gi", 2**30), ("1.5Ti", 3 * 2**39), ("2Pi", 2**51), ("010Gi", 10 * 2**30)],
)
def test_vol_01_binary_units_are_taken(text: str, size: int) -> None:
    assert sizes.parse(text) == size


def test_vol_14_fractions_are_exact_and_rounded_up_to_a_byte() -> None:
    assert sizes.parse("0.1Gi") == 107374183  # 107374182.4
    assert sizes.parse("0.3Gi") == 322122548  # 322122547.2
    assert sizes.parse("4503599627370497.5Ki") == 4611686018427389440
    assert sizes.parse("0.00097656250000000001Gi") == sizes.parse("1Mi") + 1


def test_vol_11_a_gi_is_larger_than_a_g_and_the_numbers_say_so() -> None:
    assert sizes.from_kubernetes("1Gi") - sizes.from_kubernetes("1G") == 73741824
    assert (sizes.human(2**30), sizes.human(10**9)) == ("1 GiB", "953.7 MiB")


@pytest.mark.parametrize(
    ("text", "kubernetes", "prometheus", "human"),
    [
        ("20Gi", "20Gi", "20GB", "20 GiB"),
        ("1.5Gi", "1536Mi", "1536MB", "1.5 GiB"),
        ("1024Gi", "1Ti", "1TB", "1 TiB"),
        ("0.1Gi", "107374183", "107374183B", "102.4 MiB"),
    ],
)
def test_mon_07_each_consumer_gets_its_own_spelling_of_the_same_bytes(
    text: str, kubernetes: str, prometheus: str, human: str
) -> None:
    size = sizes.parse(text)
    assert (sizes.to_kubernetes(size), sizes.to_prometheus(size), sizes.human(size)) == (kubernetes, prometheus, human)


@pytest.mark.parametrize(
    ("quantity", "size"),
    [("1Gi", 2**30), ("1G", 10**9), ("1k", 1000), ("128974848", 128974848), ("129e6", 129 * 10**6), ("1500m", 2)],
)
def test_what_the_api_server_returned_is_read_in_every_form(quantity: str, size: int) -> None:
    assert sizes.from_kubernetes(quantity) == size


def test_what_is_no_quantity_is_an_error() -> None:
    with pytest.raises(KrafError, match="no quantity"):
        sizes.from_kubernetes("lots")


@given(st.integers(min_value=sizes.MINIMUM, max_value=sizes.MAXIMUM))
def test_kubernetes_reads_back_the_bytes_that_were_written(size: int) -> None:
    assert sizes.from_kubernetes(sizes.to_kubernetes(size)) == size


@given(st.text(max_size=12))
def test_any_text_is_a_size_or_refused_with_its_value(text: str) -> None:
    try:
        size = sizes.parse(text)
    except KrafError as refusal:
        shown, why = refusal.value, refusal.why
    else:
        shown, why = text, "taken" if sizes.MINIMUM <= size <= sizes.MAXIMUM else ""
    assert shown == text
    assert why


@pytest.mark.parametrize(("text", "amount"), [("2", 2000), ("0.5", 500), ("250m", 250), ("1.001", 1001)])
def test_cpu_is_read_in_both_spellings(text: str, amount: int) -> None:
    assert sizes.millicores(text) == amount


@pytest.mark.parametrize("text", ["", "0", "0m", "-1", "0.0001", "1.5m", "2 ", "two", "1Gi", None, 2])
def test_cpu_that_kubernetes_refuses_is_refused(text: object) -> None:
    with pytest.raises(KrafError, match="500m"):
        sizes.millicores(text)
