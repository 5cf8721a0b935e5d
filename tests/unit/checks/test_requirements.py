"""Versions of Python packages stand in one place."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_every_requirement_is_pinned_exactly_and_once() -> None:
    names = []
    for path in sorted((ROOT / "requirements").glob("*.txt")):
        for line in path.read_text().splitlines():
            if line.startswith(("#", "-r")):
                continue
            match = re.fullmatch(r"([A-Za-z0-9_.-]+)(\[\w+\])?==[\w.]+", line)
            assert match, f"{path.name}: {line!r} is no exact pin"
            names.append(match.group(1).lower())
    assert len(names) == len(set(names))


def test_the_execution_environment_takes_its_versions_from_that_place() -> None:
    lines = (ROOT / "meta/ee-requirements.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["-r ../requirements/runtime.txt"]
