# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Docker on the device, by its API over the socket: no client program, no package."""

from __future__ import annotations

import http.client
import json
import os
import socket
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from ..core.errors import KrafError

SOCKET = "/var/run/docker.sock"
API = "/v1.41"
"""API of Docker 20.10; later engines speak it too. https://docs.docker.com/reference/api/engine/version/v1.41/"""


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
    connection = Connection(SOCKET, timeout)
    try:
        text = None if body is None else json.dumps(body)
        connection.request(method, API + path, body=text, headers={"Content-Type": "application/json"})
        answer = connection.getresponse()
        content = answer.read()
        return answer.status, json.loads(content) if content.strip() else None
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


def inspect_image(image: str) -> dict[str, Any] | None:
    """What Docker knows of an image; None when it does not have it."""
    status, answer = call("GET", f"/images/{quote(image, safe='')}/json")
    return answer if status == 200 and isinstance(answer, dict) else None


def stop(name: str, timeout: int = 10) -> bool:
    """Stop a container, killed after ``timeout`` seconds; False when it did not run."""
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


def set_restart_policy(name: str, policy: str, maximum: int = 0) -> None:
    """Set the restart policy ("no", "always", "unless-stopped", "on-failure") of a container, running or not."""
    body = {"RestartPolicy": {"Name": policy or "no", "MaximumRetryCount": int(maximum)}}
    _must("POST", f"/containers/{quote(name, safe='')}/update", body)


def _refused(name: str, verb: str, status: int, answer: Any) -> KrafError:
    said = answer.get("message", "") if isinstance(answer, dict) else str(answer)
    fix = "See docker ps -a on the device" if status == 404 else ""
    return KrafError("container", name, f"Docker did not {verb} it: {said or status}", fix)


@dataclass(frozen=True)
class Container:
    """A container as it really runs, not as its image or a file says it should."""

    name: str
    id: str
    image: str
    image_id: str
    architecture: str
    running: bool
    status: str
    exit_code: int
    pid: int
    path: str
    args: tuple[str, ...]
    env: dict[str, str] = field(repr=False)
    user: str = ""
    groups: tuple[str, ...] = ()
    working_dir: str = ""
    hostname: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    ports: tuple[dict[str, Any], ...] = ()
    mounts: tuple[dict[str, Any], ...] = ()
    networks: dict[str, str] = field(default_factory=dict)
    network_mode: str = ""
    pid_mode: str = ""
    ipc_mode: str = ""
    restart_policy: str = "no"
    restart_maximum: int = 0
    privileged: bool = False
    read_only: bool = False
    devices: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    memory_bytes: int = 0
    cpus: float = 0.0
    stop_signal: str = "SIGTERM"
    stop_timeout: int = 10
    tty: bool = False
    started_at: str = ""

    @property
    def argv(self) -> list[str]:
        """What runs as its first process, whatever mixture of image and command line it came from."""
        return [self.path, *self.args]

    def report(self) -> dict[str, Any]:
        """The container as a module may return it: the names of its environment, never the values."""
        shown = {key: value for key, value in vars(self).items() if key not in ("env", "path", "args")}
        shown.update(argv=self.argv, env=sorted(self.env))
        return {key: list(value) if isinstance(value, tuple) else value for key, value in shown.items()}


def describe(name: str) -> Container:
    """Describe a container.

    Raises:
        KrafError: when there is none of that name.
    """
    found = inspect(name)
    if found is None:
        raise KrafError(
            "container", name, "Docker on the device has none of this name", "See docker ps -a on the device"
        )
    image = inspect_image(str(found.get("Image", ""))) or {}
    return from_inspect(found, str(image.get("Architecture", "")))


def from_inspect(found: dict[str, Any], architecture: str = "") -> Container:
    """The container that an answer of Docker's inspect tells of."""
    config, host, state = (found.get(key) or {} for key in ("Config", "HostConfig", "State"))
    policy = host.get("RestartPolicy") or {}
    networks = (found.get("NetworkSettings") or {}).get("Networks") or {}
    environment = dict(entry.partition("=")[::2] for entry in config.get("Env") or [])
    return Container(
        name=str(found.get("Name", "")).lstrip("/"),
        id=str(found.get("Id", "")),
        image=str(config.get("Image", "")),
        image_id=str(found.get("Image", "")),
        architecture=architecture,
        running=bool(state.get("Running")),
        status=str(state.get("Status", "")),
        exit_code=int(state.get("ExitCode") or 0),
        pid=int(state.get("Pid") or 0),
        path=str(found.get("Path", "")),
        args=tuple(found.get("Args") or ()),
        env=environment,
        user=str(config.get("User") or ""),
        groups=tuple(host.get("GroupAdd") or ()),
        working_dir=str(config.get("WorkingDir") or ""),
        hostname=str(config.get("Hostname") or ""),
        labels=dict(config.get("Labels") or {}),
        ports=_ports(host.get("PortBindings") or {}),
        mounts=tuple(_mount(mount) for mount in found.get("Mounts") or ()),
        networks={key: str((value or {}).get("IPAddress") or "") for key, value in networks.items()},
        network_mode=str(host.get("NetworkMode") or ""),
        pid_mode=str(host.get("PidMode") or ""),
        ipc_mode=str(host.get("IpcMode") or ""),
        restart_policy=str(policy.get("Name") or "no"),
        restart_maximum=int(policy.get("MaximumRetryCount") or 0),
        privileged=bool(host.get("Privileged")),
        read_only=bool(host.get("ReadonlyRootfs")),
        devices=tuple(str(device.get("PathOnHost", "")) for device in host.get("Devices") or ()),
        capabilities=tuple(
            str(one)[4:] if str(one).startswith("CAP_") else str(one) for one in host.get("CapAdd") or ()
        ),
        memory_bytes=int(host.get("Memory") or 0),
        cpus=int(host.get("NanoCpus") or 0) / 1e9,
        stop_signal=str(config.get("StopSignal") or "SIGTERM"),
        stop_timeout=int(config.get("StopTimeout") or 10),
        tty=bool(config.get("Tty")),
        started_at=str(state.get("StartedAt") or ""),
    )


def _ports(bindings: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    found = []
    for key, hosts in bindings.items():
        port, _unused, protocol = key.partition("/")
        for host in hosts or []:
            device_port = int(host.get("HostPort") or 0)
            address = str(host.get("HostIp") or "")
            found.append(
                {"port": int(port), "protocol": protocol or "tcp", "device_port": device_port, "address": address}
            )
    return tuple(sorted(found, key=lambda one: (one["port"], one["protocol"], one["device_port"], one["address"])))


def _mount(mount: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": str(mount.get("Type", "")),
        "name": str(mount.get("Name", "")),
        "source": str(mount.get("Source", "")),
        "path": str(mount.get("Destination", "")),
        "driver": str(mount.get("Driver", "")),
        "read_only": not mount.get("RW", True),
        "propagation": str(mount.get("Propagation", "")),
    }
