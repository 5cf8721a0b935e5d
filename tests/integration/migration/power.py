"""What is on a disk when the power goes: a file system on a file, and another one made of what it had been given.

It shows what the kernel has handed to the disk, and nothing of what it still held. It does not show whether a disk has
written down what it was given (its own cache). It is one file system, ext4, told to hold back for as long as it can.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SIZE = 96 << 20
# Nothing is written because time has passed, or because a file takes the place of another.
LAZY = "loop,commit=3600,noauto_da_alloc"


@dataclass
class Disk:
    """A mounted file system, by its folder and the file that it is on."""

    folder: Path
    image: Path

    @contextmanager
    def after_a_cut(self) -> Iterator[Path]:
        """Where the same disk would be mounted if the power went now."""
        image, folder = self.image.with_name("cut.img"), self.image.with_name("cut")
        subprocess.run(["cp", "--sparse=always", str(self.image), str(image)], check=True)
        folder.mkdir()
        try:
            with _mounted(image, folder, "loop"):
                yield folder
        finally:
            folder.rmdir()
            image.unlink()


@contextmanager
def disk(folder: Path, scratch: Path) -> Iterator[Disk]:
    """Mount one over a folder, which is empty after that."""
    scratch.mkdir()
    image = scratch / "disk.img"
    with image.open("wb") as stream:
        stream.truncate(SIZE)
    eager = "lazy_itable_init=0,lazy_journal_init=0"
    subprocess.run(["mkfs.ext4", "-q", "-F", "-E", eager, str(image)], check=True)
    try:
        with _mounted(image, folder, LAZY):
            (folder / "lost+found").rmdir()
            subprocess.run(["sync", "-f", str(folder)], check=True)
            yield Disk(folder, image)
    finally:
        shutil.rmtree(scratch)


@contextmanager
def _mounted(image: Path, folder: Path, options: str) -> Iterator[None]:
    subprocess.run(["mount", "-t", "ext4", "-o", options, str(image), str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
