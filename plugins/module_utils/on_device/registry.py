# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The cluster's image registry by its own API, for what Docker's has no words for: sizes of layers, and indexes.

API: https://github.com/opencontainers/distribution-spec/blob/v1.0.1/spec.md
Formats: https://github.com/opencontainers/image-spec/blob/v1.0.2/image-index.md, and Docker's, from which they come.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import platform
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable
from urllib.parse import quote, urlencode, urlsplit

from ..core import retry_after
from ..core.errors import KrafError
from .reference import Login, Reference

CERTIFICATES = "/etc/docker/certs.d"
"""Where this host's Docker finds whom it trusts; the role image_registry writes it."""

DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEXES = (DOCKER_INDEX, OCI_INDEX)
BUSY = (429, 503)
"""Answers that may come with the time after which to ask again."""
ATTEMPTS = 4
LONGEST_WAIT = 60.0
"""Seconds between two of them, whatever a registry wants."""


@dataclass(frozen=True)
class Manifest:
    """What a registry has under a name or digest: an image, or an index of images."""

    media_type: str
    content: bytes

    @property
    def digest(self) -> str:
        """By which it is served."""
        return digest_of(self.content)

    @property
    def parsed(self) -> dict[str, Any]:
        """Its content."""
        return dict(json.loads(self.content))

    @property
    def blobs(self) -> list[tuple[str, int]]:
        """Digest and bytes of configuration and layers; layers that lie elsewhere for good are left out."""
        found = self.parsed
        parts = [found["config"], *(one for one in found.get("layers") or [] if not one.get("urls"))]
        return [(str(one["digest"]), int(one["size"])) for one in parts]


@dataclass(frozen=True)
class Part:
    """One image of an index, with the platform that its own configuration names."""

    manifest: Manifest
    platform: Mapping[str, str]


def digest_of(content: bytes) -> str:
    """The digest of a content."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def index(parts: Sequence[Part]) -> Manifest:
    """The index of some images. The same images make the same bytes, so that a second one is the first."""
    oci = all(one.manifest.media_type == OCI_MANIFEST for one in parts)
    entries: dict[str, dict[str, Any]] = {
        one.manifest.digest: {
            "mediaType": one.manifest.media_type,
            "size": len(one.manifest.content),
            "digest": one.manifest.digest,
            "platform": dict(one.platform),
        }
        for one in parts
    }
    ordered = sorted(entries.values(), key=lambda one: (sorted(one["platform"].items()), one["digest"]))
    media_type = OCI_INDEX if oci else DOCKER_INDEX
    content = {"schemaVersion": 2, "mediaType": media_type, "manifests": ordered}
    return Manifest(media_type, json.dumps(content, indent=2).encode())


class Registry:
    """An image registry.

    Args:
        address: host and port.
        login: credentials.
        timeout: seconds for each answer.
        sleep: waits that many seconds between two tries.
    """

    def __init__(
        self, address: str, login: Login, timeout: float = 60, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.address = address
        self._timeout = timeout
        self._sleep = sleep
        word = base64.b64encode(f"{login.username}:{login.password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {word}"} if login.username else {}
        authority = os.path.join(CERTIFICATES, address, "ca.crt")
        self._trust = ssl.create_default_context(cafile=authority if os.path.exists(authority) else None)

    def ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """One request; status, headers and content of the answer. One that is busy is asked again when it says so.

        Raises:
            KrafError: when there is none.
        """
        for attempt in range(1, ATTEMPTS + 1):
            status, answered, content = self._once(method, path, body, headers)
            wait = _wait(status, answered)
            if wait is None or attempt == ATTEMPTS:
                break
            self._sleep(wait)
        return status, answered, content

    def patience(self, repository: str, reference: str) -> float | None:
        """Seconds after which it wants to be asked for an image again; None when it does not say."""
        status, headers, _content = self._once("HEAD", _manifest_path(repository, reference))
        return _wait(status, headers)

    def _once(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        connection = http.client.HTTPSConnection(self.address, timeout=self._timeout, context=self._trust)
        try:
            connection.request(method, path, body or None, {**self._headers, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, {key.title(): value for key, value in answer.headers.items()}, answer.read()
        except (OSError, http.client.HTTPException) as error:
            why = f"host {platform.node()} cannot speak with it: {error or type(error).__name__}"
            fix = f"Check that it runs, and that {CERTIFICATES}/{self.address}/ca.crt is its authority"
            raise KrafError("image registry", self.address, why, fix) from error
        finally:
            connection.close()

    def manifest(self, repository: str, reference: str) -> Manifest | None:
        """What it has under a tag or a digest; None when it has nothing."""
        accept = ", ".join((DOCKER_MANIFEST, OCI_MANIFEST, *INDEXES))
        path = _manifest_path(repository, reference)
        status, headers, content = self.ask("GET", path, headers={"Accept": accept})
        if status == 404:
            return None
        self._expect(status, (200,), content, f"{repository}:{reference}")
        return Manifest(str(headers.get("Content-Type", "")).partition(";")[0], content)

    def blob(self, repository: str, digest: str) -> bytes:
        """The content of a small blob, such as an image's configuration."""
        status, _headers, content = self.ask("GET", f"/v2/{quote(repository)}/blobs/{digest}")
        self._expect(status, (200,), content, f"{repository}@{digest}")
        return content

    def mount(self, repository: str, digest: str, source: str) -> None:
        """Let a repository have a blob of another one, of which nothing is sent.

        Raises:
            KrafError: when the registry would want it to be sent.
        """
        status, _headers, _content = self.ask("HEAD", f"/v2/{quote(repository)}/blobs/{digest}")
        if status == 200:
            return
        query = urlencode({"mount": digest, "from": source})
        status, headers, content = self.ask("POST", f"/v2/{quote(repository)}/blobs/uploads/?{query}")
        if status == 202:
            # It has begun an upload instead; nobody goes on with it.
            begun = urlsplit(str(headers.get("Location", "")))
            self.ask("DELETE", f"{begun.path}?{begun.query}" if begun.query else begun.path)
            why = f"the image registry does not let {repository} have it from {source}"
            raise KrafError("blob", digest, why, f"Push the image into {self.address}/{repository}")
        self._expect(status, (201,), content, f"{repository}@{digest}")

    def put(self, repository: str, reference: str, manifest: Manifest) -> None:
        """Store a manifest, all of whose blobs or images are there."""
        path = _manifest_path(repository, reference)
        status, _headers, content = self.ask("PUT", path, manifest.content, {"Content-Type": manifest.media_type})
        self._expect(status, (201,), content, f"{repository}:{reference}")

    def _expect(self, status: int, wanted: Sequence[int], content: bytes, name: str) -> None:
        if status in wanted:
            return
        said = content[:300].decode("utf-8", "replace").strip()
        fix = "Check username and password" if status in (401, 403) else "See its log"
        raise KrafError("image registry", f"{self.address}/{name}", f"it answered {status}: {said}", fix)


def _manifest_path(repository: str, reference: str) -> str:
    return f"/v2/{quote(repository)}/manifests/{quote(reference, safe=':')}"


def _wait(status: int, headers: Mapping[str, str]) -> float | None:
    return retry_after.seconds(headers.get("Retry-After"), LONGEST_WAIT) if status in BUSY else None


def parts_of(registry: Registry, reference: str, architecture: str) -> list[tuple[str, Part]]:
    """The images of one architecture under a reference, each with its repository; of an index there may be several.

    Raises:
        KrafError: when there is none, with what there is.
    """
    name = Reference.of(reference.partition("@")[0])
    wanted = reference.partition("@")[2] or name.tag
    found = registry.manifest(name.repository, wanted)
    if found is None:
        raise KrafError("image", reference, "the image registry does not have it", "Push it first, or correct the name")
    parts = _images(registry, name.repository, found)
    mine = [(name.repository, one) for one in parts if one.platform["architecture"] == architecture]
    if not mine:
        has = ", ".join(sorted({one.platform["architecture"] for one in parts})) or "nothing that can run"
        why = f"it is named as the image for {architecture}, and it is for {has}"
        raise KrafError("image", reference, why, "Name the right one in the app's row in the catalog (images)")
    return mine


def _images(registry: Registry, repository: str, found: Manifest) -> list[Part]:
    """The images that a manifest stands for: itself, or those of an index."""
    manifests = [found]
    if found.media_type in INDEXES:
        digests = [str(one["digest"]) for one in found.parsed.get("manifests") or []]
        manifests = [one for one in (registry.manifest(repository, digest) for digest in digests) if one is not None]
    parts = [Part(one, _platform(registry, repository, one)) for one in manifests if one.media_type not in INDEXES]
    # What is no program for Linux, such as the attestations of a build, says "unknown".
    return [one for one in parts if one.platform["os"] == "linux"]


def _platform(registry: Registry, repository: str, manifest: Manifest) -> dict[str, str]:
    """What the image's own configuration says; what an index says of it may be wrong."""
    config = json.loads(registry.blob(repository, str(manifest.parsed["config"]["digest"])))
    found = {"architecture": str(config.get("architecture", "")), "os": str(config.get("os", ""))}
    return {**found, "variant": str(config["variant"])} if config.get("variant") else found


def architectures(registry: Registry, repository: str, reference: str) -> list[str]:
    """Architectures of what a registry has under a tag or digest; none where it has nothing."""
    found = registry.manifest(repository, reference)
    return sorted({one.platform["architecture"] for one in _images(registry, repository, found)}) if found else []


def join(registry: Registry, repository: str, references: Mapping[str, str], tag: str = "") -> str:
    """Make an index of images of several architectures; the digest by which it is served.

    Args:
        registry: that has all of them.
        repository: that is to have the index, and then has its images, too.
        references: of the images, by architecture.
        tag: under which it is to be found, too.

    Raises:
        KrafError: when one is not there, or is not what it is named for.
    """
    parts = [one for name in sorted(references) for one in parts_of(registry, references[name], name)]
    for source, part in parts:
        if source == repository:
            continue
        for digest, _size in part.manifest.blobs:
            registry.mount(repository, digest, source)
        registry.put(repository, part.manifest.digest, part.manifest)
    made = index([part for _source, part in parts])
    if tag or registry.manifest(repository, made.digest) is None:
        # By a tag, so that what clears up in the registry leaves it.
        registry.put(repository, tag or f"index-{made.digest.partition(':')[2][:16]}", made)
    return made.digest
