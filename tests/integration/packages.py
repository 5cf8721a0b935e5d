# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What these tests run of the distribution, installed where it is missing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.lab import machine

FILES = {
    "haproxy": "haproxy",
    "nft": "nftables",
    "mount.davfs": "davfs2",
    "lighttpd": "lighttpd",
    "/usr/lib/lighttpd/mod_webdav.so": "lighttpd-mod-webdav",
    "/usr/lib/lighttpd/mod_magnet.so": "lighttpd-modules-lua",
    "/usr/lib/lighttpd/mod_openssl.so": "lighttpd-mod-openssl",
    "ip": "iproute2",
    "git": "git",
    "rsync": "rsync",
    "openssl": "openssl",
    "/usr/lib/postgresql": "postgresql",
    "docker-registry": "docker-registry",
}
"""Packages by a program, or by the path of a file, that they bring."""


def missing() -> list[str]:
    """Packages that are not there."""
    return [name for found, name in FILES.items() if not (Path(found).exists() or shutil.which(found))]


def install() -> None:
    """Install what is missing, as root; nothing is started.

    Raises:
        AssertionError: naming what somebody has to install who may.
    """
    wanted = missing()
    if not wanted:
        return
    assert os.geteuid() == 0, f"these tests need: apt-get install {' '.join(wanted)}"
    machine.install(wanted)
    assert not missing(), f"apt-get has installed {wanted}, but {missing()} are not there"
