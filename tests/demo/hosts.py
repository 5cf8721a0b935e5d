# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bare hosts again, and what the same cluster takes by hand on such hosts."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import access
from .progress import Progress

SCRIPT = access.ROOT / "tests" / "bench" / "by_hand.sh"


def fresh_hosts() -> None:
    """Remove the lab's hosts and bring up bare ones in their place."""
    for command in ("down", "up"):
        subprocess.run([sys.executable, "-m", "tests.lab", command], cwd=access.ROOT, check=True)


def hand_made_cluster_seconds(log: Path) -> float:
    """Run the script that does by hand what ``site`` does, on the hosts as they are; raises access.Failed."""
    begin = time.monotonic()
    with open(log, "w", encoding="utf-8") as file:
        command = ["bash", str(SCRIPT), str(access.LAB.ssh_key), access.LAB.prefix]
        done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        tail = "\n".join(log.read_text(encoding="utf-8").splitlines()[-25:])
        raise access.Failed(f"{SCRIPT.name} ended with status {done.returncode}; the whole output is in {log}\n{tail}")
    return time.monotonic() - begin


@dataclass
class Cluster:
    """``site`` on bare hosts, once and again, beside the same steps by hand."""

    by_hand_seconds: float
    first: access.Played
    second: access.Played

    def report(self) -> dict[str, Any]:
        """The figures."""
        return {
            "cluster_seconds": self.first.seconds,
            "cluster_floor_seconds": self.by_hand_seconds,
            "cluster_floor_ratio": self.first.seconds / self.by_hand_seconds,
            "site_second_run_changed": self.second.changed,
            "site_second_run_seconds": self.second.seconds,
        }


def cluster(progress: Progress) -> Cluster:
    """Bare hosts to a cluster, by hand and, on hosts made anew, by ``site``; then ``site`` again."""
    progress.say("bare hosts ...")
    fresh_hosts()
    progress.say("the cluster by hand, for comparison ...")
    by_hand = hand_made_cluster_seconds(progress.folder / "by-hand.log")
    progress.say(f"  {by_hand:.1f} s; bare hosts again ...")
    fresh_hosts()
    first = progress.play("kraf.edge.site")
    return Cluster(by_hand, first, progress.play("kraf.edge.site", "kraf.edge.site-again"))
