"""One lab in the engine: its network, its mirror, its hosts."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import mirror
from .engine import Engine, needs_shim
from .images import Builder
from .settings import Host, Settings
from .steps import LabError, run, say, step, write

SSH_OPTIONS = (
    "-o",
    "StrictHostKeyChecking=no",
    "-o",
    "UserKnownHostsFile=/dev/null",
    "-o",
    "LogLevel=ERROR",
    "-o",
    "BatchMode=yes",
    "-o",
    "ConnectTimeout=3",
)
LABEL = "kraf.lab"


def container_name(settings: Settings, name: str) -> str:
    return f"{settings.name}-{name}"


def ssh_command(settings: Settings, host: Host, *command: str) -> list[str]:
    return ["ssh", "-i", str(settings.ssh_key), *SSH_OPTIONS, f"root@{host.address}", *command]


def make_key(settings: Settings) -> None:
    """The key by which the operator of the lab reaches its hosts."""
    public = settings.ssh_key.with_name("ssh_key.pub")
    if settings.ssh_key.exists() and public.exists():
        return
    for file in (settings.ssh_key, public):
        file.unlink(missing_ok=True)
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "kraf-lab", "-f", settings.ssh_key])


class Lab:
    """Brings one lab up and down."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self.settings = settings
        self.engine = engine

    def names(self) -> list[str]:
        """Containers of this lab, whichever settings made them."""
        listed = self.engine.docker(
            "ps", "--all", "--filter", f"label={LABEL}={self.settings.name}", "--format", "{{.Names}}"
        )
        return listed.stdout.split()

    def network(self) -> None:
        """The lab's bridge. One that an interrupted `up` left is taken as it is."""
        network = self.engine.inspect("network", self.settings.name)
        if network:
            subnet = network["IPAM"]["Config"][0]["Subnet"]
            if subnet != self.settings.subnet:
                raise LabError(
                    f"the lab {self.settings.name} is up on {subnet}, not {self.settings.subnet}: "
                    "set KRAF_LAB_PREFIX to that, or bring it down first"
                )
            return
        self.engine.docker(
            *("network", "create", "--subnet", self.settings.subnet, "--gateway", f"{self.settings.prefix}.1"),
            *("--opt", f"com.docker.network.bridge.name=kl-{self.settings.name[:12]}"),
            *("--label", f"{LABEL}={self.settings.name}", self.settings.name),
        )

    def _container(self, name: str, arguments: list[str], prepare: dict[str, str]) -> None:
        """Creates and starts a container; one that was created but never started is made anew."""
        full = container_name(self.settings, name)
        found = self.engine.inspect("container", full)
        if found and found["State"]["Status"] == "created":
            self.engine.docker("rm", "--force", "--volumes", full)
            found = None
        if not found:
            self.engine.docker(
                "create",
                "--name",
                full,
                "--hostname",
                name,
                "--network",
                self.settings.name,
                "--label",
                f"{LABEL}={self.settings.name}",
                *arguments,
            )
            for path, text in prepare.items():
                self._put(full, path, text)
        if not found or not found["State"]["Running"]:
            self.engine.docker("start", full)

    def _put(self, container: str, path: str, text: str) -> None:
        """Writes a file into a container that does not run yet."""
        file = self.settings.state / f"put-{container}"
        write(file, text, 0o600 if "/.ssh/" in path else 0o644)
        self.engine.docker("cp", file, f"{container}:{path}")
        file.unlink()

    def start_mirror(self, builder: Builder) -> None:
        """Starts the mirror and waits until its registry answers."""
        image = builder.own("mirror")
        cache = self.settings.cache
        folders = {
            cache / "mirror": "/srv/mirror:ro",
            cache / "registry": "/var/lib/registry",
        }
        arguments = ["--ip", self.settings.mirror_address]
        for folder, target in folders.items():
            folder.mkdir(parents=True, exist_ok=True)
            arguments += ["--volume", f"{folder}:{target}"]
        self._container("mirror", [*arguments, image], {})
        _wait("the mirror's registry", lambda: _http_answers(f"http://{self.registry}/v2/"))

    @property
    def registry(self) -> str:
        return f"{self.settings.mirror_address}:{mirror.REGISTRY_PORT}"

    def start_hosts(self, builder: Builder) -> None:
        """Starts every host that does not run, and waits until all answer by SSH."""
        hosts = self.settings.hosts
        images = {
            name: builder.own(name) for name in sorted({"device" if host.is_device else "host" for host in hosts})
        }
        with step(f"start {' '.join(host.name for host in hosts)}"):
            for host in hosts:
                self._start_host(host, images["device" if host.is_device else "host"])
        with step("wait for SSH"), ThreadPoolExecutor(len(hosts)) as pool:
            list(pool.map(self.wait_for_ssh, hosts))

    def _start_host(self, host: Host, image: str) -> None:
        full = container_name(self.settings, host.name)
        # With a restart policy `reboot` inside a host is a reboot; `docker stop` still takes it away.
        arguments = [
            "--ip",
            host.address,
            "--privileged",
            "--cgroupns",
            "private",
            "--restart",
            "unless-stopped",
            "--tmpfs",
            "/run",
            "--tmpfs",
            "/tmp:exec",
        ]
        for folder in ("docker", "kubelet"):
            arguments += ["--volume", f"{full}-{folder}:/var/lib/{folder}"]
        if Path("/lib/modules").exists():
            arguments += ["--volume", "/lib/modules:/lib/modules:ro"]
        for other in self.settings.hosts:
            arguments += ["--add-host", f"{other.name}:{other.address}"]
        if host.is_device:
            cores = self.settings.device_cores(host, sorted(os.sched_getaffinity(0)))
            arguments += ["--cpus", self.settings.device_cpus, "--cpuset-cpus", cores]
        public = self.settings.ssh_key.with_name("ssh_key.pub").read_text(encoding="utf-8")
        files = {"/root/.ssh/authorized_keys": public}
        docker = self._docker_settings(host)
        if docker:
            files["/etc/docker/daemon.json"] = json.dumps(docker, indent=2) + "\n"
        self._container(host.name, [*arguments, image], files)

    def _docker_settings(self, host: Host) -> dict[str, object]:
        """Docker's settings that a host starts with: the lab's runtime; a device's owner pulls from the mirror."""
        content: dict[str, object] = {}
        if needs_shim():
            content["runtimes"] = {"kraf-lab": {"path": "/usr/local/sbin/kraf-lab-runc"}}
            content["default-runtime"] = "kraf-lab"
        if host.is_device:
            content["insecure-registries"] = [self.registry]
        return content

    def wait_for_ssh(self, host: Host) -> None:
        _wait(
            f"SSH of {host.name} ({host.address})",
            lambda: run(ssh_command(self.settings, host, "true"), check=False).returncode == 0,
        )

    def remove(self) -> None:
        """Removes all that this lab has in the engine, loop devices of its hosts included."""
        names = self.names()
        loops = list(self._loop_devices(names))
        if names:
            with step(f"remove {' '.join(names)}"):
                self.engine.docker("rm", "--force", "--volumes", *names)
        for device in loops:
            run(["losetup", "--detach", device], check=False)
        volumes = self.engine.docker("volume", "ls", "--quiet").stdout.split()
        mine = [name for name in volumes if name.startswith(f"{self.settings.name}-")]
        if mine:
            self.engine.docker("volume", "rm", "--force", *mine)
        if self.engine.inspect("network", self.settings.name):
            self.engine.docker("network", "rm", self.settings.name)
        (self.settings.root / f"known_hosts_{self.settings.name}").unlink(missing_ok=True)

    def _loop_devices(self, names: list[str]) -> Iterator[str]:
        """Loop devices are the machine's: those whose file lies in one of the hosts outlive it."""
        disks = set()
        for name in names:
            found = self.engine.inspect("container", name)
            if found and found["State"]["Running"]:
                text = self.engine.docker("exec", name, "stat", "-c", "%Hd:%Ld", "/", check=False).stdout
                disks.update(text.split())
        listed = run(["losetup", "--json", "--list", "--output", "NAME,BACK-MAJ:MIN"], check=False).stdout
        for entry in json.loads(listed)["loopdevices"] if listed.strip() else []:
            if entry["back-maj:min"].strip() in disks:
                yield entry["name"]


def _http_answers(url: str) -> bool:
    return (
        run(["curl", "--noproxy", "*", "-fsS", "-o", "/dev/null", "--max-time", "3", url], check=False).returncode == 0
    )


def _wait(what: str, ready: Callable[[], bool], seconds: float = 120) -> None:
    limit = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > limit:
            raise LabError(f"{what} does not answer after {seconds:.0f} s; look with: python3 -m tests.lab status")
        time.sleep(0.3)


def status_lines(lab: Lab) -> list[str]:
    """One line for each container of the lab."""
    lines = []
    for name in lab.names():
        found = lab.engine.inspect("container", name)
        if found:
            address = found["NetworkSettings"]["Networks"][lab.settings.name]["IPAddress"] or "-"
            lines.append(f"{name:<20} {found['State']['Status']:<10} {address}")
    if not lines:
        say(f"the lab {lab.settings.name} is not up")
    return lines
