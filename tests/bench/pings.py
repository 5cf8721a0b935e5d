# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What as many ``ping`` tasks on as many hosts take: the floor of a playbook that has nothing to do."""

from __future__ import annotations

import re
import time
from typing import Any

from tests.demo import access

from . import tasks

_TASK = re.compile(r"^(PLAY|TASK|RUNNING HANDLER) \[", re.MULTILINE)
# A delegated host's address stands after its name, as the inventory has it: even as a template.
_DONE = re.compile(r"^(?:ok|changed): \[([^\]\s]+?)(?: -> ([^\](\s]+)(?:\([^\n]*\))?)?\]", re.MULTILINE)


def like(output: str) -> list[dict[str, Any]]:
    """Plays of pings in the shape of a run's output: for each task that ran, one ping on the hosts where it ran.

    A task that was delegated to the controller is a ping on the controller; one that was skipped everywhere is none.
    """
    plays: list[dict[str, Any]] = []
    pieces = _TASK.split(output)
    for head, text in zip(pieces[1::2], pieces[2::2]):
        ran = {(target or host) for host, target in _DONE.findall(text)}
        if head == "PLAY" or not ran:
            continue
        hosts = ",".join(sorted(ran))
        if not plays or plays[-1]["hosts"] != hosts:
            local = {"connection": "local"} if ran == {"localhost"} else {}
            plays.append({"name": "pings", "hosts": hosts, "gather_facts": False, "tasks": [], **local})
        plays[-1]["tasks"].append({"name": "ping", **tasks.PING})
    return plays


def seconds(plays: list[dict[str, Any]]) -> float:
    """Seconds from start to end of ``ansible-playbook`` with these plays."""
    begin = time.monotonic()
    tasks.run(plays, access.INVENTORY)
    return time.monotonic() - begin
