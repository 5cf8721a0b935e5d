# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of Docker's API that migrations use, on a socket, as strict as Docker's own."""

from __future__ import annotations

import json
import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.on_device import docker, placement

NEVER = "0001-01-01T00:00:00Z"
POLICIES = ("no", "always", "unless-stopped", "on-failure")


@dataclass
class Docker:
    """Containers by name: id, whether they run, restart policy."""

    socket: Path
    containers: dict[str, dict[str, Any]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def add(self, name: str, policy: str = "unless-stopped", maximum: int = 0, running: bool = True) -> dict[str, Any]:
        self.containers[name] = {
            "Id": f"id-of-{name}",
            "Name": f"/{name}",
            "State": {"Running": running, "Status": "running" if running else "exited", "StartedAt": NEVER},
            "HostConfig": {"RestartPolicy": {"Name": policy, "MaximumRetryCount": maximum}},
            "Config": {"Image": "x"},
        }
        return self.containers[name]

    def running(self, name: str) -> bool:
        return bool(self.containers[name]["State"]["Running"])

    def policy(self, name: str) -> tuple[str, int]:
        found = self.containers[name]["HostConfig"]["RestartPolicy"]
        return found["Name"], found["MaximumRetryCount"]

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        if (method, path) == ("GET", "/v1.41/info"):
            return 200, {"DockerRootDir": str(self.socket.parent / "docker")}
        match = re.fullmatch(r"/v1\.41/containers/([^/]+)/(json|start|stop|wait|pause|unpause|update)(\?t=\d+)?", path)
        if not match:
            return 404, {"message": "page not found"}
        name, verb = match[1], match[2]
        found = self.containers.get(name) or next((c for c in self.containers.values() if c["Id"] == name), None)
        if found is None:
            return 404, {"message": f"No such container: {name}"}
        if verb == "json":
            return (200, found) if method == "GET" else (405, None)
        if method != "POST":
            return 405, None
        self.calls.append(f"{verb} {found['Name'][1:]}")
        if verb == "update":
            policy = (body or {}).get("RestartPolicy") or {}
            if policy.get("Name") not in POLICIES:
                return 400, {"message": f"invalid restart policy '{policy.get('Name')}'"}
            if policy.get("MaximumRetryCount", 0) and policy["Name"] != "on-failure":
                return 400, {"message": "maximum retry count cannot be used with this restart policy"}
            found["HostConfig"]["RestartPolicy"] = policy
            return 200, {"Warnings": None}
        if verb in ("pause", "unpause"):
            wanted, state = verb == "pause", found["State"]
            if not state["Running"] or bool(state.get("Paused")) == wanted:
                return 409, {"message": f"Container {found['Id']} cannot be {verb}d"}
            state["Paused"] = wanted
            return 204, None
        if verb == "wait":  # its end comes at once
            found["State"].update(Running=False, Status="exited")
            return 200, {"StatusCode": 0}
        before, after = found["State"]["Running"], verb == "start"
        if before == after:
            return 304, None
        since = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ") if after else found["State"]["StartedAt"]
        found["State"] = {"Running": after, "Status": "running" if after else "exited", "StartedAt": since}
        return 204, None


@contextmanager
def device(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Docker]:
    """Docker as the device's code finds it, with records and locks in a folder; it knows no images."""
    with serving(folder / "docker.sock") as found:
        monkeypatch.setattr(docker, "SOCKET", str(found.socket))
        monkeypatch.setattr(docker, "inspect_image", lambda image: None)
        monkeypatch.setattr(placement, "ROOT", folder / "lib")
        monkeypatch.setattr(placement, "LOCKS", folder / "run")
        yield found


@contextmanager
def serving(socket: Path) -> Iterator[Docker]:
    """Docker's API on a socket."""
    engine = Docker(socket)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, answer = engine.answer(self.command, self.path, json.loads(body) if body else None)
            content = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            if status != 304:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _do

        def address_string(self) -> str:
            return "socket"

        def log_message(self, *_given: object) -> None:
            pass

    class Server(socketserver.ThreadingUnixStreamServer):
        daemon_threads = True

    with Server(str(socket), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield engine
        finally:
            server.shutdown()
            thread.join()
