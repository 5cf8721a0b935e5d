# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A volume that is a file with a filesystem of its own on a node: its size is a wall, and `df` tells the truth.

XFS from 256 MiB on, since it grows in use with no more than CAP_SYS_ADMIN; ext4 below, where XFS does not go.
The file is larger than the volume by what the filesystem needs for itself, so that what was asked for is there.
"""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass
from pathlib import Path

from ..core import sizes
from ..core.errors import KrafError
from . import files, mountinfo, units
from .run import check

MIB = 2**20
XFS_FROM = 256 * MIB
XFS_LOG = 64 * MIB
DATA = "data"
"""What a pod gets to see: not there, so that no pod starts, while nothing is mounted."""

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")


@dataclass(frozen=True)
class LocalVolume:
    """One volume of this node.

    Args:
        name: name of its PersistentVolume.
        root: folder of the files.
    """

    name: str
    root: Path

    def checked(self) -> LocalVolume:
        """The same volume.

        Raises:
            KrafError: when the name would leave the folder, or be no name of a PersistentVolume.
        """
        if not _NAME.match(self.name) or len(self.name) > 128:
            why = "it takes lower-case letters, digits and '-', a letter or digit at both ends, 128 characters at most"
            raise KrafError("name of a local volume", self.name, why, "Give the name of the PersistentVolume")
        return self

    @property
    def image(self) -> Path:
        """The file."""
        return self.root / f"{self.name}.img"

    @property
    def mount_point(self) -> Path:
        """Where it is mounted."""
        return self.root / self.name

    @property
    def path(self) -> Path:
        """What the PersistentVolume names."""
        return self.mount_point / DATA

    @property
    def unit(self) -> str:
        """Name of its systemd unit."""
        return units.escape_path(str(self.mount_point), ".mount")

    def file_size(self) -> int:
        """Bytes of the file, nothing in it counted twice; 0 when there is none."""
        try:
            return self.image.stat().st_size
        except FileNotFoundError:
            return 0


def wanted_file(size: int, filesystem: str) -> int:
    """Bytes of the file for a volume of ``size`` bytes."""
    whole = -(-size // 4096) * 4096
    if filesystem == "xfs":
        return whole + XFS_LOG
    # Inodes take a 64th; the journal 4 MiB; the rest are tables of groups.
    return -(-(whole + whole // 32 + 6 * MIB) // 4096) * 4096


def filesystem_of(image: Path) -> str:
    """xfs, ext4, or empty when the file holds neither, read from its superblock."""
    with image.open("rb") as file:
        head = file.read(2048)
    if head[:4] == b"XFSB":
        return "xfs"
    if len(head) >= 1082 and struct.unpack_from("<H", head, 1080)[0] == 0xEF53:
        return "ext4"
    return ""


def unit_text(volume: LocalVolume, filesystem: str) -> str:
    """The mount unit. Not part of local-fs.target: a broken file must not keep the node from starting."""
    return f"""[Unit]
Description=Volume {volume.name} of kraf.edge
Before=kubelet.service

[Mount]
What={volume.image}
Where={volume.mount_point}
Type={filesystem}
Options=loop,nodev,nosuid,noatime

[Install]
WantedBy=multi-user.target
"""


def check_room(volume: LocalVolume, more: int) -> None:
    """Refuse what the node's disk cannot hold should every volume fill up: a full disk below a volume loses writes.

    Raises:
        KrafError: with the numbers.
    """
    folder = next(path for path in (volume.root, *volume.root.parents) if path.is_dir())
    found = os.statvfs(folder)
    free = found.f_bavail * found.f_frsize
    owed = 0
    for image in volume.root.glob("*.img"):
        status = image.stat()
        owed += max(0, status.st_size - status.st_blocks * 512)
    if more > free - owed:
        why = (
            f"it takes {sizes.human(more)} more, {folder} has {sizes.human(free)} free, "
            f"of which {sizes.human(owed)} are promised to other volumes"
        )
        fix = "Ask for less, make room, take another node, or set overcommit"
        raise KrafError(f"local volume {volume.name}", None, why, fix, free=free, promised=owed, needed=more)


def create(volume: LocalVolume, size: int) -> None:
    """Make the file and its filesystem. What a run that was killed left behind has another name and is replaced."""
    filesystem = "xfs" if size >= XFS_FROM else "ext4"
    files.make_directory(volume.root, 0o711)
    unfinished = volume.root / f"{volume.name}.new"
    files.remove(unfinished)
    with unfinished.open("xb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.truncate(wanted_file(size, filesystem))
    if filesystem == "xfs":
        argv = ["mkfs.xfs", "-q", "-l", f"size={XFS_LOG}", str(unfinished)]
    else:
        argv = ["mkfs.ext4", "-q", "-F", "-b", "4096", "-i", "16384", "-m", "0", "-J", "size=4", str(unfinished)]
    check(argv, timeout=120, fix=f"Install {'xfsprogs' if filesystem == 'xfs' else 'e2fsprogs'} on the node")
    with unfinished.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(unfinished, volume.image)


def mount(volume: LocalVolume, filesystem: str) -> bool:
    """Mounted now and after every start of the node, with the folder for pods; True when something was missing."""
    changed = files.make_directory(volume.mount_point, 0o711)
    if units.write(volume.unit, unit_text(volume, filesystem)):
        units.reload_units()
        changed = True
    changed = units.enable(volume.unit) or changed
    if not volume.mount_point.is_mount():
        units.start(volume.unit)
        changed = True
    if not volume.path.is_dir():
        volume.path.mkdir(mode=0o755)
        changed = True
    return changed


def device_of(volume: LocalVolume) -> Path:
    """The loop device under the mount. By its number: file names of other namespaces look the same."""
    number = os.stat(volume.mount_point).st_dev
    link = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    return Path("/dev") / link.resolve().name


def device_size(device: Path) -> int:
    """Bytes of a block device."""
    return int((Path("/sys/class/block") / device.name / "size").read_text()) * 512


def is_grown(volume: LocalVolume, filesystem: str) -> bool:
    """True when the device is as large as the file, and the filesystem as the device."""
    size = device_size(device_of(volume))
    found = os.statvfs(volume.mount_point)
    if filesystem == "xfs":
        # The smallest group that XFS adds has 64 blocks.
        return size == volume.file_size() and size - XFS_LOG - found.f_blocks * found.f_frsize < MIB
    with device_of(volume).open("rb") as file:
        file.seek(1024)
        head = file.read(64)
    blocks, exponent = struct.unpack_from("<I", head, 4)[0], struct.unpack_from("<I", head, 24)[0]
    return size == volume.file_size() and size - blocks * (1024 << exponent) < MIB


def check_growth(volume: LocalVolume, filesystem: str) -> None:
    """Refuse to grow what cannot grow now: ext4 in use, on a host that may not do so.

    Raises:
        KrafError: naming the users.
    """
    used = users(volume)
    if filesystem == "ext4" and used and not _may_grow_ext4():
        why = f"it is ext4, in use by {', '.join(used)}, and this host may not grow ext4 in use (no CAP_SYS_RESOURCE)"
        raise KrafError(f"local volume {volume.name}", None, why, "Stop them, then run this again")


def grow(volume: LocalVolume, filesystem: str, to: int) -> None:
    """Make file, device and filesystem larger, in this order, while it is in use where that is possible."""
    if volume.file_size() < to:
        os.truncate(volume.image, to)
    if filesystem == "ext4" and not _may_grow_ext4():
        units.systemctl("stop", volume.unit)
        check(["e2fsck", "-f", "-p", str(volume.image)], timeout=300)
        check(["resize2fs", str(volume.image)], timeout=300)
        units.start(volume.unit)
        return
    device = device_of(volume)
    check(["losetup", "-c", str(device)])
    if filesystem == "xfs":
        check(["xfs_growfs", "-d", str(volume.mount_point)], timeout=120, fix="Install xfsprogs on the node")
    else:
        check(["resize2fs", str(device)], timeout=300, fix="Install e2fsprogs on the node")


def _may_grow_ext4() -> bool:
    """Whether this process has CAP_SYS_RESOURCE, which ext4 wants for growing under a mount. See capabilities(7)."""
    status = Path("/proc/self/status").read_text()
    effective = int(re.search(r"CapEff:\s*([0-9a-f]+)", status).group(1), 16)  # type: ignore[union-attr]
    return bool(effective >> 24 & 1)


def users(volume: LocalVolume) -> list[str]:
    """Where else it is mounted: one entry for each pod, by its uid."""
    if not volume.mount_point.is_mount():
        return []
    found = set()
    for one in mountinfo.of(os.stat(volume.mount_point).st_dev):
        place = os.fsdecode(one.point)
        if place != str(volume.mount_point):
            pod = re.search(r"/pods/([0-9a-f-]{36})/", place)
            found.add(f"pod {pod.group(1)}" if pod else place)
    return sorted(found)


def remove(volume: LocalVolume) -> None:
    """Unmount it and delete it with all its data."""
    if volume.mount_point.is_mount() or units.enabled(volume.unit):
        units.systemctl("disable", "--now", volume.unit)
    if volume.mount_point.is_mount():
        raise KrafError(f"local volume {volume.name}", None, "it cannot be unmounted", "Stop what uses it")
    if units.remove(volume.unit):
        units.reload_units()
    files.remove(volume.root / f"{volume.name}.new")
    files.remove(volume.image)
    if volume.mount_point.is_dir():
        volume.mount_point.rmdir()
