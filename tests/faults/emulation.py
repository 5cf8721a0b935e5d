# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apps whose images are for another architecture than the nodes', or for several, move to the edge and back: one for
arm64 alone, which a node emulates; one of which a single name serves both; one that becomes an index in the cluster's
image registry.

The device stands for a Pi: of the first two it runs arm64, by emulation as well. The program says what it was built
for. A client asks all the time, and no request may fail. The lab has to be up, with its cluster, on a machine of amd64
whose kernel has binfmt_misc: its registration, the node's label and the apps are gone in the end, also after a failure.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.demo import access
from tests.demo.access import KUBECTL
from tests.integration import emulator
from tests.lab import images
from tests.lab.steps import LabError

from . import says
from .lab import CONTROL, DEVICE, Lab
from .lost import Checks
from .run import say
from .writer import Writer, request

PLAY = Path(__file__).parent / "emulation.yml"
REGISTRATION = "kraf-lab-arm64"
NODE = "worker1"
"""The one that says that it emulates; the kernel, and so what it does, is the same on all of them."""
AT = "/proc/sys/fs/binfmt_misc"
# Not to be written there: a host that stops would clear all registrations of the machine.
SHOWN = f"mountpoint -q {AT} || mount -t binfmt_misc -o ro none {AT}"
HIDDEN = f"! mountpoint -q {AT} || umount {AT}"
LABELLED = f"{KUBECTL} get node -l kraf.io/emulates-arm64=true -o name"
ENOUGH = 30, 120.0
"""So many requests have to be answered within so many seconds: the device emulates on a part of a core."""


@dataclass(frozen=True)
class App:
    """An app under test.

    Attributes:
        name: of app and container.
        port: of the device, under which clients reach it.
        runs: the architecture of what its device runs.
        edge: the architecture of what is to run at the edge.
        image: reference of what its device runs.
        named: the images of its row in the catalog.
        emulation: whether its row lets nodes emulate.
    """

    name: str
    port: int
    runs: str
    edge: str
    image: str
    named: dict[str, str] = field(default_factory=dict)
    emulation: bool = False


def apps(made: dict[str, str]) -> list[App]:
    """The apps, of images as ``says.publish`` names them; the last one's row is completed when the first has moved."""
    both = dict.fromkeys(says.ARCHITECTURES, made["both"])
    return [
        App("says-arm64", 8030, "arm64", "arm64", made["arm64"], {"arm64": made["arm64"]}, emulation=True),
        App("says-both", 8031, "arm64", "amd64", made["both"], both, emulation=True),
        App("says-index", 8032, "amd64", "amd64", made["amd64"]),
    ]


class Emulation(Checks):
    """The apps, on a lab that is up."""

    def __init__(self, lab: Lab) -> None:
        super().__init__()
        self.lab = lab
        self._cluster = 0

    def make(self, app: App, state: str = "present") -> int:
        """The app is on its device and in the catalog, or gone from there."""
        given: dict[str, Any] = {"device": DEVICE, "app": app.name, "port": app.port, "runs": app.runs, "state": state}
        given |= {"image": app.image, "images": app.named, "allowed": app.emulation}
        return self.lab.play(
            str(PLAY), f"{app.name}-{state}", **{f"emulation_{key}": value for key, value in given.items()}
        )

    def move(self, app: App, to: str, log: str = "") -> int:
        """Run the playbook that moves it."""
        log = log or f"{app.name}-{to}"
        return self.lab.play("kraf.edge.migrate", log, kraf_apps=[f"{DEVICE}/{app.name}"], kraf_to=to)

    def answer(self, app: App) -> str:
        """For which architecture what answers clients was built."""
        return request(self.lab.address, app.port, "GET", "/").split()[0]

    def pods(self, app: App) -> list[dict[str, Any]]:
        """Its pods at the edge."""
        found = access.ssh(CONTROL, f"{KUBECTL} -n kraf-{DEVICE} get pod -l kraf.io/app={app.name} -o json", timeout=60)
        return [one for one in json.loads(found)["items"] if not one["metadata"]["name"].startswith("mover-")]

    def walk(self, app: App, there: Callable[[dict[str, Any], str], None]) -> None:
        """Make it, and move it there and back, under clients.

        Args:
            app: under test.
            there: told its pod and the reference of the image that this runs.
        """
        say(f"== {app.name}")
        self.check("it runs on its device", self.make(app), 0)
        with Writer(self.lab.address, (app.port,), 1) as writer:
            self.check("clients are answered", writer.written(*ENOUGH), True)
            self.check(f"the device runs {app.runs}", self.answer(app), app.runs)
            for to, architecture in (("edge", app.edge), ("device", app.runs)):
                self.check(f"it moves to the {to}", self.move(app, to), 0)
                self.check("clients are answered afterwards", writer.written(*ENOUGH), True)
                self.check(f"what answers from the {to} is for {architecture}", self.answer(app), architecture)
                pods = self.pods(app)
                self.check("pods at the edge", len(pods), 1 if to == "edge" else 0)
                for pod in pods:
                    image = next(one["image"] for one in pod["spec"]["containers"] if one["name"] == "app")
                    there(pod, image)
                say(f"      the longest answer took {writer.longest:.2f} s")
        self.check(f"none of {len(writer.acknowledged)} requests has failed", writer.failed, {})

    def refused(self, app: App) -> None:
        """No node says that it emulates: nothing moves."""
        self.check("it runs on its device", self.make(app), 0)
        self.check("where no node emulates it does not move", self.move(app, "edge", f"{app.name}-refused"), 2)
        told = " ".join(self.lab.output(f"{app.name}-refused").split())
        wanted = ("no node emulates arm64", "package qemu-user-static on the nodes, then the playbook cluster")
        self.check("which is told, and what brings it", [one for one in wanted if one not in told], [])
        self.check("it runs on its device still", self.answer(app), app.runs)

    def cluster(self, labelled: list[str]) -> None:
        """Run the playbook that finds out what nodes emulate."""
        self._cluster += 1
        self.check("the playbook cluster ends well", self.lab.play("kraf.edge.cluster", f"cluster-{self._cluster}"), 0)
        self.check("nodes that say they emulate arm64", access.ssh(CONTROL, LABELLED).split(), labelled)

    @contextlib.contextmanager
    def emulating(self) -> Iterator[None]:
        """A node sees the machine's registrations, and is known to emulate; neither is so afterwards."""
        try:
            access.ssh(NODE, SHOWN)
            self.cluster([f"node/{NODE}"])
            yield
        finally:
            self.hidden()

    def hidden(self) -> None:
        """No node sees the machine's registrations, or is known to emulate."""
        access.ssh(NODE, HIDDEN)
        if access.ssh(CONTROL, LABELLED).strip():
            self.cluster([])

    def gone(self, app: App) -> None:
        """Bring it back from the edge, if it is there, and take it away altogether."""
        placement = f"{KUBECTL} -n kraf-{DEVICE} %s placements.kraf.io {app.name} --ignore-not-found"
        owner = access.ssh(CONTROL, f"{placement % 'get'} -o jsonpath={{.spec.owner}}").strip()
        if owner == "edge" and self.move(app, "device", f"{app.name}-back"):
            self.check(f"{app.name} is back on its device, and gone", "at the edge", "gone")
            return
        self.check(f"{app.name} is gone", self.make(app, "absent"), 0)
        access.ssh(CONTROL, placement % "delete")
        access.ssh(DEVICE, f"rm -f /var/lib/kraf/placements/{app.name}.json")

    def run(self, made: dict[str, str]) -> None:
        """All of it."""
        alone, both, index = apps(made)

        def alone_there(pod: dict[str, Any], image: str) -> None:
            self.check("it runs on the node that emulates", pod["spec"]["nodeName"], NODE)
            self.check("its image is no index", says.architectures(says.cluster(), image), [])
            # From now on there is one for arm64 in the cluster's image registry.
            index.named["arm64"] = image

        def both_there(_pod: dict[str, Any], image: str) -> None:
            found = says.architectures(says.mirror(), image)
            self.check("its image is the index of both", found, [*says.ARCHITECTURES])

        def index_there(_pod: dict[str, Any], image: str) -> None:
            found = says.architectures(says.cluster(), image)
            self.check("the cluster's image registry has an index of both", found, [*says.ARCHITECTURES])

        try:
            self.hidden()
            self.refused(alone)
            with self.emulating():
                self.walk(alone, alone_there)
                self.walk(both, both_there)
                self.walk(index, index_there)
        finally:
            for app in (alone, both, index):
                try:
                    self.gone(app)
                except (access.Failed, subprocess.TimeoutExpired) as error:
                    self.check(f"{app.name} is gone", str(error), "gone")


def main() -> int:
    """Run it; the exit status is 1 when something was wrong."""
    # What ends it is to be an exception, so that all is put back.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    emulation = Emulation(Lab(access.INVENTORY.resolve(), access.ROOT / "build" / access.LAB.name / "emulation"))
    try:
        if images.architecture() != "amd64":
            raise LabError("this machine runs arm64 by itself: run it on one of amd64")
        made = says.publish(says.mirror())
        with emulator.registered(REGISTRATION):
            emulation.run(made)
    except LabError as error:
        print(f"faults-emulation: {error}", file=sys.stderr)
        return 2
    return emulation.end(emulation.lab.logs)


if __name__ == "__main__":
    sys.exit(main())
