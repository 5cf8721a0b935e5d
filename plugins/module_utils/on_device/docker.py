# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Docker on the device, by its API over the socket: no client program, no package."""

from __future__ import annotations

import http.client
import json
import os
import socket
from typing import Any
from urllib.parse import quote

from ..core.errors import KrafError
from .container import Container, from_inspect

SOCKET = "/var/run/docker.sock"
API = "/v1.41"
"""API of Docker 20.10; later engines speak it too. https://docs.docker.com/reference/api/engine/version/v1.41/"""
LONGEST_STOP = 600
"""Seconds for a container that Docker would wait for without an end."""


class Connection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("docker", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def call(method: str, path: str, body: Any = None, timeout: float = 30.0) -> tuple[int, Any]:
    """One request; status and decoded answer.

    Raises:
        KrafError: when Docker does not answer.
    """
    status, content = raw(method, path, body, timeout)
    return status, json.loads(content) if content.strip() else None


def raw(method: str, path: str, body: Any = None, timeout: float = 30.0, most: int | None = None) -> tuple[int, bytes]:
    """One request; status and content, of which ``most`` bytes are read. Raises like ``call``."""
    connection = Connection(SOCKET, timeout)
    try:
        text = None if body is None else json.dumps(body)
        connection.request(method, API + path, body=text, headers={"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read(most)
    except (OSError, http.client.HTTPException) as error:
        raise silent(error) from error
    finally:
        connection.close()


def silent(error: Exception) -> KrafError:
    """What to say when Docker does not answer. Its socket is never opened to others: that would make them root."""
    if isinstance(error, PermissionError):
        why = f"user {os.geteuid()} may not use it"
        fix = "Run the task as root (become: true). Who was just put into the group docker must log in again first"
        return KrafError("Docker", SOCKET, why, fix)
    return KrafError("Docker", SOCKET, str(error) or type(error).__name__, "Check that Docker runs on this host")


def _must(
    method: str, path: str, body: Any = None, timeout: float = 30.0, expected: tuple[int, ...] = (200, 204)
) -> Any:
    status, answer = call(method, path, body, timeout)
    if status not in expected:
        said = answer.get("message", "") if isinstance(answer, dict) else str(answer)
        raise KrafError("Docker on the device", f"{method} {path}", f"it answered {status}: {said}")
    return answer


def inspect(name: str) -> dict[str, Any] | None:
    """What Docker knows of a container; None when there is none."""
    status, answer = call("GET", f"/containers/{quote(name, safe='')}/json")
    if status == 404:
        return None
    if status != 200 or not isinstance(answer, dict):
        raise KrafError("Docker on the device", name, f"it answered {status}")
    return answer


def listed() -> list[str]:
    """Ids of all containers, running or not."""
    return [str(one["Id"]) for one in _must("GET", "/containers/json?all=true") or ()]


def inspect_image(image: str) -> dict[str, Any] | None:
    """What Docker knows of an image; None when it does not have it."""
    status, answer = call("GET", f"/images/{quote(image, safe='')}/json")
    return answer if status == 200 and isinstance(answer, dict) else None


def default_runtime() -> str:
    """The runtime of containers that name none."""
    return str((_must("GET", "/info") or {}).get("DefaultRuntime", ""))


def root() -> str:
    """Where Docker keeps what it knows of its containers."""
    return str((_must("GET", "/info") or {}).get("DockerRootDir") or "/var/lib/docker")


def stop(name: str, timeout: int = 10) -> bool:
    """Stop a container, killed after ``timeout`` seconds (LONGEST_STOP for less than 0); False when it did not run."""
    timeout = timeout if timeout >= 0 else LONGEST_STOP
    path = f"/containers/{quote(name, safe='')}/stop?t={int(timeout)}"
    status, answer = call("POST", path, timeout=timeout + 30)
    if status in (204, 304):
        return status == 204
    raise _refused(name, "stop", status, answer)


def start(name: str) -> bool:
    """Start a container; False when it ran already."""
    status, answer = call("POST", f"/containers/{quote(name, safe='')}/start", timeout=60)
    if status in (204, 304):
        return status == 204
    raise _refused(name, "start", status, answer)


def pause(name: str) -> None:
    """Freeze a container's processes where they are; nothing of it ends."""
    _must("POST", f"/containers/{quote(name, safe='')}/pause")


def unpause(name: str) -> bool:
    """Let a paused container go on; False when there is none that is paused."""
    found = inspect(name)
    if found is None or not (found.get("State") or {}).get("Paused"):
        return False
    _must("POST", f"/containers/{quote(name, safe='')}/unpause")
    return True


def set_restart_policy(name: str, policy: str, maximum: int = 0) -> None:
    """Set the restart policy ("no", "always", "unless-stopped", "on-failure") of a container, running or not."""
    body = {"RestartPolicy": {"Name": policy or "no", "MaximumRetryCount": int(maximum)}}
    _must("POST", f"/containers/{quote(name, safe='')}/update", body)


def _refused(name: str, verb: str, status: int, answer: Any) -> KrafError:
    said = answer.get("message", "") if isinstance(answer, dict) else str(answer)
    fix = "See docker ps -a on the device" if status == 404 else ""
    return KrafError("container", name, f"Docker did not {verb} it: {said or status}", fix)


def describe(name: str) -> Container:
    """Describe a container.

    Raises:
        KrafError: when there is none of that name.
    """
    found = inspect(name)
    if found is None:
        raise missing(name)
    return from_inspect(found, inspect_image(str(found.get("Image", ""))))


def pid(name: str) -> int:
    """Process id of a container's first process; 0 when it does not run, or is not there."""
    return int(((inspect(name) or {}).get("State") or {}).get("Pid") or 0)


def running(name: str) -> bool:
    """Whether a container runs; False when there is none."""
    return bool(((inspect(name) or {}).get("State") or {}).get("Running"))


def wait(name: str, timeout: float) -> int:
    """Wait until a container has ended; its exit code.

    Raises:
        KrafError: when Docker does not answer, or the container runs longer than ``timeout`` seconds.
    """
    answer = _must("POST", f"/containers/{quote(name, safe='')}/wait", timeout=timeout)
    return int((answer or {}).get("StatusCode") or 0)


def missing(name: str) -> KrafError:
    """What to say when there is no such container."""
    return KrafError("container", name, "Docker on the device has none of this name", "See docker ps -a on the device")
