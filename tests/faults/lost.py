# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A device is lost, the edge takes its apps over, and the device comes back: without power, and without its network.
The whole edge is lost, the device takes its app over, and the edge comes back.

``python3 -m tests.faults.lost [PART...]``; ``PARTS`` has their names. The lab has to be up, with its cluster. Every
acknowledged write up to the last standby has to be at the edge, those after it beside the data on the device; the app
must not run on both sides once the device can reach the edge.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.demo import access

from .lab import CONTROL, DEVICE, App, Lab, command, wait_until_alone
from .run import ECHO, LEDGER, say
from .writer import Writer

KUBECTL = "kubectl --kubeconfig /etc/kubernetes/admin.conf"
CONTAINER = f"{access.LAB.name}-{DEVICE}"
WATCH = 75.0
"""Seconds after which the device has asked the edge again, once a minute."""
_ANSWER = """python3 - <<'END'
import time, urllib.request
end = time.monotonic() + {limit}
while True:
    try:
        print(urllib.request.urlopen("http://{address}:8000/{path}", timeout=2).read().decode(), end="")
        break
    except OSError:
        if time.monotonic() > end:
            raise
        time.sleep(0.1)
END"""


def at_edge(app: App, path: str, limit: float = 30.0) -> str:
    """The app's answer at the edge, asked from a node."""
    service = f"{KUBECTL} -n kraf-{DEVICE} get service app-{app.name} -o jsonpath='{{.spec.clusterIP}}'"
    address = access.ssh(CONTROL, service).strip()
    return access.ssh(CONTROL, _ANSWER.format(address=address, path=path, limit=limit), timeout=limit + 60)


def numbers(log: str) -> list[int]:
    """Of a log of the app; one that wrote nothing yet answers otherwise."""
    return [int(line.split()[0]) for line in log.splitlines() if line[:1].isdigit()]


@contextlib.contextmanager
def without_power() -> Iterator[None]:
    """The device has no power inside, and answers again afterwards."""
    command("docker", "stop", "-t", "0", CONTAINER)
    try:
        yield
    finally:
        command("docker", "start", CONTAINER)
    up()


def up() -> None:
    """Wait until the device answers, and Docker on it."""
    wait(lambda: access.ssh(DEVICE, "docker ps -q && echo yes", timeout=30).strip().endswith("yes"))


def wait(what: Callable[[], bool], limit: float = 300.0) -> None:
    """Wait until something is so, of hosts that may not answer yet."""
    end = time.monotonic() + limit
    while True:
        with contextlib.suppress(access.Failed, subprocess.TimeoutExpired):
            if what():
                return
        if time.monotonic() > end:
            raise access.Failed(f"the lab was not as before within {limit:g} s")
        time.sleep(2)


class Checks:
    """What was found, told as it is found."""

    def __init__(self) -> None:
        self.wrong: list[str] = []

    def check(self, what: str, found: object, right: object) -> None:
        """Compare and tell."""
        say(f"{'ok' if found == right else 'WRONG':<6}{what}")
        if found != right:
            self.wrong.append(f"{what}: {found!r}, not {right!r}")

    def end(self, logs: Path) -> int:
        """Tell what was wrong, and where the plays' outputs lie; the exit status, 1 when anything was."""
        for one in self.wrong:
            say(f"WRONG: {one[:1000]}")
        say(f"{len(self.wrong)} complaints; outputs in {logs}")
        return 1 if self.wrong else 0


class Loss(Checks):
    """The parts, on a lab that is up."""

    def __init__(self, lab: Lab) -> None:
        super().__init__()
        self.lab = lab

    def _play(self, app: App, log: str, **variables: str) -> int:
        return self.lab.play("kraf.edge.migrate", log, kraf_apps=[f"{DEVICE}/{app.name}"], **variables)

    def _standby(self, app: App, log: str) -> int:
        return self.lab.play("kraf.edge.standby", log, kraf_apps=[f"{DEVICE}/{app.name}"])

    def _lost(self, app: App, log: str) -> float:
        """Let the edge take over; seconds from the begin until it answers there."""
        begin = time.monotonic()
        rc = self._play(app, log, kraf_to="edge", kraf_device_lost="accept")
        self.check("the edge takes over", rc, 0)
        at_edge(app, "health")
        return time.monotonic() - begin

    def _begin(self, app: App, log: str) -> tuple[list[int], list[int]]:
        """The app on its device, the edge ready; what was acknowledged before that began, and all."""
        self.lab.deploy(app)
        self.check("the app is on the device", self.lab.move(app, "device", f"{log}-begin"), 0)
        last = max(numbers(self.lab.log_of(app)), default=0)
        with Writer(self.lab.address, app.ports, last + 1) as writer:
            writer.written(20, 60)
            before = list(writer.acknowledged)
            self.check("the edge is made ready while the app writes", self._standby(app, f"{log}-standby"), 0)
            self.check("nobody saw a failure", writer.failed, {})
            writer.written(20, 60)
        say(f"      the longest answer took {writer.longest:.2f} s")
        return before, list(writer.acknowledged)

    def _told(self, app: App, log: str, before: list[int], all_: list[int]) -> None:
        """The device is told, and the app comes back with the edge's data; its own are kept."""
        self.check("the next run tells the device", self.lab.move(app, "edge", f"{log}-told"), 0)
        side = self.lab.look(app)
        self.check("only the edge runs it", (side.running, len(side.pods), side.forward), (False, 1, "edge"))
        words = "after the copy that the edge went on from: log"
        self.check("it says what the device wrote", words in self.lab.output(f"{log}-told"), True)
        there = numbers(at_edge(app, "log"))
        self.check("the app comes back", self.lab.move(app, "device", f"{log}-back"), 0)
        self.check("with the edge's data", numbers(self.lab.log_of(app)), there)
        kept = access.ssh(
            DEVICE, f"cat /srv/{app.name}.kraf-lost-*/log | sort -n -u; rm -rf /srv/{app.name}.kraf-lost-*"
        )
        self.check("what the device wrote is kept", set(all_) - set(numbers(kept)), set())
        self.check("up to the standby all is at the edge", set(before) - set(there), set())

    def power(self) -> None:
        """The device loses its power, and gets it again."""
        before, all_ = self._begin(LEDGER, "power")
        rc = self._play(LEDGER, "power-early", kraf_to="edge", kraf_device_lost="accept")
        refused = "it answers: its apps may run there" in self.lab.said("power-early", 30)
        self.check("a device that answers is not lost", (rc, refused), (2, True))
        with without_power():
            seconds = self._lost(LEDGER, "power-lost")
            say(f"      it answers at the edge after {seconds:.1f} s")
            there = numbers(at_edge(LEDGER, "log"))
            self.check("all up to the standby is there", set(before) - set(there), set())
            self.check("a second run changes nothing", self._again(LEDGER, "power-again"), 0)
        time.sleep(5)
        side = self.lab.look(LEDGER)
        self.check("the app stays stopped", (side.running, side.policy), (False, "no"))
        self._told(LEDGER, "power", before, all_)

    def partition(self) -> None:
        """The device loses its network only: the app goes on there, until the device can ask."""
        before, all_ = self._begin(LEDGER, "partition")
        command("docker", "network", "disconnect", access.LAB.name, CONTAINER)
        try:
            self._lost(LEDGER, "partition-lost")
        finally:
            command("docker", "network", "connect", "--ip", self.lab.address, access.LAB.name, CONTAINER)
        up()
        side = wait_until_alone(self.lab, LEDGER, WATCH)
        self.check("the device stops the app by itself", (side.running, len(side.pods)), (False, 1))
        self.check("its clients are led to the edge", side.forward, "edge")
        self._told(LEDGER, "partition", before, all_)

    def stateless(self) -> None:
        """An app without data: only its image has to be there."""
        say(f"      it answers at the edge after {self.there_and_back(ECHO):.1f} s")

    def there_and_back(self, app: App) -> float:
        """The edge takes over from a device without power, which is told later; seconds until the app answers."""
        log = f"lost-{app.name}"
        self.lab.deploy(app)
        self.check("the app is on the device", self.lab.move(app, "device", f"{log}-begin"), 0)
        self.check("the edge is made ready", self._standby(app, f"{log}-standby"), 0)
        with without_power():
            seconds = self._lost(app, log)
        self.check("the next run tells the device", self.lab.move(app, "edge", f"{log}-told"), 0)
        side = self.lab.look(app)
        self.check("only the edge runs it", (side.running, len(side.pods), side.forward), (False, 1, "edge"))
        self.check("the app comes back", self.lab.move(app, "device", f"{log}-back"), 0)
        return seconds

    def abandon(self) -> None:
        """What is prepared goes away, and with it the takeover."""
        self._begin(LEDGER, "abandon")
        self.check("it is abandoned", self._play(LEDGER, "abandon-1", kraf_migrate="abandon"), 0)
        self.check("a second run changes nothing", self._again(LEDGER, "abandon-2", kraf_migrate="abandon"), 0)
        secrets = f"{KUBECTL} -n kraf-{DEVICE} get secret app-{LEDGER.name}-standby --ignore-not-found -o name"
        self.check("nothing is kept", access.ssh(CONTROL, secrets).strip(), "")
        with without_power():
            rc = self._play(LEDGER, "abandon-lost", kraf_to="edge", kraf_device_lost="accept")
            said = "the edge is not kept ready for it" in self.lab.said("abandon-lost", 30)
            self.check("the edge cannot take over", (rc, said), (2, True))
        side = self.lab.look(LEDGER)
        self.check("the app runs on its device", (side.running, len(side.pods)), (True, 0))

    def edge(self) -> None:
        """The whole edge loses its power: API server and nodes."""
        self.lab.deploy(LEDGER)
        self.check("the app is at the edge", self.lab.move(LEDGER, "edge", "edge-begin"), 0)
        before = numbers(self.lab.log_of(LEDGER))
        with Writer(self.lab.address, LEDGER.ports, max(before, default=0) + 1) as writer:
            writer.written(20, 60)
        rc = self._device(LEDGER, "edge-early")
        refused = "it answers at the edge" in self.lab.said("edge-early", 30)
        self.check("an edge that answers is not lost", (rc, refused), (2, True))
        hosts = [host.name for host in access.LAB.hosts if not host.is_device]
        command("docker", "stop", "-t", "0", *(f"{access.LAB.name}-{host}" for host in hosts))
        try:
            begin = time.monotonic()
            self.check("the device takes over", self._device(LEDGER, "edge-lost"), 0)
            self.check("with its own copy", numbers(self.lab.log_of(LEDGER)), before)
            say(f"      it answers on the device after {time.monotonic() - begin:.1f} s")
        finally:
            command("docker", "start", *(f"{access.LAB.name}-{host}" for host in hosts))
        ready = f"{KUBECTL} wait --for=condition=Ready --timeout=20s node --all && {KUBECTL} get --raw /readyz"
        wait(lambda: access.ssh(CONTROL, ready).strip().endswith("ok"))
        # What kubectl asked while the API server started, it believes for ten minutes.
        access.ssh(CONTROL, "rm -rf ~/.kube/cache")
        # Nodes that were away count as ready for a while.
        time.sleep(45)
        self.check("the edge is told", self.lab.move(LEDGER, "device", "edge-told"), 0)
        side = self.lab.look(LEDGER)
        found = (side.running, len(side.pods), side.forward, side.placement.get("owner"), side.placement.get("lost"))
        self.check("only the device runs it", found, (True, 0, "device", "device", None))
        trees = [
            access.ssh(host, f"cat /var/lib/kraf/volumes/*app-{LEDGER.name}/data/lost-*/*/log 2>/dev/null; true")
            for host in hosts
        ]
        kept = {number for tree in trees for number in numbers(tree)}
        self.check("what was written at the edge is kept", set(writer.acknowledged) - kept, set())
        self.check("it moves to the edge again", self.lab.move(LEDGER, "edge", "edge-again"), 0)
        self.check("and back", self.lab.move(LEDGER, "device", "edge-back"), 0)

    def _device(self, app: App, log: str) -> int:
        return self._play(app, log, kraf_to="device", kraf_edge_lost="accept")

    def _again(self, app: App, log: str, **variables: str) -> int:
        """How much a repeated run changes."""
        variables = variables or {"kraf_to": "edge", "kraf_device_lost": "accept"}
        rc = self._play(app, log, **variables)
        return rc or self.lab.output(log).count("\nchanged: ")


PARTS: dict[str, Callable[[Loss], None]] = {
    "power": Loss.power,
    "partition": Loss.partition,
    "stateless": Loss.stateless,
    "abandon": Loss.abandon,
    "edge": Loss.edge,
}


def main() -> int:
    """Run the parts; the exit status is 1 when something was wrong."""
    chosen = sys.argv[1:] or list(PARTS)
    unknown = sorted(set(chosen) - set(PARTS))
    if unknown:
        raise SystemExit(f"{', '.join(unknown)}: no such part; there are {', '.join(PARTS)}")
    loss = Loss(Lab(access.INVENTORY.resolve(), access.ROOT / "build" / access.LAB.name / "lost"))
    for part in chosen:
        say(f"== {part}")
        PARTS[part](loss)
    return loss.end(loss.lab.logs)


if __name__ == "__main__":
    sys.exit(main())
