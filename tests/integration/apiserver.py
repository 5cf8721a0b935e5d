"""A real kube-apiserver and etcd of the version that the collection installs, for the length of a test session."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from ssl import create_default_context
from typing import Any

from tests.lab import programs, settings

START_LIMIT = 120
LOGS = Path("build/integration")


@dataclass(frozen=True)
class ApiServer:
    """Where the server is, and two users of it."""

    server: str
    ca_cert: Path
    kubeconfig: Path
    token: str
    guest_token: str

    def params(self, **more: Any) -> dict[str, Any]:
        """A module's connection options for this server."""
        return {"kubeconfig": str(self.kubeconfig), **more}

    def token_params(self, token: str, **more: Any) -> dict[str, Any]:
        return {"host": self.server, "api_key": token, "ca_cert": str(self.ca_cert), **more}


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def program(name: str, path: Path, arguments: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A child for the length of the block, its output in a file; ended by its own id."""
    LOGS.mkdir(parents=True, exist_ok=True)
    with (LOGS / f"{name}.log").open("wb") as log:
        child = subprocess.Popen([path, *arguments], stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        try:
            yield child
        finally:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(15)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


@contextmanager
def running() -> Iterator[ApiServer]:
    """Start etcd and kube-apiserver in a folder of their own, and take everything away afterwards."""
    etcd, apiserver = programs.build(settings.from_environment(), ["etcd", "kube-apiserver"])
    folder = Path(tempfile.mkdtemp(prefix="kraf-api-"))
    try:
        client, peer, port = free_port(), free_port(), free_port()
        api = _prepare(folder, port)
        with (
            program("etcd", etcd, _etcd(folder, client, peer)) as first,
            program("kube-apiserver", apiserver, _apiserver(folder, client, port)) as second,
        ):
            _await(api, [first, second])
            yield api
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _prepare(folder: Path, port: int) -> ApiServer:
    key = folder / "service-accounts.key"
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
    api = ApiServer(
        f"https://127.0.0.1:{port}",
        folder / "certs" / "apiserver.crt",
        folder / "kubeconfig",
        secrets.token_hex(16),
        secrets.token_hex(16),
    )
    tokens = [f'{api.token},admin,1,"system:masters"', f"{api.guest_token},guest,2"]
    (folder / "tokens.csv").write_text("\n".join(tokens) + "\n")
    # JSON is YAML.
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": api.server, "certificate-authority": str(api.ca_cert)}}],
        "users": [{"name": "admin", "user": {"token": api.token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
    }
    api.kubeconfig.write_text(json.dumps(config))
    return api


def _etcd(folder: Path, client: int, peer: int) -> list[str]:
    return [
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls=http://127.0.0.1:{client}",
        f"--advertise-client-urls=http://127.0.0.1:{client}",
        f"--listen-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
        f"--initial-cluster=default=http://127.0.0.1:{peer}",
        "--unsafe-no-fsync",
    ]


def _apiserver(folder: Path, client: int, port: int) -> list[str]:
    key = folder / "service-accounts.key"
    return [
        f"--etcd-servers=http://127.0.0.1:{client}",
        f"--cert-dir={folder / 'certs'}",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--service-cluster-ip-range=10.96.0.0/24",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        # Without a controller manager no namespace gets its default service account.
        "--disable-admission-plugins=ServiceAccount",
        "--profiling=false",
    ]


def _await(api: ApiServer, children: list[subprocess.Popen[bytes]]) -> None:
    """Until the server is ready and its own namespaces exist."""
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline:
        for child in children:
            if child.poll() is not None:
                raise RuntimeError(f"{child.args} ended with {child.returncode}; see {LOGS.resolve()}")
        try:
            if all(_answers(api, path) for path in ("/readyz", "/api/v1/namespaces/kube-system")):
                return
        except (OSError, urllib.error.URLError):
            pass
        time.sleep(0.2)
    raise RuntimeError(f"kube-apiserver was not ready after {START_LIMIT} seconds; see {LOGS.resolve()}")


def _answers(api: ApiServer, path: str) -> bool:
    context = create_default_context(cafile=os.fspath(api.ca_cert))
    request = urllib.request.Request(api.server + path, headers={"Authorization": f"Bearer {api.token}"})
    with urllib.request.urlopen(request, context=context, timeout=5) as answer:
        return bool(answer.status == 200)


@contextmanager
def controllers(api: ApiServer, names: list[str]) -> Iterator[None]:
    """The named controllers of a real kube-controller-manager."""
    (manager,) = programs.build(settings.from_environment(), ["kube-controller-manager"])
    folder = Path(tempfile.mkdtemp(prefix="kraf-controllers-"))
    arguments = [
        f"--kubeconfig={api.kubeconfig}",
        f"--controllers={','.join(names)}",
        "--leader-elect=false",
        "--port=0",
        f"--secure-port={free_port()}",
        f"--cert-dir={folder}",
        "--pvclaimbinder-sync-period=2s",
    ]
    try:
        with program("kube-controller-manager", manager, arguments):
            yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)
