# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copies of an app's data directories: by rsync through the door, beside the good copy, never over it.

rsync speaks to the mover's daemon over ``openssl s_client``, as rsync's own rsync-ssl does (rsync-ssl(1)).
"""

from __future__ import annotations

import os
import shlex
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import KrafError
from ..core.names import DOOR_DOMAIN
from . import door, files, units
from .placement import LOCKS, unit
from .run import Result, run

KEEP = ("-aHAXS", "--numeric-ids", "--delete")
EXACT = ("--modify-window=-1",)
"""Times to the nanosecond. Comparisons are to the second: not every file system keeps more."""
VANISHED = 24
"""rsync's exit status when files vanished while it ran: to be expected while the app runs, and never afterwards."""
UNREACHED = (5, 10, 12, 30, 35)
"""rsync's exit statuses when it did not reach the daemon, or lost it."""
PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds between tries: nodes need a moment to learn the address of a mover that has just been started."""


@dataclass(frozen=True)
class Remote:
    """The mover's copies.

    Attributes:
        doors: addresses of the doors.
        sni: name of the mover's rsync at the door.
        token: the daemon's password.
    """

    doors: tuple[str, ...]
    sni: str
    token: str

    def url(self, tree: int, name: str) -> str:
        """A data directory of an epoch's tree."""
        return f"rsync://kraf@mover/data/{tree}/{name}/"


@dataclass(frozen=True)
class Pair:
    """A data directory on the device and its counterpart.

    Attributes:
        source: rsync's source; ``target`` likewise, both with a slash at the end.
        basis: where on the target's side an older copy may lie, to save the way; empty for none.
    """

    name: str
    source: str
    target: str
    basis: str = ""


def to_edge(data: Sequence[tuple[str, str]], remote: Remote, tree: int, basis: int) -> list[Pair]:
    """The copies that a move to the edge makes."""
    return [
        Pair(name, f"{folder}/", remote.url(tree, name), f"/{basis}/{name}" if basis else "") for name, folder in data
    ]


def to_device(data: Sequence[tuple[str, str]], remote: Remote, tree: int, epoch: int) -> list[Pair]:
    """The copies that a move to the device makes."""
    return [Pair(name, remote.url(tree, name), f"{beside(folder, epoch)}/", folder) for name, folder in data]


def beside(folder: str, epoch: int) -> str:
    """Where an epoch's copy lies until it takes the folder's place."""
    return f"{folder}.kraf-{epoch}"


def kept(folder: str, epoch: int) -> str:
    """Where the tree lies that an epoch's copy has replaced."""
    return f"{folder}.kraf-before-{epoch}"


def first(app: str, epoch: int, pairs: Sequence[Pair], remote: Remote, limit: float) -> None:
    """The first copy, while the app runs: as a unit of its own, which outlives this call and is ended by the next run.

    Raises:
        KrafError: when rsync fails.
    """
    for pair in pairs:
        argv = ["rsync", *KEEP, *EXACT, *_durable(pair), *_basis(pair), *_mkpath(pair), pair.source, pair.target]
        result = _rsync(argv, remote, app, limit, unit(app, epoch) if units.running() else "")
        if not result.ok and result.rc != VANISHED:
            raise _failed("first copy", pair, result)


def final(app: str, pairs: Sequence[Pair], remote: Remote, limit: float) -> None:
    """The last copy, once nothing writes any more: every file is compared by its checksum.

    Raises:
        KrafError: for any file that could not be copied.
    """
    for pair in pairs:
        argv = [
            "rsync",
            *KEEP,
            *EXACT,
            *_durable(pair),
            "--checksum",
            *_basis(pair),
            *_mkpath(pair),
            pair.source,
            pair.target,
        ]
        result = _rsync(argv, remote, app, limit)
        if not result.ok:
            raise _failed("copy", pair, result)


def compare(app: str, pairs: Sequence[Pair], remote: Remote, limit: float) -> None:
    """Check that source and copy are equal, in content and in all that is kept.

    Raises:
        KrafError: naming the first entries that differ.
    """
    for pair in pairs:
        argv = ["rsync", *KEEP, "--checksum", "--dry-run", "--itemize-changes", pair.source, pair.target]
        result = _rsync(argv, remote, app, limit)
        if not result.ok:
            raise _failed("comparison", pair, result)
        if result.stdout.strip():
            entries = "; ".join(result.stdout.strip().splitlines()[:5])
            fix = "Run it again; the source is still the owner's"
            raise KrafError(f"copy of {pair.name}", None, f"it differs from the original: {entries}", fix)


def swap(folder: str, epoch: int) -> None:
    """Put the epoch's copy into the folder's place and keep what was there. Safe to be repeated after a crash."""
    new, old = Path(beside(folder, epoch)), Path(kept(folder, epoch))
    if not new.exists():
        if Path(folder).exists():
            return
        raise KrafError("data directory", folder, f"neither it nor its copy {new} is there", "Restore it from a backup")
    if Path(folder).exists():
        if old.exists():
            shutil.rmtree(old)
        os.rename(folder, old)
    os.rename(new, folder)
    descriptor = os.open(Path(folder).parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def durable(folder: str) -> None:
    """Write what the kernel still holds of the file system below the folder."""
    result = run(["sync", "-f", folder], 120)
    if not result.ok:
        raise KrafError("data directory", folder, f"sync failed: {result.stderr.strip()}", "Check the disk")


def size(folder: str) -> int:
    """Bytes that the files below a folder take."""
    result = run(["du", "-s", "--block-size=1", "--one-file-system", folder], 600)
    if not result.ok:
        raise KrafError("data directory", folder, result.stderr.strip() or "it cannot be read")
    return int(result.stdout.split()[0])


def _basis(pair: Pair) -> list[str]:
    return [f"--copy-dest={pair.basis}"] if pair.basis else []


def _mkpath(pair: Pair) -> list[str]:
    return ["--mkpath"] if pair.target.startswith("rsync://") else []


def _durable(pair: Pair) -> list[str]:
    """At the edge, files are made durable one by one; that rsync is known, the device's may be too old for it."""
    return ["--remote-option=--fsync"] if pair.target.startswith("rsync://") else []


def _environment(remote: Remote) -> dict[str, str]:
    for address in remote.doors:
        try:
            door.connect([address], remote.sni).close()
        except KrafError:
            continue
        argv = [
            "openssl",
            "s_client",
            "-quiet",
            "-verify_quiet",
            "-verify_return_error",
            "-CAfile",
            str(door.CA),
            "-cert",
            str(door.PAIR),
            "-key",
            str(door.PAIR),
            "-servername",
            remote.sni,
            "-verify_hostname",
            DOOR_DOMAIN,
            "-connect",
            address,
        ]
        return {"RSYNC_CONNECT_PROG": shlex.join(argv), "LC_ALL": "C"}
    door.connect(remote.doors, remote.sni).close()  # raises, with the reason
    raise AssertionError


def _password(app: str, remote: Remote) -> Path:
    path = LOCKS / f"copy-{app}.token"
    files.write(path, remote.token + "\n", 0o600)
    return path


def forget(app: str) -> None:
    """Remove what a copy needed on the device."""
    files.remove(LOCKS / f"copy-{app}.token")


def _with_password(argv: Sequence[str], path: Path) -> list[str]:
    return [argv[0], f"--password-file={path}", *argv[1:]]


def _rsync(argv: Sequence[str], remote: Remote, app: str, limit: float, name: str = "") -> Result:
    """Run rsync; as a unit whose name begins so, if one is given. What did not reach the mover is tried again."""
    full = _with_password(argv, _password(app, remote))
    for number, pause in enumerate((*PAUSES, 0.0)):
        variables = [f"{key}={value}" for key, value in _environment(remote).items()]
        if name:
            wrapped = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect"]
            wrapped += [f"--unit={name}.{os.getpid()}.{time.monotonic_ns()}"]
            wrapped += [f"--setenv={variable}" for variable in variables]
            # systemd takes ${} in arguments for its own.
            result = run([*wrapped, "--", *(one.replace("$", "$$") for one in full)], limit)
        else:
            result = run(["env", *variables, *full], limit)
        if result.rc not in UNREACHED or "@ERROR" in result.stderr or number == len(PAUSES):
            break
        time.sleep(pause)
    return result


def _failed(what: str, pair: Pair, result: Result) -> KrafError:
    said = result.stderr.strip()[-1500:]
    why = f"rsync did not end in time: {said}" if result.timed_out else f"rsync ended with {result.rc}: {said}"
    if result.rc == 127:
        return KrafError("rsync on the device", None, said, "Install the package rsync on the device")
    return KrafError(f"{what} of {pair.name}", pair.source, why, "The source is still the owner's; run it again")


def unswap(folder: str, epoch: int) -> None:
    """Put back what ``swap`` has replaced; the epoch's tree lies beside again. Safe to be repeated after a crash."""
    new, old = Path(beside(folder, epoch)), Path(kept(folder, epoch))
    if not old.exists():
        return
    if Path(folder).exists():
        if new.exists():
            shutil.rmtree(new)
        os.rename(folder, new)
    os.rename(old, folder)


def purge(folder: str, epoch: int) -> list[str]:
    """Remove copies of earlier epochs, all but the newest tree that was replaced; what was removed.

    The copy of the epoch just before stays: it is there only if that epoch's owner, this device, was given back, and
    holds what the app wrote here meanwhile.
    """
    mark = f"{Path(folder).name}.kraf-"
    before: dict[int, Path] = {}
    gone = []
    for path in sorted(Path(folder).parent.iterdir()):
        kind = path.name[len(mark) :] if path.name.startswith(mark) else ""
        if kind.startswith("before-") and kind[7:].isdigit():
            before[int(kind[7:])] = path
        elif kind.isdigit() and int(kind) < epoch - 1:
            gone.append(path)
    gone += [path for number, path in before.items() if number != max(before)]
    for path in gone:
        shutil.rmtree(path)
    return [str(path) for path in gone]
