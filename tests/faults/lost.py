# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A device is lost, the edge takes its apps over, and the device comes back: without power, and without its network.
The whole edge is lost, the device takes its app over, and the edge comes back. All of it is without power.

``python3 -m tests.faults.lost [PART...]``; ``PARTS`` has their names. The lab has to be up, with its cluster. Every
acknowledged write up to the last standby has to be at the edge, those after it there or kept on the device; the app
must not run on both sides once the device can reach the edge. Units, groups and apps on volumes go through the same
parts (``moves``).
"""

from __future__ import annotations

import contextlib
import http.client
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.demo import access
from tests.demo.access import KUBECTL
from tests.lab import images

from .lab import CONTROL, DEVICE, FOLDER, INSIDE, App, Lab, cable, command, docker_answers, published, until
from .run import ALONE, ECHO, LEDGER, say
from .writer import Writer, following, numbers, request

CONTAINER = f"{access.LAB.name}-{DEVICE}"
WATCH = 75.0
"""Seconds after which the device has asked the edge again, once a minute."""
PRESENCE = 61000, "epoch"
"""Port and path of what answers at the edge in place of an app without ports."""
_ANSWER = """python3 - <<'END'
import time, urllib.request
end = time.monotonic() + {limit}
while True:
    try:
        print(urllib.request.urlopen("http://{address}:{port}/{path}", timeout=2).read().decode(), end="")
        break
    except OSError:
        if time.monotonic() > end:
            raise
        time.sleep(0.1)
END"""


def at_edge(app: Subject, path: str, limit: float = 30.0) -> str:
    """The app's answer at the edge, asked from a node."""
    service = f"{KUBECTL} -n kraf-{DEVICE} get service app-{app.name} -o jsonpath='{{.spec.clusterIP}}'"
    address = access.ssh(CONTROL, service).strip()
    return access.ssh(
        CONTROL, _ANSWER.format(address=address, port=app.inside, path=path, limit=limit), timeout=limit + 60
    )


@contextlib.contextmanager
def without_power() -> Iterator[None]:
    """The device has no power inside, and answers again afterwards."""
    command("docker", "stop", "-t", "0", CONTAINER)
    try:
        yield
    finally:
        command("docker", "start", CONTAINER)
    up()


@contextlib.contextmanager
def edge_without_power(*more: str) -> Iterator[None]:
    """Neither API server nor nodes have power inside; all of them answer again afterwards.

    Args:
        more: containers of the lab that are without it, too.
    """
    hosts = [f"{access.LAB.name}-{host.name}" for host in access.LAB.hosts if not host.is_device]
    command("docker", "stop", "-t", "0", *hosts, *more)
    try:
        yield
    finally:
        command("docker", "start", *hosts, *more)
    ready = f"{KUBECTL} wait --for=condition=Ready --timeout=20s node --all && {KUBECTL} get --raw /readyz"
    until(lambda: access.ssh(CONTROL, ready).strip().endswith("ok"))
    # What kubectl asked while the API server started, it believes for ten minutes.
    access.ssh(CONTROL, "rm -rf ~/.kube/cache")
    # Nodes that were away count as ready for a while.
    time.sleep(45)


@contextlib.contextmanager
def without_network() -> Iterator[None]:
    """The device has no network inside, and answers again afterwards; its apps go on."""
    cable(DEVICE, plugged=False)
    try:
        yield
    finally:
        cable(DEVICE, plugged=True)
    up()


def up() -> None:
    """Wait until the device answers, and Docker on it."""
    until(lambda: docker_answers(DEVICE))


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


@dataclass(frozen=True)
class Subject:
    """An app that keeps the numbers which it is sent, whatever runs it on the device.

    Attributes:
        name: of the app.
        ports: of the device, under which clients reach it.
        inside: its first port at the edge, or that of what answers in its place; ``asked`` the path there.
        started: when it was started last on the device; empty when it was not since the device's boot.
        running: whether it runs there.
        there: told the side, once the app is there and the device knows it; checks what is this app's own.
        kept: shell pattern of files on the device that hold what the edge does not have.
        copied: whether its data are copied; else they are on a volume of the device.
    """

    name: str
    ports: tuple[int, ...]
    inside: int
    started: Callable[[], str]
    running: Callable[[], bool]
    there: Callable[[str], None]
    kept: str
    copied: bool = True
    asked: str = "health"


def container(lab: Lab, checks: Checks, app: App, kept: str = "", copied: bool = True) -> Subject:
    """An app that is one container of the device."""

    def running() -> bool:
        return lab.look(app).running

    def started() -> str:
        return access.ssh(DEVICE, f"docker inspect -f '{{{{.State.StartedAt}}}}' {app.name}", timeout=60)

    def there(to: str) -> None:
        side = lab.look(app)
        found = (side.running, len(side.pods), side.forward)
        right = (False, 1, "edge") if to == "edge" else (True, 0, "device")
        checks.check(f"only the {to} runs it, and clients are led there", found, right)

    kept = kept or f"/srv/{app.name}.kraf-lost-*/log"
    return Subject(app.name, app.ports, INSIDE, started, running, there, kept, copied)


def silent(lab: Lab, checks: Checks) -> Subject:
    """An app without ports, on its device."""
    app = App("silent", 0)
    given: dict[str, Any] = {
        "device": DEVICE,
        "app": app.name,
        "image": published(),
        "architecture": images.architecture(),
    }
    play = str(FOLDER.parent / "silent.yml")
    made = lab.play(play, "silent-make", **{f"silent_{key}": value for key, value in given.items()})
    checks.check("it runs on its device", made, 0)
    found = container(lab, checks, app)

    def there(to: str) -> None:
        side = lab.look(app)
        checks.check(f"only the {to} runs it", (side.running, len(side.pods)), (to == "device", int(to == "edge")))

    return replace(found, ports=(), inside=PRESENCE[0], there=there, asked=PRESENCE[1])


def deployed(app: App) -> Callable[[Lab, Checks], Subject]:
    """An app of the harness, once it is on its device."""

    def deploy(lab: Lab, checks: Checks) -> Subject:
        lab.deploy(app)
        return container(lab, checks, app)

    return deploy


class Loss:
    """The parts, on a lab that is up, with an app that runs on its device.

    Args:
        checks: that take what is found.
        app: that is lost.
    """

    def __init__(self, lab: Lab, checks: Checks, app: Subject) -> None:
        self.lab, self.app, self.check = lab, app, checks.check

    def _play(self, log: str, **variables: str) -> int:
        return self.lab.play("kraf.edge.migrate", log, kraf_apps=[f"{DEVICE}/{self.app.name}"], **variables)

    def _moved(self, what: str, to: str, log: str) -> None:
        self.check(what, self._play(log, kraf_to=to), 0)

    def _standby(self, log: str) -> int:
        return self.lab.play("kraf.edge.standby", log, kraf_apps=[f"{DEVICE}/{self.app.name}"])

    def _log(self) -> list[int]:
        """Numbers that the app has, asked as clients do."""
        return numbers(self._text())

    def _text(self) -> str:
        return request(self.lab.address, self.app.ports[0], "GET", "/log")

    def _log_at_edge(self) -> list[int]:
        return numbers(at_edge(self.app, "log"))

    def _writer(self) -> Writer:
        """A client that goes on where the app's log ends."""
        return Writer(self.lab.address, self.app.ports, following(self._text()))

    def _lost(self, log: str) -> float:
        """Let the edge take over; seconds from the begin until it answers there."""
        begin = time.monotonic()
        rc = self._play(log, kraf_to="edge", kraf_device_lost="accept")
        self.check("the edge takes over", rc, 0)
        at_edge(self.app, self.app.asked)
        return time.monotonic() - begin

    def _begin(self, log: str) -> tuple[list[int], list[int]]:
        """The app on its device, the edge ready; what was acknowledged before that began, and all."""
        self._moved("the app is on the device", "device", f"{log}-begin")
        with self._writer() as writer:
            writer.written(20, 60)
            before = list(writer.acknowledged)
            self.check("the edge is made ready while the app writes", self._standby(f"{log}-standby"), 0)
            self.check("nobody saw a failure", writer.failed, {})
            writer.written(20, 60)
        say(f"      the longest answer took {writer.longest:.2f} s")
        return before, list(writer.acknowledged)

    def _told(self, log: str, before: list[int], all_: list[int]) -> None:
        """The device is told, and the app comes back with the edge's data; its own are kept."""
        self._moved("the next run tells the device", "edge", f"{log}-told")
        self.app.there("edge")
        there = self._log_at_edge()
        self.check("up to the standby all is at the edge", set(before) - set(there), set())
        only = set(all_) - set(there)
        words = "after the copy that the edge went on from: log" if self.app.copied else "davfs2 had not sent"
        if self.app.copied or only:
            self.check("it says what only the device has", words in self.lab.output(f"{log}-told"), True)
        with self._writer() as writer:
            writer.written(20, 60)
        there += writer.acknowledged
        self._moved("the app comes back", "device", f"{log}-back")
        self.app.there("device")
        self.check("with the edge's data", self._log(), there)
        kept = numbers(access.ssh(DEVICE, f"cat {self.app.kept} 2>/dev/null | sort -n -u"))
        say(f"      {len(only)} numbers were on the device alone")
        self.check("what only the device had is kept", only - set(kept), set())
        if self.app.copied:
            access.ssh(DEVICE, f"rm -rf {self.app.kept.rpartition('/')[0]}")

    def power(self) -> None:
        """The device loses its power, and gets it again."""
        before, all_ = self._begin("power")
        rc = self._play("power-early", kraf_to="edge", kraf_device_lost="accept")
        refused = "it answers: its apps may run there" in self.lab.said("power-early", 30)
        self.check("a device that answers is not lost", (rc, refused), (2, True))
        last = self.app.started()
        with without_power():
            seconds = self._lost("power-lost")
            say(f"      it answers at the edge after {seconds:.1f} s")
            self.check("all up to the standby is there", set(before) - set(self._log_at_edge()), set())
            self.check("a second run changes nothing", self._again("power-again"), 0)
        time.sleep(5)
        self.check("the device is back, and the app was not started there", self.app.started() in ("", last), True)
        self._told("power", before, all_)

    def partition(self) -> None:
        """The device loses its network only: the app goes on there, until the device can ask."""
        before, all_ = self._begin("partition")
        with without_network():
            self._lost("partition-lost")
            all_ += self._written_inside(max(all_) + 1)
        self._stopped_by_itself()
        # Its clients are led to the edge.
        self.check("its clients have the edge's data", self._log(), self._log_at_edge())
        self._told("partition", before, all_)

    def _stopped_by_itself(self) -> None:
        end = time.monotonic() + WATCH
        while self.app.running() and time.monotonic() < end:
            time.sleep(1)
        self.check("the device stops the app by itself", self.app.running(), False)

    def unheard(self) -> None:
        """The device loses its power, then its network, with an app that has no clients and no port to be asked at."""
        for what, lost in (("power", without_power()), ("network", without_network())):
            log = f"{self.app.name}-{what}"
            self._moved("the app is on the device", "device", f"{log}-begin")
            self.check("the edge is made ready", self._standby(f"{log}-standby"), 0)
            last = self.app.started()
            with lost:
                self._lost(f"{log}-lost")
            if what == "power":
                time.sleep(5)
                found = self.app.started()
                self.check("the device is back, and the app was not started there", found in ("", last), True)
            else:
                self._stopped_by_itself()
            self._moved("the next run tells the device", "edge", f"{log}-told")
            self.app.there("edge")
            rc = self._device(f"{log}-early")
            refused = "it answers at the edge" in self.lab.said(f"{log}-early", 30)
            self.check("an edge that answers is not lost", (rc, refused), (2, True))
            self._moved("the app comes back", "device", f"{log}-back")
            self.app.there("device")

    def _written_inside(self, first: int) -> list[int]:
        """Numbers that the app takes on a device which nobody reaches, as from a client on the device itself. One whose
        data are on a volume cannot write then, and says so."""
        url = f"http://127.0.0.1:{self.app.ports[0]}"
        script = "; ".join(f"curl -sS -m 10 -X POST {url}/{number}" for number in range(first, first + 5))
        answers = command("docker", "exec", CONTAINER, "sh", "-c", f"{script}; true").split()
        if self.app.copied:
            self.check("without its network the device goes on", len(answers), 5)
        return [int(answer) for answer in answers]

    def there_and_back(self) -> float:
        """The edge takes over from a device without power, which is told later; seconds until the app answers."""
        log = f"lost-{self.app.name}"
        self._moved("the app is on the device", "device", f"{log}-begin")
        self.check("the edge is made ready", self._standby(f"{log}-standby"), 0)
        with without_power():
            seconds = self._lost(log)
        say(f"      it answers at the edge after {seconds:.1f} s")
        self._moved("the next run tells the device", "edge", f"{log}-told")
        self.app.there("edge")
        self._moved("the app comes back", "device", f"{log}-back")
        self.app.there("device")
        return seconds

    def abandon(self) -> None:
        """What is prepared goes away, and with it the takeover."""
        self._begin("abandon")
        self.check("it is abandoned", self._play("abandon-1", kraf_migrate="abandon"), 0)
        self.check("a second run changes nothing", self._again("abandon-2", kraf_migrate="abandon"), 0)
        secrets = f"{KUBECTL} -n kraf-{DEVICE} get secret app-{self.app.name}-standby --ignore-not-found -o name"
        self.check("nothing is kept", access.ssh(CONTROL, secrets).strip(), "")
        with without_power():
            rc = self._play("abandon-lost", kraf_to="edge", kraf_device_lost="accept")
            said = "the edge is not kept ready for it" in self.lab.said("abandon-lost", 30)
            self.check("the edge cannot take over", (rc, said), (2, True))
        self.app.there("device")

    def edge(self) -> None:
        """The whole edge loses its power: API server and nodes."""
        self._moved("the app is at the edge", "edge", "edge-begin")
        before = self._log()
        with self._writer() as writer:
            writer.written(20, 60)
        rc = self._device("edge-early")
        refused = "it answers at the edge" in self.lab.said("edge-early", 30)
        self.check("an edge that answers is not lost", (rc, refused), (2, True))
        with edge_without_power():
            begin, rc = time.monotonic(), self._device("edge-lost")
            if self.app.copied:
                self.check("the device takes over", rc, 0)
                self.check("with its own copy", self._log(), before)
                say(f"      it answers on the device after {time.monotonic() - begin:.1f} s")
            else:
                said = "in the cluster that is lost" in self.lab.said("edge-lost", 30)
                self.check("the device cannot take over without the data", (rc, said), (2, True))
        if self.app.copied:
            self.check("the edge is back, and the app did not start there", self._sides(), (True, False))
        self._moved("the edge is told", "device", "edge-told")
        self.app.there("device")
        if self.app.copied:
            hosts = [host.name for host in access.LAB.hosts if not host.is_device]
            logs = f"cat /var/lib/kraf/volumes/*app-{self.app.name}/data/lost-*/*/log 2>/dev/null; true"
            kept = {number for host in hosts for number in numbers(access.ssh(host, logs))}
            self.check("what was written at the edge is kept", set(writer.acknowledged) - kept, set())
        else:
            self.check("with all that was written at the edge", self._log(), before + writer.acknowledged)
        self._moved("it moves to the edge again", "edge", "edge-again")
        self._moved("and back", "device", "edge-back")
        self.app.there("device")

    def everything(self) -> None:
        """Device and edge lose their power at once, wherever the app is; nobody runs a playbook afterwards."""
        for to in ("edge", "device"):
            self._moved(f"the app is at the {to}", to, f"everything-{to}")
            with self._writer() as writer:
                writer.written(20, 60)
            with edge_without_power(CONTAINER):
                pass
            up()
            end = time.monotonic() + ALONE
            found = set[tuple[bool, bool]]()
            while time.monotonic() < end and not self._answers():
                found.add(self._sides())
            found |= {self._sides() for _look in range(10)}
            self.check("it never runs on both sides", (True, True) in found, False)
            self.app.there(to)
            there = set(self._log())
            self.check("nothing that was acknowledged is lost", set(writer.acknowledged) - there, set())
        self._moved("it moves as ever", "edge", "everything-again")
        self._moved("and back", "device", "everything-back")
        self.app.there("device")

    def _answers(self) -> bool:
        """Whether clients are answered."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            return bool(request(self.lab.address, self.app.ports[0], "GET", "/health", 2))
        return False

    def _sides(self) -> tuple[bool, bool]:
        """Whether it runs on the device, and at the edge: of what is asked later, each is told as it was found."""
        pods = (
            f"{KUBECTL} -n kraf-{DEVICE} get pod -l kraf.io/app={self.app.name} -o jsonpath='{{..containerStatuses}}'"
        )
        with contextlib.suppress(access.Failed):
            return self.app.running(), '"running"' in access.ssh(CONTROL, pods)
        return False, False

    def _device(self, log: str) -> int:
        return self._play(log, kraf_to="device", kraf_edge_lost="accept")

    def _again(self, log: str, **variables: str) -> int:
        """How much a repeated run changes."""
        variables = variables or {"kraf_to": "edge", "kraf_device_lost": "accept"}
        rc = self._play(log, **variables)
        return rc or self.lab.output(log).count("\nchanged: ")


PARTS: dict[str, tuple[Callable[[Lab, Checks], Subject], Callable[[Loss], object]]] = {
    "power": (deployed(LEDGER), Loss.power),
    "partition": (deployed(LEDGER), Loss.partition),
    "silent": (silent, Loss.unheard),
    "stateless": (deployed(ECHO), Loss.there_and_back),
    "abandon": (deployed(LEDGER), Loss.abandon),
    "edge": (deployed(LEDGER), Loss.edge),
    "everything": (deployed(LEDGER), Loss.everything),
}


def main() -> int:
    """Run the parts; the exit status is 1 when something was wrong."""
    chosen = sys.argv[1:] or list(PARTS)
    unknown = sorted(set(chosen) - set(PARTS))
    if unknown:
        raise SystemExit(f"{', '.join(unknown)}: no such part; there are {', '.join(PARTS)}")
    lab, checks = Lab(access.INVENTORY.resolve(), access.ROOT / "build" / access.LAB.name / "lost"), Checks()
    for part in chosen:
        say(f"== {part}")
        make, lose = PARTS[part]
        lose(Loss(lab, checks, make(lab, checks)))
    return checks.end(lab.logs)


if __name__ == "__main__":
    sys.exit(main())
