# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The apps of demo and bench: one with data, that runs in one place at a time, and one without, that may overlap."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.lab.images import architecture

from . import access
from .clients import Clients, Window
from .progress import Progress

PLAY = Path(__file__).parent / "plays" / "app.yml"
DEVICE = "pi1"
INSIDE = 8000
"""Port on which the app listens in its container."""


@dataclass(frozen=True)
class App:
    """An app on the device.

    Args:
        name: of app, container and forward.
        port: of the device, under which clients reach it.
        data: directories of the container that move with it.
        overlap: whether it may run on both sides for a moment.
    """

    name: str
    port: int
    data: tuple[str, ...] = ()
    overlap: bool = False

    def start(self, progress: Progress, image: str) -> None:
        """Run it on the device, register it, put its forward in front of it."""
        progress.play(
            PLAY,
            f"app-{self.name}",
            demo_device=DEVICE,
            demo_app=self.name,
            demo_port=self.port,
            demo_inside=INSIDE,
            demo_image=image,
            demo_architecture=architecture(),
            demo_data=list(self.data),
            demo_overlap=self.overlap,
        )

    def move(self, progress: Progress, to: str, **more: str) -> access.Played:
        """Migrate it to ``edge`` or ``device``, with further inputs of the playbook."""
        variables = {"kraf_apps": [f"{DEVICE}/{self.name}"], "kraf_to": to, **more}
        return progress.play("kraf.edge.migrate", f"{self.name}-to-{to}", **variables)

    def clients(self) -> Clients:
        """Clients that poll it through the device's own port."""
        return Clients(access.address(DEVICE), self.port)


FACES = App("faces", 8000, data=("/data",))
GLANCE = App("glance", 8001, overlap=True)


@dataclass
class Move:
    """A migration, and what clients saw of it."""

    played: access.Played
    seen: Window
    floor_seconds: float

    def report(self) -> dict[str, object]:
        """Figures, with the longest wait as a multiple of the floor."""
        ratio = self.seen.longest_wait_seconds / self.floor_seconds
        return {
            **self.seen.report(),
            "wait_floor_seconds": self.floor_seconds,
            "wait_floor_ratio": ratio,
            "seconds": self.played.seconds,
        }

    def told(self) -> str:
        """What clients saw, in a line."""
        failed = f"{self.seen.failed} failed {self.seen.reasons or ''}".rstrip()
        return f"{self.seen.requests} requests, {failed}, longest wait {self.seen.longest_wait_seconds} s"
