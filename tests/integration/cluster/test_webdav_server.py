"""The files of an export, served by a real lighttpd on this machine."""

from __future__ import annotations

import base64
import hashlib
import http.client
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration import webdav
from tests.integration.apiserver import free_port
from tests.integration.webdav import Server

QUOTA = b'<propfind xmlns="DAV:"><prop><quota-available-bytes/><quota-used-bytes/></prop></propfind>'


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server of the test's own."""
    with webdav.serving(tmp_path) as running:
        yield running


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


@pytest.mark.parametrize("mebibytes", [2, 200])
def test_wds_01_a_large_file_arrives_whole(server: Server, tmp_path: Path, mebibytes: int) -> None:
    sent = hashlib.sha256()

    def body() -> Iterator[bytes]:
        for number in range(mebibytes):
            part = number.to_bytes(4, "big") * 2**18
            sent.update(part)
            yield part

    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    token = base64.b64encode(server.account.encode()).decode()
    headers = {"Authorization": f"Basic {token}", "Content-Length": str(mebibytes * 2**20)}
    connection.request("PUT", "/large", body(), headers)
    assert connection.getresponse().status == 201
    with (server.files / "large").open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == sent.hexdigest()
    assert list((server.root / "volume/.kraf/uploads").iterdir()) == []


def test_wds_07_nobody_is_told_to_come_later_however_fast_he_asks(server: Server) -> None:
    def write(number: int) -> int:
        return server.ask("PUT", f"/file{number}", b"text")[0]

    with ThreadPoolExecutor(16) as threads:
        assert set(threads.map(write, range(1000))) == {201}
    assert len(list(server.files.iterdir())) == 1000


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
