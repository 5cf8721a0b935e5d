# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A device is taken out that has a disk, and an app that has been at the edge; then it is brought in again.

The playbook has to refuse while the app is at the edge, and without the consent to lose the volumes. Afterwards
cluster, nodes and device have nothing of it, and the app runs on the device with its data. The lab has to be up, with
its cluster.
"""

from __future__ import annotations

import sys

from tests.demo import access

from .lab import CONTROL, DEVICE, Lab, remains
from .lost import Checks
from .run import LEDGER

NAMED = {"kraf_device": DEVICE, "kraf_device_remove_confirm": DEVICE}
LEFT_ON_NODE = "find /var/lib/kraf/volumes -mindepth 1 2>/dev/null; losetup --list --noheadings | grep -F volumes; true"
LEFT_ON_DEVICE = (
    "ls -d /etc/kraf /run/kraf /usr/local/lib/kraf 2>/dev/null; nft list tables | grep kraf; mount | grep davfs; "
    "systemctl list-units --all --no-legend --plain 'kraf*'; ls /etc/systemd/system | grep kraf; true"
)
POLICY = f"docker inspect -f '{{{{.State.Running}}}} {{{{.HostConfig.RestartPolicy.Name}}}}' {LEDGER.name}"


def main() -> int:
    folder = access.ROOT / "build" / access.LAB.name
    lab, checks = Lab(access.INVENTORY.resolve(), folder / "removal"), Checks()
    check = checks.check

    def refused(log: str, words: str, **variables: str) -> None:
        rc = lab.play("kraf.edge.device_remove", log, **variables)
        check(f"refused with {words!r}", (rc, words in lab.said(log, 30)), (2, True))

    lab.deploy(LEDGER)
    check("the device has a disk", lab.play("kraf.edge.volume", "volume", kraf_device=DEVICE, kraf_volume="photos"), 0)
    check("the app moves to the edge", lab.move(LEDGER, "edge", "edge"), 0)
    refused("at-edge", "Apps run at the edge: ledger", **NAMED, kraf_remove_volumes="true")
    check("the app moves back", lab.move(LEDGER, "device", "device"), 0)
    before = lab.log_of(LEDGER)
    refused("unconfirmed", "kraf_device_remove_confirm", kraf_device=DEVICE)
    refused("kept", "Volumes would be lost: ", **NAMED)
    for number in (1, 2):
        rc = lab.play("kraf.edge.device_remove", f"removed-{number}", **NAMED, kraf_remove_volumes="true")
        check(f"the device is taken out, run {number}", rc, 0)
    check("nothing is left in the cluster", access.ssh(CONTROL, remains(DEVICE)).strip(), "")
    for host in access.LAB.hosts:
        if not host.is_device:
            check(f"nothing is left on {host.name}", access.ssh(host.name, LEFT_ON_NODE).strip(), "")
    check("nothing is left on the device", access.ssh(DEVICE, LEFT_ON_DEVICE).strip(), "")
    check("the app runs there, and starts at boot", access.ssh(DEVICE, POLICY).split(), ["true", "unless-stopped"])
    check("its data are as they were", lab.log_of(LEDGER), before)
    check("the device is brought in again", lab.play("kraf.edge.device", "again"), 0)
    return checks.end(lab.logs)


if __name__ == "__main__":
    sys.exit(main())
