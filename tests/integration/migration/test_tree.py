"""Copies of data directories, by real rsync through a real door to a real mover."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.manifests import mover as manifests
from ansible_collections.kraf.edge.plugins.module_utils.on_device import tree
from ansible_collections.kraf.edge.plugins.module_utils.on_device.tree import Pair, Remote

from . import trees
from .movers import Running

LIMIT = 60.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data directory on the device, full of everything."""
    found = tmp_path / "device/data dir"
    trees.fill(found)
    return found


def to_edge(folder: Path, mover: Running, number: int = 2, basis: int = 0) -> list[Pair]:
    return tree.to_edge([("store", str(folder))], mover.remote, number, basis)


def copy_to_edge(folder: Path, mover: Running, number: int = 2, basis: int = 0) -> Path:
    pairs = to_edge(folder, mover, number, basis)
    tree.first("notes", 1, pairs, mover.remote, LIMIT)
    tree.final("notes", pairs, mover.remote, LIMIT)
    tree.compare("notes", pairs, mover.remote, LIMIT)
    return mover.data / str(number) / "store"


def test_everything_arrives_at_the_edge_as_it_was(mover: Running, folder: Path) -> None:
    before = trees.seen(folder)
    copy = copy_to_edge(folder, mover)
    assert trees.seen(copy) == before
    assert trees.seen(folder) == before
    assert trees.allocated(copy / "sparse") < 1 << 20


def test_access_control_lists_and_those_that_new_files_inherit_arrive_at_the_edge(mover: Running, folder: Path) -> None:
    copy = copy_to_edge(folder, mover)
    assert os.getxattr(copy / "shared", trees.ACCESS) == trees.acl(4711, 7)
    assert os.getxattr(copy / "shared", trees.DEFAULT) == trees.acl(4712, 6)
    assert trees.ACCESS not in os.listxattr(copy / "shared/before")
    for name in ("shared/inherits", "shared/below"):
        assert os.getxattr(copy / name, trees.ACCESS) == os.getxattr(folder / name, trees.ACCESS)
    (copy / "shared/made-at-the-edge").touch()
    (folder / "shared/made-on-the-device").touch()
    made = os.getxattr(copy / "shared/made-at-the-edge", trees.ACCESS)
    assert made == os.getxattr(folder / "shared/made-on-the-device", trees.ACCESS)


def test_everything_comes_back_beside_the_old_data(mover: Running, folder: Path) -> None:
    copy_to_edge(folder, mover)
    edge = mover.data / "2/store"
    (edge / "plain").write_text("written at the edge")
    (edge / "new").write_text("new at the edge")
    (edge / "with space").unlink()
    old = trees.seen(folder)
    pairs = tree.to_device([("store", str(folder))], mover.remote, 2, 3)
    tree.first("notes", 2, pairs, mover.remote, LIMIT)
    tree.final("notes", pairs, mover.remote, LIMIT)
    tree.compare("notes", pairs, mover.remote, LIMIT)
    assert trees.seen(Path(tree.beside(str(folder), 3))) == trees.seen(edge)
    assert trees.seen(folder) == old


def test_what_happened_between_first_and_final_copy_arrives(mover: Running, folder: Path) -> None:
    pairs = to_edge(folder, mover)
    tree.first("notes", 1, pairs, mover.remote, LIMIT)
    (folder / "plain").write_text("changed")
    (folder / "new\r").write_text("new")
    (folder / "with space").unlink()
    (folder / "deep/er/still").rename(folder / "moved")
    (folder / "hard-1").unlink()
    (folder / "fifo").unlink()
    (folder / "fifo").write_text("now a file")
    (folder / "empty-file").unlink()
    (folder / "empty-file").mkdir()
    tree.final("notes", pairs, mover.remote, LIMIT)
    tree.compare("notes", pairs, mover.remote, LIMIT)
    assert trees.seen(mover.data / "2/store") == trees.seen(folder)


def rewrite(path: Path) -> None:
    """Other content of the same size, and the time set back."""
    state = path.stat()
    content = path.read_bytes()
    with path.open("r+b") as stream:
        stream.write(bytes(255 - byte for byte in content))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def test_rewrite_that_shows_neither_in_size_nor_in_time_arrives(mover: Running, folder: Path) -> None:
    pairs = to_edge(folder, mover)
    tree.first("notes", 1, pairs, mover.remote, LIMIT)
    rewrite(folder / "plain")
    tree.final("notes", pairs, mover.remote, LIMIT)
    tree.compare("notes", pairs, mover.remote, LIMIT)
    assert (mover.data / "2/store/plain").read_bytes() == (folder / "plain").read_bytes()


def _xattr(copy: Path) -> None:
    os.setxattr(copy / "plain", "user.kraf", b"other")


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "content": (lambda copy: rewrite(copy / "plain"), "plain"),
    "missing": (lambda copy: (copy / "plain").unlink(), "plain"),
    "too-much": (lambda copy: (copy / "foreign").touch(), "foreign"),
    "mode": (lambda copy: (copy / "mode-640").chmod(0o644), "mode-640"),
    "owner": (lambda copy: os.chown(copy / "mode-640", 1, -1), "mode-640"),
    "group": (lambda copy: os.chown(copy / "mode-640", -1, 1), "mode-640"),
    "time": (lambda copy: os.utime(copy / ".hidden", (1, 1)), ".hidden"),
    "directory-time": (lambda copy: os.utime(copy / "empty-dir", (1, 1)), "empty-dir"),
    "link": (
        lambda copy: ((copy / "link-relative").unlink(), os.symlink("x", copy / "link-relative")),
        "link-relative",
    ),
    "attribute": (_xattr, "plain"),
    "access-list": (lambda copy: os.setxattr(copy / "plain", trees.ACCESS, trees.acl(4713, 6)), "plain"),
    "default-access-list": (lambda copy: os.removexattr(copy / "shared", trees.DEFAULT), "shared"),
    "one-file-two-names": (
        lambda copy: ((copy / "hard-1").unlink(), (copy / "hard-1").write_text("one inode")),
        "hard-1",
    ),
    "kind": (lambda copy: ((copy / "fifo").unlink(), (copy / "fifo").touch()), "fifo"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_copy_that_differs_is_refused_and_the_entry_is_named(mover: Running, folder: Path, damage: str) -> None:
    copy = copy_to_edge(folder, mover)
    act, entry = DAMAGES[damage]
    act(copy)
    with pytest.raises(KrafError, match="differs from the original") as caught:
        tree.compare("notes", to_edge(folder, mover), mover.remote, LIMIT)
    assert entry in str(caught.value)


def test_older_tree_saves_the_way_and_stays_as_it_was(mover: Running, folder: Path) -> None:
    """Only what differs from the older tree goes over the line; what is the same is copied where it lies."""
    (folder / "big").write_bytes(os.urandom(5 << 20))
    old = trees.seen(copy_to_edge(folder, mover, 2))
    (folder / "plain").write_text("changed since")
    mover.log.write_bytes(b"")
    copy = copy_to_edge(folder, mover, 4, basis=2)
    assert trees.seen(copy) == trees.seen(folder)
    assert trees.seen(mover.data / "2/store") == old
    received = [int(line.split()[line.split().index("received") + 1]) for line in lines(mover, "received")]
    assert received
    assert sum(received) < 1 << 20


def lines(mover: Running, word: str) -> list[str]:
    return [line for line in mover.log.read_text().splitlines() if word in line]


def test_old_data_on_the_device_save_the_way_back(mover: Running, folder: Path) -> None:
    (folder / "big").write_bytes(os.urandom(5 << 20))
    copy_to_edge(folder, mover)
    mover.log.write_bytes(b"")
    pairs = tree.to_device([("store", str(folder))], mover.remote, 2, 3)
    tree.first("notes", 2, pairs, mover.remote, LIMIT)
    sent = [int(line.split()[line.split().index("sent") + 1]) for line in lines(mover, "sent")]
    assert sent
    assert sum(sent) < 1 << 20


def test_basis_that_is_not_there_does_no_harm(mover: Running, folder: Path) -> None:
    assert trees.seen(copy_to_edge(folder, mover, 4, basis=3)) == trees.seen(folder)


def test_several_directories_lie_beside_each_other(mover: Running, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "one").write_text("1")
    pairs = tree.to_edge([("store", str(folder)), ("etc", str(other))], mover.remote, 2, 0)
    tree.first("notes", 1, pairs, mover.remote, LIMIT)
    assert sorted(path.name for path in (mover.data / "2").iterdir()) == ["etc", "store"]


def test_wrong_token_is_refused(mover: Running, folder: Path) -> None:
    remote = Remote(mover.doors, mover.remote.sni, "wrong")
    with pytest.raises(KrafError, match="auth failed"):
        tree.final("notes", tree.to_edge([("store", str(folder))], remote, 2, 0), remote, LIMIT)
    assert not (mover.data / "2").exists()


def test_token_is_in_no_argument_list_and_forgotten_at_the_end(mover: Running, folder: Path) -> None:
    copy_to_edge(folder, mover)
    assert (tree.LOCKS / "copy-notes.token").stat().st_mode & 0o777 == 0o600
    tree.forget("notes")
    assert not list(tree.LOCKS.glob("*.token"))


def test_nothing_outside_the_volume_can_be_written(mover: Running, folder: Path) -> None:
    pair = Pair("store", f"{folder}/", "rsync://kraf@mover/data/../box/stolen/")
    with contextlib.suppress(KrafError):
        tree.final("notes", [pair], mover.remote, LIMIT)
    assert not (mover.folder / "box/stolen").exists()


def test_no_door_is_said(mover: Running, folder: Path) -> None:
    remote = Remote(("127.0.0.1:1",), mover.remote.sni, "x")
    with pytest.raises(KrafError, match="refused"):
        tree.final("notes", to_edge(folder, mover), remote, LIMIT)


def test_second_door_is_taken_when_the_first_is_down(mover: Running, folder: Path) -> None:
    remote = Remote(("127.0.0.1:1", *mover.doors), mover.remote.sni, mover.remote.token)
    tree.final("notes", tree.to_edge([("store", str(folder))], remote, 2, 0), remote, LIMIT)
    assert trees.seen(mover.data / "2/store") == trees.seen(folder)


def test_mover_that_dies_is_said_and_leaves_the_source_alone(mover: Running, folder: Path) -> None:
    before = trees.seen(folder)
    os.killpg(mover.process.pid, 9)
    with pytest.raises(KrafError, match="run it again"):
        tree.final("notes", to_edge(folder, mover), mover.remote, LIMIT)
    assert trees.seen(folder) == before


def test_marker_is_written_only_by_the_movers_own_run_and_never_over_a_later_ones(mover: Running) -> None:
    marker = mover.data / ".kraf/epoch"
    assert mover.script(manifests.MARK, 2, 7).returncode == 0
    assert marker.read_text() == "2 7\n"
    assert mover.script(manifests.MARK, 3, 6).returncode == 3
    assert mover.script(manifests.MARK, 3, 9, run=9).returncode == 0
    late = mover.script(manifests.MARK, 2, 7)
    assert (late.returncode, marker.read_text()) == (3, "3 9\n")
    assert "run 9" in late.stderr


def test_purge_removes_all_trees_but_the_good_one(mover: Running) -> None:
    for name in ("1", "2", "12", ".kraf", "lost+found"):
        (mover.data / name).mkdir()
    assert mover.script(manifests.PURGE, 2, 7).returncode == 0
    assert sorted(path.name for path in mover.data.iterdir()) == [".kraf", "2", "lost+found"]


def test_mover_that_is_not_reached_at_once_is_tried_again(
    mover: Running, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nodes need a moment to learn the address of a new mover."""
    environment, left = tree._environment, [2]

    def to_another_first(remote: Remote) -> dict[str, str]:
        found = environment(remote)
        if left[0]:
            left[0] -= 1
            return {**found, "RSYNC_CONNECT_PROG": "echo HTTP/1.1 400 Bad Request"}
        return found

    monkeypatch.setattr(tree, "_environment", to_another_first)
    tree.final("notes", to_edge(folder, mover), mover.remote, LIMIT)
    assert left == [0]
    assert trees.seen(mover.data / "2/store") == trees.seen(folder)
