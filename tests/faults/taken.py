# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a site can lose in the midst of a migration, and how it comes back."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.demo import access
from tests.demo.access import KUBECTL

from .lab import CONTROL, App, Lab, cable, command, until

MANIFESTS = "/etc/kubernetes/manifests"
ASIDE = "/etc/kubernetes/kube-apiserver.taken"
FILLER = "filler.taken"
PATIENCE = 45.0
"""Seconds after which something is given back though the play still runs."""


@dataclass
class Scene:
    """Where something is taken away.

    Attributes:
        app: that is on its way.
        to: the side that it moves to.
        log: beginning of the names of outputs.
        wrong: what was found wrong meanwhile.
        node: the node that was taken.
        rival: the other operator's run.
    """

    lab: Lab
    app: App
    to: str
    log: str
    wrong: list[str] = field(default_factory=list)
    node: str = ""
    rival: threading.Thread | None = None

    def other_run(self) -> None:
        """The same playbook, by another operator."""
        rc = self.lab.move(self.app, self.to, f"{self.log}.other")
        if rc:
            self.wrong.append(f"the other operator's run ended with {rc}:\n{self.lab.said(f'{self.log}.other')}")


@dataclass(frozen=True)
class Taking:
    """Something that is taken away while the play sleeps, and given back when it has ended or had time to notice."""

    take: Callable[[Scene], None]
    give: Callable[[Scene], None]


def _node(scene: Scene) -> str:
    """The node of the app's pod, or of its volume."""
    pod = f"-n kraf-{scene.lab.device} get pod app-{scene.app.name}-0 --ignore-not-found"
    return access.ssh(CONTROL, f"{KUBECTL} {pod} -o jsonpath='{{.spec.nodeName}}'").strip() or _mounts(scene)[0]


def _mounts(scene: Scene) -> tuple[str, str]:
    """Host and directory of the app's volume."""
    volume = f"kraf-{scene.lab.device}-app-{scene.app.name}"
    for host in access.LAB.hosts:
        if not host.is_device:
            found = access.ssh(host.name, f"findmnt -rno TARGET | grep -F '{volume}' | head -1; true")
            if found.strip():
                return host.name, found.strip()
    raise access.Failed(f"no host has the volume of {scene.app.name}")


def _no_api(scene: Scene) -> None:
    access.ssh(
        CONTROL,
        f"mv {MANIFESTS}/kube-apiserver.yaml {ASIDE}; docker ps -q -f name=k8s_kube-apiserver | xargs docker kill",
    )


def _api(scene: Scene) -> None:
    # Scheduler and controller manager end without it, and kubelet lets what ended often wait for minutes.
    back = f"if [ -e {ASIDE} ]; then mv {ASIDE} {MANIFESTS}/kube-apiserver.yaml; fi; systemctl restart kubelet"
    access.ssh(CONTROL, back)
    until(lambda: access.ssh(CONTROL, f"{KUBECTL} get --raw /readyz").strip() == "ok")
    ready = f"{KUBECTL} -n kube-system get pods -l tier=control-plane --no-headers"
    until(lambda: all(" 1/1 " in line for line in access.ssh(CONTROL, ready).splitlines()))


def _scale(replicas: int) -> None:
    access.ssh(CONTROL, f"{KUBECTL} -n kraf-system scale deployment image-registry --replicas={replicas}")


def _no_registry(scene: Scene) -> None:
    _scale(0)


def _registry(scene: Scene) -> None:
    _scale(1)
    access.ssh(
        CONTROL, f"{KUBECTL} -n kraf-system rollout status deployment image-registry --timeout=120s", timeout=150
    )


def _no_node(scene: Scene) -> None:
    scene.node = _node(scene)
    command("docker", "stop", "-t", "0", f"{access.LAB.name}-{scene.node}")


def _node_back(scene: Scene) -> None:
    command("docker", "start", f"{access.LAB.name}-{scene.node}")
    until(lambda: " Ready " in access.ssh(CONTROL, f"{KUBECTL} get node {scene.node} --no-headers"))
    # A node that is down counts as ready for a while: what it says of itself has to be new.
    time.sleep(15)


def _no_network(scene: Scene) -> None:
    cable(scene.lab.device, plugged=False)


def _network(scene: Scene) -> None:
    cable(scene.lab.device, plugged=True)
    until(lambda: bool(access.ssh(scene.lab.device, "true; echo yes").strip()))


def _power(scene: Scene) -> None:
    scene.lab.power_cut()


def _nothing(scene: Scene) -> None:
    pass


def _while_it_sleeps(scene: Scene) -> None:
    scene.other_run()


def _rival(scene: Scene) -> None:
    scene.rival = threading.Thread(target=scene.other_run)
    scene.rival.start()
    time.sleep(8)


def _rival_ends(scene: Scene) -> None:
    if scene.rival is not None:
        scene.rival.join()


def _fill(host: str, folder: str) -> None:
    access.ssh(host, f"dd if=/dev/zero of='{folder}/{FILLER}' bs=1M 2>/dev/null; sync; true", timeout=300)


def _no_room_at_edge(scene: Scene) -> None:
    _fill(*_mounts(scene))


def _room_at_edge(scene: Scene) -> None:
    host, folder = _mounts(scene)
    access.ssh(host, f"rm -f '{folder}/{FILLER}'")


def _no_room_on_device(scene: Scene) -> None:
    _fill(scene.lab.device, "/srv")


def _room_on_device(scene: Scene) -> None:
    access.ssh(scene.lab.device, f"rm -f /srv/{FILLER}")


TAKINGS = {
    "api": Taking(_no_api, _api),
    "registry": Taking(_no_registry, _registry),
    "node": Taking(_no_node, _node_back),
    "network": Taking(_no_network, _network),
    "reboot": Taking(_power, _nothing),
    "space-edge": Taking(_no_room_at_edge, _room_at_edge),
    "space-device": Taking(_no_room_on_device, _room_on_device),
    "sleeper": Taking(_while_it_sleeps, _nothing),
    "rival": Taking(_rival, _rival_ends),
}


@contextlib.contextmanager
def taken(scene: Scene, name: str) -> Iterator[Callable[[], None]]:
    """What is to be called while the play sleeps; what it took is given back soon after, or when the play has ended."""
    taking, ended, failed = TAKINGS[name], threading.Event(), list[BaseException]()

    def later() -> None:
        ended.wait(PATIENCE)
        try:
            taking.give(scene)
        except BaseException as error:  # raised below, where somebody sees it
            failed.append(error)

    giver = threading.Thread(target=later)

    def take() -> None:
        taking.take(scene)
        giver.start()

    try:
        yield take
    finally:
        ended.set()
        if giver.ident is not None:
            giver.join()
    if failed:
        raise failed[0]


@contextlib.contextmanager
def small_disk(device: str) -> Iterator[None]:
    """The device's /srv is a small disk meanwhile, which can be filled without harm to the machine."""
    access.ssh(device, "mountpoint -q /srv || mount -t tmpfs -o size=64m kraf-small /srv")
    try:
        yield
    finally:
        access.ssh(device, "umount -l /srv")
