# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Container images by Docker's API over the socket: build, push, pull, and what an image registry has.

API: https://docs.docker.com/reference/api/engine/version/v1.41/ (Docker 20.10)
"""

from __future__ import annotations

import http.client
import io
import json
import os
import platform
import re
import tarfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Callable
from urllib.parse import quote, urlencode

from ..core.errors import KrafError
from . import docker
from .reference import Login, Reference
from .registry import Registry

ATTEMPTS = 6
"""Of what a registry refuses since it came too often."""

FAULTS = 3
"""Of what a registry answers with a fault of its own. Some pass: distribution 2.8.2 on files answers 500, "invalid
checksum digest format", to who asks for a layer while another push writes its link in that repository (measured)."""

# The second is how Docker says it when containerd keeps its images.
_FAULT = re.compile(r"unexpected (HTTP status|status from [A-Z]+ request to \S+): 5\d\d\b", re.ASCII)

FIRST_DELAY = 2.0
"""Seconds; doubled after each refusal. It is waited so long where the registry does not say how long it wants."""

ASK = 15.0
"""Seconds to ask a registry for what need not be known."""

_REASONS = (
    (
        "server gave HTTP response to HTTPS client",
        "Docker of this host speaks TLS with it and it does not answer in TLS",
        "Check the port, or serve it with TLS",
    ),
    (
        "x509:",
        "Docker of this host does not trust its certificate",
        "Put its authority into /etc/docker/certs.d/HOST:PORT/ca.crt on this host",
    ),
    ("no basic auth", "it wants credentials", "Give username and password"),
    ("unauthorized", "it refuses these credentials", "Check username and password"),
    ("connection refused", "nothing listens there", "Check that the image registry runs"),
    ("no such host", "this host cannot resolve its name", "Check this host's DNS"),
    ("timeout", "it does not answer this host", "Check the network and firewalls between them"),
    ("toomanyrequests", "it limits how much may be pulled", "Wait, log in, or set a mirror"),
)


def architecture() -> str:
    """The architecture of this host's Docker, in the image format's word (amd64, arm64, arm)."""
    status, answer = docker.call("GET", "/version")
    return str(answer.get("Arch", "")) if status == 200 and isinstance(answer, dict) else ""


def digests(name: str) -> set[str]:
    """By which digests this host knows an image; empty when it does not have it."""
    image = docker.inspect_image(name) or {}
    return {one.partition("@")[2] for one in image.get("RepoDigests") or []}


def served(name: str, login: Login, timeout: float = 600, sleep: Callable[[float], None] = time.sleep) -> str:
    """The digest by which the registry serves an image; empty when it has none of this name.

    Raises:
        KrafError: when this host's Docker cannot ask the registry.
    """
    path = f"/distribution/{quote(name, safe='/:')}/json"
    content, message = _patiently("GET", path, name, login, timeout, sleep)
    if not message:
        return str(json.loads(content)["Descriptor"]["digest"])
    if _absent(message):
        return ""
    raise refused(name, "ask for", message)


def _absent(message: str) -> bool:
    return "manifest unknown" in message or "not found" in message or "name unknown" in message


def offered(name: str, registry: str, login: Login) -> dict[str, Any]:
    """What an image registry serves under a name or digest, as this host's Docker sees it.

    Args:
        name: of the image.
        registry: address of the one that takes ``login``; others are asked without.
        login: its credentials.

    Returns:
        ``digest``, ``architectures`` (empty when the registry does not say), whether it is ``absent``, and ``why`` it
        could not be asked.
    """
    mine = login if Reference.of(name).registry == registry else Login()
    path = f"/distribution/{quote(name, safe='/:@')}/json"
    try:
        content, message = _patiently("GET", path, name, mine, ASK, time.sleep)
    except KrafError as error:
        # Such as a registry that never answers a device without internet; the nodes may have a way to it.
        content, message = b"", error.why
    if message:
        absent = _absent(message)
        return {"digest": "", "architectures": [], "absent": absent, "why": "" if absent else message}
    found = json.loads(content)
    platforms = [one for one in found.get("Platforms") or [] if one.get("os") == "linux"]
    architectures = sorted({str(one["architecture"]) for one in platforms if one.get("architecture")})
    return {"digest": str(found["Descriptor"]["digest"]), "architectures": architectures, "absent": False, "why": ""}


def pull(name: str, login: Login, timeout: float, sleep: Callable[[float], None] = time.sleep) -> None:
    """Pull an image. Raises KrafError."""
    image = Reference.of(name)
    query = urlencode({"fromImage": image.untagged, "tag": image.tag})
    _content, message = _patiently("POST", f"/images/create?{query}", name, login, timeout, sleep)
    if message:
        raise refused(name, "pull", message)


@dataclass
class Layers:
    """How far a push is, as Docker tells it layer by layer.

    Attributes:
        sent: of what has been sent, or is on its way, by the first 12 digits of the layer's content: bytes so far, and
            in all, before they are compressed.
        there: layers that the image registry had already.
        waiting: layers of which nothing is known yet.
    """

    sent: dict[str, tuple[int, int]] = field(default_factory=dict)
    there: set[str] = field(default_factory=set)
    waiting: set[str] = field(default_factory=set)

    def hear(self, event: Mapping[str, Any]) -> None:
        """Take in one line of Docker's."""
        layer, status = str(event.get("id") or ""), str(event.get("status") or "")
        if status in ("Preparing", "Waiting"):
            self.waiting.add(layer)
            return
        there = status == "Layer already exists" or "Mounted from" in status
        if not layer or not (there or status in ("Pushing", "Pushed")):
            return
        self.waiting.discard(layer)
        if status == "Pushing":
            detail = event.get("progressDetail") or {}
            done = int(detail.get("current") or 0)
            total = int(detail.get("total") or done)
            # What frames the files is counted, too.
            self.sent[layer] = (min(done, total), total)
        elif status == "Pushed":
            total = self.sent.get(layer, (0, 0))[1]
            self.sent[layer] = (total, total)
        elif layer not in self.sent or self.sent[layer][0] < self.sent[layer][1]:
            # Otherwise an earlier try of this push has sent it.
            self.sent.pop(layer, None)
            self.there.add(layer)

    def progress(self) -> dict[str, int]:
        """Bytes ``done`` of ``total`` of the layers that are known to be sent, and how many are ``waiting``."""
        done, total = (sum(one[which] for one in self.sent.values()) for which in (0, 1))
        return {"done": done, "total": total, "waiting": len(self.waiting)}


Tell = Callable[[Layers], None]


def push(
    name: str, login: Login, timeout: float, sleep: Callable[[float], None] = time.sleep, tell: Tell | None = None
) -> Layers:
    """Push an image; what became of its layers.

    Args:
        name: its name, with the image registry's address and a tag.
        login: credentials of the image registry.
        timeout: limit in seconds.
        sleep: waits that many seconds between two tries.
        tell: told of each line of Docker's.

    Raises:
        KrafError: with what Docker said.
    """
    image, layers = Reference.of(name), Layers()

    def hear(event: Mapping[str, Any]) -> None:
        layers.hear(event)
        if tell:
            tell(layers)

    path = f"/images/{quote(image.untagged, safe='/:')}/push?{urlencode({'tag': image.tag})}"
    _content, message = _patiently("POST", path, name, login, timeout, sleep, hear)
    if message:
        raise refused(name, "push", message)
    return layers


def tag(source: str, name: str) -> None:
    """Give an image a further name. Raises KrafError."""
    image = Reference.of(name)
    query = urlencode({"repo": image.untagged, "tag": image.tag})
    status, content = _send("POST", f"/images/{quote(source, safe='/:')}/tag?{query}")
    if status != 201:
        raise KrafError("image", source, f"it cannot be named {name}: {_message(content)}", "Pull or build it first")


def untag(name: str) -> None:
    """Take a name from an image; what other names hold stays."""
    _send("DELETE", f"/images/{quote(name, safe='/:')}?noprune=true")


def build(name: str, context: bytes, arguments: Mapping[str, str], network: str, timeout: float) -> None:
    """Build an image.

    Args:
        name: its name.
        context: tar of the files that it is built from, the Dockerfile among them.
        arguments: build arguments.
        network: network of the build's containers; empty is Docker's default.
        timeout: limit in seconds.

    Raises:
        KrafError: with the last lines of the build's output.
    """
    query = {"t": name, "rm": "1", "forcerm": "1", "buildargs": json.dumps(dict(arguments))}
    if network:
        query["networkmode"] = network
    headers = {"Content-Type": "application/x-tar"}
    status, content = _send("POST", f"/build?{urlencode(query)}", context, headers, timeout)
    error, said = _outcome(content)
    if status != 200 or error:
        tail = "".join(said)[-1500:]
        why = f"its build failed: {error or _message(content)}"
        raise KrafError("image", name, why, f"The last of its output: {tail.strip()}" if tail.strip() else "", log=tail)


def pack(context: Mapping[str, str]) -> bytes:
    """A tar file that depends on the files alone, so that the build's cache knows them again."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path in sorted(context):
            data = context[path].encode()
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(data), 0o755 if path.endswith(".sh") else 0o644
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def pack_folder(folder: str) -> bytes:
    """The same of a folder of the host.

    Raises:
        KrafError: when it has no Dockerfile.
    """
    if not os.path.isfile(os.path.join(folder, "Dockerfile")):
        raise KrafError("folder to build from", folder, "there is no Dockerfile in it", "Name the folder that has it")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in sorted(os.listdir(folder)):
            tar.add(os.path.join(folder, name), name)
    return buffer.getvalue()


def refused(name: str, verb: str, message: str) -> KrafError:
    """The error for what Docker could not do with a registry; it names the host, the next one may succeed."""
    host = platform.node()
    registry = Reference.of(name).registry or "docker.io"
    for mark, why, fix in _REASONS:
        if mark in message:
            return KrafError(
                "image", name, f"host {host} cannot {verb} it at {registry}: {why} ({message})", fix, host=host
            )
    return KrafError("image", name, f"host {host} cannot {verb} it at {registry}: {message}", "", host=host)


def _patiently(
    method: str,
    path: str,
    name: str,
    login: Login,
    timeout: float,
    sleep: Callable[[float], None],
    hear: Callable[[Mapping[str, Any]], None] | None = None,
) -> tuple[bytes, str]:
    """What Docker answered, and its error, if any. What may pass is asked again (``_attempts``)."""
    deadline = time.monotonic() + timeout
    attempt = 0
    while True:
        attempt += 1
        status, content = _send(method, path, b"", login.headers(), max(1.0, deadline - time.monotonic()), hear)
        error = _outcome(content)[0] if status == 200 else _message(content) or f"it answered {status}"
        if attempt >= _attempts(error):
            return content, error
        wanted = _wanted(name, login) if _too_many(error) else None
        pause = FIRST_DELAY * 2 ** (attempt - 1) if wanted is None else wanted
        if time.monotonic() + pause > deadline:
            return content, error
        sleep(pause)


def _wanted(name: str, login: Login) -> float | None:
    """How long an image's registry wants to be left alone, in seconds: Docker does not pass it on."""
    plain, _unused, digest = name.partition("@")
    image = Reference.of(plain)
    if not image.registry:
        # Docker's own says it only to whoever has got a token.
        return None
    try:
        return Registry(image.registry, login, ASK).patience(image.repository, digest or image.tag)
    except (KrafError, OSError):
        return None


def _attempts(message: str) -> int:
    if _too_many(message):
        return ATTEMPTS
    return FAULTS if _FAULT.search(message) else 1


def _too_many(message: str) -> bool:
    # A digest may have these digits.
    return "toomanyrequests" in message or re.search(r"\b429\b", message) is not None


def _send(
    method: str,
    path: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    timeout: float = 60,
    hear: Callable[[Mapping[str, Any]], None] | None = None,
) -> tuple[int, bytes]:
    connection = docker.Connection(docker.SOCKET, timeout)
    try:
        connection.request(method, docker.API + path, body, dict(headers or {}))
        answer = connection.getresponse()
        if hear is None or answer.status != 200:
            return answer.status, answer.read()
        return answer.status, _heard(answer, hear, time.monotonic() + timeout)
    except (OSError, http.client.HTTPException) as error:
        raise docker.silent(error) from error
    finally:
        connection.close()


def _heard(answer: http.client.HTTPResponse, hear: Callable[[Mapping[str, Any]], None], deadline: float) -> bytes:
    """Pass on each line of a stream as it comes; the lines with errors, which are all that is left to look at."""
    errors = []
    for line in answer:
        event = _event(line)
        if "error" in event:
            errors.append(line)
        hear(event)
        if time.monotonic() > deadline:
            # Each line resets the socket's own limit.
            raise TimeoutError("it did not end within its limit")
    return b"".join(errors)


def _outcome(content: bytes) -> tuple[str, list[str]]:
    """The error in a stream of JSON lines, if there is one, and what was printed: failures come with status 200."""
    error, said = "", []
    for line in content.splitlines():
        event = _event(line)
        if event:
            error = str(event.get("error") or error)
            said.append(str(event.get("stream", "")))
    return error, said


def _event(line: bytes) -> dict[str, Any]:
    try:
        event: Any = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


def _message(content: bytes) -> str:
    try:
        return str(json.loads(content)["message"])
    except (ValueError, KeyError, TypeError):
        return content[:300].decode("utf-8", "replace")
