# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A device without power: how long until its apps, kept ready, answer at the edge, the playbook's start included."""

from __future__ import annotations

from tests.demo import access
from tests.demo.progress import Progress
from tests.faults.lab import Lab
from tests.faults.lost import Checks, Loss, container
from tests.faults.run import ECHO, LEDGER

from .rows import Row


def rows(progress: Progress) -> list[Row]:
    """The figures of a lost device."""
    lab, checks = Lab(access.INVENTORY.resolve(), access.ROOT / "build" / access.LAB.name / "lost"), Checks()
    result = []
    for app, target, kind in ((ECHO, 20, "without data"), (LEDGER, None, "with data")):
        lab.deploy(app)
        seconds = Loss(lab, checks, container(lab, checks, app)).there_and_back()
        progress.say(f"  {kind}: {seconds:.1f} s")
        name = f"device_lost_{kind.replace(' ', '_')}_seconds"
        result.append(Row(name, seconds, target, note="from the power cut to the first answer at the edge"))
    if checks.wrong:
        raise access.Failed("; ".join(checks.wrong))
    return result
