# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of every module: examples use options that there are, and samples look like what is returned."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
PLUGINS = "ansible_collections.kraf.edge.plugins"
MODULES = sorted(path.stem for path in (ROOT / "plugins/modules").glob("*.py"))


def text(module: str, part: str) -> Any:
    return yaml.safe_load(getattr(importlib.import_module(f"{PLUGINS}.modules.{module}"), part, "") or "")


def options(module: str) -> dict[str, Any]:
    document = text(module, "DOCUMENTATION")
    found = dict(document.get("options") or {})
    for fragment in document.get("extends_documentation_fragment") or []:
        _namespace, _collection, name, *part = fragment.split(".")
        owner = importlib.import_module(f"{PLUGINS}.doc_fragments.{name}").ModuleDocFragment
        found.update(yaml.safe_load(getattr(owner, (part or ["DOCUMENTATION"])[0].upper())).get("options") or {})
    return found


def faults(known: Mapping[str, Any], given: Any, where: str) -> Iterator[str]:
    """What is wrong with given options."""
    if isinstance(given, str) and "{{" in given:
        return
    for row in given if isinstance(given, list) else [given]:
        if not isinstance(row, dict):
            continue
        yield from (f"{where}: no such option: {name}" for name in row if name not in known)
        yield from (f"{where}: lacks {name}" for name, one in known.items() if one.get("required") and name not in row)
        for name, value in row.items():
            one = known.get(name) or {}
            choices = one.get("choices")
            if (
                choices
                and "{{" not in str(value)
                and not set(value if isinstance(value, list) else [value]) <= set(choices)
            ):
                yield f"{where}.{name}: {value} is none of {choices}"
            if one.get("suboptions"):
                yield from faults(one["suboptions"], value, f"{where}.{name}")


@pytest.mark.parametrize("module", MODULES)
def test_examples_use_options_that_there_are(module: str) -> None:
    tasks = text(module, "EXAMPLES")
    mine = [task[f"kraf.edge.{module}"] for task in tasks if f"kraf.edge.{module}" in task]
    assert mine
    assert [fault for given in mine for fault in faults(options(module), given or {}, module)] == []


@pytest.mark.parametrize("module", MODULES)
def test_samples_look_like_what_is_said_to_be_returned(module: str) -> None:
    wrong = []
    for name, value in (text(module, "RETURN") or {}).items():
        assert "sample" in value or "contains" in value, f"{module}: {name} has no sample"
        contains = value.get("contains")
        for row in value["sample"] if isinstance(value.get("sample"), list) else [value.get("sample")]:
            if contains and isinstance(row, dict):
                always = {key for key, one in contains.items() if one.get("returned") == "always"}
                wrong += [f"{name}.{key}" for key in (set(row) - set(contains)) | (always - set(row))]
    assert wrong == []


def test_what_is_wrong_with_an_example_is_seen() -> None:
    known = {"state": {"choices": ["present"]}, "list": {"required": True, "suboptions": {"name": {"required": True}}}}
    assert list(faults(known, {"state": "gone", "list": [{"nmae": "x"}], "more": 1}, "m")) == [
        "m: no such option: more",
        "m.state: gone is none of ['present']",
        "m.list: no such option: nmae",
        "m.list: lacks name",
    ]
