# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What runs, into the cluster's image registry: by the device's Docker, in a process that tells how far it is.

A push over a slow line takes longer than anybody waits without a word, and nobody has a box to meet in yet. So a call
starts it, waits a little, and returns how far it is; the next call goes on waiting. A push that nobody asks for any
more ends by itself, and what it has sent need not be sent again.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

from ..core.errors import KrafError
from . import docker, files, images, placement
from .images import Layers
from .reference import Login, Reference
from .registry import Registry, join

TELL = 0.5
"""Seconds between two notes of how far it is."""
LOOK = 0.1
MOST_STARTS = 3
"""How often one run starts a push that ends without a word, as when the device runs out of memory."""

Note = Callable[[Mapping[str, int]], None]


@dataclass(frozen=True)
class Wanted:
    """What the image registry is to have.

    Attributes:
        repository: the registry's address and the app's repository.
        image: id of the device's image that is pushed; empty pushes none.
        architecture: of that image.
        others: images that the registry has, by architecture; with what is pushed, an index of all is made.
        login: credentials of the image registry.
        limit: seconds.
    """

    repository: str
    image: str = ""
    architecture: str = ""
    others: Mapping[str, str] = field(default_factory=dict)
    login: Login = field(default_factory=Login, repr=False)
    limit: float = 3600.0


def bring(wanted: Wanted, note: Note) -> dict[str, Any]:
    """Push, and make the index if there is more than one architecture; layers that are there already are not sent.

    Returns:
        ``reference`` by digest, ``pushed_bytes`` as they went over the line, ``pushed_layers`` with the number of those
        that were ``sent`` and ``there`` already, and ``seconds``.

    Raises:
        KrafError: with what Docker or the image registry said.
    """
    begin, name = time.monotonic(), Reference.of(wanted.repository)
    registry = Registry(name.registry, wanted.login)
    references, result = dict(wanted.others), {"pushed_bytes": 0, "pushed_layers": {"sent": 0, "there": 0}}
    if wanted.image:
        pushed, result = _push(wanted, registry, note)
        references[wanted.architecture] = pushed
    if wanted.others:
        reference = f"{wanted.repository}@{join(registry, name.repository, references)}"
    else:
        reference = references[wanted.architecture]
    return {**result, "reference": reference, "seconds": round(time.monotonic() - begin, 3)}


def _push(wanted: Wanted, registry: Registry, note: Note) -> tuple[str, dict[str, Any]]:
    """Push the device's image; its reference by digest, and what was sent."""
    tag = wanted.image.rpartition(":")[2][:16]
    name, told = f"{wanted.repository}:{tag}", [0.0]

    def tell(layers: Layers) -> None:
        if time.monotonic() - told[0] >= TELL:
            told[0] = time.monotonic()
            note(layers.progress())

    found = docker.inspect_image(wanted.image) or {}
    images.tag(wanted.image, name)
    try:
        layers = images.push(name, wanted.login, wanted.limit, tell=tell)
    finally:
        images.untag(name)
    repository = Reference.of(name).repository
    manifest = registry.manifest(repository, tag)
    if manifest is None:
        raise KrafError("image", name, "the image registry has it not, though its push ended well", "See its log")
    # Of a manifest's blobs the first is the configuration; layers stand in the order in which the image has them.
    order = [str(one).rpartition(":")[2][:12] for one in (found.get("RootFS") or {}).get("Layers") or []]
    sizes = dict(zip(order, [size for _digest, size in manifest.blobs[1:]]))
    sent = sum(sizes.get(layer, total) for layer, (_done, total) in layers.sent.items())
    counts = {"sent": len(layers.sent), "there": len(layers.there)}
    return f"{wanted.repository}@{manifest.digest}", {"pushed_bytes": sent, "pushed_layers": counts}


def push(app: str, fence: int, wanted: Wanted, wait: float) -> dict[str, Any]:
    """Start what is wanted, or find it at work, and wait for it.

    Args:
        app: name of the app.
        fence: number of the run: what an earlier one started is waited for, too, and its result is not this one's.
        wanted: what to bring.
        wait: seconds after which the call returns, done or not.

    Returns:
        As ``bring``; or ``progress`` alone (``done`` and ``total`` in bytes before compression, layers ``waiting``).

    Raises:
        KrafError: what the push raised, or that it ends without a word again and again.
    """
    state, end = _state(app), time.monotonic() + wait
    key = f"{fence} {wanted.repository} {wanted.image} {sorted(wanted.others.items())}"
    while True:
        found = files.load_json(state) or {}
        mine = found.get("key") == key
        if mine and found.get("ended"):
            state.unlink()
            if found.get("error"):
                error = found["error"]
                raise KrafError(error["what"], error["value"], error["why"], error["fix"], **error["facts"])
            return dict(found["result"])
        lock = _lock(app)
        if lock is not None:
            if files.load_json(state) != (found or None):
                # It has ended between the two looks.
                os.close(lock)
                continue
            starts = int(found.get("starts", 0)) + 1 if mine else 1
            if starts > MOST_STARTS:
                os.close(lock)
                why = f"the process that pushed it ended {MOST_STARTS} times without a word"
                raise KrafError(f"image of app {app}", None, why, "See the device's kernel log: is its memory enough?")
            known = {"key": key, "starts": starts}
            _write(state, known)
            _start(app, lock, functools.partial(_work, state, known, wanted))
        elif time.monotonic() > end:
            progress = found.get("progress") or {"done": 0, "total": 0, "waiting": 0}
            return {"progress": progress}
        time.sleep(LOOK)


def _state(app: str) -> Path:
    return placement.LOCKS / f"push-{app}.json"


def _write(state: Path, content: Mapping[str, Any]) -> None:
    files.save_json(state, dict(content), 0o600)


def _lock(app: str) -> int | None:
    """The lock of whoever pushes for the app, as descriptor; None while another process has it."""
    files.make_directory(placement.LOCKS)
    lock = os.open(placement.LOCKS / f"push-{app}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


def _start(app: str, lock: int, work: Callable[[], None]) -> None:
    """Let a process of its own work, which keeps the lock and outlives this one and its terminal."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        os.close(lock)
        os.waitpid(child, 0)
        return
    try:
        os.setsid()
        if os.fork():
            os._exit(0)
        os.chdir("/")
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(nothing, descriptor)
        # Where a log-in's end ends all that it left, this is no longer the log-in's.
        placement.enter_scope(app, 0)
        work()
    finally:
        # Neither the module's own end nor its temporary files are this process's.
        os._exit(0)


def _work(state: Path, known: Mapping[str, Any], wanted: Wanted) -> None:
    def note(progress: Mapping[str, int]) -> None:
        with contextlib.suppress(OSError, KrafError):
            _write(state, {**known, "progress": dict(progress)})

    try:
        outcome = {"result": bring(wanted, note)}
    except KrafError as error:
        outcome = {"error": error.report()}
    except Exception as error:  # whoever waits has to be told of it
        outcome = {"error": KrafError("push on the device", None, f"{type(error).__name__}: {error}").report()}
    _write(state, {**known, **outcome, "ended": True})
