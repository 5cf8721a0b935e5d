# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An app whose data lie on the mount of one of the device's volumes moves to the edge and back, also by plays that are
killed on their way: nothing is copied. Then the device is lost and comes back, without power and without its network,
and then the edge.

A client writes numbers all the time, and none that was acknowledged is missing in the end. The lab has to be up, with
its cluster.
"""

from __future__ import annotations

import sys

from tests.demo import access

from . import moves
from .lab import DEVICE, App, Lab
from .lost import Checks, container

APP = App("disk-ledger", 8024, data=("/data",))
MOVES = (
    ("edge", ""),
    ("device", ""),
    ("edge", "after:stop"),
    ("device", "after:stop"),
    ("edge", "after:commit"),
    ("device", "after:commit"),
    ("edge", "before:release"),
    ("device", ""),
)
"""The side, and when a first play is killed; it is run again then, and settles what the first one left."""


def main() -> int:
    """Run it; the exit status is 1 when something was wrong."""
    lab, checks = Lab(access.INVENTORY.resolve(), access.ROOT / "build" / access.LAB.name / "volumes"), Checks()
    given = {"kraf_device": DEVICE, "kraf_volume": APP.name, "kraf_volume_path": f"/srv/{APP.name}"}
    checks.check("the device has the volume", lab.play("kraf.edge.volume", "volume", **given), 0)
    lab.deploy(APP)
    kept = f"/var/lib/kraf/davfs2-quarantine/{APP.name}/*/*"
    return moves.run(lab, checks, container(lab, checks, APP, kept, copied=False), MOVES)


if __name__ == "__main__":
    sys.exit(main())
