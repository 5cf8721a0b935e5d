# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab under faults: the app on it, the playbook that moves it, killed or not, and what both sides look like."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.demo import access
from tests.demo.access import KUBECTL
from tests.lab import images, steps

from .writer import request

FOLDER = Path(__file__).parent / "app"
PLAY = access.ROOT / "tests/demo/plays/app.yml"
DEVICE, CONTROL = "pi1", "control1"
INSIDE = 8000
OTHER = {"edge": "device", "device": "edge"}
LIMIT = 900.0
FRESH = "64M"
"""So much of new data, and of a new image, that it takes some seconds to send them."""


@dataclass(frozen=True)
class App:
    """An app under test: its name, its port on the device, its data directories, whether it may overlap, whether the
    catalog names its image (else the device has to push it), a second port, and whether it has a new image and new data
    before each case."""

    name: str
    port: int
    data: tuple[str, ...] = ()
    overlap: bool = False
    named: bool = True
    second: int = 0
    fresh: bool = False

    @property
    def ports(self) -> tuple[int, ...]:
        """Under which clients reach it."""
        return (self.port, self.second) if self.second else (self.port,)


@dataclass
class Side:
    """What was found of an app.

    Attributes:
        container: id of its container on the device.
        running: whether that runs.
        pods: names of its pods at the edge whose app container runs.
        device: what the device remembers; ``placement`` what the cluster says.
        left: whatever a move leaves behind.
    """

    container: str
    running: bool
    policy: str
    pods: list[str]
    workloads: list[str]
    forward: str
    device: dict[str, Any]
    placement: dict[str, Any]
    left: list[str] = field(default_factory=list)


def command(*words: str) -> str:
    """A command of the lab; its output."""
    argv = [sys.executable, "-m", "tests.lab", *words]
    return subprocess.run(argv, cwd=access.ROOT, check=True, stdout=subprocess.PIPE, text=True, timeout=300).stdout


def cable(device: str, plugged: bool) -> None:
    """Plug a device's network cable in, or pull it out.

    Not Docker's ``network disconnect``: with that the engine forgets the connections that are open, and gives what the
    device sends on them afterwards another address (measured: an answer that was given meanwhile never arrives).
    """
    number = command("docker", "exec", f"{access.LAB.name}-{device}", "sh", "-c", "cat /sys/class/net/eth*/iflink")
    ip = ["ip", "-netns", access.LAB.namespace]
    listed = json.loads(subprocess.run([*ip, "-j", "link"], check=True, stdout=subprocess.PIPE, text=True).stdout)
    (name,) = [one["ifname"] for one in listed if one["ifindex"] == int(number)]
    subprocess.run([*ip, "link", "set", name, "up" if plugged else "down"], check=True)


def until(what: Callable[[], bool], limit: float = 300.0) -> None:
    """Wait until something is so, of hosts that may not answer yet."""
    end = time.monotonic() + limit
    while True:
        with contextlib.suppress(access.Failed, subprocess.SubprocessError):
            if what():
                return
        if time.monotonic() > end:
            raise access.Failed(f"the lab was not as before within {limit:g} s")
        time.sleep(1)


def docker_answers(device: str) -> bool:
    """Whether the device does, and Docker on it."""
    return access.ssh(device, "docker ps -q && echo yes", timeout=30).strip().endswith("yes")


def remains(device: str, kubectl: str = KUBECTL) -> str:
    """A command for the control plane host that names what the cluster still has of a device that was taken out."""
    return (
        f"{kubectl} get namespace kraf-{device} --ignore-not-found -o name; "
        f"{kubectl} get pv,placements.kraf.io,migrations.kraf.io --all-namespaces -o name"
    )


def devices(folder: Path) -> Path:
    """An inventory of the lab's devices (``KRAF_LAB_HOSTS``), for the lab's own names the first alone."""
    hosts = {host.name: {"ansible_host": host.address} for host in access.LAB.hosts if host.is_device}
    path = folder / "devices.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"kraf_devices": {"hosts": hosts}}))
    return path


def published() -> str:
    """The apps' image, served by the lab's mirror; its reference."""
    name = f"docker.io/kraf/ledger:{steps.digest(FOLDER)}"
    registry = access.registry_ref("").rstrip("/")
    if not images.image_served(registry, name):
        command("publish", name, str(FOLDER))
    return f"{registry}/{name}"


def _sleeps(play: subprocess.Popen[bytes]) -> bool:
    """Wait until a play sleeps; False when it ended instead."""
    end = time.monotonic() + LIMIT
    while play.poll() is None and time.monotonic() < end:
        if Path(f"/proc/{play.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T":
            return True
        time.sleep(0.05)
    return False


def _wake(play: subprocess.Popen[bytes]) -> None:
    """Wake a play and its workers, each of which leads a session of its own."""
    workers = Path(f"/proc/{play.pid}/task/{play.pid}/children").read_text().split()
    for pid in (*map(int, workers), play.pid):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGCONT)


def begun(task: str) -> Callable[[str], bool]:
    """Whether a play has come to a task, by the beginning of its name."""
    found = re.compile(rf"^TASK .*: {re.escape(task)}", re.MULTILINE)
    return lambda output: bool(found.search(output))


def changed(times: int) -> Callable[[str], bool]:
    """Whether a play has changed hosts so often."""
    return lambda output: len(CHANGED.findall(output)) >= times


CHANGED = re.compile(r"^changed: ", re.MULTILINE)
"""A line of a play's output that tells of a change."""


class Lab:
    """A lab that is up, as one of its devices sees it.

    Args:
        inventory: of its hosts.
        logs: folder for the output of playbooks.
        more: an inventory of which the values come before the first one's.
        device: on which the apps run.
    """

    def __init__(self, inventory: Path, logs: Path, more: Path | None = None, device: str = DEVICE) -> None:
        self.inventories, self.logs = [inventory, more] if more else [inventory], logs
        self.device, self.address = device, access.address(device)

    def play(
        self,
        playbook: str,
        log: str,
        fault: str = "",
        killed: Callable[[str], bool] | None = None,
        asleep: Callable[[], None] | None = None,
        check: bool = False,
        **variables: Any,
    ) -> int:
        """Run a playbook in a session of its own; its exit status, -9 when it was killed. Nothing of it is left.

        Args:
            playbook: its name or path.
            log: name of the file for its output.
            fault: moment of a migration at which it kills itself, or falls asleep.
            asleep: called when it has fallen asleep; then it is woken.
            killed: it is killed half a second after this is true of its output.
            check: whether it only says what it would do.
            variables: its inputs.
        """
        inventories = [word for one in self.inventories for word in ("-i", str(one))]
        argv = [
            "ansible-playbook",
            *inventories,
            playbook,
            "-e",
            json.dumps(variables),
            *(["--check"] if check else []),
        ]
        environment = {**os.environ, "ANSIBLE_FORCE_COLOR": "0", "ANSIBLE_NOCOLOR": "1", "KRAF_FAULT": fault}
        # Where a play starts the harness, its own settings are not meant for this one.
        environment.pop("ANSIBLE_CONFIG", None)
        self.logs.mkdir(parents=True, exist_ok=True)
        with open(self.logs / f"{log}.log", "wb") as stream:
            play = subprocess.Popen(
                argv, cwd=access.ROOT, env=environment, stdout=stream, stderr=stream, start_new_session=True
            )
            try:
                if killed is not None:
                    self._until(play, log, killed)
                    play.kill()
                if asleep is not None and _sleeps(play):
                    asleep()
                    _wake(play)
                return play.wait(LIMIT)
            except subprocess.TimeoutExpired:
                return 124
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(play.pid, signal.SIGKILL)

    def _until(self, play: subprocess.Popen[bytes], log: str, reached: Callable[[str], bool]) -> None:
        """Return half a second after its output is such, or when the play has ended."""
        end = time.monotonic() + LIMIT
        while play.poll() is None and not reached(self.output(log)):
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(play.args, LIMIT)
            time.sleep(0.1)
        time.sleep(0.5)

    def output(self, log: str) -> str:
        """A playbook's output."""
        return (self.logs / f"{log}.log").read_text(errors="replace")

    def move(self, app: App, to: str, log: str, fault: str = "", asleep: Callable[[], None] | None = None) -> int:
        """Run the playbook that moves an app."""
        return self.play(
            "kraf.edge.migrate", log, fault, asleep=asleep, kraf_apps=[f"{self.device}/{app.name}"], kraf_to=to
        )

    def said(self, log: str, lines: int = 12) -> str:
        """Last lines of a playbook's output."""
        return "\n".join(self.output(log).strip().splitlines()[-lines:])

    def deploy(self, app: App, image: str = "") -> None:
        """Run the app on its device, of an image that is there if one is named; register it, with its forward."""
        image, log = image or published(), f"deploy-{self.device}-{app.name}"
        rc = self.play(
            str(PLAY),
            log,
            demo_device=self.device,
            demo_app=app.name,
            demo_port=app.port,
            demo_inside=INSIDE,
            demo_image=image,
            demo_architecture=images.architecture(),
            demo_data=list(app.data),
            demo_overlap=app.overlap,
            demo_named=app.named,
            demo_second=app.second,
        )
        if rc:
            raise access.Failed(f"the app {app.name} cannot be deployed:\n{self.said(log, 30)}")

    def freshen(self, app: App, side: str) -> None:
        """New data of the app where it is, and on the device a new image for it as well."""
        if side == "edge":
            pod = f"{KUBECTL} -n kraf-{self.device} exec app-{app.name}-0 --"
            access.ssh(CONTROL, f"{pod} sh -c 'head -c {FRESH} /dev/urandom >/data/blob'", timeout=120)
            return
        tag = f"kraf-{app.name}:fresh"
        access.ssh(self.device, _FRESH.format(app=app.name, base=published(), tag=tag, size=FRESH), timeout=300)
        self.deploy(app, tag)

    def last_said(self, app: App, log: str) -> str:
        """What a play said of an app last."""
        lines = re.findall(rf"^\[{self.device}/{app.name}\] (.*)$", self.output(log), re.MULTILINE)
        return lines[-1] if lines else "nothing yet"

    def ballast(self, app: App) -> None:
        """Data that do not fit into what a full disk has left."""
        access.ssh(self.device, f"[ -e /srv/{app.name}/ballast ] || head -c 8M /dev/urandom >/srv/{app.name}/ballast")

    def owner(self, app: App) -> str:
        """Side that owns the app."""
        return str(self.look(app).placement.get("owner", "device"))

    def log_of(self, app: App) -> str:
        """The app's log, through the device's own port."""
        return request(self.address, app.port, "GET", "/log")

    def look(self, app: App) -> Side:
        """Both sides, as they are at this moment."""
        device = json.loads(access.ssh(self.device, _ON_DEVICE.format(app=app.name), timeout=60))
        found = json.loads(access.ssh(CONTROL, _AT_EDGE.format(device=self.device), timeout=60))
        items = [one for one in found["items"] if _of(one, app.name)]
        pods = [one for one in items if one["kind"] == "Pod" and not one["metadata"]["name"].startswith("mover-")]
        left = list(device["left"])
        placement, lease, run = dict[str, Any](), dict[str, Any](), 0
        for one in items:
            kind, name = one["kind"], one["metadata"]["name"]
            if name.startswith(f"mover-{app.name}"):
                left.append(f"{kind} {name}")
            elif kind == "Placement":
                status = one.get("status") or {}
                placement, run = {**one["spec"], "phase": status.get("phase", "")}, status.get("run")
            elif kind == "Lease" and one["spec"].get("holderIdentity"):
                lease = one["spec"]
        # A run that was killed once all was done holds its Lease until that lapses, and nobody for longer.
        if lease and (placement.get("phase") != "Settled" or lease["leaseTransitions"] > run):
            left.append(f"Lease held by {lease['holderIdentity']}")
        return Side(
            device["container"],
            device["running"],
            device["policy"],
            [one["metadata"]["name"] for one in pods if _runs(one)],
            [f"{one['kind']} {one['metadata']['name']}" for one in items if one["kind"] in _WORKLOADS],
            device["forward"],
            device["record"],
            placement,
            left,
        )

    def traces(self) -> set[str]:
        """All that a move could leave on the device and in its namespace: rules, units, files, containers, objects."""
        found = set(access.ssh(self.device, _TRACES, timeout=60).splitlines())
        listed = access.ssh(CONTROL, _OBJECTS.format(device=self.device), timeout=60).splitlines()
        return found | {re.sub(r"^((?:pod|replicaset\S*)/app-[a-z]+)-[0-9a-f]+.*", r"\1-*", line) for line in listed}

    def power_cut(self) -> None:
        """The device loses its power and gets it again."""
        command("docker", "restart", "-t", "0", f"{access.LAB.name}-{self.device}")
        until(lambda: docker_answers(self.device), 180)


def problems(side: Side, to: str, app: App) -> list[str]:
    """What is not as it should be once the app is on a side."""
    at_device = to == "device"
    wanted: list[tuple[str, object, object]] = [
        ("container on the device runs", side.running, at_device),
        ("its restart policy", side.policy, "unless-stopped" if at_device else "no"),
        ("pods at the edge", len(side.pods), 0 if at_device else 1),
        ("workloads at the edge", len(side.workloads), 0 if at_device else 1),
        ("forward", side.forward, to),
        ("owner of the Placement", side.placement.get("owner"), to),
        ("phase of the Placement", side.placement.get("phase"), "Settled"),
        ("owner on the device", side.device.get("owner"), to),
        ("phase on the device", side.device.get("phase"), "idle"),
        ("epoch on the device", side.device.get("epoch"), side.placement.get("epoch")),
        ("left behind", side.left, []),
    ]
    return [f"{what}: {found!r}, not {right!r}" for what, found, right in wanted if found != right]


def both(side: Side) -> bool:
    """Whether the app runs on both sides."""
    return side.running and bool(side.pods)


def settled(lab: Lab, app: App, limit: float = 30.0) -> Side:
    """Look until nothing is left behind, or at the limit: a pod that was deleted ends a little later."""
    end = time.monotonic() + limit
    while True:
        side = lab.look(app)
        if not side.left or time.monotonic() >= end:
            return side
        time.sleep(1)


def wait_until_alone(lab: Lab, app: App, limit: float) -> Side:
    """Look until the app runs on one side at most, or at the limit."""
    end = time.monotonic() + limit
    while True:
        side = lab.look(app)
        if not both(side) or time.monotonic() >= end:
            return side
        time.sleep(1)


_WORKLOADS = ("StatefulSet", "Deployment")


def _of(one: dict[str, Any], app: str) -> bool:
    name = one["metadata"]["name"]
    return name in (f"mover-{app}", f"app-{app}", app) or name.startswith((f"app-{app}-", f"mover-{app}-"))


def _runs(pod: dict[str, Any]) -> bool:
    states: Sequence[dict[str, Any]] = (pod.get("status") or {}).get("containerStatuses") or []
    return any("running" in (one.get("state") or {}) for one in states)


_AT_EDGE = f"{KUBECTL} -n kraf-{{device}} get pod,sts,deploy,svc,cm,secret,lease,placements.kraf.io -o json"

_FRESH = """
set -e
docker rm -f {app} >/dev/null
head -c {size} /dev/urandom >/srv/{app}/blob
mkdir -p /root/{app} && cd /root/{app}
head -c {size} /dev/urandom >blob
printf 'FROM {base}\nCOPY blob /blob\n' | docker build -q -t {tag} -f - .
"""

_OBJECTS = (
    f"{KUBECTL} -n kraf-{{device}} get --ignore-not-found -o name "
    f"$({KUBECTL} api-resources --namespaced --verbs=list -o name "
    "| grep -Ev '^(events|migrations|endpoints|controllerrevisions)|[.]metrics' | paste -sd,)"
)
"""Not the record of moves, which grows, nor what Kubernetes makes by itself of what is listed."""

# 127.0.0.11 is the resolver of the lab's engine, which has other ports after a reboot.
_TRACES = r"""
{ nft -s list ruleset; iptables-save; } 2>/dev/null | grep -Ev '^#|127\.0\.0\.11' \
    | sed -E 's/\[[0-9]+:[0-9]+\]//g; s/172(\.[0-9]+){3}/IP/g'
find /etc/kraf /run/kraf /var/lib/kraf /etc/systemd/system /run/systemd/system /root/.docker /etc/docker /etc/davfs2 \
    /srv -maxdepth 3 \( -path /srv/*/* -prune -o -path /var/lib/kraf/volumes -prune -o -print \) 2>/dev/null \
    | sed -E 's/(\.kraf-before-)[0-9]+$/\1N/'
docker ps -a --format 'container {{.Names}}'
systemctl list-units --all --plain --no-legend 'kraf*' | cut -d ' ' -f 1
docker info --format '{{json .RegistryConfig.IndexConfigs}}'
"""

_ON_DEVICE = """python3 - <<'END'
import glob, json, os, subprocess
def run(*argv):
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.decode()
def load(path):
    try:
        return json.load(open(path))
    except FileNotFoundError:
        return {{}}
form = "{{{{.State.Running}}}} {{{{.HostConfig.RestartPolicy.Name}}}} {{{{.Id}}}}"
state = (run("docker", "inspect", "-f", form, "{app}").split() + ["", "", ""])[:3]
units = run("systemctl", "list-units", "--all", "--no-legend", "--plain", "kraf-copy-{app}.*", "kraf-deadman@{app}.*")
left = [line.split()[0] for line in units.splitlines()]
left += glob.glob("/etc/systemd/system/kraf-deadman@{app}.timer") + glob.glob("/run/kraf/copy-{app}.token")
left += [path for path in glob.glob("/srv/{app}.kraf-*") if "before" not in path]
left += glob.glob("/srv/{app}.kraf-before-*")[1:]
print(json.dumps({{"running": state[0] == "true", "policy": state[1], "container": state[2], "left": left,
                  "forward": "+".join(sorted({{load(path).get("target", "") for path in
                      glob.glob("/etc/kraf/forwards/{app}.json") + glob.glob("/etc/kraf/forwards/{app}--*.json")}})),
                  "record": load("/var/lib/kraf/placements/{app}.json")}}))
END"""
