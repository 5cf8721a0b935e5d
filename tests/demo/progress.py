# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lines of progress with the time since the start, and runs of playbooks that are announced by them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from . import access


class Progress:
    """What a long run says meanwhile.

    Args:
        folder: where the output of each playbook is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self.started

    def say(self, text: str) -> None:
        """Print a line with the time since the start."""
        print(f"[{self.seconds:6.1f} s] {text}", flush=True)

    def play(self, playbook: str | Path, name: str = "", **variables: Any) -> access.Played:
        """Run a playbook on the lab; ``name`` is what its output is kept under. Raises access.Failed."""
        short = playbook if isinstance(playbook, str) else playbook.name
        self.say(f"{short}{' (' + name + ')' if name else ''} ...")
        played = access.play(playbook, self.folder / f"{name or short}.log", **variables)
        self.say(f"  {played.seconds:.1f} s, {played.tasks} tasks, {played.changed} changed")
        return played
