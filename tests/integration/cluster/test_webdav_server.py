"""The files of an export, served by a real lighttpd on this machine."""

from __future__ import annotations

import shutil
import subprocess
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.manifests import export_files
from ansible_collections.kraf.edge.plugins.module_utils.manifests.export import CONFIG_FILES
from ansible_collections.kraf.edge.plugins.module_utils.tls.certificates import Request, issue, make_ca
from tests.integration.apiserver import free_port, program

MODULES = Path("/usr/lib/lighttpd")
PACKAGES = {
    "mod_webdav.so": "lighttpd-mod-webdav",
    "mod_magnet.so": "lighttpd-modules-lua",
    "mod_openssl.so": "lighttpd-mod-openssl",
}
QUOTA = b'<propfind xmlns="DAV:"><prop><quota-available-bytes/><quota-used-bytes/></prop></propfind>'


@dataclass(frozen=True)
class Server:
    """A running server."""

    root: Path
    port: int

    def ask(
        self, method: str, path: str, body: bytes = b"", account: str = "pi1:secret", **headers: str
    ) -> tuple[int, str, dict[str, str]]:
        """Status, body and headers of an answer; redirects are not followed."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body or None, method=method)
        if account:
            request.add_header("Authorization", "Basic " + b64encode(account.encode()).decode())
        if body:
            request.add_header("Content-Type", "application/xml")
        for name, value in headers.items():
            request.add_header(name, value)
        opener = urllib.request.build_opener(NoRedirect)
        try:
            with opener.open(request, timeout=20) as answer:
                return answer.status, answer.read().decode(), dict(answer.headers)
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(), dict(error.headers)

    def probe(self) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(["bash", self.root / "config/probe"], capture_output=True, timeout=60, check=False)


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """Shows a redirect as what it is."""

    def redirect_request(self, *args: object) -> None:
        return None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """lighttpd with an export's files; only paths and ports differ."""
    if not shutil.which("lighttpd"):
        pytest.fail("lighttpd is not installed: apt-get install lighttpd")
    for module, package in PACKAGES.items():
        assert (MODULES / module).exists(), f"apt-get install {package}"
    port, tls = free_port(), free_port()
    folders = {export_files.VOLUME: "volume", export_files.CREDENTIALS: "credentials", export_files.CONFIG: "config"}
    for name in folders.values():
        (tmp_path / name).mkdir()
    for name, text in CONFIG_FILES.items():
        for path, folder in folders.items():
            text = text.replace(path, str(tmp_path / folder))
        text = text.replace(str(export_files.PLAIN_PORT), str(port)).replace(str(export_files.TLS_PORT), str(tls))
        (tmp_path / "config" / name).write_text(text)
    now = datetime.now(timezone.utc)
    pair = issue(make_ca("test", 10, now), Request("localhost", dns_names=("localhost",), days=5), now)
    (tmp_path / "credentials/tls.crt").write_bytes(pair.certificate)
    (tmp_path / "credentials/tls.key").write_bytes(pair.key)
    (tmp_path / "credentials/users").write_text("pi1:secret\n")
    found = Server(tmp_path, port)
    with program("lighttpd", Path(shutil.which("bash") or "bash"), [str(tmp_path / "config/start")]):
        deadline = time.monotonic() + 30
        while found.probe().returncode and time.monotonic() < deadline:
            time.sleep(0.1)
        yield found


def test_wds_02_the_probe_locks_writes_and_leaves_nothing_behind(server: Server) -> None:
    done = server.probe()
    assert (done.returncode, done.stderr) == (0, b"")
    assert list((server.root / "volume/files").iterdir()) == []
    assert list((server.root / "volume/.kraf/probe").iterdir()) == []


def test_wds_02_without_its_table_of_locks_a_server_is_not_ready(server: Server) -> None:
    locks = server.root / "volume/.kraf/locks.sqlite"
    locks.write_bytes(b"damaged" * 1000)
    done = server.probe()
    assert done.returncode == 1
    assert b"LOCK answered" in done.stderr


def test_the_probe_does_not_take_a_closed_port_for_a_server(server: Server) -> None:
    script = (server.root / "config/probe").read_text().replace(str(server.port), str(free_port()))
    (server.root / "config/probe").write_text(script)
    assert server.probe().returncode == 1


def test_wds_01_a_large_file_arrives_whole(server: Server) -> None:
    body = bytes(range(256)) * 4 * 2**10 * 20
    assert server.ask("PUT", "/large", body)[0] == 201
    assert (server.root / "volume/files/large").read_bytes() == body
    assert list((server.root / "volume/.kraf/uploads").iterdir()) == []


@pytest.mark.parametrize("path", ["/folder", "/folder/"])
def test_wds_04_a_folder_is_listed_with_and_without_its_slash(server: Server, path: str) -> None:
    assert server.ask("MKCOL", "/folder/")[0] == 201
    status, body, _headers = server.ask("PROPFIND", path, Depth="1")
    assert status == 207
    assert "<D:href>/folder/</D:href>" in body


def test_a_file_has_an_etag_by_which_clients_see_that_it_changed(server: Server) -> None:
    server.ask("PUT", "/file", b"one")
    first = server.ask("GET", "/file")[2]["ETag"]
    server.ask("PUT", "/file", b"other")
    assert server.ask("GET", "/file")[2]["ETag"] != first


@pytest.mark.parametrize("account", ["", "pi1:wrong", "other:secret"])
def test_sec_04_nobody_gets_in_without_this_exports_password(server: Server, account: str) -> None:
    for method in ("GET", "PROPFIND", "PUT", "LOCK"):
        assert server.ask(method, "/file", account=account)[0] == 401


def test_the_size_that_clients_show_is_the_volumes(server: Server) -> None:
    status, body, _headers = server.ask("PROPFIND", "/", QUOTA, Depth="0")
    assert status == 207
    numbers = [body.split(f"<D:quota-{name}-bytes>")[1].split("<")[0] for name in ("available", "used")]
    usage = shutil.disk_usage(server.root / "volume")
    assert sum(map(int, numbers)) == usage.total
    assert "404" not in body


def test_other_properties_are_answered_beside_the_size(server: Server) -> None:
    question = QUOTA.replace(b"<prop>", b"<prop><resourcetype/><unknown/>")
    body = server.ask("PROPFIND", "/", question, Depth="0")[1]
    assert "<D:collection/>" in body
    assert "404 Not Found" in body
    assert "<D:quota-used-bytes>" in body
