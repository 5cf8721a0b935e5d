# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""core/names: names that Kubernetes takes, and the suggestion for one that it does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kraf.edge.plugins.module_utils.core import names
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("PHost01", "phost01"),
        ("pi_4", "pi-4"),
        ("pi-", "pi"),
        ("-pi", "pi"),
        ("pi.local", "pi-local"),
        ("x" * 70, "x" * 40),
    ],
)
def test_ins_05_a_name_that_kubernetes_refuses_comes_with_one_that_it_takes(name: str, suggestion: str) -> None:
    with pytest.raises(KrafError) as caught:
        names.check("device", name)
    assert caught.value.fix == f"Use {suggestion!r}"
    assert names.check("device", suggestion) == suggestion


@pytest.mark.parametrize("name", ["all", "ungrouped", "localhost", "system"])
def test_inv_02_a_device_cannot_have_a_name_that_ansible_uses(name: str) -> None:
    with pytest.raises(KrafError, match="for something else"):
        names.check("device", name)
    assert names.check("app", name) == name


@pytest.mark.parametrize("name", ["ALL", "_localhost"])
def test_inv_02_a_reserved_name_is_not_suggested_either(name: str) -> None:
    with pytest.raises(KrafError, match="Choose another name"):
        names.check("device", name)


@pytest.mark.parametrize("name", ["", None, 4, "___"])
def test_what_has_no_letters_has_no_suggestion(name: object) -> None:
    with pytest.raises(KrafError) as caught:
        names.check("device", name)
    assert "Use" not in caught.value.fix


def test_a_volume_cannot_take_the_claim_of_an_apps_data() -> None:
    with pytest.raises(KrafError, match="data of apps"):
        names.check("volume", "app-faces")


def test_reg_01_names_that_differ_in_case_or_in_marks_are_the_same_name() -> None:
    assert names.fold("Pi_4") == names.fold("pi-4") == names.fold(" PI--4 ") == "pi-4"
    assert names.fold("pi4") != names.fold("pi-4")


@given(st.text(alphabet="aZ09-_. ä", max_size=90))
def test_a_fold_that_is_not_empty_is_a_legal_name_and_folds_to_itself(name: str) -> None:
    folded = names.fold(name)
    if folded:
        assert names.check("app", folded) == folded
        assert names.fold(folded) == folded


def test_names_of_objects_fit_what_kubernetes_allows() -> None:
    longest = "x" * names.MAX_NAME
    statefulset_hash = len("-5d4f8c7b9d")
    assert len(names.workload(longest)) + statefulset_hash <= 63
    assert len(names.export(longest)) + statefulset_hash <= 63
    assert len(names.namespace(longest)) <= 63
    assert len(names.persistent_volume(longest, longest)) <= 253


def test_each_run_has_a_service_of_its_own_that_fits_into_the_doors_name() -> None:
    app = "a" * names.MAX_NAME
    assert names.mover_service(app, 7) != names.mover_service(app, 8)
    assert len(f"8730-{names.mover_service(app, 9_999_999)}") <= 63
