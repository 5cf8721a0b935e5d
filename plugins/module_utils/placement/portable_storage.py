# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a container has mounted, and what it wrote into itself, at the edge. Pure."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Any

from ..catalog.records import App
from ..core import sizes
from .verdicts import KEPT, LOST, REFUSED, TRANSLATED, Row, row

LARGEST_SECRET = 2**20
DEFAULT_SHM = 64 * 2**20
SHM = "/dev/shm"  # noqa: S108
_ANONYMOUS = re.compile(r"[0-9a-f]{64}\Z")
_WITHOUT = "the app runs without it, with what its image has at this path"
_COLON = "Docker on the nodes takes no path with ':' in it"

Content = tuple[str, str, bool]


def rows(app: App, found: Mapping[str, Any]) -> list[Row]:
    """A row for each mount and data directory, and for what lies in the container itself."""
    listed = data(found) + _on_mounts(found)
    listed += [one for mount in found.get("mounts") or () for one in _mount(app, found, mount)]
    for one in found.get("tmpfs") or ():
        name = f"tmpfs {one['path']}"
        if ":" in one["path"]:
            listed.append(row(name, REFUSED, _COLON, _WITHOUT))
            continue
        limit = f", {sizes.human(one['bytes'])}" if one["bytes"] else ""
        options = f"; lost are its options {' '.join(one['options'])}" if one["options"] else ""
        listed.append(row(name, TRANSLATED, f"a directory in memory{limit}, which counts as the app's{options}"))
    if shm_bytes(found):
        size = sizes.human(shm_bytes(found))
        why = "a directory in memory, which counts as the app's"
        listed.append(row(f"shm size {size}", TRANSLATED, why))
    return listed + _changes(found)


def tmpfs(found: Mapping[str, Any]) -> tuple[tuple[str, int], ...]:
    """Path and bytes (0 is no limit) of the directories in memory."""
    paths = {posixpath.normpath(one["path"]): int(one["bytes"]) for one in found.get("tmpfs") or ()}
    return tuple((path, size) for path, size in sorted(paths.items()) if ":" not in path)


def shm_bytes(found: Mapping[str, Any]) -> int:
    """Size of /dev/shm where it is not what every container has; 0 otherwise."""
    size = int(found.get("shm_bytes") or DEFAULT_SHM)
    return 0 if size == DEFAULT_SHM or SHM in [path for path, _size in tmpfs(found)] else size


def contents(found: Mapping[str, Any]) -> list[Content]:
    """Path, content (base64) and whether it may be executed, of the bound files that a Secret has room for."""
    return [
        (posixpath.normpath(mount["path"]), mount["content"], bool(mount.get("executable")))
        for mount in found.get("mounts") or ()
        if "content" in mount and _fits(found, mount)
    ]


def read_only_paths(found: Mapping[str, Any]) -> tuple[str, ...]:
    """Where directories are mounted that the app only reads."""
    return tuple(mount["path"].rstrip("/") for mount in found.get("mounts") or () if mount.get("read_only"))


def data(found: Mapping[str, Any]) -> list[Row]:
    """A row for each data directory."""
    listed = []
    for name, one in sorted((found.get("data") or {}).items()):
        if not one["folder"] or not one["exists"]:
            listed.append(row(f"data {name}", REFUSED, f"{one['path']} lies in no directory or volume of the device"))
        elif one.get("volume"):
            why = (
                f"nothing is copied: {one['folder']} lies on the volume {one['volume']}, which the app has at the edge"
            )
            listed.append(row(f"data {name}", KEPT, why))
        elif one["mount_point"]:
            listed.append(row(f"data {name}", REFUSED, f"{one['folder']} is a mount point and cannot be exchanged"))
        elif ":" in one["path"]:
            listed.append(row(f"data {name}", REFUSED, _COLON))
        else:
            listed.append(row(f"data {name}", KEPT, f"{one['folder']} is copied{_bytes(one)}"))
    return listed


def _on_mounts(found: Mapping[str, Any]) -> list[Row]:
    """What a move of a directory on the mount of a volume depends on, and what a mount is not fit for, by its name."""
    listed = []
    for name, one in sorted((found.get("data") or {}).items()):
        if not one.get("volume"):
            continue
        if found.get("running") and not one["mounted"]:
            why = f"the volume {one['volume']} is not mounted at the device now, or its export does not answer"
            listed.append(row(f"mount of data {name}", REFUSED, why))
        why = "at the edge all files belong to the volume's server, and to group 33, which the app is given"
        listed.append(row(f"owners in data {name}", TRANSLATED, why))
        for file in one.get("unsuited") or ():
            why = f"WebDAV is not fit for it: {file['why']}; keep it on the device's own disk"
            listed.append(row(f"file {file['path']} of data {name}", LOST, why))
        if one.get("unnamed"):
            why = "WebDAV is not fit for them either; keep them on the device's own disk"
            listed.append(row(f"{one['unnamed']} more files of data {name}", LOST, why))
        if one.get("unseen"):
            why = (
                f"root of the device may not see the open files of {', '.join(one['unseen'])}; nothing is known of them"
            )
            listed.append(row(f"open files of data {name}", LOST, why))
    return listed


def _bytes(data: Mapping[str, Any]) -> str:
    return f", {data['bytes']} bytes" if "bytes" in data else ""


def _mount(app: App, found: Mapping[str, Any], mount: Mapping[str, Any]) -> list[Row]:
    path = str(mount["path"]).rstrip("/")
    name = f"{mount['type']} {mount.get('source') or mount.get('name')} at {path}"
    declared = [data.path.rstrip("/") for data in app.data]
    moves = any(path == at or at.startswith(f"{path}/") for at in declared)
    driver = str(mount.get("driver") or "local")
    if mount["type"] == "volume" and driver != "local":
        return [row(name, REFUSED, f"its driver {driver} is on the device alone", "" if moves else _WITHOUT)]
    if moves:
        listed = []
        if any(at.startswith(f"{path}/") for at in declared):
            why = f"of it only {', '.join(at for at in declared if at.startswith(path + '/'))} is data in the catalog"
            listed.append(row(name, LOST, why))
        else:
            listed.append(row(name, KEPT, f"data, {_how(found, path, mount)}"))
        if str(mount.get("propagation") or "rprivate") not in ("rprivate", "private"):
            why = f"{mount['propagation']}: what is mounted below it on the device later is not seen at the edge"
            listed.append(row(f"propagation of {path}", LOST, why))
        return listed
    if mount.get("kind") == "file":
        return [_file(found, mount, f"file {mount.get('source')} at {path}")]
    if mount.get("empty") and _ANONYMOUS.match(str(mount.get("name"))):
        return [row(f"volume at {path}", TRANSLATED, "it is the image's own, and empty; the edge has one, too")]
    outer = [at for at in declared if path.startswith(f"{at}/")]
    if outer:
        return [row(name, REFUSED, f"it lies within {outer[0]}, whose copy does not hold it", _WITHOUT)]
    if mount.get("kind") == "unreadable":
        return [row(name, REFUSED, f"root of the device cannot read it: {mount.get('why')}", _WITHOUT)]
    if mount.get("kind") == "other":
        return [row(name, REFUSED, "a socket or device file is the device's own", _WITHOUT)]
    return [row(name, REFUSED, "it is not among the app's data in the catalog and would be missing", _WITHOUT)]


def _how(found: Mapping[str, Any], path: str, mount: Mapping[str, Any]) -> str:
    if any(one.get("volume") and one["path"].rstrip("/") == path for one in (found.get("data") or {}).values()):
        return "on a volume of the device"
    return "to be read only" if mount.get("read_only") else "copied"


def _file(found: Mapping[str, Any], mount: Mapping[str, Any], name: str) -> Row:
    if not _fits(found, mount):
        why = _COLON if ":" in mount["path"] else f"a Secret holds {sizes.human(LARGEST_SECRET)} for all such files"
        return row(name, REFUSED, why, _WITHOUT)
    if not mount.get("read_only"):
        why = "the app may write to it, and what it writes would not come back"
        return row(name, REFUSED, why, "at the edge it is a copy that cannot be written")
    return row(name, TRANSLATED, "a copy in a Secret, to be read by all users of the app")


def _fits(found: Mapping[str, Any], mount: Mapping[str, Any]) -> bool:
    """Whether a bound file has room in the one Secret, after those before it."""
    room = LARGEST_SECRET
    for one in found.get("mounts") or ():
        if one.get("kind") != "file" or ":" in one["path"] or int(one["bytes"]) > room:
            if one is mount:
                return False
            continue
        room -= int(one["bytes"])
        if one is mount:
            return True
    return False


def _changes(found: Mapping[str, Any]) -> list[Row]:
    changes = found.get("changes") or {}
    total, paths = int(changes.get("total") or 0), list(changes.get("paths") or ())
    if not total:
        return []
    more = f" and {total - len(paths)} more" if total > len(paths) else ""
    why = f"{total} files outside of its data stay in the container on the device: {' '.join(paths)}{more}"
    return [row("written into the container", LOST, why)]
