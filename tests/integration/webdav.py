"""The files of an export, served by a real lighttpd on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from ansible_collections.kraf.edge.plugins.module_utils.manifests import export_files
from ansible_collections.kraf.edge.plugins.module_utils.manifests.export import CONFIG_FILES
from ansible_collections.kraf.edge.plugins.module_utils.tls.certificates import Request, issue, make_ca
from tests.integration.apiserver import free_port, program


@dataclass(frozen=True)
class Server:
    """A running server."""

    root: Path
    port: int
    account: str = "pi1:secret"
    pid: int = 0

    @property
    def files(self) -> Path:
        """What is served."""
        return self.root / "volume/files"

    def signal(self, number: int) -> None:
        """Send a signal to the server, as SIGSTOP, with which it falls silent."""
        os.kill(self.pid, number)

    def ask(
        self, method: str, path: str, body: bytes = b"", account: str | None = None, **headers: str
    ) -> tuple[int, str, dict[str, str]]:
        """Status, body and headers of an answer; redirects are not followed. An account of "" sends none."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body or None, method=method)
        account = self.account if account is None else account
        if account:
            request.add_header("Authorization", "Basic " + b64encode(account.encode()).decode())
        if body:
            request.add_header("Content-Type", "application/xml")
        for name, value in headers.items():
            request.add_header(name, value)
        opener = urllib.request.build_opener(NoRedirect)
        try:
            with opener.open(request, timeout=20) as answer:
                return answer.status, answer.read().decode(errors="replace"), dict(answer.headers)
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(), dict(error.headers)

    def probe(self) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(["bash", self.root / "config/probe"], capture_output=True, timeout=60, check=False)


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Shows a redirect as what it is."""

    def redirect_request(self, *args: object) -> None:
        return None


@contextmanager
def serving(folder: Path, account: str = "pi1:secret", more: str = "") -> Iterator[Server]:
    """lighttpd with an export's files; only paths and ports differ.

    Args:
        folder: an empty one.
        account: who may come in, as ``user:password``.
        more: lines to add to its configuration, to see what it does.
    """
    port, tls = free_port(), free_port()
    folders = {export_files.VOLUME: "volume", export_files.CREDENTIALS: "credentials", export_files.CONFIG: "config"}
    for name in folders.values():
        (folder / name).mkdir()
    for name, text in CONFIG_FILES.items():
        for path, place in folders.items():
            text = text.replace(path, str(folder / place))
        text = text.replace(str(export_files.PLAIN_PORT), str(port)).replace(str(export_files.TLS_PORT), str(tls))
        (folder / "config" / name).write_text(text)
    with (folder / "config/lighttpd.conf").open("a") as config:
        config.write(more)
    now = datetime.now(timezone.utc)
    pair = issue(make_ca("test", 10, now), Request("localhost", dns_names=("localhost",), days=5), now)
    (folder / "credentials/tls.crt").write_bytes(pair.certificate)
    (folder / "credentials/tls.key").write_bytes(pair.key)
    (folder / "credentials/users").write_text(f"{account}\n")
    with started(folder) as running:
        found = Server(folder, port, account, running.pid)
        deadline = time.monotonic() + 30
        while found.probe().returncode and time.monotonic() < deadline:
            time.sleep(0.1)
        yield found


def started(folder: Path) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """The server whose files are there already."""
    return program("lighttpd", Path(shutil.which("bash") or "bash"), [str(folder / "config/start")])
