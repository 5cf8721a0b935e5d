# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo: from bare hosts to an app that moved to the edge and back; every figure is measured in this run.

Without arguments the lab's hosts are made anew; with ``--fast`` the cluster that is there already is kept, and the
figures about its installation are left out. The lab stays up.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from . import access, disk, floors, hosts, image, photos, report, speed
from .apps import DEVICE, FACES, Move
from .progress import Progress

OUT = access.ROOT / "build" / "demo"


def app(progress: Progress, photographs: list[Path]) -> dict[str, Any]:
    """The app on its device, at the edge, and on its device again."""
    reference = image.publish()
    FACES.start(progress, reference)
    FACES.move(progress, "device")
    host = access.address(DEVICE)
    progress.say("the same photographs on the device, at the edge, and on the device again")
    on_device = speed.detect(host, FACES.port, photographs)
    progress.say(f"  on {DEVICE}: {on_device.images_per_second:.2f} images/s")
    with FACES.clients() as clients:
        progress.say("the floors of this run, while clients poll ...")
        floor = floors.measure(DEVICE, disk.NODE, reference)
        progress.say(f"  to the edge {floor.to_edge_seconds:.2f} s, to the device {floor.to_device_seconds:.2f} s")
        there = FACES.move(progress, "edge")
        time.sleep(2)
    to_edge = Move(there, clients.window(there.begin, there.end), floor.to_edge_seconds)
    progress.say(f"  {to_edge.told()}")
    at_edge = speed.detect(host, FACES.port, photographs)
    progress.say(f"  at the edge: {at_edge.images_per_second:.2f} images/s")
    rows_before = speed.results(host, FACES.port)
    with FACES.clients() as clients:
        time.sleep(2)
        back = FACES.move(progress, "device")
        time.sleep(2)
    to_device = Move(back, clients.window(back.begin, back.end), floor.to_device_seconds)
    progress.say(f"  {to_device.told()}")
    rows_after = speed.results(host, FACES.port)
    again = speed.detect(host, FACES.port, photographs, passes=0)
    found = {photograph: at_edge.faces[photograph.name] for photograph in photographs}
    count = sum(map(len, found.values()))
    photos.annotate(
        found, f"{count} faces in {len(found)} photographs, found at the edge for {DEVICE}", OUT / "annotated.png"
    )
    return {
        "device_cpu_limit_cores": float(access.LAB.device_cpus),
        "device_images_per_second": on_device.images_per_second,
        "edge_images_per_second": at_edge.images_per_second,
        "break_even_images": speed.break_even_images(
            on_device.images_per_second, at_edge.images_per_second, there.seconds + back.seconds
        ),
        "to_edge": to_edge.report(),
        "to_device": to_device.report(),
        "results_per_photograph_equal": on_device.faces == at_edge.faces == again.faces,
        "results_kept": {"at_the_edge": len(rows_before), "back_and_equal": rows_after == rows_before},
    }


NOTES = {
    "cluster_floor_ratio": "site / the same steps by hand",
    "device_cpu_limit_cores": "this limit stands for a Pi",
    "break_even_images": "from here on a move there and back pays",
    "volume_bytes_seen_by_df": "of a 1 GiB volume, on the device",
    "to_edge.wait_floor_ratio": "longest wait / stop and start by hand",
    "to_device.wait_floor_ratio": "longest wait / stop and start by hand",
}


def main() -> int:
    """Run it; the exit status is 1 when a request failed or data differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fast", action="store_true", help="keep the cluster that is there")
    chosen = parser.parse_args()
    progress = Progress(OUT)
    photographs = photos.fetch(OUT / "photographs")
    figures: dict[str, Any] = {}
    if not chosen.fast:
        figures.update(hosts.cluster(progress).report())
    disk.make(progress)
    figures.update(disk.check(photographs))
    figures.update(app(progress, photographs))
    figures["demo_seconds"] = progress.seconds
    report.write(figures, OUT / "report.json")
    print(report.table(figures, NOTES))
    print("\n  build/demo/report.json holds the same figures, build/demo/annotated.png a photograph with its faces")
    right = (
        figures["to_edge"]["failed"] == figures["to_device"]["failed"] == 0
        and figures["volume_checksum_ok"]
        and figures["results_per_photograph_equal"]
        and figures["results_kept"]["back_and_equal"]
        and figures.get("site_second_run_changed", 0) == 0
    )
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
