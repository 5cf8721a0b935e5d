"""Modules run in the test's own process: options in as Ansible passes them, the JSON result out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils import _internal, basic
from ansible.module_utils.common import warnings as recorded
from ansible.module_utils.testing import patch_module_args


def run(
    module: Any,
    options: dict[str, Any],
    check: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> dict[str, Any]:
    """The result of a module's main(); ``failed`` is always in it."""
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
    # A test that imports Ansible's controller would otherwise send the module's warnings to the terminal.
    monkeypatch.setattr(_internal, "is_controller", False)
    # They are kept for the length of a process, which is a module's elsewhere.
    monkeypatch.setattr(recorded, "_global_warnings", {})
    capsys.readouterr()
    with patch_module_args({**options, "_ansible_check_mode": check, "_ansible_diff": True}), pytest.raises(SystemExit):
        module.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    result.setdefault("failed", False)
    return result


def warnings(result: dict[str, Any]) -> list[str]:
    """Texts of a result's warnings."""
    return [item["event"]["msg"] for item in result.get("warnings", [])]
