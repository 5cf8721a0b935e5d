# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Twenty apps of five devices moved by one play, beside one app: on a lab of its own, which is removed afterwards."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time

from tests.demo import access, image
from tests.demo.apps import INSIDE, PLAY
from tests.demo.progress import Progress
from tests.faults.lab import Lab, devices
from tests.lab.images import architecture

from .rows import Row

DEVICES, APPS = 5, 4
LAB = {
    "KRAF_LAB_NAME": "many",
    "KRAF_LAB_PREFIX": "10.213.8",
    "KRAF_LAB_HOSTS": ",".join(["control1", "worker1", "worker2", *(f"pi{i + 1}" for i in range(DEVICES))]),
}
_TOOK = re.compile(
    r"(pi[0-9]+/[a-z0-9]+) took ([0-9]+) requests to the API server .*? and ([0-9]+) calls to the device"
)


def rows(progress: Progress) -> list[Row]:
    """The figures, measured by a process of its own, whose lab is another one."""
    progress.say("a lab of its own ...")
    environment = {**os.environ, **LAB}
    lab = [sys.executable, "-m", "tests.lab"]
    log = progress.folder / "many.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with log.open("wb") as stream:
            for argv in ([*lab, "up"], [sys.executable, "-m", "tests.bench.many"]):
                subprocess.run(argv, cwd=access.ROOT, env=environment, stdout=stream, stderr=stream, check=True)
    except subprocess.CalledProcessError as error:
        raise access.Failed(f"{error}; the whole output is in {log}") from error
    finally:
        subprocess.run([*lab, "down"], cwd=access.ROOT, env=environment, capture_output=True, check=True)
    return [Row(**row) for row in json.loads(log.read_text().rstrip().splitlines()[-1])]


def _moved(lab: Lab, apps: list[str], to: str, log: str) -> tuple[float, dict[str, tuple[int, int]]]:
    """Seconds of a play; requests and calls to the device of each app."""
    begin = time.monotonic()
    rc = lab.play("kraf.edge.migrate", log, kraf_apps=apps, kraf_to=to)
    seconds = time.monotonic() - begin
    found = {app: (int(asked), int(calls)) for app, asked, calls in _TOOK.findall(lab.output(log))}
    if rc or len(found) != len(apps):
        raise access.Failed(f"{len(found)} of {len(apps)} apps were moved, it ended with {rc}:\n{lab.said(log, 60)}")
    return seconds, found


def main() -> int:
    """Measure on the lab that the environment names; the last line is the rows."""
    folder = access.ROOT / "build" / access.LAB.name
    lab = Lab(access.INVENTORY, folder / "bench", devices(folder))
    reference = image.publish()
    if lab.play("kraf.edge.site", "site"):
        raise access.Failed(lab.said("site", 40))
    apps = [(f"pi{device + 1}", f"app{number}", 8100 + number) for number in range(APPS) for device in range(DEVICES)]
    for device, app, port in apps:
        given = {"device": device, "app": app, "port": port, "inside": INSIDE, "image": reference, "overlap": False}
        given |= {"architecture": architecture(), "data": ["/data"]}
        if lab.play(str(PLAY), f"{device}-{app}", **{f"demo_{key}": value for key, value in given.items()}):
            raise access.Failed(lab.said(f"{device}-{app}", 40))
    keys = [f"{device}/{app}" for device, app, _port in apps]
    # Images and volumes are there afterwards, for the one as for the many.
    for to in ("edge", "device"):
        _moved(lab, keys, to, f"first-{to}")
    one, alone = _moved(lab, keys[:1], "edge", "one")
    _moved(lab, keys[:1], "device", "one-back")
    many, found = _moved(lab, keys, "edge", "many")
    asked, calls = alone[keys[0]]
    rows = [
        Row("one_app_seconds", one, note="playbook migrate to the edge, with data"),
        Row("many_apps_seconds", many, note=f"{len(keys)} apps of {DEVICES} devices by one play"),
        Row("many_apps_ratio", many / one, 8),
        Row(
            "many_apps_requests_each", max(row[0] for row in found.values()), asked, note="most of any app / of the one"
        ),
        Row("many_apps_calls_each", max(row[1] for row in found.values()), calls, note="calls of the device"),
    ]
    print(json.dumps([vars(row) for row in rows]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
