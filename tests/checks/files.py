"""What every check reads: YAML with Ansible's tags, task files, and the files that git knows."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    pass


# !unsafe and !vault mean nothing to a static check: their text is read as it stands.
_Loader.add_multi_constructor("!", lambda loader, _suffix, node: loader.construct_scalar(node))


def load(path: Path) -> Any:
    return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)


def yaml_files(folder: Path) -> list[Path]:
    return sorted([*folder.rglob("*.yml"), *folder.rglob("*.yaml")])


def roles(root: Path) -> list[Path]:
    return sorted(path for path in (root / "roles").glob("*") if path.is_dir())


def task_files(root: Path) -> Iterator[Path]:
    for role in roles(root):
        for part in ("tasks", "handlers"):
            yield from yaml_files(role / part)
    yield from yaml_files(root / "playbooks")


def mappings(node: Any) -> Iterator[dict[str, Any]]:
    """Every mapping at any depth: plays, tasks, blocks and the options of modules."""
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from mappings(value)
    elif isinstance(node, list):
        for value in node:
            yield from mappings(value)


def strings(node: Any) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from strings(value)


def known_to_git(root: Path) -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
    )
    return [root / name for name in listed.stdout.decode().split("\0") if name and (root / name).is_file()]
