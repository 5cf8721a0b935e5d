"""A real image registry, with TLS and a password, and images that were made by hand for any architecture."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import bcrypt
import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.on_device import registry
from ansible_collections.kraf.edge.plugins.module_utils.on_device.reference import Login
from ansible_collections.kraf.edge.plugins.module_utils.on_device.registry import Manifest, Registry
from ansible_collections.kraf.edge.plugins.module_utils.tls import certificates
from ansible_collections.kraf.edge.plugins.module_utils.tls.certificates import Request

from . import parts

LOGIN = Login("kraf", "s3cret")

CONFIG = """\
version: 0.1
storage:
  filesystem: {{rootdirectory: {folder}/data}}
  delete: {{enabled: true}}
http:
  addr: {address}
  tls: {{certificate: {folder}/tls.crt, key: {folder}/tls.key}}
auth:
  htpasswd: {{realm: kraf, path: {folder}/htpasswd}}
log:
  level: info
  accesslog: {{disabled: false}}
"""


@dataclass
class Served:
    """A running image registry."""

    address: str
    folder: Path
    client: Registry
    pid: int

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def asked(self, *words: str) -> list[str]:
        """Lines of its access log with all of these words."""
        return [line for line in self.log().splitlines() if '"' in line and all(word in line for word in words)]

    def blob(self, repository: str, content: bytes) -> dict[str, object]:
        """Upload a blob; its descriptor."""
        digest = registry.digest_of(content)
        status, headers, _content = self.client.ask("POST", f"/v2/{repository}/blobs/uploads/")
        assert status == 202
        location = str(headers["Location"]).partition(self.address)[2]
        path = f"{location}{'&' if '?' in location else '?'}digest={digest}"
        status, _headers, said = self.client.ask("PUT", path, content, {"Content-Type": "application/octet-stream"})
        assert status == 201, said
        return {"digest": digest, "size": len(content)}

    def image(
        self,
        repository: str,
        tag: str,
        architecture: str,
        media_type: str = registry.DOCKER_MANIFEST,
        text: str = "",
        files: dict[str, bytes] | None = None,
        command: Sequence[str] = ("/whoami",),
    ) -> Manifest:
        """An image of one layer for an architecture; unless a program of it is run, no emulator is needed."""
        layer = layer_of(files or {"whoami": f"{architecture} {text}".encode()})
        config = {
            "architecture": architecture,
            "os": "linux",
            "config": {"Cmd": list(command)},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
        if architecture == "arm":
            config["variant"] = "v7"
        docker = media_type == registry.DOCKER_MANIFEST
        word = "application/vnd.docker.{}" if docker else "application/vnd.oci.image.{}"
        content = {
            "schemaVersion": 2,
            "mediaType": media_type,
            "config": {
                "mediaType": word.format("container.image.v1+json" if docker else "config.v1+json"),
                **self.blob(repository, json.dumps(config).encode()),
            },
            "layers": [
                {
                    "mediaType": word.format("image.rootfs.diff.tar.gzip" if docker else "layer.v1.tar+gzip"),
                    **self.blob(repository, gzip.compress(layer, mtime=0)),
                }
            ],
        }
        made = Manifest(media_type, json.dumps(content).encode())
        self.client.put(repository, tag, made)
        return made


def layer_of(files: dict[str, bytes]) -> bytes:
    """A layer with these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@contextmanager
def running(folder: Path, trust: Path, host: str = "127.0.0.1") -> Iterator[Served]:
    """Start it.

    Args:
        folder: for its data.
        trust: what stands for /etc/docker/certs.d.
        host: address of this network.
    """
    folder.mkdir(parents=True)
    address = f"{host}:5000"
    trusted = trust / address
    trusted.mkdir(parents=True)
    # As the role image_registry makes it.
    now = datetime.now(timezone.utc)
    authority = certificates.make_ca("kraf service CA", 10, now)
    own = certificates.issue(authority, Request("image-registry", (), (host,), ("server",), 5), now)
    (folder / "tls.crt").write_bytes(own.certificate)
    (folder / "tls.key").write_bytes(own.key)
    (trusted / "ca.crt").write_bytes(authority.certificate)
    word = bcrypt.hashpw(LOGIN.password.encode(), bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$")
    (folder / "htpasswd").write_text(f"{LOGIN.username}:{word}\n")
    (folder / "config.yml").write_text(CONFIG.format(folder=folder, address=address))
    with (
        (folder / "log").open("wb") as log,
        parts.process(
            "docker-registry", "serve", str(folder / "config.yml"), stdin=subprocess.DEVNULL, stdout=log, stderr=log
        ) as process,
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(registry, "CERTIFICATES", str(trust))
            client = Registry(address, LOGIN)
        served = Served(address, folder, client, process.pid)
        parts.until(lambda: _answers(served), what=f"image registry, see {folder}/log")
        yield served


def _answers(served: Served) -> bool:
    try:
        return served.client.ask("GET", "/v2/")[0] == 200
    except KrafError:
        return False
