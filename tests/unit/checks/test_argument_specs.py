"""The check of roles: a role that is right is silent, and each fault gives a message that names it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.checks import argument_specs

RIGHT = {
    "demo_port": {"type": "int", "description": "TCP port.", "default": 80},
    "demo_names": {"type": "list", "elements": "str", "description": "Names.", "default": ["a"]},
    "demo_mirror": {"type": "str", "description": "Base address."},
    "demo_token": {"type": "str", "description": "A secret.", "required": True},
}
DEFAULTS = {"demo_port": 80, "demo_names": ["a"], "demo_mirror": "{{ kraf_mirror | default('', true) }}"}


def role(root: Path, options: dict, defaults: dict) -> Path:
    path = root / "roles" / "demo"
    for name in ("README.md", "tasks/main.yml", "meta/argument_specs.yml", "defaults/main.yml"):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text("---\n")
    spec = {"argument_specs": {"main": {"short_description": "A role.", "options": options}}}
    (path / "meta/argument_specs.yml").write_text(yaml.safe_dump(spec))
    (path / "defaults/main.yml").write_text(yaml.safe_dump(defaults))
    return path


def test_a_role_whose_files_agree_is_silent(tmp_path: Path) -> None:
    role(tmp_path, RIGHT, DEFAULTS)
    assert argument_specs.complaints(tmp_path) == []


@pytest.mark.parametrize("name", ["README.md", "tasks/main.yml", "meta/argument_specs.yml"])
def test_awx_12_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    (role(tmp_path, RIGHT, DEFAULTS) / name).unlink()
    assert argument_specs.complaints(tmp_path) == [f"roles/demo/{name}: is missing"]


@pytest.mark.parametrize(
    ("options", "defaults", "message"),
    [
        ({}, {"demo_extra": 1}, "demo_extra has no entry"),
        ({"demo_port": {"type": "int", "description": "p", "default": 81}}, {}, "documents default 81"),
        ({"demo_port": {"type": "str", "description": "p", "default": 80}}, {}, "is of type str"),
        ({"demo_port": {"type": "int", "default": 80}}, {}, "demo_port has no description"),
        ({"port": {"type": "int", "description": "p", "default": 1}}, {"port": 1}, "port must start with demo_"),
        ({"demo_more": {"type": "str", "description": "m"}}, {}, "demo_more is neither required nor set"),
        ({"demo_more": {"type": "str", "description": "m", "default": "x"}}, {}, "defaults/main.yml does not set it"),
        ({}, {"demo_token": "x"}, "demo_token is required, and yet"),
        ({"demo_on": {"type": "bool", "description": "o", "default": 1}}, {"demo_on": True}, "documents default 1"),
        ({}, {"demo_names": ["a", 1]}, "documents default ['a']"),
        (
            {"demo_names": {"type": "list", "elements": "str", "description": "n", "default": [1]}},
            {"demo_names": [1]},
            "has elements of type str",
        ),
        (
            {"demo_kind": {"type": "str", "description": "k", "choices": ["a", "b"], "default": "c"}},
            {"demo_kind": "c"},
            "has choices ['a', 'b']",
        ),
    ],
)
def test_a_role_whose_files_disagree_is_named(tmp_path: Path, options: dict, defaults: dict, message: str) -> None:
    role(tmp_path, {**RIGHT, **options}, {**DEFAULTS, **defaults})
    found = argument_specs.complaints(tmp_path)
    assert any(message in complaint for complaint in found), found
