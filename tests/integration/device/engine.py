"""A Docker Engine of its own for the length of a test session: the lab's programs, in a network of their own."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ansible_collections.kraf.edge.plugins.module_utils.on_device import docker
from tests.lab import engine as lab
from tests.lab import settings

from . import parts

PROGRAMS = ("sh", "cat", "id", "sleep", "tr")
IMAGE = "kraf-test"
SLEEP = ["sleep", "1000"]
PORT = {"PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}
Create = Callable[..., str]
"""Makes a container from the API's own words, and starts it if that is wanted; its name."""


@dataclass
class Engine:
    """A running engine."""

    socket: Path
    log: Path
    argv: Sequence[str]
    path: str
    daemon: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        """Start it, and wait until it answers: what it starts again by itself has been started by then."""
        with self.log.open("ab") as stream:
            self.daemon = subprocess.Popen(
                self.argv,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                env={**os.environ, "PATH": self.path},
            )
        parts.until(self._answers, what=f"dockerd, see {self.log}")

    def _answers(self) -> bool:
        assert self.alive(), self.log.read_text()
        try:
            return self.ask("GET", "/_ping") == "OK"
        except (OSError, http.client.HTTPException):
            return False

    @property
    def pid(self) -> int:
        """Of its process."""
        return self.daemon.pid if self.daemon else 0

    def alive(self) -> bool:
        """Whether its process runs."""
        return self.daemon is not None and self.daemon.poll() is None

    def end(self) -> None:
        """End it, and with it all containers."""
        assert self.daemon
        self.daemon.send_signal(signal.SIGTERM)
        try:
            self.daemon.wait(30)
        except subprocess.TimeoutExpired:
            self.daemon.kill()
            self.daemon.wait()

    def restart(self) -> None:
        """As ``systemctl restart docker`` does, or a reboot."""
        self.end()
        self.run()

    def ask(self, method: str, path: str, body: Any = None, expected: Sequence[int] = (200, 201, 204)) -> Any:
        """One request of Docker's API; its answer decoded, or as text where it is none."""
        connection = docker.Connection(str(self.socket), 60)
        try:
            content, kind = (
                (body, "application/x-tar") if isinstance(body, bytes) else (json.dumps(body), "application/json")
            )
            connection.request(method, docker.API + path, body=content, headers={"Content-Type": kind})
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        finally:
            connection.close()
        assert answer.status in expected, f"{method} {path}: {answer.status} {text}"
        try:
            return json.loads(text) if text else None
        except ValueError:
            return text

    def make_image(self, name: str, root: Path, **config: Any) -> None:
        """An image of one layer, with the configuration of a Dockerfile's words."""
        with tempfile.TemporaryFile() as stream:
            with tarfile.open(fileobj=stream, mode="w") as archive:
                archive.add(root, arcname=".")
            stream.seek(0)
            changes = "".join(f"&changes={quote(f'{word} {value}')}" for word, value in config.items())
            said = self.ask("POST", f"/images/create?fromSrc=-&repo={name}&tag=1{changes}", stream.read())
        assert "sha256:" in str(said), said

    def create(self, name: str, image: str = f"{IMAGE}:1", networks: Any = None, **config: Any) -> str:
        """Create a container from the API's own words; HostConfig among them. Its id."""
        body = {"Image": image, **config}
        if networks:
            body["NetworkingConfig"] = {"EndpointsConfig": networks}
        return str(self.ask("POST", f"/containers/create?name={name}", body)["Id"])

    def start(self, name: str) -> None:
        self.ask("POST", f"/containers/{name}/start")

    def remove(self, name: str) -> None:
        self.ask("DELETE", f"/containers/{name}?force=1&v=1", expected=(204, 404))

    def output(self, name: str, *argv: str, tty: bool = True) -> str:
        """What a program in the running container prints."""
        body = {"AttachStdout": True, "AttachStderr": True, "Tty": tty, "Cmd": list(argv)}
        made = self.ask("POST", f"/containers/{name}/exec", body)
        return str(self.ask("POST", f"/exec/{made['Id']}/start", {"Detach": False, "Tty": tty})).replace("\r\n", "\n")


def root(folder: Path) -> Path:
    """A file system with a few of this machine's own programs, and users of its own."""
    for program in PROGRAMS:
        _copy(Path(shutil.which(program) or f"/bin/{program}").resolve(), folder / "bin" / program, folder)
    for name in ("etc", "tmp", "data", "proc", "sys", "dev"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\npi:x:1234:4321::/:/bin/sh\nother:x:77:78::/:/bin/sh\n")
    (folder / "etc/group").write_text("root:x:0:\npi:x:4321:\nvideo:x:44:pi\ngpio:x:997:pi,other\nspare:x:500:\n")
    return folder


def _copy(program: Path, target: Path, folder: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(program, target)
    said = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    for word in said.split():
        if word.startswith("/") and not (folder / word.lstrip("/")).exists():
            library = folder / word.lstrip("/")
            library.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(Path(word).resolve(), library)


@contextmanager
def running(folder: Path, apart: bool = True) -> Iterator[Engine]:
    """Start dockerd, in a network of its own or in the caller's, and take everything away afterwards."""
    found = settings.from_environment()
    programs = lab.tools(found)
    path = f"{programs}/usr/sbin:{programs}/usr/bin:{os.environ['PATH']}"
    socket, log = folder / "docker.sock", folder / "dockerd.log"
    (folder / "daemon.json").write_text("{}")
    argv = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"] if apart else []
    argv += [f"{programs}/usr/sbin/dockerd", "--config-file", f"{folder}/daemon.json", "--data-root", f"{folder}/data"]
    argv += ["--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/docker.pid", "--host", f"unix://{socket}"]
    argv += ["--bip", "172.31.254.1/24", "--storage-driver", "vfs"]
    engine = Engine(socket, log, argv, path)
    try:
        engine.run()
        yield engine
    finally:
        if engine.alive():
            for one in engine.ask("GET", "/containers/json?all=1"):
                engine.remove(one["Id"])
        engine.end()
