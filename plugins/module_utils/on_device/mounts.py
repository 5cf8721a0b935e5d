# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mounts: made, proven, taken away, with a limit on every wait."""

from __future__ import annotations

import base64
import fcntl
import http.client
import os
import secrets
import signal
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..core.errors import KrafError
from . import caches, davfs, files, points, units
from .davfs import Mount
from .run import run

STATE = Path("/etc/kraf/mounts")
SECRETS = Path("/etc/davfs2/secrets")
CONFIG = Path("/etc/davfs2/davfs2.conf")
GUARD = Path("/usr/local/lib/kraf/mount-guard")
_GETFLAGS, _SETFLAGS, _IMMUTABLE = 0x80086601, 0x40086602, 0x10


def mounted(path: str, text: str | None = None) -> bool:
    """Whether davfs2 is mounted at a path, by the kernel's table (proc(5)): asking the path itself could hang."""
    table = Path("/proc/self/mounts").read_text() if text is None else text
    for line in table.splitlines():
        fields = line.split(" ")
        if len(fields) > 2 and fields[2] == "fuse" and fields[1].encode().decode("unicode_escape") == path:
            return True
    return False


def wanted_files(mount: Mount, password: str) -> dict[Path, tuple[str, int]]:
    """Content and mode of every file of a mount."""
    unit = units.escape_path(mount.path, "")
    wanted = {units.UNITS / name: (text, 0o644) for name, text in davfs.units(mount, unit).items()}
    line = davfs.secret_line(mount, password)
    wanted[SECRETS] = (davfs.merge_secrets(files.read(SECRETS) or "", mount.path, line), 0o600)
    wanted[CONFIG] = (davfs.merge_config(files.read(CONFIG) or "", mount.name, davfs.section(mount)), 0o644)
    wanted[GUARD] = (davfs.GUARD, 0o755)
    return wanted


def differing(mount: Mount, password: str) -> list[str]:
    """Files of the mount that are not as they should be; "mount" when only the mount itself is missing."""
    found = [
        str(path) for path, (text, mode) in wanted_files(mount, password).items() if files.differs(path, text, mode)
    ]
    if not units.enabled(units.escape_path(mount.path, ".automount")):
        found.append("automount")
    return found if mounted(mount.path) else [*found, "mount"]


def ensure(mount: Mount, password: str, limit: float) -> list[str]:
    """Make a mount as wanted; what differed before.

    Raises:
        KrafError: when it is not mounted, or does not answer, within ``limit`` seconds.
    """
    changed = differing(mount, password)
    if not changed:
        return []
    unit = units.escape_path(mount.path, "")
    _protect(mount)
    files.make_directory(Path(mount.cache), 0o755)
    apart = [one for one in changed if one != "mount"]
    if apart and mounted(mount.path):
        release(mount.path, limit)
    for path, (text, mode) in wanted_files(mount, password).items():
        files.write(path, text, mode)
    entries = [davfs.parse_secret(line) for line in (files.read(SECRETS) or "").splitlines()]
    if [mount.path, mount.username, password] not in entries:
        raise KrafError("secrets of davfs2", str(SECRETS), "the line just written does not read back")
    if apart:
        units.reload_units()
        units.enable(f"{unit}.automount")
        units.start(f"{unit}.automount")
    units.start(f"{unit}.mount", timeout=limit)
    if not mounted(mount.path):
        why = f"systemd says that it is, the kernel does not: {units.journal(unit + '.mount')}"
        raise KrafError("mount", mount.path, why, "See journalctl on the device")
    files.save_json(STATE / f"{mount.name}.json", vars(mount))
    return changed


def _protect(mount: Mount) -> None:
    """Nothing can be written below the mount point while nothing is mounted there: it belongs to nobody and, where the
    file system can, is immutable even for root."""
    path = Path(mount.path)
    if points.kinds_at(mount.path):
        return
    files.make_directory(path)
    points.check(mount.name, mount.path, load_all())
    if path.stat().st_mode & 0o777:
        immutable(path, False)
        path.chmod(0)
    immutable(path, True)


def immutable(path: Path, on: bool) -> bool:
    """Set or clear a directory's immutable flag (ioctl_iflags(2)); False where the file system has none."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        flags = struct.unpack("l", fcntl.ioctl(descriptor, _GETFLAGS, struct.pack("l", 0)))[0]
        flags = flags | _IMMUTABLE if on else flags & ~_IMMUTABLE
        fcntl.ioctl(descriptor, _SETFLAGS, struct.pack("l", flags))
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)


def release(path: str, limit: float) -> None:
    """Unmount, which sends what is pending; never forced.

    Raises:
        KrafError: when davfs2 has not sent everything within ``limit`` seconds; it goes on trying.
    """
    unit = units.escape_path(path, "")
    units.stop(f"{unit}.automount", timeout=limit)
    result = units.stop(f"{unit}.mount", timeout=limit)
    pid = _daemon(path)
    end = time.monotonic() + limit
    while pid and Path(f"/proc/{pid}").exists() and time.monotonic() < end:
        time.sleep(0.1)
    if mounted(path) or (pid and Path(f"/proc/{pid}").exists()):
        state = next((one for one in load_all() if one.path == path), None)
        # While davfs2 ends, it writes its index, and then goes on trying.
        count = max(caches.pending(state.cache), caches.unsent(state.cache)) if state else 0
        why = f"not everything was sent within {limit:g} s: {result.stderr.strip()[-300:]}; pending: {count} files"
        raise KrafError("mount", path, why, "See that the server is reachable, then run again", pending=count)


def _daemon(path: str) -> int:
    text = files.read(Path("/run/mount.davfs") / f"{path.strip('/').replace('/', '-')}.pid")
    return int(text) if text and text.strip().isdigit() else 0


def absent(name: str, path: str, limit: float) -> None:
    """Take a mount away: unmount, then units, then settings, the secret last. Raises like ``release``."""
    state = next((one for one in load_all() if one.name == name), Mount(name, path, 0, "none"))
    unit = units.escape_path(state.path, "")
    was_mounted = mounted(state.path)
    release(state.path, limit)
    if not was_mounted and caches.unsent(state.cache):
        units.start(f"{unit}.mount", timeout=limit)
        release(state.path, limit)
    left = caches.unsent(state.cache)
    if left:
        units.start(f"{unit}.automount", timeout=limit)
        why = f"davfs2 ended without having sent everything; pending: {left} files"
        raise KrafError("mount", state.path, why, "See that the server is reachable, then run again", pending=left)
    units.disable(f"{unit}.automount")
    gone = [units.remove(one) for one in davfs.units(state, unit)]
    if any(gone):
        units.reload_units()
    files.write(CONFIG, davfs.merge_config(files.read(CONFIG) or "", name, ""))
    files.write(SECRETS, davfs.merge_secrets(files.read(SECRETS) or "", state.path, ""), 0o600)
    files.remove(STATE / f"{name}.json")
    point = Path(state.path)
    if point.is_dir():
        immutable(point, False)
        point.rmdir()


def load_all() -> list[Mount]:
    """All mounts of this device."""
    return [Mount(**files.load_json(path)) for path in sorted(STATE.glob("*.json"))]


def canary(mount: Mount, password: str, limit: float) -> None:
    """List, write, read back, and ask the server itself for what was written.

    Raises:
        KrafError: naming what failed.
    """
    file, text = Path(mount.path) / f".kraf-canary-{secrets.token_hex(6)}", secrets.token_hex(32)

    def work() -> None:
        os.listdir(mount.path)
        file.write_text(text)
        if file.read_text() != text:
            raise OSError("what was written does not read back")

    _limited("list, write and read", mount, work, limit)
    try:
        end = time.monotonic() + limit
        while _fetch(mount, password, file.name) != text:
            if time.monotonic() > end:
                why = f"what was written did not reach the server within {limit:g} s"
                raise KrafError("canary on the mount", mount.path, why, "See the export and the door")
            time.sleep(0.1)
    finally:
        _limited("remove", mount, file.unlink, limit)


def _fetch(mount: Mount, password: str, name: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", mount.port, timeout=10)
    token = base64.b64encode(f"{mount.username}:{password}".encode()).decode()
    try:
        connection.request("GET", f"/{name}", headers={"Authorization": f"Basic {token}"})
        answer = connection.getresponse()
        return answer.read().decode(errors="replace") if answer.status == 200 else ""
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()


def size(mount: Mount, limit: float) -> dict[str, int]:
    """Bytes of the mounted file system: ``total`` and ``free``."""
    said = run(["stat", "--file-system", "--format=%S %b %a", mount.path], limit)
    if not said.ok:
        raise KrafError("mount", mount.path, f"it does not answer within {limit:g} s", "See the export and the door")
    block, blocks, free = (int(word) for word in said.stdout.split())
    return {"total": block * blocks, "free": block * free}


def _limited(what: str, mount: Mount, work: Callable[[], Any], limit: float) -> None:
    """Run in a child that can be left behind: a call into FUSE ends when its server answers, not before."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except OSError as error:
            os._exit(min(error.errno or 1, 255))
        finally:
            os._exit(1)
    end = time.monotonic() + limit
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            code = os.waitstatus_to_exitcode(status)
            if code == 0:
                return
            raise KrafError("canary on the mount", mount.path, f"{what}: {os.strerror(code)}", "See the export")
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    raise KrafError("canary on the mount", mount.path, f"{what}: no answer within {limit:g} s", "See the export")
