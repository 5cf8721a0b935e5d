"""The lab's own Docker Engine: Debian's packages unpacked into the cache, in a network namespace of its own.

A second dockerd in the machine's namespace would flush the first one's iptables chains when it starts.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from .machine import NETNS
from .settings import BUILD_FILES, Settings
from .steps import LabError, digest, partial_folder, run, say, step, write

PACKAGES = ("docker.io", "containerd", "runc", "tini")
SYS_RESOURCE = 24
PRIVATE_NETWORKS = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")


def needs_shim() -> bool:
    """True where the machine withholds CAP_SYS_RESOURCE: runc then fails on privileged containers."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    bounding = next(line.split()[1] for line in status.splitlines() if line.startswith("CapBnd:"))
    return not int(bounding, 16) >> SYS_RESOURCE & 1


def shim(settings: Settings) -> Path:
    """The program that stands before runc on such a machine, built when the cache lacks it."""
    source = BUILD_FILES / "shim"
    target = settings.programs / f"shim-{digest(source)}"
    if not target.exists():
        if not shutil.which("go"):
            raise LabError(
                "this machine lacks CAP_SYS_RESOURCE, and the lab's cure for it needs Go in PATH: install Go"
            )
        with partial_folder(settings.programs / "shim.build") as scratch:
            environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false", "GOWORK": "off"}
            run(
                ["go", "build", "-trimpath", "-ldflags", "-s -w", "-o", scratch / "shim", "."],
                cwd=source,
                env=environment,
            )
            os.replace(scratch / "shim", target)
    return target


def tools(settings: Settings) -> Path:
    """Folder of the engine's programs. The machine's own packages stay as they are."""
    target = settings.cache / "engine"
    if not (target / "usr/sbin/dockerd").exists():
        with step(f"unpack Debian's {', '.join(PACKAGES)}"), partial_folder(target) as folder:
            debs = folder / "debs"
            debs.mkdir()
            folder.chmod(0o755)
            run(["apt-get", "update", "-q"])
            run(["apt-get", "download", "-q", *PACKAGES], cwd=debs)
            for deb in debs.glob("*.deb"):
                run(["dpkg-deb", "-x", deb, folder])
            shutil.rmtree(debs)
            shutil.rmtree(target, ignore_errors=True)
            folder.rename(target)
    return target


class Engine:
    """Start, stop and use of the engine."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.pid_file = settings.root / "docker.pid"
        self.log = settings.root / "dockerd.log"

    def docker(self, *arguments: str | Path, check: bool = True, **options: object) -> subprocess.CompletedProcess[str]:
        """Runs the Docker client against the lab's engine."""
        return run([*self.client(), *arguments], check=check, env=self.environment(), **options)

    def environment(self) -> dict[str, str]:
        """Without what a user's own Docker configuration would change."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")}
        return {**kept, "DOCKER_CONFIG": str(self.settings.root / "docker-config"), "DOCKER_BUILDKIT": "0"}

    def client(self) -> list[str]:
        return [str(self.settings.cache / "engine/usr/bin/docker"), "--host", f"unix://{self.settings.socket}"]

    def inspect(self, kind: str, name: str) -> dict[str, Any] | None:
        """Docker's description of a container, image, network or volume; None when there is none."""
        result = self.docker(kind, "inspect", name, check=False)
        return json.loads(result.stdout)[0] if result.returncode == 0 else None

    def pid(self) -> int | None:
        """The engine's process id while it runs; a stale file may name a process that is not ours."""
        try:
            pid = int(self.pid_file.read_text(encoding="utf-8"))
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        return pid if str(self.settings.root / "docker").encode() in command else None

    def answers(self) -> bool:
        return self.settings.socket.exists() and self.docker("version", check=False).returncode == 0

    def start(self) -> None:
        """Starts the engine unless it answers."""
        if self.pid() and self.answers():
            return
        root = self.settings.root
        unpacked = tools(self.settings)
        if self.pid() is None:
            self.pid_file.unlink(missing_ok=True)
            with step("start the lab's engine"):
                self._spawn(root, unpacked)
                self._wait_until_it_answers()
        else:
            self._wait_until_it_answers()

    def _spawn(self, root: Path, unpacked: Path) -> None:
        prefix = self.settings.engine_prefix
        arguments = [
            "--data-root",
            root / "docker",
            "--exec-root",
            root / "exec",
            "--pidfile",
            self.pid_file,
            "--host",
            f"unix://{self.settings.socket}",
            "--bip",
            f"{prefix}.129/25",
            "--log-opt",
            "max-size=10m",
            "--log-opt",
            "max-file=2",
        ]
        for network in PRIVATE_NETWORKS:
            arguments += ["--insecure-registry", network]
        if needs_shim():
            # Beside runc, which it executes.
            installed = unpacked / "usr/sbin/kraf-lab-runc"
            shutil.copy2(shim(self.settings), installed.with_suffix(".partial"))
            os.replace(installed.with_suffix(".partial"), installed)
            arguments += ["--add-runtime", f"kraf-lab={installed}", "--default-runtime", "kraf-lab"]
        write(root / "daemon.json", "{}\n")
        environment = {**os.environ, "PATH": f"{unpacked}/usr/sbin:{unpacked}/usr/bin:{os.environ['PATH']}"}
        command = [
            "nsenter",
            f"--net={NETNS / self.settings.namespace}",
            unpacked / "usr/sbin/dockerd",
            "--config-file",
            root / "daemon.json",
            *arguments,
        ]
        with open(self.log, "ab") as log:
            subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=environment,
                start_new_session=True,
            )

    def _wait_until_it_answers(self, seconds: float = 60) -> None:
        limit = time.monotonic() + seconds
        while not self.answers():
            if time.monotonic() > limit:
                tail = "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
                raise LabError(
                    f"the lab's engine does not answer after {seconds:.0f} s; the end of {self.log}:\n{tail}"
                )
            time.sleep(0.2)

    def stop(self) -> None:
        """Stops the engine and removes all of its data."""
        pid = self.pid()
        if pid:
            say("stop the lab's engine")
            os.kill(pid, signal.SIGTERM)
            limit = time.monotonic() + 60
            while self.pid() and time.monotonic() < limit:
                time.sleep(0.1)
            if self.pid():
                os.kill(pid, signal.SIGKILL)
        self._stop_left_behind()
        root = self.settings.root
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
        for mount in sorted((m for m in mounts if m.startswith((f"{root}/docker", f"{root}/exec"))), reverse=True):
            run(["umount", "-l", mount], check=False)
        for name in ("docker", "exec"):
            if (root / name).exists():
                run(["rm", "-rf", root / name])
        for name in ("docker.sock", "docker.pid", "daemon.json", "dockerd.log"):
            (root / name).unlink(missing_ok=True)

    def _stop_left_behind(self) -> None:
        """After a killed dockerd: its containerd, and shims with their containers, run on. Known by the exec root."""
        mark = str(self.settings.root / "exec").encode()
        for signal_number in (signal.SIGTERM, signal.SIGKILL):
            left = []
            for folder in Path("/proc").glob("[0-9]*"):
                try:
                    arguments = (folder / "cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if b"containerd" in arguments[0] and any(argument.startswith(mark) for argument in arguments):
                    left.append(int(folder.name))
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal_number)
            if not left:
                return
            time.sleep(1)
