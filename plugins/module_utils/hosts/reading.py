# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading a host's files and programs below a root folder, so that a test can show another host."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence


class Root:
    """A file system's root; everything is read, nothing is written."""

    def __init__(self, path: str = "/") -> None:
        self.path = path

    def at(self, path: str) -> str:
        """The place of an absolute path below this root."""
        return os.path.join(self.path, path.lstrip("/"))

    def exists(self, path: str) -> bool:
        return os.path.exists(self.at(path))

    def masks(self, path: str) -> bool:
        """Whether this is systemd's way to keep a unit from starting: a link to nothing."""
        place = self.at(path)
        return os.path.islink(place) and os.readlink(place) == "/dev/null"

    def names(self, path: str) -> list[str]:
        """Names in a folder, sorted; none when there is no such folder."""
        try:
            return sorted(os.listdir(self.at(path)))
        except OSError:
            return []

    def text(self, path: str) -> str:
        """A file's text; empty when it cannot be read."""
        try:
            with open(self.at(path), encoding="utf-8", errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    def data(self, path: str) -> bytes:
        try:
            with open(self.at(path), "rb") as file:
                return file.read()
        except OSError:
            return b""

    def lines(self, path: str) -> list[str]:
        return self.text(path).splitlines()


def output(argv: Sequence[str], limit: float = 20) -> tuple[int, str]:
    """Exit status and output of a program; 127 when it is not there, 124 when it took longer than ``limit`` seconds."""
    try:
        done = subprocess.run(
            list(argv),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            timeout=limit,
            check=False,
        )
    except FileNotFoundError:
        return 127, f"{argv[0]}: not found"
    except subprocess.TimeoutExpired:
        return 124, f"{argv[0]}: no answer within {limit:g} s"
    return done.returncode, done.stdout.decode("utf-8", "replace")
