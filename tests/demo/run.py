# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo: from bare hosts to an app that moved to the edge and back; every figure is measured in this run.

``python3 -m tests.demo.run`` wants a lab that is up; with ``--fast`` the cluster that is there already is kept, and the
figures about its installation are left out.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from pathlib import Path
from typing import Any

from . import access, floors, image, photos, report, speed
from .clients import Clients
from .hosts import fresh_hosts, hand_made_cluster_seconds

OUT = access.ROOT / "build" / "demo"
PLAYS = Path(__file__).parent / "plays"
DEVICE = "pi1"
APP = "faces"
PORT = 8000
VOLUME = "photos"
MOUNT = f"/srv/kraf/{VOLUME}"
_STARTED = time.monotonic()


def say(text: str) -> None:
    """A line of progress with the time since the start."""
    print(f"[{time.monotonic() - _STARTED:6.1f} s] {text}", flush=True)


def play(name: str, playbook: str | Path, **variables: Any) -> access.Played:
    """Run a playbook, keep its output in build/demo, say how long it took."""
    say(f"{playbook if isinstance(playbook, str) else playbook.name} ...")
    played = access.play(playbook, OUT / f"{name}.log", **variables)
    say(f"  {played.seconds:.1f} s, {played.tasks} tasks, {played.changed} changed")
    return played


def cluster() -> dict[str, Any]:
    """Bare hosts to a cluster, by hand and by ``site``; then ``site`` again."""
    say("the same cluster by hand, for comparison ...")
    by_hand = hand_made_cluster_seconds(OUT / "by-hand.log")
    say(f"  {by_hand:.1f} s; the hosts are made anew ...")
    fresh_hosts()
    first = play("site", "kraf.edge.site")
    second = play("site-again", "kraf.edge.site")
    return {
        "cluster_seconds": first.seconds,
        "cluster_floor_seconds": by_hand,
        "cluster_floor_ratio": first.seconds / by_hand,
        "site_second_run_changed": second.changed,
        "site_second_run_seconds": second.seconds,
    }


def disk(photographs: list[Path]) -> dict[str, Any]:
    """A 1 GiB volume on the device: what ``df`` says, and whether files arrive whole on the server."""
    play(
        "volume",
        "kraf.edge.volume",
        kraf_device=DEVICE,
        kraf_volume=VOLUME,
        kraf_volume_size="1Gi",
        kraf_volume_path=MOUNT,
    )
    seen = int(access.ssh(DEVICE, f"df --output=size -B1 {MOUNT} | tail -n 1"))
    sums = {}
    for photograph in photographs:
        content = photograph.read_bytes()
        access.ssh(DEVICE, f"cat > {MOUNT}/{photograph.name}", stdin=content)
        sums[photograph.name] = hashlib.sha256(content).hexdigest()
    pod = f"kubectl --kubeconfig /etc/kubernetes/admin.conf -n kraf-{DEVICE} exec export-{VOLUME}-0 --"
    paths = access.ssh(
        "control1", f"{pod} find / -xdev -false -o -name {photographs[0].name} -print 2>/dev/null || true"
    ).split()
    access.ssh(DEVICE, f"sync -f {MOUNT}; sleep 3")
    folder = Path(paths[0]).parent if paths else Path("/volume/files")
    listed = access.ssh("control1", f"{pod} sh -c 'cd {folder} && sha256sum {' '.join(sums)}'")
    stored = {name: digest for digest, name in (line.split() for line in listed.splitlines())}
    return {"volume_bytes_seen_by_df": seen, "volume_checksum_ok": stored == sums}


def move(to: str, floor: float, clients: Clients) -> tuple[access.Played, dict[str, Any]]:
    """One migration under the eyes of the clients."""
    played = play(f"to-{to}", "kraf.edge.migrate", kraf_apps=[f"{DEVICE}/{APP}"], kraf_to=to)
    seen = clients.window(played.begin, played.end)
    say(
        f"  {seen.requests} requests, {seen.failed} failed, longest wait {seen.longest_wait_seconds} s"
        f" {seen.reasons or ''}"
    )
    figures = seen.report()
    figures["wait_floor_seconds"] = floor
    figures["wait_floor_ratio"] = seen.longest_wait_seconds / floor
    return played, figures


def app(photographs: list[Path]) -> dict[str, Any]:
    """The app on its device, at the edge, and on its device again."""
    reference = image.publish()
    play("app", PLAYS / "app.yml", demo_device=DEVICE, demo_app=APP, demo_port=PORT, demo_image=reference)
    host = access.address(DEVICE)
    say("the floors of this run ...")
    floor = floors.measure(DEVICE, "worker1", reference)
    say(f"  to the edge {floor.to_edge_seconds:.2f} s, to the device {floor.to_device_seconds:.2f} s")
    on_device = speed.detect(host, PORT, photographs)
    say(f"on {DEVICE}: {on_device.images_per_second:.2f} images/s")
    with Clients(host, PORT) as clients:
        time.sleep(2)
        there, to_edge = move("edge", floor.to_edge_seconds, clients)
        time.sleep(2)
    at_edge = speed.detect(host, PORT, photographs)
    say(f"at the edge: {at_edge.images_per_second:.2f} images/s")
    rows_before = len(speed.results(host, PORT))
    with Clients(host, PORT) as clients:
        time.sleep(2)
        back, to_device = move("device", floor.to_device_seconds, clients)
        time.sleep(2)
    rows_after = len(speed.results(host, PORT))
    again = speed.detect(host, PORT, photographs, passes=1)
    best = max(photographs, key=lambda photograph: len(at_edge.faces[photograph.name]))
    caption = f"{best.name}: {len(at_edge.faces[best.name])} faces, found at the edge for {DEVICE}"
    photos.annotate(best, at_edge.faces[best.name], caption, OUT / "annotated.png")
    return {
        "device_cpu_limit_cores": float(access.LAB.device_cpus),
        "device_images_per_second": on_device.images_per_second,
        "edge_images_per_second": at_edge.images_per_second,
        "break_even_images": speed.break_even_images(
            on_device.images_per_second, at_edge.images_per_second, there.seconds + back.seconds
        ),
        "to_edge": to_edge,
        "to_device": to_device,
        "results_per_photograph_equal": on_device.faces == at_edge.faces == again.faces,
        "rows_before_and_after_the_way_back": [rows_before, rows_after],
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
    photographs = photos.fetch(OUT / "photographs")
    figures: dict[str, Any] = {}
    if not chosen.fast:
        figures.update(cluster())
    figures.update(disk(photographs))
    figures.update(app(photographs))
    figures["demo_seconds"] = time.monotonic() - _STARTED
    report.write(figures, OUT / "report.json")
    print(report.table(figures, NOTES))
    print("\n  build/demo/report.json holds the same figures, build/demo/annotated.png a photograph with its faces")
    right = (
        figures["to_edge"]["failed"] == figures["to_device"]["failed"] == 0
        and figures["volume_checksum_ok"]
        and figures["results_per_photograph_equal"]
        and figures.get("site_second_run_changed", 0) == 0
    )
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
