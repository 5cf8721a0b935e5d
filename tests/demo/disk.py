# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The virtual disk of demo and bench: made by the playbook, looked at from both of its ends."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

from . import access
from .apps import DEVICE
from .progress import Progress

VOLUME = "photos"
MOUNT = f"/srv/kraf/{VOLUME}"
NODE = "worker1"
FILES = f"/var/lib/kraf/volumes/kraf-{DEVICE}-{VOLUME}/data/files"
"""Where the export's files are on its node."""
POD = f"{access.KUBECTL} -n kraf-{DEVICE} exec export-{VOLUME}-0 --"
LIMIT = 60.0


def make(progress: Progress, size: str = "1Gi") -> access.Played:
    """The volume, mounted on the device."""
    return progress.play(
        "kraf.edge.volume",
        kraf_device=DEVICE,
        kraf_volume=VOLUME,
        kraf_volume_size=size,
        kraf_volume_path=MOUNT,
    )


def check(photographs: list[Path]) -> dict[str, Any]:
    """What ``df`` says on the device, and whether files that are written there arrive whole at the server."""
    seen = int(access.ssh(DEVICE, f"df --output=size -B1 {MOUNT} | tail -n 1"))
    sums = {}
    for photograph in photographs:
        content = photograph.read_bytes()
        access.ssh(DEVICE, f"cat > {MOUNT}/{photograph.name}", stdin=content)
        sums[photograph.name] = hashlib.sha256(content).hexdigest()
    begin = time.monotonic()
    while (stored := _stored(list(sums))) != sums and time.monotonic() < begin + LIMIT:
        time.sleep(0.5)
    return {"volume_bytes_seen_by_df": seen, "volume_checksum_ok": stored == sums}


def _stored(names: list[str]) -> dict[str, str]:
    """Checksums that the export's pod finds; a file that is not there yet is left out."""
    command = f"{POD} sh -c 'cd /srv/volume/files && sha256sum {' '.join(names)} 2>/dev/null || true'"
    return {name: digest for digest, name in (line.split() for line in access.ssh("control1", command).splitlines())}
