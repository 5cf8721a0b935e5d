# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Taking off a device what kraf.edge put there: mounts after their last byte was sent, forwards, units, certificates.

What is there is found by looking, not remembered, so that a run which was killed can be run again.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import KrafError
from . import forward_store, redirect, service, udp, units
from .run import run

LEFT = (
    "etc/kraf",
    "run/kraf",
    "var/lib/kraf/placements",
    "var/lib/kraf/deadman",
    "var/lib/kraf/standby",
    "var/lib/kraf/jobs",
    "var/lib/kraf/cron",
    "var/lib/kraf/at-the-edge",
    "var/lib/kraf/takeover.json",
    "usr/local/lib/kraf",
)
SECRETS = "etc/davfs2/secrets"
# A forward listens on the device itself, so what is mounted from there is ours.
_LOOPBACK = re.compile(r"https?://(127\.[0-9.]+|localhost|\[::1\])[:/]")


@dataclass(frozen=True)
class Found:
    """What of kraf.edge there is on a device.

    Attributes:
        mounts: mount points, the innermost first.
        units: unit files, and drop-ins with them.
        folders: what else is kept.
        secrets: lines of davfs2's secrets that are ours, by their number.
        redirected: whether ports are led to forwards.
    """

    mounts: tuple[str, ...]
    units: tuple[Path, ...]
    folders: tuple[Path, ...]
    secrets: tuple[int, ...]
    redirected: bool

    @property
    def anything(self) -> bool:
        """Whether there is anything to take away."""
        return bool(self.mounts or self.units or self.folders or self.secrets or self.redirected)


def look(root: Path = Path("/")) -> Found:
    """Find what there is below a root, which is another one for tests only."""
    mounts = _mounted(root)
    folder = root / "etc/systemd/system"
    ours = [*sorted(folder.glob("kraf-*")), *sorted(folder.glob("docker.service.d/kraf-takeover.conf"))]
    ours += sorted(folder.glob(f"*.d/{service.DROP_IN}"))
    sources = set(mounts)
    for unit in sorted(folder.glob("*.mount")):
        text = unit.read_text(encoding="utf-8", errors="replace")
        source, target = (_setting(text, name) for name in ("What", "Where"))
        if _LOOPBACK.match(source):
            ours += [path for path in (unit, unit.with_suffix(".automount")) if path.exists()]
            sources.update((source, target))
    folders = tuple(root / name for name in LEFT if (root / name).exists())
    secrets = _secrets(root / SECRETS, sources)
    return Found(tuple(mounts), tuple(dict.fromkeys(ours)), folders, secrets, _redirected())


def _mounted(root: Path) -> list[str]:
    return mounted((root / "proc/mounts").read_text(encoding="utf-8", errors="surrogateescape"))


def mounted(mounts: str) -> list[str]:
    """Mount points of davfs2 on a loopback address, of the text of /proc/mounts; the innermost first."""
    found = []
    for line in mounts.splitlines():
        fields = [re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal.group(1), 8)), part) for part in line.split(" ")]
        if len(fields) > 2 and _LOOPBACK.match(fields[0]) and fields[2].split(".")[0] in ("fuse", "davfs"):
            found.append(fields[1])
    return sorted(dict.fromkeys(found), key=len, reverse=True)


def leave(found: Found, limit: float, root: Path = Path("/")) -> None:
    """Take it all away.

    Args:
        found: what ``look`` found.
        limit: seconds that the unmount of one mount may take, in which davfs2 sends what is pending.

    Raises:
        KrafError: for a mount that is in use, or whose data did not reach the server; everything is then left as it is.
    """
    names = [
        path.name for path in found.units if path.suffix in (".automount", ".mount", ".service", ".timer", ".path")
    ]
    plain = [name for name in names if "@." not in name]
    # An automount would mount again what is being unmounted; as a rule its end unmounts already.
    automounts = [name for name in plain if name.endswith(".automount")]
    if automounts:
        units.stop(*automounts, timeout=limit)
    for mount in _mounted(root):
        done = run(["umount", mount], limit)
        if not done.ok:
            said = "it did not end" if done.timed_out else done.stderr.strip()[-500:].rstrip(".")
            fix = "Free the mount point, or see what the cache in /var/cache/davfs2 still holds, then run this again"
            raise KrafError("mount", mount, f"unmounting it failed within {limit:g} s: {said}", fix)
    if plain:
        units.stop(*plain, "kraf-*")
        run(["systemctl", "--no-ask-password", "disable", *plain], 60)
    if found.redirected:
        run(["nft", "delete", "table", *redirect.TABLE.split()], 10)
        # Clients that never pause would go on being led to a port that nobody listens on.
        with contextlib.suppress(KrafError):
            udp.forget(udp.redirected(forward_store.load_all()))
    for path in (*found.units, *found.folders):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    _forget(root / SECRETS, found.secrets)
    for folder in {path.parent for path in found.units if path.parent.suffix == ".d"}:
        with contextlib.suppress(OSError):  # another's drop-in lies there, too
            folder.rmdir()
    if found.units:
        units.reload_units()


def _setting(text: str, name: str) -> str:
    line = re.search(rf"^{name}=(.*)$", text, re.MULTILINE)
    return line.group(1).strip() if line else ""


def _secrets(path: Path, sources: set[str]) -> tuple[int, ...]:
    """Lines that begin with a mount point or a URL of ours; davfs2.conf(5) lets them be quoted."""
    if not path.exists():
        return ()
    lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    fields = [(line.split() or [""])[0].strip('"') for line in lines]
    return tuple(number for number, field in enumerate(fields) if field in sources)


def _forget(path: Path, numbers: tuple[int, ...]) -> None:
    if numbers:
        lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines(keepends=True)
        kept = "".join(line for number, line in enumerate(lines) if number not in numbers)
        # In place, for the file's mode and owner are what davfs2 insists on.
        path.write_text(kept, encoding="utf-8", errors="surrogateescape")


def _redirected() -> bool:
    return run(["nft", "list", "table", *redirect.TABLE.split()], 10).ok
