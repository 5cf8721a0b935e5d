# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Data directories on the mount of a volume: nothing of them is copied, the edge mounts the volume itself.

One side uses the volume at a time. The device's is over once davfs2 has sent everything and is unmounted, for good
until the device owns the app again; what is on the server then is compared with what the mount has shown last.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import os
import re
import stat
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..core.errors import KrafError
from . import caches, mounts, nameless, units
from .davfs import Mount
from .manifest import SMALL

Data = Sequence[tuple[str, str]]
Sums = dict[bytes, tuple[int, int, str]]
RACY_NS = 2_000_000_000
"""davfs2 keeps times of the server to the second: what is younger than this when it is read may change unseen."""
NAMED = 20
_LOST = b"lost+found"
"""davfs2's own folder at the top of a mount: what the server refused, and nothing of the server's."""
_BLOCK = 1 << 20
_SQLITE = b"SQLite format 3\0"
_BY_NAME = (
    (re.compile(r".*-(wal|shm|journal)\Z", re.DOTALL), "a journal of SQLite, whose locks and shared memory it has not"),
    (re.compile(r".*\.(lock|lck|pid)\Z|\.?lock\Z|LOCK\Z", re.DOTALL), "a lock file: locks hold on this device alone"),
)

_NAMELESS = "after which davfs2 neither tells its size nor gives its end to the program that has it open"
_RENAMED_OVER = f"another was renamed over it, {_NAMELESS}"
_REMOVED = f"it was removed, {_NAMELESS}"


@dataclass(frozen=True)
class Disk:
    """A data directory on a mount: its name, where it is, and the mount that it lies on."""

    name: str
    folder: str
    mount: Mount

    @property
    def inside(self) -> str:
        """Path below the mount; empty for the mount itself."""
        return self.folder[len(self.mount.path) :].strip("/")


def _find(folder: str, every: Sequence[Mount]) -> Mount | None:
    """The mount of a volume that a directory lies on, whether it is mounted or not."""
    return next((one for one in every if f"{folder}/".startswith(f"{one.path}/")), None)


def of(data: Data, remembered: Iterable[tuple[str, str]] = ()) -> list[Disk]:
    """Those of an app's data directories that lie on a mount.

    Args:
        data: name and directory of each.
        remembered: name and volume of those that did when the app was moved last.

    Raises:
        KrafError: when one of these no longer does: what is there instead are other data.
    """
    every, before = mounts.load_all(), dict(remembered)
    found = []
    for name, folder in data:
        mount = _find(folder, every)
        if name in before and (mount is None or mount.name != before[name]):
            why = f"it lay on the mount of volume {before[name]}, which this device has there no more"
            fix = f"Mount the volume {before[name]} there again (playbook kraf.edge.volume)"
            raise KrafError(f"data {name}", folder, why, fix)
        if mount is not None:
            found.append(Disk(name, folder, mount))
    return found


def named(disks: Iterable[Disk]) -> tuple[tuple[str, str], ...]:
    """Name and volume of each, to be remembered."""
    return tuple((one.name, one.mount.name) for one in disks)


def _mounts(disks: Iterable[Disk]) -> list[Mount]:
    return list({one.mount.path: one.mount for one in disks}.values())


# -- mounted, and not ------------------------------------------------------------------------------------------------


def leave(disks: Iterable[Disk], limit: float, sent: bool = True) -> int:
    """Unmount, and nothing mounts them again; files that were not sent.

    Args:
        limit: seconds for each mount to send what is pending.
        sent: whether everything has to be sent.

    Raises:
        KrafError: when it could not be, with the mount as it was where that is possible.
    """
    left = 0
    for mount in _mounts(disks):
        automount = units.escape_path(mount.path, ".automount")
        if not mounts.mounted(mount.path) and not units.enabled(automount):
            continue
        if sent:
            _serves(mount, limit)
        mounts.release(mount.path, limit)
        unsent = caches.unsent(mount.cache)
        if unsent and sent:
            why = f"the server did not take everything; pending: {unsent} files"
            raise KrafError("mount", mount.path, why, "See the export and the door, then run it again", pending=unsent)
        left += unsent
        units.disable(automount)
    return left


def _serves(mount: Mount, limit: float) -> None:
    """Whether there is a server to send to: while there is none, unmounting ends with files in the cache."""
    end, said = time.monotonic() + min(limit, 15.0), ""
    while time.monotonic() < end:
        connection = http.client.HTTPConnection("127.0.0.1", mount.port, timeout=5)
        try:
            connection.request("OPTIONS", "/")
            if connection.getresponse().status < 500:
                return
            said = "it answers with an error"
        except (OSError, http.client.HTTPException) as error:
            said = str(error) or type(error).__name__
        finally:
            connection.close()
        time.sleep(0.5)
    why = f"the export of volume {mount.name} does not answer ({said}), so what is pending cannot be sent"
    raise KrafError("mount", mount.path, why, "See the export and the door, then run it again")


def back(disks: Iterable[Disk], limit: float) -> None:
    """Mount again, also after the next boot.

    Raises:
        KrafError: when one is not mounted within ``limit`` seconds.
    """
    for mount in _mounts(disks):
        unit = units.escape_path(mount.path, "")
        units.enable(f"{unit}.automount")
        if mounts.mounted(mount.path):
            continue
        # A mount before anything serves is one that shows nothing.
        _serves(mount, limit)
        units.start(f"{unit}.automount")
        units.start(f"{unit}.mount", timeout=limit)
        if not mounts.mounted(mount.path):
            why = f"it is not mounted: {units.journal(unit + '.mount')}"
            raise KrafError("mount", mount.path, why, "See journalctl on the device")


# -- what is on them -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _reading(disk: Disk) -> Iterator[None]:
    """What davfs2 answers when it does not reach its server, in words."""
    try:
        yield
    except OSError as error:
        why = f"it cannot be read through the mount: {error.strerror or error}"
        raise KrafError(
            f"data {disk.name}", disk.folder, why, "See the export and the door, then run it again"
        ) from error


def read(disk: Disk, before: Sums | None = None) -> Sums:
    """Size, mtime and checksum of each file, read through the mount; the size of a directory is -1.

    Args:
        before: of an earlier look: where it holds more than 64 MiB, files that have size and time as then and were not
            young then are not read again.

    Raises:
        KrafError: when the mount does not answer.
    """
    with _reading(disk):
        return _read(disk, before)


def _read(disk: Disk, before: Sums | None) -> Sums:
    known = before or {}
    trust = sum(max(0, size) for size, _mtime, _digest in known.values()) >= SMALL
    found: Sums = {}
    for path, state in _walk(disk):
        if stat.S_ISDIR(state.st_mode):
            found[path] = (-1, 0, "")
            continue
        old = known.get(path)
        if trust and old is not None and old[2] and old[:2] == (state.st_size, state.st_mtime_ns):
            found[path] = old
            continue
        young = state.st_mtime_ns > time.time_ns() - RACY_NS
        with contextlib.suppress(FileNotFoundError):  # the app removed it meanwhile
            digest = _digest(os.path.join(os.fsencode(disk.folder), path))
            found[path] = (state.st_size, 0 if young else state.st_mtime_ns, digest)
    return found


def _walk(disk: Disk) -> Iterator[tuple[bytes, os.stat_result]]:
    pending = [b""]
    while pending:
        below = pending.pop()
        with os.scandir(os.path.join(os.fsencode(disk.folder), below)) as entries:
            for entry in entries:
                if not below and not disk.inside and entry.name == _LOST:
                    continue
                with contextlib.suppress(FileNotFoundError):
                    state = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(state.st_mode):
                        pending.append(below + entry.name + b"/")
                    if stat.S_ISDIR(state.st_mode) or stat.S_ISREG(state.st_mode):
                        yield below + entry.name, state


def _digest(path: bytes) -> str:
    found = hashlib.sha256()
    with open(path, "rb") as stream:
        while content := stream.read(_BLOCK):
            found.update(content)
    return found.hexdigest()


def told(sums: Sums) -> str:
    """The directory as the mover is told of it: a record for each entry, in base64 since names are bytes."""
    records = [
        b"d - " + path if size < 0 else b"f " + digest.encode() + b" " + path
        for path, (size, _mtime, digest) in sums.items()
    ]
    return base64.b64encode(b"".join(one + b"\0" for one in records)).decode()


def compare(disk: Disk, text: str) -> None:
    """Check that the mount shows what the mover has found on the volume.

    Args:
        text: the mover's records: a directory (d), a file by checksum (f) or by size (s), or what WebDAV does not show
            or not as it is (x).

    Raises:
        KrafError: naming the first entries that differ; or when the mount does not answer.
    """
    with _reading(disk):
        _refuse(disk, _differing(disk, text))


def _differing(disk: Disk, text: str) -> list[bytes]:
    wanted: dict[bytes, tuple[bytes, bytes]] = {}
    odd = set()
    for record in filter(None, base64.b64decode(text).split(b"\0")):
        kind, value, path = record.split(b" ", 2)
        if kind == b"x":
            odd.add(path)
        else:
            wanted[path] = (kind, value)
    shown = dict(_walk(disk))
    shown = {path: state for path, state in shown.items() if not _below(path, odd)}
    differ = [*(wanted.keys() - shown.keys()), *(shown.keys() - wanted.keys())]
    for path in wanted.keys() & shown.keys():
        if not _same(os.path.join(os.fsencode(disk.folder), path), shown[path], *wanted[path]):
            differ.append(path)
    return differ


def _refuse(disk: Disk, differ: list[bytes]) -> None:
    if differ:
        first = ", ".join(_shown(path) for path in sorted(differ)[:5])
        why = f"{len(differ)} entries differ from those on the volume {disk.mount.name}: {first}"
        raise KrafError(f"data {disk.name}", disk.folder, why, "Run it again; the volume is as the edge has left it")


def _same(path: bytes, state: os.stat_result, kind: bytes, value: bytes) -> bool:
    if kind == b"d" or stat.S_ISDIR(state.st_mode):
        return kind == b"d" and stat.S_ISDIR(state.st_mode)
    return int(value) == state.st_size if kind == b"s" else _digest(path) == value.decode()


def _below(path: bytes, odd: set[bytes]) -> bool:
    parts = path.split(b"/")
    return any(b"/".join(parts[:count]) in odd for count in range(1, len(parts) + 1))


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")


def state(disk: Disk) -> dict[str, Any]:
    """What a look at the device tells of it."""
    found: dict[str, Any] = {
        "exists": True,
        "bytes": 0,
        "mount_point": False,
        "free_bytes": 0,
        "volume": disk.mount.name,
        "inside": disk.inside,
        "mounted": mounts.mounted(disk.mount.path),
    }
    if found["mounted"]:
        try:
            opened = nameless.below(disk.folder, os.stat(disk.folder).st_dev)
            every = unsuited(disk, opened.paths)
            found.update(unsuited=every[:NAMED], unnamed=len(every[NAMED:]), unseen=opened.unseen[:NAMED])
        except FileNotFoundError:
            found["exists"] = False
        except OSError:
            # A look has to tell also when the server is away: by what it tells, an earlier run is settled.
            found["mounted"] = False
    return found


def unsuited(disk: Disk, lost: Collection[bytes] = ()) -> list[dict[str, str]]:
    """Files that need what WebDAV cannot give, each with the reason.

    Args:
        disk: the directory.
        lost: files of it that are open and have no name any more.
    """
    locked = _locked()
    found, shown = [], set()
    for path, state_ in _walk(disk):
        if stat.S_ISDIR(state_.st_mode):
            continue
        name = os.path.basename(path).decode("utf-8", "backslashreplace")
        device = f"{os.major(state_.st_dev):02x}:{os.minor(state_.st_dev):02x}:{state_.st_ino}"
        why = next((why for pattern, why in _BY_NAME if pattern.match(name)), "")
        shown.add(path)
        if path in lost:
            why = _RENAMED_OVER
        elif device in locked:
            why = "a program holds a lock on it: locks hold on this device alone"
        elif _is_sqlite(os.path.join(os.fsencode(disk.folder), path), state_.st_size):
            why = "a SQLite database, whose locks and shared memory it has not"
        if why:
            found.append({"path": _shown(path), "why": why})
    found += [
        {"path": _shown(path), "why": _REMOVED} for path in set(lost) - shown if path + nameless.MARK not in shown
    ]
    found.sort(key=lambda one: one["path"])
    return found


def _is_sqlite(path: bytes, size: int) -> bool:
    """By its first bytes; only where the size can be one's, for to look into a file may be to fetch it."""
    if size < 512 or size % 512:
        return False
    try:
        with open(path, "rb") as stream:
            return stream.read(len(_SQLITE)) == _SQLITE
    except FileNotFoundError:
        return False


def _locked(text: str | None = None) -> set[str]:
    """Files with locks, as device and inode (proc(5), /proc/locks)."""
    lines = (Path("/proc/locks").read_text() if text is None else text).splitlines()
    return {fields[-3] for fields in map(str.split, lines) if len(fields) >= 8}


def damage(disks: Iterable[Disk], unsent: int) -> Mapping[str, list[str]]:
    """What a device that was lost has not sent, for the operator: by the data directory's name."""
    return {one.name: [f"{unsent} files that davfs2 had not sent"] for one in disks} if unsent else {}
