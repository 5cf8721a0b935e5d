# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The catalog in a real PostgreSQL, which several operators and AWX use."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import App, Device, Port
from ansible_collections.kraf.edge.plugins.module_utils.catalog.store import open_catalog
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError

PASSWORD = "canary-5e0f"


def _program(name: str) -> str | None:
    # Debian keeps the server's programs off the path, one folder for each version.
    found = sorted(str(path) for path in Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return shutil.which(name) or (found[-1] if found else None)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """URL of a server that has no database of ours yet, without the database's name."""
    initdb, postgres = _program("initdb"), _program("postgres")
    assert initdb, "PostgreSQL is not installed"
    assert postgres, "PostgreSQL is not installed"
    # PostgreSQL refuses to run as root.
    user = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
    folder = Path(tempfile.mkdtemp(prefix="kraf-postgresql-"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "password").write_text(PASSWORD)
    for path in (folder, folder / "password"):
        os.chown(path, user.pw_uid, user.pw_gid)
    options = ["-D", str(folder / "data")]
    as_user = {"user": user.pw_uid, "group": user.pw_gid, "cwd": folder} if os.getuid() == 0 else {"cwd": folder}
    first = [initdb, *options, "-U", "kraf", "-A", "scram-sha-256", "--pwfile", str(folder / "password"), "-E", "UTF8"]
    subprocess.run([*first, "--no-sync"], check=True, stdout=subprocess.DEVNULL, **as_user)  # type: ignore[call-overload]
    settings = ["-h", "127.0.0.1", "-p", str(port), "-k", str(folder), "-c", "fsync=off"]
    with (folder / "log").open("wb") as log:
        running = subprocess.Popen([postgres, *options, *settings], stdout=log, stderr=log, **as_user)  # type: ignore[call-overload]
        try:
            url = f"postgresql://kraf:{PASSWORD}@127.0.0.1:{port}"
            _wait(url, folder / "log")
            yield url
        finally:
            running.terminate()
            running.wait(timeout=30)
            shutil.rmtree(folder)


def _wait(url: str, log: Path) -> None:
    for _attempt in range(200):
        try:
            with open_catalog(f"{url}/postgres"):
                pass
        except KrafError as error:
            if "holds no catalog" in error.why:
                return
            threading.Event().wait(0.1)
    pytest.fail(f"PostgreSQL did not start: {log.read_text()[-2000:]}")


@pytest.fixture
def url(server: str, request: pytest.FixtureRequest) -> str:
    import psycopg

    name = f"t{abs(hash(request.node.name))}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"{server}/{name}"


def test_rows_are_kept_changed_and_removed(url: str) -> None:
    app = App("pi1", "faces", container="faces", ports=(Port(80, 8000),), images={"arm64": "r/faces:1"})
    with open_catalog(url, write=True) as catalog:
        catalog.put_devices(
            [Device("pi1", machine_id="1" * 32, labels={"site": "lab"}), Device("pi2", memory_bytes=2**33)]
        )
        catalog.put_apps([app])
    with open_catalog(url, write=True) as catalog:
        assert not catalog.put_apps([app]).changed
        assert catalog.put_apps([replace(app, cpu="1")]).changed
        changed = catalog.put_devices([Device("pi1", machine_id=""), Device("pi2", machine_id="1" * 32)])
        assert sorted(changed.after) == ["pi1", "pi2"]
    with open_catalog(url) as catalog:
        assert catalog.app("pi1", "faces") == replace(app, cpu="1")
        assert [device.machine_id for device in catalog.devices()] == ["", "1" * 32]
    with open_catalog(url, write=True) as catalog:
        catalog.remove_apps([("pi1", "faces")])
        catalog.remove_devices(["pi1", "pi2"])
        assert catalog.devices() == []


def test_check_mode_leaves_no_table(url: str) -> None:
    with open_catalog(url, write=True, check_mode=True) as catalog:
        assert catalog.put_devices([Device("pi1")]).changed
    with pytest.raises(KrafError, match="holds no catalog"), open_catalog(url):
        pass


def test_reg_01_of_writers_at_the_same_time_one_wins_and_the_others_name_both_rows(url: str) -> None:
    names, said = ["Pi_4", "pi-4", "PI-4", "pi--4"], []
    barrier = threading.Barrier(len(names))

    def put(name: str) -> None:
        barrier.wait()
        try:
            with open_catalog(url, write=True) as catalog:
                catalog.put_devices([Device(name)])
        except KrafError as error:
            said.append(str(error))

    writers = [threading.Thread(target=put, args=(name,)) for name in names]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=60)
    with open_catalog(url) as catalog:
        (winner,) = catalog.devices()
    assert len(said) == len(names) - 1
    assert all(repr(winner.name) in text and "same name" in text for text in said)


def test_a_wrong_password_is_an_error_that_does_not_show_it(url: str) -> None:
    with pytest.raises(KrafError) as caught, open_catalog(url.replace(PASSWORD, "wrong-canary")):
        pass
    assert "password authentication failed" in str(caught.value)
    assert "canary" not in str(caught.value)
