# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``make bench``: every figure that has a target, measured in this run, in one table and in build/bench/report.json.

``python3 -m tests.bench.run [SECTION...]``. Without arguments all sections run. ``cluster`` makes the hosts anew, the
others want a cluster that is there. The lab stays up.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from tests.demo import access, disk, report
from tests.demo.progress import Progress

from . import catalog, cluster, idle, large, lost, many, migrations, throughput, volumes
from .rows import Row, table

OUT = access.ROOT / "build" / "bench"
SECTIONS: dict[str, Callable[[Progress], list[Row]]] = {
    "cluster": cluster.rows,
    "catalog": catalog.rows,
    "idle": idle.rows,
    "volumes": volumes.rows,
    "throughput": throughput.rows,
    "migrations": migrations.rows,
    "large": large.rows,
    "lost": lost.rows,
    "many": many.rows,
}
ON_A_DISK = ("idle", "throughput")


def keep(rows: list[Row]) -> None:
    """Write the report."""
    lab = {"device_cpu_limit_cores": float(access.LAB.device_cpus)}
    report.write({"lab": lab, "rows": [row.report() for row in rows]}, OUT / "report.json")


def main() -> int:
    """Run it; the exit status is 1 when a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=f"of {', '.join(SECTIONS)}; all by default")
    chosen = parser.parse_args().sections or list(SECTIONS)
    unknown = sorted(set(chosen) - set(SECTIONS))
    if unknown:
        parser.error(f"{', '.join(unknown)}: no such section; there are {', '.join(SECTIONS)}")
    progress = Progress(OUT)
    rows: list[Row] = []
    disk_made = False
    for name, measure in SECTIONS.items():
        if name not in chosen:
            continue
        progress.say(f"== {name}")
        if name in ON_A_DISK and not disk_made:
            disk.make(progress)
            disk_made = True
        rows += measure(progress)
        # After each section: what was measured outlives a later one that ends badly.
        keep(rows)
    rows.append(Row("bench_seconds", progress.seconds))
    keep(rows)
    print(table(rows))
    missed = [row.name for row in rows if row.reached is False]
    print(f"\n  targets missed: {', '.join(missed) or 'none'}; build/bench/report.json holds the same figures")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
