# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the fault harness does to a play in the midst of a migration; without its variable, nothing.

``KRAF_FAULT=WHEN:STEP[:SIGNAL[:SECONDS]]`` sends the whole play a signal (KILL, or STOP, with which it sleeps until it
is woken) before, within or after a step of the protocol; ``within`` is that many seconds after the step has begun,
wherever the run then is.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

from ..migration.table import Step

VARIABLE = "KRAF_FAULT"
SECONDS = 0.1


@contextlib.contextmanager
def around(step: Step) -> Iterator[None]:
    """Strike before, within or after the step, as the variable says."""
    when, name, number, seconds = _wanted()
    struck = name == step.name
    if struck and when == "before":
        _strike(number)
    if struck and when == "within":
        threading.Timer(seconds, _strike, [number]).start()
    yield
    if struck and when == "after":
        _strike(number)


def _wanted() -> tuple[str, str, int, float]:
    parts = [*os.environ.get(VARIABLE, "").split(":"), "", "", "", ""]
    return parts[0], parts[1], signal.Signals[f"SIG{parts[2] or 'KILL'}"], float(parts[3] or SECONDS)


def _strike(number: int) -> None:
    # A worker of Ansible leads its own session: the play is its parent.
    os.kill(os.getppid(), number)
    os.killpg(os.getpgrp(), number)
