# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A systemd service of the device is adopted, moves to the edge and back, also by plays that are killed on their way.

A client writes numbers all the time, and none that was acknowledged is missing in the end. While the edge owns the app
nothing starts the unit; when it is back, the unit is as it was before. Then the device is lost and comes back. The lab
has to be up, with its cluster.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from tests.demo import access
from tests.demo.access import KUBECTL
from tests.lab import images

from . import moves
from .lab import CONTROL, DEVICE, FOLDER, Lab, published
from .lost import Checks, Subject

NAME, PORT = "unit-ledger", 18610
UNIT = f"{NAME}.service"
TOKEN = "only for the Secret"
PLAY = FOLDER.parent / "units.yml"
TEXT = f"""\
[Unit]
Description=Ledger that is a service of its device
After=network.target

[Service]
User={NAME}
StateDirectory={NAME}
Environment=DATA_DIR=/var/lib/{NAME}
EnvironmentFile=/etc/{NAME}.env
ExecStart=/usr/bin/python3 /usr/local/bin/ledger.py "two words"
Restart=on-failure
MemoryMax=200M
NoNewPrivileges=yes
PrivateTmp=yes

[Install]
WantedBy=multi-user.target
"""
MOVES = (
    ("edge", ""),
    ("device", ""),
    ("edge", "before:stop"),
    ("device", "before:commit"),
    ("edge", "after:copy"),
    ("device", "after:commit"),
    ("edge", "after:commit"),
    ("device", ""),
)
"""The side, and when a first play is killed; it is run again then, and settles what the first one left."""


def state() -> str:
    """What the owner of the unit would see of it, but for its process."""
    shown = "Id,LoadState,UnitFileState,DropInPaths,FragmentPath,Conditions,ActiveState,SubState"
    files = f"ls -d /etc/systemd/system/{UNIT}* /var/lib/kraf/at-the-edge/{UNIT} 2>/dev/null"
    rest = f"readlink /etc/systemd/system/*/{UNIT}; stat -c '%U %a' /var/lib/{NAME}"
    return access.ssh(DEVICE, f"systemctl show -p {shown} {UNIT}; {files}; {rest}", timeout=60)


def process() -> int:
    """Id of its main process on the device; 0 for none."""
    return int(access.ssh(DEVICE, f"systemctl show -p MainPID --value {UNIT}", timeout=60))


def started() -> str:
    """When it was started last since the boot, as systemd has it; empty when it was not."""
    show = f"systemctl show -p ExecMainStartTimestampMonotonic --value {UNIT}"
    return access.ssh(DEVICE, show, timeout=60).strip().lstrip("0")


def pods() -> int:
    """How many pods it has at the edge."""
    return len(access.ssh(CONTROL, f"{KUBECTL} -n kraf-{DEVICE} get pod -l kraf.io/app={NAME} -o name").split())


def at_edge(checks: Checks) -> None:
    """Nothing starts it, nobody sees its secrets, and the workload is what the unit was."""
    checks.check("it does not run on the device", process(), 0)
    access.ssh(DEVICE, f"systemctl daemon-reload; systemctl start {UNIT}; true", timeout=60)
    checks.check("nothing starts it there", process(), 0)
    told = access.ssh(DEVICE, f"systemctl status {UNIT} --no-pager; true", timeout=60)
    checks.check("its status says why", f"/var/lib/kraf/at-the-edge/{UNIT} was not met" in told, True)
    found = json.loads(access.ssh(CONTROL, f"{KUBECTL} -n kraf-{DEVICE} get sts app-{NAME} -o json", timeout=60))
    container = found["spec"]["template"]["spec"]["containers"][0]
    argv = [*container["command"], *container["args"]]
    checks.check("its program", argv, ["/usr/bin/python3", "/usr/local/bin/ledger.py", "two words"])
    checks.check("its values are in a Secret alone", TOKEN in json.dumps(found), False)
    mounted = [one["mountPath"] for one in container["volumeMounts"]]
    checks.check("its state directory is at its place", mounted, [f"/var/lib/{NAME}"])


def main() -> int:
    """Run it; the exit status is 1 when something was wrong."""
    lab, checks = Lab(access.INVENTORY.resolve(), access.ROOT / "build" / access.LAB.name / "units"), Checks()
    given: dict[str, Any] = {"device": DEVICE, "app": NAME, "port": str(PORT), "token": TOKEN, "text": TEXT}
    given["program"] = (FOLDER / "ledger.py").read_text()
    made = lab.play(str(PLAY), "make", **{f"units_{key}": value for key, value in given.items()})
    checks.check("it runs on its device", made, 0)
    named: dict[str, Any] = {"kraf_app_images": f"{images.architecture()}={published()}", "kraf_app_probe": "/health"}
    adopted = lab.play("kraf.edge.adopt", "adopt", kraf_device=DEVICE, kraf_unit=UNIT, **named)
    checks.check("it is adopted", adopted, 0)
    begin, first = state(), process()

    def there(to: str) -> None:
        nonlocal first
        checks.check("only its owner runs it", pods(), 1 if to == "edge" else 0)
        if to == "edge":
            at_edge(checks)
        else:
            checks.check("the unit is as it was", state(), begin)
            checks.check("it was started anew", process() not in (0, first), True)
            first = process()

    kept = f"/var/lib/{NAME}.kraf-lost-*/log"
    app = Subject(NAME, (PORT, PORT + 1), PORT, started, lambda: process() != 0, there, kept)
    return moves.run(lab, checks, app, MOVES)


if __name__ == "__main__":
    sys.exit(main())
