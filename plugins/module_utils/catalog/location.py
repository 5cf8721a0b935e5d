# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the catalog is: from what an operator wrote to the URL of a database that can be trusted with it."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..core.errors import KrafError

NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "gpfs", "glusterfs", "beegfs", "fuse"}
)
# Local all the same: the root of a rootless container, and NTFS or exFAT on a disk.
LOCAL_FUSE = frozenset({"fuse.fuse-overlayfs", "fuseblk"})
DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
_ADVICE = "Put the file on a local disk, or use PostgreSQL: catalog=postgresql://user@host/name"


def default_path() -> str:
    """The catalog's file in the user's data directory (https://specifications.freedesktop.org/basedir-spec)."""
    base = os.environ.get("XDG_DATA_HOME") or os.path.join(os.path.expanduser("~"), ".local", "share")
    return os.path.join(base, "kraf", "catalog.sqlite")


def url_of(text: str | None) -> str:
    """The SQLAlchemy URL of a path or URL as it was written; the default path for none.

    Raises:
        KrafError: for databases other than SQLite and PostgreSQL.
    """
    text = (text or "").strip() or default_path()
    scheme, colon, rest = text.partition("://")
    if not colon:
        return f"sqlite:///{os.path.abspath(os.path.expanduser(text))}"
    if scheme == "sqlite":
        if not rest.startswith("/") or len(rest) < 2:
            raise KrafError("catalog", text, "the URL names no file", "Write a path, or sqlite:////absolute/path")
        return f"sqlite:///{os.path.abspath(os.path.expanduser(rest[1:]))}"
    if scheme.partition("+")[0] not in DRIVERS:
        raise KrafError("catalog", hidden(text), "only SQLite and PostgreSQL are supported", _ADVICE)
    return f"{DRIVERS.get(scheme, scheme)}://{rest}"


def hidden(url: str) -> str:
    """The URL for a message: its password, wherever it stands, replaced by stars."""
    url = re.sub(r"(//[^/@]*?:)[^/]*@", r"\1***@", url)
    return re.sub(r"([?&](?:password|passfile|sslpassword)=)[^&]*", r"\1***", url, flags=re.IGNORECASE)


def file_of(url: str) -> Path | None:
    """The file of a SQLite URL, None for a server."""
    return Path(url[len("sqlite:///") :]) if url.startswith("sqlite:///") else None


def refuse_network_file_system(path: Path, mounts: str | None = None) -> None:
    """Refuse a place where SQLite's locks cannot be relied on (https://www.sqlite.org/howtocorrupt.html).

    Args:
        path: the database's file; it need not exist.
        mounts: text of /proc/mounts, for a test; None reads it (nothing is checked where there is none).

    Raises:
        KrafError: naming the file system's type and its mount point.
    """
    if mounts is None:
        try:
            mounts = Path("/proc/mounts").read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return
    mount_point, kind = mount_of(Path(os.path.realpath(path)), mounts)
    if kind in NETWORK_FILE_SYSTEMS or (kind.startswith("fuse.") and kind not in LOCAL_FUSE):
        why = f"SQLite's locks fail on network file systems, and {mount_point} is one, of type {kind}"
        raise KrafError("catalog", str(path), why, _ADVICE)


def mount_of(path: Path, mounts: str) -> tuple[str, str]:
    """Mount point and type of the file system that holds an absolute path: the longest mount point above it.

    Of several mounts on one point the last one counts, since it covers the others.
    """
    best, kind = "", ""
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        # Blanks, tabs, line ends and backslashes stand there in octal, see proc_mounts(5).
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal.group(1), 8)), fields[1])
        if len(point) >= len(best) and (path == Path(point) or Path(point) in path.parents):
            best, kind = point, fields[2]
    return best, kind
