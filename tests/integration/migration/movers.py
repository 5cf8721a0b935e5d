"""A mover as its pod runs it, by its own files, and the way to it through the door's own configuration."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.kraf.edge.plugins.module_utils.core.names import door_name
from ansible_collections.kraf.edge.plugins.module_utils.manifests import mover
from ansible_collections.kraf.edge.plugins.module_utils.on_device.tree import Remote
from tests.integration.device import parts
from tests.integration.services import door as doors

TOKEN = "correct-horse"
ADDRESS = "127.0.1.9"
WANTED = mover.Mover("pi1", "uid", "notes", 1, 7, "registry.example/kraf/edge:1", TOKEN)


@dataclass
class Running:
    """A running mover, and the device's way to it."""

    folder: Path
    doors: tuple[str, ...]
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def remote(self) -> Remote:
        """Its rsync, as the device is told of it."""
        return Remote(self.doors, self.sni(mover.RSYNC_PORT), TOKEN)

    @property
    def data(self) -> Path:
        """The volume."""
        return self.folder / "data"

    def sni(self, port: int) -> str:
        return door_name(port, WANTED.name, WANTED.device)

    def script(self, text: str, *arguments: object, run: int = WANTED.run) -> subprocess.CompletedProcess[str]:
        """Run one of the scripts that the controller runs in the pod."""
        argv = ["sh", "-c", placed(text, self.folder), "sh", *map(str, arguments)]
        environment = {**os.environ, "KRAF_RUN": str(run)}
        return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)


def placed(text: str, folder: Path) -> str:
    """A file of the mover, for other folders than the pod's."""
    return text.replace("/kraf/", f"{folder}/")


@contextmanager
def serving(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """The two servers of a mover."""
    for name in ("config", "secret", "box", "data"):
        (folder / name).mkdir(parents=True)
    for name, text in mover.configuration(WANTED)["data"].items():
        (folder / "config" / name).write_text(placed(text, folder))
    (folder / "secret/token").write_text(TOKEN)
    log = folder / "log"
    with (
        log.open("wb") as stream,
        parts.process(
            "sh",
            str(folder / "config/serve"),
            stdout=stream,
            stderr=stream,
            env={**os.environ, "KRAF_RUN": str(WANTED.run)},
        ) as process,
    ):
        for port in (mover.RSYNC_PORT, mover.BOX_PORT):
            parts.until(lambda port=port: parts.listening(port, ADDRESS), what=f"mover on {port}: {log.read_text()}")
        yield process, log


@contextmanager
def running(folder: Path) -> Iterator[Running]:
    """A mover behind a door, in a network of its own."""
    with ExitStack() as stack:
        stack.enter_context(parts.private_network())
        (folder / "door").mkdir()
        door = stack.enter_context(doors.running(folder / "door", {f"{WANTED.name}.{WANTED.device}": ADDRESS}))
        (folder / "tls").mkdir()
        (folder / "tls/ca.crt").write_bytes(door.ca.certificate)
        door.client("pi1").rename(folder / "tls/device.pem")
        process, log = stack.enter_context(serving(folder / "kraf"))
        yield Running(folder / "kraf", (f"127.0.0.1:{door.port}",), process, log)
