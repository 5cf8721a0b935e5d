"""`.ci/stage`: a failure is never lost on the way to the exit status, and it does not hide what comes after it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
# Stands in for the virtual environment's Python: the stage whose tests are named in $FAILS fails.
PYTHON = """#!/usr/bin/env bash
echo "======== 3 passed in 0.1s ========"
[ "$3" != "tests/$FAILS" ]
"""


def stage(root: Path, *words: str, fails: str = "") -> subprocess.CompletedProcess[str]:
    (root / ".ci").mkdir()
    (root / "bin").mkdir()
    shutil.copy(ROOT / ".ci/stage", root / ".ci/stage")
    (root / "bin/python").write_text(PYTHON)
    (root / "bin/python").chmod(0o755)
    environment = {**os.environ, "PATH": f"{root / 'bin'}:{os.environ['PATH']}", "FAILS": fails}
    return subprocess.run(
        [root / ".ci/stage", *words], env=environment, check=False, capture_output=True, text=True, timeout=60
    )


def test_a_stage_says_how_it_went_and_how_long_it_took(tmp_path: Path) -> None:
    result = stage(tmp_path, "unit")
    assert result.returncode == 0
    assert re.search(r"^== unit: ok after \d+ s$", result.stdout, re.MULTILINE)


@pytest.mark.parametrize("fails", ["unit", "integration"])
def test_one_failure_makes_the_whole_fail_after_all_have_run(tmp_path: Path, fails: str) -> None:
    result = stage(tmp_path, "all", "unit", "integration", fails=fails)
    assert result.returncode != 0
    summary = result.stdout.partition("== summary")[2]
    assert f"== {fails}: FAILED" in summary
    assert summary.count(": ok after") == 1
    assert summary.count("3 passed") == 2


def test_all_stages_passing_is_success(tmp_path: Path) -> None:
    assert stage(tmp_path, "all", "unit", "integration").returncode == 0
