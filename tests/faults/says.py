# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A program that says for which architecture it was built, in an image for amd64, one for arm64, and one for both; and
the image registries of the lab, asked without the collection."""

from __future__ import annotations

import base64
import gzip
import hashlib
import http.client
import io
import json
import os
import ssl
import tarfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.demo import access
from tests.demo.access import KUBECTL
from tests.lab import steps

from .lab import CONTROL

SOURCE = Path(__file__).parent / "says"
REPOSITORY = "docker.io/kraf/says"
ARCHITECTURES = ("amd64", "arm64")
_DOCKER = "application/vnd.docker."
_IMAGE, _INDEX = (f"{_DOCKER}distribution.manifest.{one}v2+json" for one in ("", "list."))
_SYSTEM = f"{KUBECTL} -n kraf-system get -o 'jsonpath={{.data.%s}}' %s"


class Registry:
    """An image registry (https://github.com/opencontainers/distribution-spec/blob/v1.0.1/spec.md).

    Args:
        address: host and port.
        account: user and password with a colon between them; empty for none.
        authority: certificate of who signed the registry's own; empty for one without TLS.
    """

    def __init__(self, address: str, account: str = "", authority: str = "") -> None:
        self.address = address
        word = base64.b64encode(account.encode()).decode()
        self._headers = {"Authorization": f"Basic {word}"} if account else {}
        self._trust = ssl.create_default_context(cadata=authority) if authority else None

    def _ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
        connection = http.client.HTTPConnection(self.address, timeout=60)
        if self._trust:
            connection = http.client.HTTPSConnection(self.address, timeout=60, context=self._trust)
        try:
            connection.request(method, path, body or None, {**self._headers, **headers})
            answer = connection.getresponse()
            return answer, answer.read()
        finally:
            connection.close()

    def manifest(self, repository: str, reference: str) -> dict[str, Any]:
        """An image or an index, by tag or digest; empty where there is none."""
        answer, content = self._ask("GET", f"/v2/{repository}/manifests/{reference}", Accept=f"{_IMAGE}, {_INDEX}")
        if answer.status not in (200, 404):
            raise access.Failed(f"{self.address}/{repository}: it answered {answer.status}: {content.decode()}")
        return dict(json.loads(content)) if answer.status == 200 else {}

    def put(self, repository: str, tag: str, content: dict[str, Any]) -> dict[str, object]:
        """Store an image or an index; how another one has to name it."""
        kind, made = str(content["mediaType"]), json.dumps(content).encode()
        self._send("PUT", f"/v2/{repository}/manifests/{tag}", made, kind)
        return _described(made, kind)

    def blob(self, repository: str, content: bytes, kind: str) -> dict[str, object]:
        """Store a layer or a configuration; how an image has to name it."""
        begun = self._send("POST", f"/v2/{repository}/blobs/uploads/")
        # It may be given without the registry's address.
        at = urlsplit(str(begun.headers["Location"]))
        found = _described(content, kind)
        query = "&".join(filter(None, (at.query, f"digest={found['digest']}")))
        self._send("PUT", f"{at.path}?{query}", content, "application/octet-stream")
        return found

    def _send(self, method: str, path: str, body: bytes = b"", kind: str = "") -> http.client.HTTPResponse:
        answer, said = self._ask(method, path, body, **({"Content-Type": kind} if kind else {}))
        if answer.status not in (201, 202):
            raise access.Failed(f"{self.address}{path}: it answered {answer.status}: {said.decode()}")
        return answer


def _described(content: bytes, kind: str) -> dict[str, object]:
    return {"mediaType": kind, "size": len(content), "digest": f"sha256:{hashlib.sha256(content).hexdigest()}"}


def mirror() -> Registry:
    """The lab's mirror."""
    return Registry(access.registry_ref("").rstrip("/"))


def cluster() -> Registry:
    """The cluster's image registry."""
    address = access.ssh(CONTROL, _SYSTEM % ("address", "configmap image-registry"))
    authority = access.ssh(CONTROL, _SYSTEM % (r"ca\.crt", "configmap kraf-ca"))
    words = [access.ssh(CONTROL, _SYSTEM % (key, "secret image-registry")) for key in ("username", "password")]
    return Registry(address, ":".join(base64.b64decode(word).decode() for word in words), authority)


def program(architecture: str) -> bytes:
    """The static program, built once for each state of its source."""
    target = access.LAB.programs / f"says-{architecture}-{steps.digest(SOURCE)}"
    if not target.exists():
        environment = {**os.environ, "CGO_ENABLED": "0", "GOARCH": architecture, "GOFLAGS": "-buildvcs=false"}
        with steps.partial_folder(target) as scratch:
            argv = ["nice", "-n", "5", "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", f"{scratch}/", "."]
            steps.run(argv, cwd=SOURCE, env={**environment, "GOWORK": "off"})
            os.replace(scratch / "says", target)
    return target.read_bytes()


def publish(to: Registry) -> dict[str, str]:
    """Make sure that a registry has the images.

    Returns:
        Their references, by architecture, and of the one for both under ``both``.
    """
    tag = steps.digest(SOURCE)
    name = f"{to.address}/{REPOSITORY}:{tag}"
    if not to.manifest(REPOSITORY, tag):
        made = [
            {**_image(to, f"{tag}-{one}", one), "platform": {"architecture": one, "os": "linux"}}
            for one in ARCHITECTURES
        ]
        to.put(REPOSITORY, tag, {"schemaVersion": 2, "mediaType": _INDEX, "manifests": made})
    return {"both": name, **{one: f"{name}-{one}" for one in ARCHITECTURES}}


def _image(to: Registry, tag: str, architecture: str) -> dict[str, object]:
    """Store the image for an architecture: the program, and nothing else."""
    buffer, content = io.BytesIO(), program(architecture)
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("says")
        member.size, member.mode = len(content), 0o755
        archive.addfile(member, io.BytesIO(content))
    layer = buffer.getvalue()
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Cmd": ["/says"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    image = {
        "schemaVersion": 2,
        "mediaType": _IMAGE,
        "config": to.blob(REPOSITORY, json.dumps(config).encode(), f"{_DOCKER}container.image.v1+json"),
        "layers": [to.blob(REPOSITORY, gzip.compress(layer, mtime=0), f"{_DOCKER}image.rootfs.diff.tar.gzip")],
    }
    return to.put(REPOSITORY, tag, image)


def architectures(of: Registry, reference: str) -> list[str]:
    """For which architectures there are images in the index of a reference by digest; none where it is no index."""
    path, _at, digest = reference.partition("@")
    found = of.manifest(path.partition("/")[2], digest)
    return sorted(one["platform"]["architecture"] for one in found.get("manifests") or [])
