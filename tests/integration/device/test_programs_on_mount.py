"""What programs can do on a mount, as the README of the role device tells it; and what many small files cost."""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import re
import sqlite3
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import App, Data
from ansible_collections.kraf.edge.plugins.module_utils.on_device import adopt, davfs, disk, docker, mounts
from ansible_collections.kraf.edge.plugins.module_utils.placement import portable_storage
from tests.integration import webdav
from tests.integration.webdav import Server

from . import engine as engines
from . import parts
from .mounting import Init

POINT = Path("/srv/kraf/photos")
README = Path(__file__).resolve().parents[3] / "roles/device/README.md"
COUNT, SIZE = 200, 4096


@pytest.fixture
def server(init: Init, tmp_path: Path) -> Iterator[Server]:
    """A server that writes down each request with the bytes that it took, and its volume mounted."""
    (tmp_path / "server").mkdir()
    log = tmp_path / "server/log"
    more = f'server.modules += ("mod_accesslog")\naccesslog.filename = "{log}"\naccesslog.format = "%m %I %U"\n'
    with webdav.serving(tmp_path / "server", more=more) as running:
        mounts.ensure(davfs.Mount("photos", str(POINT), running.port, "pi1"), "secret", 30)
        yield running


def rename_over_open() -> bool:
    Path("old").write_text("old")
    Path("new").write_text("new")
    with Path("old").open() as file:
        Path("new").rename("old")
        return file.read() == "old" and Path("old").read_text() == "new"


def go_on_with_what_lost_its_name() -> bool:
    Path("held").write_text("old")
    Path("other").write_text("new")
    with Path("held").open() as file:
        Path("other").rename("held")
        return os.fstat(file.fileno()).st_size == 3


def sed_in_place() -> bool:
    Path("text").write_text("one\n")
    subprocess.run(["sed", "-i", "s/one/two/", "text"], check=True)
    return Path("text").read_text() == "two\n"


def append_and_truncate() -> bool:
    Path("log").write_text("one")
    with Path("log").open("a") as file:
        file.write("two")
    os.truncate("log", 4)
    return Path("log").read_text() == "onet"


def rename_folder() -> bool:
    Path("folder/inside").mkdir(parents=True)
    Path("folder").rename("other")
    return os.listdir("other") == ["inside"]


def git() -> bool:
    Path("repository").mkdir()
    user = ["-c", "user.name=pi1", "-c", "user.email=pi1@kraf.internal"]
    Path("repository/file").write_text("text")
    for words in (["init", "-q"], ["add", "file"], [*user, "commit", "-q", "-m", "one"], ["fsck", "--strict"]):
        subprocess.run(["git", "-C", "repository", *words], check=True, capture_output=True)
    return True


def sqlite(mode: str) -> bool:
    database = sqlite3.connect(f"{mode}.sqlite")
    with contextlib.closing(database), database:
        database.execute(f"PRAGMA journal_mode={mode}")
        database.execute("CREATE TABLE photos (name)")
        database.execute("INSERT INTO photos VALUES ('one')")
        return database.execute("SELECT * FROM photos").fetchall() == [("one",)]


def shared_memory() -> bool:
    with Path("mapped").open("w+b") as file:
        file.write(bytes(4096))
        file.flush()
        mmap.mmap(file.fileno(), 4096).close()
    return True


def lock() -> bool:
    with Path("locked").open("w") as file:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return True


def symbolic_link() -> bool:
    os.symlink("target", "symbolic")
    return True


def hard_link() -> bool:
    Path("one").touch()
    os.link("one", "two")
    return True


def pipe() -> bool:
    os.mkfifo("pipe")
    return True


OPERATIONS: dict[str, Callable[[], bool]] = {
    "write over a file that is open elsewhere, by renaming (editors, atomic writes)": rename_over_open,
    "`sed -i`": sed_in_place,
    "append, truncate": append_and_truncate,
    "rename a folder": rename_folder,
    "`git init`, `commit`, `fsck`": git,
    "SQLite with its usual journal, one process": lambda: sqlite("DELETE"),
    "locks between programs of the device (`flock`, `fcntl`)": lock,
    "SQLite in WAL mode": lambda: sqlite("WAL"),
    "shared memory of a file (`mmap`)": shared_memory,
    "go on with an open file that was removed, or that another was renamed over (`fstat`, reading to its end)": (
        go_on_with_what_lost_its_name
    ),
    "symbolic links": symbolic_link,
    "hard links": hard_link,
    "named pipes, sockets": pipe,
}


def test_dav_10_programs_can_do_what_the_readme_says_and_no_more(server: Server) -> None:
    table = re.findall(r"^\| (.+?) +\| (yes|no) +\|", README.read_text(), re.MULTILINE)
    found = {}
    place = os.getcwd()
    for name, operation in OPERATIONS.items():
        os.chdir(POINT)
        try:
            found[name] = operation()
        except (OSError, sqlite3.OperationalError):
            found[name] = False
        finally:
            os.chdir(place)
    assert found == {name: answer == "yes" for name, answer in table}


@pytest.fixture
def faces(server: Server) -> Path:
    """A data directory on the mount, with a file of settings."""
    (POINT / "faces").mkdir()
    (POINT / "faces/settings").write_text("colour=red\n")
    return POINT / "faces"


def reported(look: dict[str, Any]) -> dict[str, str]:
    """What the portability report has of single files, by their names."""
    rows = portable_storage.rows(App("pi1", "hub", data=(Data("faces", "/data"),)), look)
    return {one["property"]: one["why"] for one in rows if one["property"].startswith("file ")}


def on_mount(folder: Path) -> dict[str, Any]:
    """A look at a program of the device whose data are in a directory."""
    [found] = disk.of([("faces", str(folder))])
    return {"running": True, "data": {"faces": {"path": "/data", "folder": str(folder), **disk.state(found)}}}


def write_over(folder: Path) -> None:
    """As ``sed -i`` does it: a new file, renamed."""
    subprocess.run(["sed", "-i", "s/red/blue/", folder / "settings"], check=True)
    assert (folder / "settings").read_text() == "colour=blue\n"


def test_dav_10_open_file_that_another_was_renamed_over_is_named_while_it_is_open(faces: Path) -> None:
    with (faces / "settings").open("rb", buffering=0) as file:
        assert reported(on_mount(faces)) == {}
        write_over(faces)
        assert "renamed over it" in reported(on_mount(faces))["file settings of data faces"]
        # What it is warned of.
        with pytest.raises(FileNotFoundError):
            os.fstat(file.fileno())
        time.sleep(1.2)  # the kernel has the size from davfs2 for a second
        with pytest.raises(FileNotFoundError):
            file.read(4096)
    assert reported(on_mount(faces)) == {}


def test_dav_10_open_file_that_was_removed_is_named_while_it_is_open(faces: Path) -> None:
    with (faces / "scratch").open("w+"):
        (faces / "scratch").unlink()
        assert "it was removed" in reported(on_mount(faces))["file scratch of data faces"]
    assert reported(on_mount(faces)) == {}


def test_dav_10_file_that_is_renamed_while_it_is_written_is_not_named(faces: Path) -> None:
    with (faces / "log").open("w") as file:
        file.write("one")
        (faces / "log").rename(faces / "log.1")
        assert reported(on_mount(faces)) == {}


def test_dav_10_new_file_that_is_renamed_before_it_is_closed_is_not_on_the_server_meanwhile(server: Server) -> None:
    (POINT / "old").write_text("old")
    parts.until((server.files / "old").exists, what="the old file on the server")
    with (POINT / "new").open("w") as file:
        file.write("new")
        (POINT / "new").rename(POINT / "old")
        assert os.listdir(server.files) == []
    parts.until((server.files / "old").exists, what="the new file on the server")
    assert (server.files / "old").read_text() == "new"


def test_dav_10_what_a_container_has_open_is_named_as_the_device_has_it(
    faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Sockets want short paths.
    with (
        tempfile.TemporaryDirectory(prefix="kraf-engine-") as folder,
        engines.running(Path(folder), apart=False) as engine,
    ):
        monkeypatch.setattr(docker, "SOCKET", str(engine.socket))
        engine.make_image(engines.IMAGE, engines.root(tmp_path / "root"))
        binds = {"Binds": [f"{faces}:/data"]}
        engine.create("hub", Cmd=["sh", "-c", "exec 3</data/settings; exec sleep 1000"], HostConfig=binds)
        engine.start("hub")
        pid = engine.ask("GET", "/containers/hub/json")["State"]["Pid"]
        parts.until(Path(f"/proc/{pid}/fd/3").is_symlink, what="the file that the container opens")
        look = [("faces", "/data", "")]
        assert reported(adopt.look("hub", "hub", look, False)["container"]) == {}
        write_over(faces)
        found = reported(adopt.look("hub", "hub", look, False)["container"])
    assert list(found) == ["file settings of data faces"]


def requests(server: Server) -> list[tuple[str, int]]:
    """Methods and bytes of the requests so far."""
    mark = f"/mark-{time.monotonic_ns()}"
    assert server.ask("GET", mark)[0] == 404
    parts.until(lambda: mark in (server.root / "log").read_text(), 30, "lighttpd writes its log now and then")
    lines = [line.split() for line in (server.root / "log").read_text().splitlines() if "/mark-" not in line]
    return [(method, int(size)) for method, size, _path in lines]


def arrived(server: Server, folder: str) -> bool:
    found = [path.stat().st_size for path in (server.files / folder).glob("f[0-9]*")]
    return len(found) == COUNT and set(found) == {SIZE}


def test_dav_11_small_files_cost_one_request_each_and_no_byte_twice(server: Server, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for number in range(COUNT):
        (source / f"f{number}").write_bytes(os.urandom(SIZE))
    before = len(requests(server))
    in_place = ["rsync", "-a", "--inplace", "--whole-file", f"{source}/", f"{POINT}/in-place"]
    subprocess.run(in_place, check=True)
    parts.until(lambda: arrived(server, "in-place"), 60)
    subprocess.run(in_place, check=True)
    seen = requests(server)[before:]
    assert Counter(method for method, _size in seen)["PUT"] == COUNT
    assert len(seen) < COUNT * 1.1
    assert sum(size for _method, size in seen) < COUNT * SIZE * 1.2


def test_dav_11_a_copy_that_renames_costs_three_requests_a_file_and_no_byte_twice(
    server: Server, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for number in range(COUNT):
        (source / f"f{number}").write_bytes(os.urandom(SIZE))
    before = len(requests(server))
    subprocess.run(["rsync", "-a", f"{source}/", f"{POINT}/renamed"], check=True)
    parts.until(lambda: arrived(server, "renamed"), 60)
    seen = requests(server)[before:]
    assert COUNT * 2 < len(seen) < COUNT * 3.1
    assert sum(size for _method, size in seen) < COUNT * SIZE * 1.3
