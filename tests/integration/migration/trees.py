"""Directories with everything that a data directory may hold, and what is seen of them."""

from __future__ import annotations

import os
import socket
import stat
import struct
from pathlib import Path

ODD = ("plain", "with space", "-dash", "new\nline", "tab\t", "quote'\"", "star*[a-z]?", "späße", "$HOME `id`", "a\\b")
HOUR = 3600 * 10**9
CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")
"""cap_net_bind_service+ep, as the kernel keeps it."""
ACCESS, DEFAULT = "system.posix_acl_access", "system.posix_acl_default"


def acl(user: int, rights: int) -> bytes:
    """An access control list by which one more user has rights, as the kernel takes it (linux/posix_acl_xattr.h)."""
    nobody = 0xFFFFFFFF
    owner, named, group, named_group, mask, other = 1, 2, 4, 8, 16, 32
    entries = [(owner, 7, nobody), (named, rights, user), (group, 5, nobody), (named_group, 1, 4242)]
    entries += [(mask, 7, nobody), (other, 0, nobody)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *one) for one in entries)


def fill(root: Path) -> None:
    """Write one of everything."""
    root.mkdir(parents=True, exist_ok=True)
    root.chmod(0o2770)
    os.chown(root, 1234, 4321)
    for number, name in enumerate(ODD):
        (root / name).write_text(f"content {number}\n" * (number + 1))
    os.fsencode(root)
    with open(os.path.join(os.fsencode(root), b"not-utf8-\xff\xfe"), "wb") as stream:
        stream.write(b"\x00\xff" * 1000)
    for mode in (0o000, 0o400, 0o640, 0o777, 0o4755, 0o2755, 0o1644):
        path = root / f"mode-{mode:o}"
        path.write_text("mode")
        os.chown(path, 100000 + mode, 200000 + mode)
        path.chmod(mode)
    deep = root / "deep" / "er" / "still"
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(os.urandom(300_000))
    (root / "empty-dir").mkdir(mode=0o700)
    (root / "empty-file").touch()
    (root / "hard-1").write_text("one inode")
    os.link(root / "hard-1", deep / "hard-2")
    os.symlink("plain", root / "link-relative")
    os.symlink("/etc/passwd", root / "link-absolute")
    os.symlink("../../nowhere", root / "link-dangling")
    os.lchown(root / "link-dangling", 77, 88)
    os.mkfifo(root / "fifo", 0o640)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(root / "socket"))
    with (root / "sparse").open("wb") as stream:
        stream.truncate(8 << 20)
        stream.seek(4 << 20)
        stream.write(b"island")
    os.setxattr(root / "plain", "user.kraf", b"\x00value\xff")
    os.setxattr(root / "empty-dir", "user.of-a-directory", b"1")
    (root / "program").write_bytes(b"\x7fELF")
    os.setxattr(root / "program", "security.capability", CAPABILITY)
    (root / ".hidden").write_text("hidden")
    shared = root / "shared"
    shared.mkdir()
    (shared / "before").write_text("made before its folder had a list of its own")
    os.setxattr(shared, ACCESS, acl(4711, 7))
    os.setxattr(shared, DEFAULT, acl(4712, 6))
    (shared / "inherits").write_text("made by an app that knows nothing of lists")
    (shared / "below").mkdir()
    os.setxattr(root / "plain", ACCESS, acl(4713, 4))
    for number, (folder, folders, files) in enumerate(os.walk(os.fsencode(root), topdown=False)):
        for entry in [*files, *folders, b"."]:
            moment = 1_500_000_000 * 10**9 + number * HOUR + 123_456_789
            os.utime(os.path.join(folder, entry), ns=(moment, moment), follow_symlinks=False)


def seen(root: Path) -> dict[bytes, tuple[object, ...]]:
    """All that has to be the same after a move, by path."""
    found: dict[bytes, tuple[object, ...]] = {}
    base = os.fsencode(root)
    inodes: dict[int, list[bytes]] = {}
    paths = [b"."]
    for folder, folders, files in os.walk(base):
        paths += [os.path.relpath(os.path.join(folder, entry), base) for entry in [*folders, *files]]
    for path in sorted(paths):
        full = os.path.join(base, path)
        state = os.lstat(full)
        content: object = None
        if stat.S_ISREG(state.st_mode):
            with open(full, "rb") as stream:
                content = stream.read()
            inodes.setdefault(state.st_ino, []).append(path)
        elif stat.S_ISLNK(state.st_mode):
            content = os.readlink(full)
        attributes = {name: os.getxattr(full, name, follow_symlinks=False) for name in _names(full)}
        times = 0 if stat.S_ISLNK(state.st_mode) and not content else state.st_mtime_ns
        found[path] = (oct(state.st_mode), state.st_uid, state.st_gid, times, content, attributes)
    for same in inodes.values():
        for path in same:
            found[path] = (*found[path], tuple(same))
    return found


def _names(path: bytes) -> list[str]:
    return sorted(os.listxattr(path, follow_symlinks=False))


def allocated(path: Path) -> int:
    """Bytes on the disk."""
    return path.stat().st_blocks * 512
