"""Every role documents what it takes: meta/argument_specs.yml and defaults/main.yml say the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import files

TYPES: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "dict": (dict,),
    "float": (float, int),
    "int": (int,),
    "list": (list,),
    "path": (str,),
    "str": (str,),
}
NEEDED = ("README.md", "tasks/main.yml", "meta/argument_specs.yml")


def complaints(root: Path) -> list[str]:
    return [f"roles/{role.name}/{text}" for role in files.roles(root) for text in _role(role)]


def _role(role: Path) -> Iterator[str]:
    missing = [name for name in NEEDED if not (role / name).is_file()]
    yield from (f"{name}: is missing" for name in missing)
    if "meta/argument_specs.yml" in missing:
        return
    entries = files.load(role / "meta/argument_specs.yml")["argument_specs"]
    options: dict[str, Any] = {}
    for entry, spec in entries.items():
        if not spec.get("short_description"):
            yield f"meta/argument_specs.yml: entry point {entry} has no short_description"
        options.update(spec.get("options") or {})
    path = role / "defaults/main.yml"
    defaults = (files.load(path) or {}) if path.is_file() else {}
    for name in sorted(defaults.keys() - options.keys()):
        if not name.startswith("__"):
            yield f"defaults/main.yml: {name} has no entry in meta/argument_specs.yml"
    for name, option in options.items():
        yield from _option(role.name, name, option, defaults)


def _option(role: str, name: str, option: dict[str, Any], defaults: dict[str, Any]) -> Iterator[str]:
    where = f"meta/argument_specs.yml: {name}"
    if not name.startswith(f"{role}_"):
        yield f"{where} must start with {role}_"
    if not option.get("description"):
        yield f"{where} has no description"
    if name not in defaults:
        if "default" in option:
            yield f"{where} has default {option['default']!r}, but defaults/main.yml does not set it"
        elif not option.get("required"):
            yield f"{where} is neither required nor set in defaults/main.yml"
        return
    if option.get("required"):
        yield f"{where} is required, and yet defaults/main.yml sets it"
    yield from _value(where, option, defaults[name])


def _value(where: str, option: dict[str, Any], value: Any) -> Iterator[str]:
    if isinstance(value, str) and "{{" in value:
        # What a template gives is known only at run time; a default that is documented must be that template.
        if "default" in option and option["default"] != value:
            yield f"{where} documents default {option['default']!r}, defaults/main.yml has {value!r}"
        return
    documented = option.get("default")
    if documented != value or type(documented) is not type(value):
        yield f"{where} documents default {documented!r}, defaults/main.yml has {value!r}"
    kind = option.get("type", "str")
    if kind in TYPES and value is not None and not _fits(kind, value):
        yield f"{where} is of type {kind}, defaults/main.yml has {value!r}"
    elements = option.get("elements")
    if kind == "list" and elements in TYPES and isinstance(value, list):
        for element in value:
            if not _fits(elements, element):
                yield f"{where} has elements of type {elements}, defaults/main.yml has {element!r}"
    if option.get("choices") and value not in option["choices"]:
        yield f"{where} has choices {option['choices']}, defaults/main.yml has {value!r}"


def _fits(kind: str, value: Any) -> bool:
    # Python counts True among the integers, an operator does not.
    return isinstance(value, TYPES[kind]) and (kind == "bool" or not isinstance(value, bool))
