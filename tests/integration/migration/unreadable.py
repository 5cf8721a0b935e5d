"""Files that not even root can read, as on a bad sector or on another user's mount: a FUSE file system of one file.

Protocol: linux/fuse.h, version 7.22. The file is mounted over an existing one.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

FORGET, GETATTR, OPEN, READ, RELEASE, FLUSH, INIT = 2, 3, 14, 15, 18, 25, 26
WAYS = {"not-opened": (OPEN, errno.EACCES), "not-read": (READ, errno.EIO), "not-seen": (GETATTR, errno.EACCES)}
"""What fails, and how."""


@contextmanager
def file(path: Path, way: str, meanwhile: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Make a file unreadable.

    Args:
        path: of the file.
        way: of ``WAYS``.
        meanwhile: done whenever it is tried.
    """
    state = path.stat()
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={device},rootmode={stat.S_IFREG:o},user_id=0,group_id=0,allow_other"
    argv = ["mount", "--internal-only", "-t", "fuse", "-o", options, "unreadable", str(path)]
    subprocess.run(argv, check=True, pass_fds=[device])
    enough = threading.Event()
    thread = threading.Thread(target=_serve, args=(device, enough, state, *WAYS[way], meanwhile))
    thread.start()
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)
        # A container that was started meanwhile has the mount, too; it ends with its server.
        enough.set()
        thread.join()
        os.close(device)


def _serve(
    device: int,
    enough: threading.Event,
    state: os.stat_result,
    fails: int,
    error: int,
    meanwhile: Callable[[], object],
) -> None:
    """Answer the kernel."""
    os.set_blocking(device, False)
    while not enough.is_set():
        if not select.select([device], [], [], 0.05)[0]:
            continue
        try:
            asked = os.read(device, 1 << 20)
        except OSError as ended:
            if ended.errno == errno.ENODEV:
                return
            continue  # whoever asked has been interrupted
        kind, number = struct.unpack_from("=IQ", asked, 4)
        if kind == FORGET:
            continue
        if kind == fails:
            meanwhile()
            status, answer = error, b""
        else:
            status, answer = _answer(kind, state)
        os.write(device, struct.pack("=IiQ", 16 + len(answer), -status, number) + answer)


def _answer(kind: int, state: os.stat_result) -> tuple[int, bytes]:
    if kind == INIT:
        return 0, struct.pack("=4I2HI", 7, 22, 0, 0, 4, 3, 4096)
    if kind == GETATTR:
        times = [int(one) for one in (state.st_atime, state.st_mtime, state.st_ctime)]
        numbers = (1, state.st_size, state.st_blocks, *times)
        words = (0, state.st_mtime_ns % 10**9, 0, state.st_mode, 1, state.st_uid, state.st_gid, 0, 4096, 0)
        return 0, struct.pack("=QII6Q10I", 0, 0, 0, *numbers, *words)
    if kind == OPEN:
        return 0, struct.pack("=QII", 0, 0, 0)
    return (0, b"") if kind in (FLUSH, RELEASE) else (errno.ENOSYS, b"")
