# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copies of an app's data directories: by rsync through the door, beside the good copy, never over it.

rsync speaks to the mover's daemon over ``openssl s_client``, as rsync's own rsync-ssl does (rsync-ssl(1)).
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from ..core.errors import KrafError
from ..core.names import DOOR_DOMAIN
from . import door, files, units
from .placement import LOCKS, unit
from .run import Result, run

KEEP = ("-aHAXS", "--numeric-ids")
STATS = ("--stats", "--no-human-readable")
EXACT = ("--modify-window=-1",)
"""Times to the nanosecond. Comparisons are to the second: not every file system keeps more."""
VANISHED = 24
"""rsync's exit status when files vanished while it ran: to be expected while the app runs, and never afterwards."""
PARTLY = 23
"""rsync's exit status when something that it was asked for is not there, or could not be done."""
UNREACHED = (5, 10, 12, 30, 35)
"""rsync's exit statuses when it did not reach the daemon, or lost it."""
Tell = Callable[[int], None]
Changes = Mapping[str, str]
_PROGRESS = re.compile(r"(?:^|[\r\n]) *([0-9]+) +[0-9]+%")
_SENT = re.compile(r"^Total bytes (?:sent|received): ([0-9]+)", re.MULTILINE)

# A copy that nobody waits for yet leaves the device's time to the app and its clients.
_BEHIND = ("--nice=10", "--property=CPUWeight=10", "--property=IOWeight=10")
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


@dataclass(frozen=True)
class Copied:
    """What a copy has sent over the line, in bytes, both ways."""

    bytes: int = 0


def first(
    app: str, epoch: int, pairs: Sequence[Pair], remote: Remote, limit: float, tell: Tell | None = None
) -> Copied:
    """The first copy, while the app runs: as a unit of its own, which outlives this call and is ended by the next run.

    What an earlier try has left is taken up, whatever its times say: its content is compared.

    Args:
        tell: told from time to time how many bytes of the data are done with.

    Raises:
        KrafError: when rsync fails.
    """
    sent, done = 0, [0]

    def progress(output: str) -> None:
        found = _PROGRESS.findall(output)
        if found and tell is not None:
            tell(sum(done) + int(found[-1]))

    for pair in pairs:
        known = ["--checksum"] if pair.basis or _is_there(pair, remote, app) else []
        argv = ["rsync", *KEEP, *EXACT, *STATS, "--delete", "--info=progress2", "--partial", *known, *_durable(pair)]
        argv += [*_basis(pair), *_mkpath(pair), pair.source, pair.target]
        result = _rsync(argv, remote, app, limit, unit(app, epoch) if units.running() else "", progress)
        if not result.ok and result.rc != VANISHED:
            raise _failed("first copy", pair, result)
        sent += _sent(result)
        done.append(int((_PROGRESS.findall(result.stdout) or ["0"])[-1]))
    return Copied(sent)


def final(app: str, pairs: Sequence[Pair], remote: Remote, limit: float, changes: Changes | None = None) -> Copied:
    """The last copy, once nothing writes any more.

    Args:
        changes: where a list of the files that may have changed lies, by the pair's name, empty when none has: only
            these are read, and sent whatever their times say. Of a pair without an entry every file is read and
            compared by its checksum.

    Raises:
        KrafError: for any file that could not be copied.
    """
    sent, known = 0, changes or {}
    for pair in pairs:
        ways = [["--delete", "--checksum"]]
        if pair.name in known:
            by_list = [["--from0", f"--files-from={known[pair.name]}", "--ignore-times"]]
            ways = [*(by_list if known[pair.name] else []), ["--delete"]]
        for way in ways:
            argv = ["rsync", *KEEP, *EXACT, *STATS, *_durable(pair), *way, *_basis(pair), *_mkpath(pair)]
            result = _rsync([*argv, pair.source, pair.target], remote, app, limit)
            if not result.ok:
                raise _failed("copy", pair, result)
            sent += _sent(result)
    return Copied(sent)


def compare(app: str, pairs: Sequence[Pair], remote: Remote, limit: float, changes: Changes | None = None) -> None:
    """Check that source and copy are equal, in content and in all that is kept.

    Args:
        changes: as for ``final``; the content of files that are in no list was compared by the first copy.

    Raises:
        KrafError: naming the first entries that differ.
    """
    for pair in pairs:
        how = [] if pair.name in (changes or {}) else ["--checksum"]
        argv = ["rsync", *KEEP, "--delete", *how, "--dry-run", "--itemize-changes", pair.source, pair.target]
        result = _rsync(argv, remote, app, limit)
        if not result.ok:
            raise _failed("comparison", pair, result)
        if result.stdout.strip():
            entries = "; ".join(result.stdout.strip().splitlines()[:5])
            fix = "Run it again; the source is still the owner's"
            raise KrafError(f"copy of {pair.name}", None, f"it differs from the original: {entries}", fix)


def listed(app: str, name: str, paths: Sequence[bytes]) -> str:
    """Leave a list of files for ``final``; where it lies."""
    path = LOCKS / f"copy-{app}.{name}.list"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
        stream.write(b"".join(one + b"\0" for one in paths))
    return str(path)


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
    files.sync_directory(Path(folder).parent)


def set_aside(folder: str, epoch: int) -> None:
    """Keep for good what the epoch's copy has replaced: the device wrote it after the edge had taken over."""
    old, new = Path(kept(folder, epoch)), Path(f"{folder}.kraf-lost-{epoch}")
    if old.exists() and not new.exists():
        os.rename(old, new)
        files.sync_directory(Path(folder).parent)


def set_asides(folder: str) -> list[str]:
    """The trees that are kept for good; their owner removes them."""
    mark = f"{Path(folder).name}.kraf-lost-"
    return sorted(str(path) for path in Path(folder).parent.iterdir() if path.name.startswith(mark))


def abandon(folder: str, epoch: int) -> list[str]:
    """Remove the copy beside that a move to this device left and did not use; what was removed."""
    left = Path(beside(folder, epoch + 1))
    if not left.exists():
        return []
    shutil.rmtree(left)
    return [str(left)]


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
    """At the edge, files are made durable one by one, so that little is left for the sync before the comparison; that
    rsync is known, the device's may be too old for it."""
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
    for path in LOCKS.glob(f"copy-{app}.*.list"):
        files.remove(path)


def _with_password(argv: Sequence[str], path: Path) -> list[str]:
    return [argv[0], f"--password-file={path}", *argv[1:]]


def _is_there(pair: Pair, remote: Remote, app: str) -> bool:
    """Whether an earlier try has left something of this copy."""
    if not pair.target.startswith("rsync://"):
        return os.path.isdir(pair.target)
    result = _rsync(["rsync", "--list-only", pair.target], remote, app, 60)
    if result.ok or result.rc == PARTLY:
        return result.ok
    raise _failed("look at the copy", pair, result)


def _sent(result: Result) -> int:
    return sum(map(int, _SENT.findall(result.stdout)))


def _rsync(
    argv: Sequence[str],
    remote: Remote,
    app: str,
    limit: float,
    name: str = "",
    tell: Callable[[str], None] | None = None,
) -> Result:
    """Run rsync; as a unit whose name begins so, if one is given. What did not reach the mover is tried again."""
    full = _with_password(argv, _password(app, remote))
    for number, pause in enumerate((*PAUSES, 0.0)):
        variables = [f"{key}={value}" for key, value in _environment(remote).items()]
        if name:
            wrapped = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect"]
            wrapped += [f"--unit={name}.{os.getpid()}.{time.monotonic_ns()}", *_BEHIND]
            wrapped += [f"--setenv={variable}" for variable in variables]
            # systemd takes ${} in arguments for its own.
            result = run([*wrapped, "--", *(one.replace("$", "$$") for one in full)], limit, tell=tell)
        else:
            result = run(["env", *variables, *full], limit, tell=tell)
        if result.rc not in UNREACHED or "@ERROR" in result.stderr or number == len(PAUSES):
            break
        time.sleep(pause)
    return result


def _failed(what: str, pair: Pair, result: Result) -> KrafError:
    # What the app has removed meanwhile is no reason, and may be much.
    lines = [line for line in result.stderr.splitlines() if not line.startswith("file has vanished: ")]
    said = "\n".join(lines).strip()[-1500:]
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
    files.sync_directory(Path(folder).parent)


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
