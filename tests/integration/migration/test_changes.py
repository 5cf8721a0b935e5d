"""What is read again while clients wait: by real rsync, real file systems, and programs that hide their writes."""

from __future__ import annotations

import json
import mmap
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.manifests import mover as scripts
from ansible_collections.kraf.edge.plugins.module_utils.on_device import manifest, tree

from . import trees
from .movers import Running

LIMIT = 60.0


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory of which only a part is worth reading again."""
    monkeypatch.setattr(manifest, "SMALL", 1)
    found = tmp_path / "device/data"
    trees.fill(found)
    (found / "big").write_bytes(os.urandom(5 << 20))
    time.sleep(0.1)  # nothing is racy
    return found


def rewrite(folder: Path) -> None:
    """Other content of the same size, and the time set back."""
    path = folder / "plain"
    state = path.stat()
    path.write_bytes(bytes(255 - byte for byte in path.read_bytes()))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def replace(folder: Path) -> None:
    """Another file of the same size and time under the same name."""
    path, other = folder / "plain", folder / "plain.new"
    state = path.stat()
    other.write_bytes(bytes(255 - byte for byte in path.read_bytes()))
    os.utime(other, ns=(state.st_atime_ns, state.st_mtime_ns))
    other.rename(path)


HIDDEN: dict[str, Callable[[Path], object]] = {
    "time-set-back": rewrite,
    "replaced": replace,
    "mode": lambda folder: (folder / "plain").chmod(0o600),
    "owner": lambda folder: os.chown(folder / "plain", 7, 8),
    "attribute": lambda folder: os.setxattr(folder / "plain", "user.kraf", b"other"),
    "access-list": lambda folder: os.setxattr(folder / "plain", trees.ACCESS, trees.acl(4714, 1)),
    "default-access-list": lambda folder: os.setxattr(folder / "empty-dir", trees.DEFAULT, trees.acl(4714, 7)),
    "removed": lambda folder: (folder / "plain").unlink(),
    "new": lambda folder: (folder / b"new\xff\n".decode(errors="surrogateescape")).write_text("new"),
    "renamed": lambda folder: (folder / "deep").rename(folder / "deeper"),
    "other-kind": lambda folder: ((folder / "plain").unlink(), (folder / "plain").mkdir()),
    "one-of-two-names": lambda folder: (folder / "hard-1").write_text("both"),
}


@pytest.mark.parametrize("what", HIDDEN)
def test_whatever_changed_since_the_first_copy_arrives_at_the_edge(mover: Running, folder: Path, what: str) -> None:
    pairs = tree.to_edge([("store", str(folder))], mover.remote, 2, 0)
    before = manifest.make(str(folder))
    tree.first("notes", 1, pairs, mover.remote, LIMIT)
    HIDDEN[what](folder)
    again = manifest.changed(str(folder), before)
    assert again is not None
    assert b"big" not in again
    changes = {"store": tree.listed("notes", "store", again) if again else ""}
    sent = tree.final("notes", pairs, mover.remote, LIMIT, changes)
    assert sent.bytes < 1 << 20
    tree.compare("notes", pairs, mover.remote, LIMIT, changes)
    assert trees.seen(mover.data / "2/store") == trees.seen(folder)
    tree.forget("notes")
    assert not list(tree.LOCKS.glob("copy-notes*"))


@pytest.mark.parametrize("what", HIDDEN)
def test_whatever_changed_since_the_first_copy_comes_back(mover: Running, folder: Path, what: str) -> None:
    tree.final("notes", tree.to_edge([("store", str(folder))], mover.remote, 2, 0), mover.remote, LIMIT)
    edge = mover.data / "2/store"
    time.sleep(2.1)
    done = mover.script(scripts.REMEMBER, 2)
    assert done.returncode == 0, done.stderr
    pairs = tree.to_device([("store", str(folder))], mover.remote, 2, 3)
    tree.first("notes", 2, pairs, mover.remote, LIMIT)
    HIDDEN[what](edge)
    done = mover.script(f'{scripts.CHANGED}printf %s "$text"', 2)
    assert done.returncode == 0, done.stderr
    changes = json.loads(done.stdout)
    assert set(changes) == {"store"}
    listed = (mover.data / ".kraf/changed-store").read_bytes()
    assert b"big" not in listed
    assert bool(listed) == bool(changes["store"])
    sent = tree.final("notes", pairs, mover.remote, LIMIT, changes)
    assert sent.bytes < 1 << 20
    tree.compare("notes", pairs, mover.remote, LIMIT, changes)
    assert trees.seen(Path(tree.beside(str(folder), 3))) == trees.seen(edge)


def test_a_write_through_mmap_after_the_first_copy_arrives_although_the_page_was_dirty_before(
    mover: Running, folder: Path
) -> None:
    path, pairs = folder / "big", tree.to_edge([("store", str(folder))], mover.remote, 2, 0)
    with path.open("r+b") as stream, mmap.mmap(stream.fileno(), 0) as memory:
        memory[0:4] = b"1111"
        time.sleep(0.1)
        before = manifest.make(str(folder))
        tree.first("notes", 1, pairs, mover.remote, LIMIT)
        time.sleep(0.1)
        # The page is mapped for writing already; without the sync in between this write would leave no trace.
        memory[0:4] = b"2222"
    copy = mover.data / "2/store"
    assert (copy / "big").read_bytes()[:4] == b"1111"
    again = manifest.changed(str(folder), before)
    assert again is not None
    assert b"big" in again
    changes = {"store": tree.listed("notes", "store", again)}
    tree.final("notes", pairs, mover.remote, LIMIT, changes)
    tree.compare("notes", pairs, mover.remote, LIMIT, changes)
    assert (copy / "big").read_bytes()[:4] == b"2222"
    assert trees.seen(copy) == trees.seen(folder)


def test_what_was_written_just_before_the_first_copy_is_read_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "plain").write_text("a moment ago")
    soon = (folder / "plain").stat().st_ctime_ns + manifest.TICK_NS // 2
    with monkeypatch.context() as patch:
        # A sync may take longer than the tick.
        patch.setattr(manifest.time, "time_ns", lambda: soon)
        before = manifest.make(str(folder))
    assert b"plain" in (manifest.changed(str(folder), before) or [])


def test_a_file_system_that_hides_writes_is_read_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "TRUSTED", ())
    assert manifest.changed(str(folder), manifest.make(str(folder))) is None


def test_little_data_are_read_whole(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest, "SMALL", 64 << 20)
    assert manifest.changed(str(folder), manifest.make(str(folder))) is None


WRITER = """
import sqlite3, sys
base = sqlite3.connect(sys.argv[1], isolation_level=None)
base.execute("PRAGMA journal_mode=WAL")
base.execute("PRAGMA synchronous=FULL")
base.execute("CREATE TABLE IF NOT EXISTS numbers (number INTEGER PRIMARY KEY, text TEXT)")
number = 0
while True:
    number += 1
    base.execute("INSERT INTO numbers VALUES (?, ?)", (number, "x" * 100))
    print(number, flush=True)
"""


def test_a_database_in_wal_mode_whose_app_is_killed_arrives_with_all_that_was_committed(
    mover: Running, folder: Path
) -> None:
    base = folder / "app.sqlite"
    pairs = tree.to_edge([("store", str(folder))], mover.remote, 2, 0)
    with subprocess.Popen([sys.executable, "-c", WRITER, str(base)], stdout=subprocess.PIPE, text=True) as app:
        assert app.stdout is not None
        for _number in range(200):
            app.stdout.readline()
        before = manifest.make(str(folder))
        tree.first("notes", 1, pairs, mover.remote, LIMIT)
        for _number in range(200):
            app.stdout.readline()
        app.send_signal(signal.SIGKILL)
        said = app.stdout.read().split()
        last = int(said[-1]) if said else 400
    again = manifest.changed(str(folder), before)
    assert again is not None
    changes = {"store": tree.listed("notes", "store", again)}
    tree.final("notes", pairs, mover.remote, LIMIT, changes)
    tree.compare("notes", pairs, mover.remote, LIMIT, changes)
    with sqlite3.connect(mover.data / "2/store/app.sqlite") as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert copy.execute("SELECT max(number), count(*) FROM numbers").fetchone()[0] >= last


def test_a_copy_that_was_cut_off_goes_on_where_it_was(mover: Running, folder: Path) -> None:
    cut = mover.data / "2/store/big"
    cut.parent.mkdir(parents=True)
    cut.write_bytes((folder / "big").read_bytes()[: 4 << 20])
    pairs = tree.to_edge([("store", str(folder))], mover.remote, 2, 0)
    sent = tree.first("notes", 1, pairs, mover.remote, LIMIT)
    whole = tree.first("notes", 1, tree.to_edge([("store", str(folder))], mover.remote, 6, 0), mover.remote, LIMIT)
    assert whole.bytes - sent.bytes > 3 << 20
    assert trees.seen(mover.data / "2/store") == trees.seen(folder)


def test_what_an_earlier_try_left_is_not_believed_for_its_times(mover: Running, folder: Path) -> None:
    pairs = tree.to_edge([("store", str(folder))], mover.remote, 2, 0)
    tree.first("notes", 1, pairs, mover.remote, LIMIT)
    rewrite(folder)
    tree.first("notes", 1, pairs, mover.remote, LIMIT)
    assert (mover.data / "2/store/plain").read_bytes() == (folder / "plain").read_bytes()


def test_a_second_copy_of_what_did_not_change_sends_less_than_a_hundredth(mover: Running, folder: Path) -> None:
    (folder / "big").write_bytes(os.urandom(40 << 20))
    first = tree.first("notes", 1, tree.to_edge([("store", str(folder))], mover.remote, 2, 0), mover.remote, LIMIT)
    again = tree.first("notes", 3, tree.to_edge([("store", str(folder))], mover.remote, 4, 2), mover.remote, LIMIT)
    assert again.bytes < first.bytes / 100


def test_how_far_it_is_is_told(mover: Running, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ansible_collections.kraf.edge.plugins.module_utils.on_device import run

    monkeypatch.setattr(run, "TELL", 0.02)
    (folder / "big").write_bytes(os.urandom(150 << 20))
    said: list[int] = []
    pairs = tree.to_edge([("store", str(folder))], mover.remote, 2, 0)
    tree.first("notes", 1, pairs, mover.remote, LIMIT, said.append)
    assert said
    assert said == sorted(said)
    assert said[-1] <= trees.allocated(folder / "big") + (64 << 20)
