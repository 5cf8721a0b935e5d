# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Commands with a limit on every wait."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable

from ..core.errors import KrafError

TELL = 2.0
AFTER_KILL = 2.0
"""Seconds to wait for a killed command: one that hangs in the kernel stays there, and we do not stay with it."""


@dataclass(frozen=True)
class Result:
    """What a command did. ``rc`` is None when it ran past its limit."""

    argv: tuple[str, ...]
    rc: int | None
    stdout: str
    stderr: str

    @property
    def ok(self) -> bool:
        """It ended by itself, without error."""
        return self.rc == 0

    @property
    def timed_out(self) -> bool:
        """It was still running at its limit."""
        return self.rc is None


def run(
    argv: Sequence[str], timeout: float = 30.0, stdin: str = "", tell: Callable[[str], None] | None = None
) -> Result:
    """Run a command that cannot ask anything and cannot keep us waiting.

    Its output goes to files, not to pipes: a daemon that it leaves behind (``mount.davfs`` does) holds a pipe open for
    ever. It gets a session of its own, so that the limit ends its children too, and no terminal, so that a question
    for a password is answered by the end of file.

    Args:
        argv: program and arguments; no shell.
        timeout: seconds after which it is killed.
        stdin: text that it may read.
        tell: told every ``TELL`` seconds what it has written last.
    """
    environment = dict(os.environ, LC_ALL="C", LANG="C")
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as text:
        text.write(stdin.encode())
        text.seek(0)
        try:
            process = subprocess.Popen(
                list(argv), stdin=text, stdout=out, stderr=err, env=environment, start_new_session=True
            )
        except OSError as error:
            return Result(tuple(argv), 127, "", f"{argv[0]}: {error.strerror}")
        rc = _wait(process, timeout, lambda: tell and tell(_tail(out.fileno())))
        out.seek(0)
        err.seek(0)
        return Result(tuple(argv), rc, out.read().decode(errors="replace"), err.read().decode(errors="replace"))


def _wait(process: subprocess.Popen[bytes], timeout: float, meanwhile: Callable[[], object]) -> int | None:
    """Its exit status; None when it was killed at its limit."""
    end = time.monotonic() + timeout
    while True:
        left = end - time.monotonic()
        try:
            return process.wait(max(0.0, min(TELL, left)))
        except subprocess.TimeoutExpired:
            if left <= TELL:
                _kill(process)
                return None
            meanwhile()


def _tail(descriptor: int) -> str:
    """The last kilobyte of a file that another process writes; lines that were overwritten on a terminal are lines."""
    size = os.fstat(descriptor).st_size
    return os.pread(descriptor, 1024, max(0, size - 1024)).decode(errors="replace").replace("\r", "\n")


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(AFTER_KILL)
    except (ProcessLookupError, subprocess.TimeoutExpired):
        pass


def check(argv: Sequence[str], timeout: float = 30.0, stdin: str = "", fix: str = "") -> str:
    """Run a command that must succeed; its output.

    Raises:
        KrafError: with the command, its error output and ``fix``.
    """
    result = run(argv, timeout, stdin)
    if result.ok:
        return result.stdout
    said = (result.stderr or result.stdout).strip()[-2000:]
    why = f"it did not end within {timeout:g} s" if result.timed_out else f"it ended with {result.rc}: {said}"
    raise KrafError("command on the device", " ".join(argv), why, fix, rc=result.rc, stderr=said)
