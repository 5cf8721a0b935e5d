"""A device on this machine: its own folders, its own network, and haproxy without systemd."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.on_device import (
    docker,
    forward,
    forward_store,
    haproxy,
    placement,
    registry,
    units,
)

from . import engine as engines
from . import mounting, parts
from . import registry as registries
from .engine import Engine
from .registry import Served


@pytest.fixture(scope="session")
def root() -> None:
    """These tests need it."""
    if os.geteuid() != 0:
        pytest.skip("needs root: mounts, network namespaces, nftables")


class Direct:
    """haproxy as a plain process, started and reloaded with what the unit runs."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None

    def installed(self) -> bool:
        return True

    def install(self) -> bool:
        return False

    def start(self) -> None:
        etc, run = forward_store.ETC, haproxy.RUN
        subprocess.run(["nft", "-f", str(etc / "forward.nft")], check=True)
        shutil.copy(etc / "haproxy.cfg", run / "haproxy.loaded")
        with (run / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["haproxy", "-W", "-f", str(etc / "haproxy.cfg"), "-S", str(run / "master.sock")],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        parts.until(lambda: haproxy.servers() is not None, what="haproxy")

    def reload(self) -> None:
        assert self.process
        shutil.copy(forward_store.ETC / "haproxy.cfg", haproxy.RUN / "haproxy.loaded")
        self.process.send_signal(signal.SIGUSR2)

    def stop(self) -> None:
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def log(self) -> str:
        return (haproxy.RUN / "log").read_text()


@pytest.fixture
def device(root: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Direct]:
    """Forwards with folders of their own, in a network of their own, with certificates."""
    with parts.private_network():
        yield from home(tmp_path, monkeypatch)


def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Direct]:
    """The same in the network in which the thread is."""
    tmp_path.chmod(0o755)
    run = tmp_path / "run"
    run.mkdir()
    parts.certificates(tmp_path / "tls")
    service = Direct()
    monkeypatch.setattr(forward_store, "ETC", tmp_path)
    monkeypatch.setattr(haproxy, "RUN", run)
    monkeypatch.setattr(haproxy, "TLS", tmp_path / "tls")
    monkeypatch.setattr(forward, "SERVICE", service)
    yield service
    service.stop()


@pytest.fixture
def init(root: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[mounting.Init]:
    """A device that can mount, with files, mounts and a network of its own; what was mounted is killed at the end."""
    assert Path("/dev/fuse").exists(), "there is no /dev/fuse: load the kernel module fuse"
    tmp_path.chmod(0o755)
    service = mounting.Init()
    for name in ("systemctl", "start", "stop", "journal"):
        monkeypatch.setattr(units, name, getattr(service, name))
    with parts.private_network(), mounting.private_files(tmp_path):
        yield service
        service.power_off()


@pytest.fixture(scope="module")
def pushing_device(root: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Served]]:
    """A device's engine and the cluster's image registry in one network, the device's own folders with them."""
    folder = tmp_path_factory.mktemp("push")
    with pytest.MonkeyPatch.context() as patch, parts.private_network():
        patch.setattr(registry, "CERTIFICATES", str(folder / "certs.d"))
        patch.setattr(placement, "LOCKS", folder / "run")
        patch.setattr(docker, "SOCKET", str(folder / "engine/docker.sock"))
        (folder / "engine").mkdir()
        with (
            registries.running(folder / "registry", folder / "certs.d") as served,
            engines.running(folder / "engine", apart=False) as engine,
        ):
            yield engine, served
