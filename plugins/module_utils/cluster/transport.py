# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests to one API server: the kubernetes package's configuration and connection pool, our errors."""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Callable
from urllib.parse import urlencode

from ..core import retry_after
from ..core.imports import require
from .errors import ClusterError, of_status
from .package import parts

READ_ATTEMPTS = 3
"""A read is repeated when its connection breaks; a write never, for nobody knows whether it was done."""
LONGEST_WAIT = 5.0
"""Seconds before a read is repeated, whatever the API server asks for."""


@dataclass(frozen=True)
class ExecResult:
    """What a command in a container left behind."""

    rc: int
    stdout: bytes
    stderr: bytes


def encode(body: Any) -> bytes:
    """JSON that is YAML, too, for as such a server-side apply is read: it knows no escape for half a character."""
    text = json.dumps(body, ensure_ascii=False)
    return re.sub("[\x7f-\uffff]", lambda found: f"\\u{ord(found[0]):04x}", text).encode()


class Transport:
    """One API server and the credentials for it.

    Args:
        configuration: a ``kubernetes.client.Configuration`` with host, TLS and credentials set.
        timeout: limit in seconds for connecting, and for each answer.
    """

    def __init__(self, configuration: Any, timeout: float) -> None:
        self._configuration = configuration
        self._timeout = timeout
        self._urllib3 = require("urllib3")
        if not configuration.verify_ssl:
            # validate_certs: false was asked for; saying so with each request helps nobody.
            self._urllib3.disable_warnings(self._urllib3.exceptions.InsecureRequestWarning)
        self._pool = parts().rest.RESTClientObject(configuration).pool_manager
        self.server = str(configuration.host).rstrip("/")
        self.requests = 0
        self.waits = 0
        self._local = threading.local()

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Requests of this thread that only look whether something has come are counted as such."""
        before, self._local.waits = self._waits(), True
        try:
            yield
        finally:
            self._local.waits = before

    def _waits(self) -> bool:
        return bool(getattr(self._local, "waits", False))

    def _count(self) -> None:
        self.requests += 1
        self.waits += self._waits()

    def _headers(self) -> dict[str, str]:
        # auth_settings() renews an expired token where the kubeconfig says how.
        settings = self._configuration.auth_settings().values()
        return {str(setting["key"]): str(setting["value"]) for setting in settings if setting.get("value")}

    def _open(
        self, method: str, path: str, query: Mapping[str, Any], body: Any, content: str, read_timeout: float
    ) -> Any:
        url = self.server + path + ("?" + urlencode(query, doseq=True) if query else "")
        headers = {**self._headers(), "Accept": "application/json", "User-Agent": "kraf.edge"}
        if body is not None:
            headers["Content-Type"] = content
        self._count()
        return self._pool.request(
            method,
            url,
            body=None if body is None else encode(body),
            headers=headers,
            timeout=self._urllib3.Timeout(connect=min(self._timeout, read_timeout), read=read_timeout),
            retries=False,
            redirect=False,
            preload_content=False,
        )

    def _unreachable(self, error: Exception) -> ClusterError:
        reason = str(error).split(": ", maxsplit=1)[-1]
        if isinstance(error, self._urllib3.exceptions.SSLError):
            fix = "Give the certificate of its authority (ca_cert, or in the kubeconfig), or the name that it carries"
            return ClusterError("API server", self.server, f"its TLS certificate is not trusted: {reason}", fix)
        fix = "Check the address, the network between, and whether kube-apiserver runs"
        return ClusterError("API server", self.server, f"it cannot be reached: {reason}", fix, reason=reason)

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        content: str = "application/json",
    ) -> bytes:
        """Send one request and return the body of a success.

        Raises:
            ClusterError: or one of its kinds; never an exception of the libraries below.
        """
        attempts = READ_ATTEMPTS if method == "GET" else 1
        for attempt in range(1, attempts + 1):
            try:
                response = self._open(method, path, query or {}, body, content, self._timeout)
                data = bytes(response.read())
                response.release_conn()
            except self._urllib3.exceptions.HTTPError as error:
                refused = isinstance(
                    error, (self._urllib3.exceptions.NewConnectionError, self._urllib3.exceptions.SSLError)
                )
                timed_out = isinstance(error, self._urllib3.exceptions.TimeoutError)
                if attempt == attempts or refused or timed_out:
                    raise self._unreachable(error) from error
                time.sleep(0.2 * attempt)
                continue
            if response.status in (429, 503) and "Retry-After" in response.headers and attempt < attempts:
                wait = retry_after.seconds(response.headers["Retry-After"], LONGEST_WAIT)
                time.sleep(1.0 if wait is None else wait)
                continue
            if not 200 <= response.status < 300:
                raise of_status(self.server, method, path, response.status, _status(data))
            return data
        raise AssertionError("unreachable")

    def lines(self, path: str, query: Mapping[str, Any], limit: float) -> Iterator[bytes]:
        """The lines of a streamed answer, as they come; ends when the server or the limit (seconds) ends it.

        Raises:
            ClusterError: when the request itself fails; a stream that breaks later just ends.
        """
        deadline = time.monotonic() + limit
        try:
            response = self._open("GET", path, query, None, "", limit + 1)
        except self._urllib3.exceptions.HTTPError as error:
            raise self._unreachable(error) from error
        try:
            if not 200 <= response.status < 300:
                raise of_status(self.server, "GET", path, response.status, _status(bytes(response.read())))
            rest = b""
            for chunk in response.stream(2**16):
                *complete, rest = (rest + chunk).split(b"\n")
                yield from complete
                if time.monotonic() > deadline:
                    return
        except self._urllib3.exceptions.HTTPError:
            return
        finally:
            response.close()

    def exec(self, path: str, query: list[tuple[str, str]], stdin: bytes, timeout: float) -> ExecResult:
        """Run a command over the API server's exec endpoint (WebSocket)."""
        stream = require("kubernetes.stream.ws_client")
        url = stream.get_websocket_url(self.server + path, query)
        self._count()
        try:
            client = stream.WSClient(self._configuration, url, self._headers(), capture_all=False, binary=True)
        except Exception as error:
            why = f"the API server {self.server} did not start it: {error}"
            raise ClusterError("command in a container", path, why, "Check that the container runs") from error
        try:
            for start in range(0, len(stdin), 2**15):
                client.write_channel(stream.STDIN_CHANNEL, stdin[start : start + 2**15])
            output = _drain(client, stream, timeout)
            if output is None:
                why = f"it had not ended after {timeout:g} seconds"
                raise ClusterError("command in a container", path, why, "Raise the limit or look at the pod's log")
            return output
        finally:
            client.close()


def _drain(client: Any, stream: Any, timeout: float) -> ExecResult | None:
    deadline = time.monotonic() + timeout
    out: dict[int, bytes] = {stream.STDOUT_CHANNEL: b"", stream.STDERR_CHANNEL: b"", stream.ERROR_CHANNEL: b""}
    take: Callable[[int], bytes] = lambda channel: bytes(client.read_channel(channel))  # noqa: E731
    while client.is_open() and time.monotonic() < deadline:
        client.update(timeout=min(1.0, max(0.0, deadline - time.monotonic())))
        for channel in out:
            if client.peek_channel(channel):
                out[channel] += take(channel)
    status = _status(out[stream.ERROR_CHANNEL])
    if not status:
        return None
    rc = 0
    if status.get("status") != "Success":
        causes = (status.get("details") or {}).get("causes") or []
        codes = [str(cause.get("message")) for cause in causes if cause.get("reason") == "ExitCode"]
        if not codes:
            raise ClusterError(
                "command in a container", None, str(status.get("message")), "Check that the program is there"
            )
        rc = int(codes[0])
    return ExecResult(rc, out[stream.STDOUT_CHANNEL], out[stream.STDERR_CHANNEL])


def _status(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except ValueError:
        return {"message": data[:300].decode("utf-8", "replace")} if data else {}
    return found if isinstance(found, dict) else {}
