"""A device with one app: a container of a real Docker Engine, its data by real rsync to a real mover."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.manifests import mover as manifests
from ansible_collections.kraf.edge.plugins.module_utils.on_device import (
    adopt,
    forward_store,
    handover,
    library,
    placement,
    units,
)
from ansible_collections.kraf.edge.plugins.module_utils.on_device.handover import Task
from ansible_collections.kraf.edge.plugins.module_utils.placement.outcome import Outcome
from tests.integration.device import parts

from . import movers
from .movers import Running


class Device:
    """A device with one app, and the words that the controller leaves in the mover's box."""

    def __init__(self, mover: Running, folder: Path, name: str, job: bool) -> None:
        self.mover, self.folder, self.name, self.job = mover, folder, name, job
        self.box = mover.folder / "box/files" / movers.TOKEN
        self.pool = ThreadPoolExecutor(1)

    def task(self, epoch: int, fence: int, tree: int, owner: str = "") -> Task:
        boxes = self.mover.sni(manifests.BOX_PORT), self.mover.sni(manifests.RSYNC_PORT)
        data = (("results", str(self.folder)),)
        return Task(
            "notes",
            epoch,
            fence,
            self.name,
            (),
            self.mover.doors,
            *boxes,
            movers.TOKEN,
            data,
            tree,
            job=self.job,
            owner=owner,
            limit=20,
        )

    def begin(self, step: Any, task: Task) -> Future[Any]:
        for left in self.box.iterdir():
            left.unlink()
        return self.pool.submit(step, task)

    def say(self, word: str, text: str = "") -> None:
        (self.box / f".{word}").write_text(text)
        (self.box / f".{word}").rename(self.box / word)

    def hear(self, word: str) -> None:
        failed = self.box / "failed"
        parts.until(lambda: (self.box / word).exists() or failed.exists(), what=word)
        assert not failed.exists(), failed.read_text()

    def container(self) -> dict[str, Any]:
        data = [("results", "/data", "")]
        found: dict[str, Any] = adopt.look("notes", self.name, data, secrets=False)["container"]
        return found

    def to_edge(self, last: str = "answers", epoch: int = 1, fence: int = 7) -> Future[Any]:
        """To the edge, as far as a word of the controller."""
        moving = self.begin(handover.move_to_edge, self.task(epoch, fence, epoch - 1))
        for heard, said in (("prepared", "go"), ("verified", "disarm"), ("ready", "committed")):
            self.hear(heard)
            self.say(said)
            if said == last:
                return moving
        self.say("running")
        return moving

    def to_device(
        self, last: str = "committed", epoch: int = 2, fence: int = 8, ended: Outcome | None = None
    ) -> Future[Any]:
        """Back again, as far as a word of the controller; of a job, with how it has ended."""
        task = replace(self.task(epoch, fence, epoch), outcome=ended.told() if ended else "")
        coming = self.begin(handover.move_to_device, task)
        for heard, said in (("prepared", "go"), ("held", "stopped"), ("verified", "disarm"), ("ready", "committed")):
            self.hear(heard)
            if said == "committed" != last:
                break
            self.say(said, "{}" if said == "stopped" else "")
        return coming


@contextmanager
def playing(mover: Running, folder: Path, name: str, job: bool = False) -> Iterator[Device]:
    """A device that owns the app of a container; systemd's part of it is left out.

    Args:
        mover: of the app.
        folder: for what the device keeps; the app's data are in ``results`` below it.
        name: of the container.
        job: whether it is a job's.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(placement, "ROOT", folder / "lib")
        patch.setattr(forward_store, "ETC", folder / "etc")
        patch.setattr(library, "FOLDER", folder / "library")
        patch.setattr(units, "UNITS", folder / "units")
        patch.setattr(units, "properties", lambda name, *wanted: dict.fromkeys(wanted, "no"))
        for verb in ("restart", "stop"):
            patch.setattr(units, verb, lambda *names, **more: None)
        found = Device(mover, folder / "results", name, job)
        found.box.mkdir(parents=True, exist_ok=True)
        try:
            yield found
        finally:
            found.pool.shutdown()
