# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``site`` on bare hosts beside the same steps by hand, and its second run beside as many pings."""

from __future__ import annotations

from tests.demo import hosts
from tests.demo.progress import Progress

from . import pings
from .rows import Row


def rows(progress: Progress) -> list[Row]:
    """The figures of the cluster."""
    made = hosts.cluster(progress)
    plays = pings.like(made.second.output)
    count = sum(len(play["tasks"]) for play in plays)
    progress.say(f"{count} pings in the shape of the second run ...")
    floor = pings.seconds(plays)
    return [
        Row("site_first_run_seconds", made.first.seconds),
        Row("by_hand_seconds", made.by_hand_seconds),
        Row("site_first_run_ratio", made.first.seconds / made.by_hand_seconds, 2, note="first run / by hand"),
        Row("site_second_run_changed", made.second.changed, 0),
        Row("site_second_run_seconds", made.second.seconds),
        Row("pings_seconds", floor, note=f"{count} tasks, each on the hosts where the run's own task ran"),
        Row("site_second_run_ratio", made.second.seconds / floor, 1.5, note="second run / pings"),
    ]
