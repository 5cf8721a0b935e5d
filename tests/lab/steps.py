"""Running commands, progress with elapsed time, and files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_started = time.monotonic()


class LabError(RuntimeError):
    """The lab cannot go on; the text says what failed and what to do."""


def say(text: str) -> None:
    """A progress line on standard error, so that standard output stays for results."""
    print(f"[{time.monotonic() - _started:6.1f} s] {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(text: str) -> Iterator[None]:
    """Names a step when it starts and says how long it took."""
    begin = time.monotonic()
    say(f"{text} ...")
    yield
    say(f"{text}: done in {time.monotonic() - begin:.1f} s")


def run(command: Sequence[str | Path], *, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs a command with its output kept; a failure raises LabError with the last lines of that output."""
    argv = [str(part) for part in command]
    result = subprocess.run(argv, check=False, text=True, capture_output=True, stdin=subprocess.DEVNULL, **options)
    if check and result.returncode:
        tail = "\n".join((result.stdout + result.stderr).strip().splitlines()[-25:])
        raise LabError(f"command failed with status {result.returncode}: {shlex.join(argv)}\n{tail}")
    return result


def output(command: Sequence[str | Path], **options: Any) -> str:
    """Standard output of a command, stripped."""
    return run(command, **options).stdout.strip()


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Writes a file so that it is there whole or not at all, whatever interrupts this."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(partial, path)


@contextlib.contextmanager
def partial_folder(path: Path) -> Iterator[Path]:
    """A scratch folder beside `path`; move out of it what is finished. What killed runs left there is removed."""
    for left in path.parent.glob(f".{path.name}.*.partial"):
        if not Path("/proc", left.name.split(".")[-2]).exists():
            shutil.rmtree(left, ignore_errors=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.partial")
    scratch.mkdir(parents=True)
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds a lock file: a second lab command waits. The kernel drops the lock when its holder dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"another lab command holds {path}; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def digest(*parts: str | Path) -> str:
    """A short name for what something is made from: texts and the content of files and folders."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            for file in sorted(part.rglob("*")) if part.is_dir() else [part]:
                if file.is_file() and "__pycache__" not in file.parts:
                    total.update(f"{file.name}\0".encode() + file.read_bytes())
        else:
            total.update(part.encode())
        total.update(b"\0")
    return total.hexdigest()[:12]


def sha256(path: Path) -> str:
    """The sha256 of a file, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
