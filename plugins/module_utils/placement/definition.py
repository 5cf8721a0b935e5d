# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a container or a unit that runs to the app of the catalog. Pure: a description in, options of module app out."""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..catalog import apps
from ..catalog.records import ARCHITECTURES, App
from ..core import coerce, names, sizes
from ..core.errors import KrafError
from ..core.table import table
from . import image, portability, portable_unit
from .summary import REPORT_COLUMNS, REPORT_WIDTH
from .verdicts import Row

# Directories of the device itself: an app that sees one of them has not its data there.
SYSTEM = frozenset(
    {"/", "/etc", "/home", "/media", "/mnt", "/opt", "/root", "/srv", "/tmp", "/var", "/var/lib", "/var/log"}  # noqa: S108
)
SYSTEM_TREES = ("/bin", "/boot", "/dev", "/lib", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr", "/var/run")
_ANONYMOUS = re.compile(r"[0-9a-f]{64}\Z")
_LOCAL_URL = re.compile(r"http://(?:localhost|127\.0\.0\.1|\[::1\])(?::([0-9]{1,5}))?(/[!-~]*)?\Z", re.ASCII)


@dataclass(frozen=True)
class Adopted:
    """A container as an app.

    Attributes:
        options: what the module ``app`` takes, one element of its apps.
        app: the row of the catalog that they make.
        report: what of the container is the same at the edge.
    """

    options: dict[str, Any]
    app: App
    report: list[Row]

    def lines(self) -> list[str]:
        """The report for a person, every property of it."""
        return table(self.report, REPORT_COLUMNS, REPORT_WIDTH)


def adopt(
    found: Mapping[str, Any], device: str, name: str = "", probe: str = "", images: Mapping[str, str] | None = None
) -> Adopted:
    """The app that a container, or a unit, is.

    Args:
        found: the container or the unit as the module ``container`` describes it.
        device: name of its device.
        name: of the app; the container's own, if it is empty, made fit for Kubernetes.
        probe: path of the URL by which it is known to work; what its healthcheck asks for, if it is empty.

        images: by architecture, for the nodes of the cluster; a unit needs them.

    Raises:
        KrafError: for a name, a probe or an image that cannot be.
    """
    if found.get("unit"):
        options = define_unit(found, device, name, probe, images or {})
        app = apps.declared(options)
        state = {
            one.name: {"path": one.path, "folder": one.path, "exists": True, "mount_point": False} for one in app.data
        }
        return Adopted(options, app, portable_unit.examine(app, {**found, "data": state}))
    options = define(found, device, name, probe)
    options["images"] = {**options["images"], **(images or {})}
    app = apps.declared(options)
    # What the device looks up for an app that the catalog has, as far as the mounts tell.
    folders = {one.name: _state(found, one.path) for one in app.data}
    return Adopted(options, app, portability.examine(app, {**found, "data": folders}))


def define(found: Mapping[str, Any], device: str, name: str = "", probe: str = "") -> dict[str, Any]:
    """Options of the module ``app`` for a container; what the catalog does not take is left out, and in the report."""
    own = names.fold(str(found["name"]))
    if not (name or own):
        why = "no letter and no digit of it can stand in the name of an app"
        raise KrafError("name of container", found["name"], why, "Give the app a name (kraf_app)")
    ports = _ports(found)
    options: dict[str, Any] = {
        "device": device,
        "name": name or own,
        "container": found["name"],
        "images": _images(found),
        "command": list(found["argv"][:1]),
        "args": list(found["argv"][1:]),
        "env": [one for one in found["env"] if portability.is_variable(one)],
        "ports": ports,
        "data": [{"name": one, "path": path} for one, path in _data(found)],
        "cpu": f"{max(1, math.ceil(found['cpus'] * 1000))}m" if found.get("cpus") else "",
        "memory": _memory(int(found.get("memory_bytes") or 0)),
    }
    asked = _probe(found, probe, [one["port"] for one in ports if one["protocol"] == "TCP"])
    return {**options, "probe": asked} if asked else options


def define_unit(
    found: Mapping[str, Any], device: str, name: str, probe: str, images: Mapping[str, str]
) -> dict[str, Any]:
    """Options of the module ``app`` for a unit. Its program stays its own, so that they name none."""
    stem = str(found["name"])[: -len(".service")]
    own = names.fold(stem)
    if not (name or own):
        why = "no letter and no digit of it can stand in the name of an app"
        raise KrafError("name of unit", found["name"], why, "Give the app a name (kraf_app)")
    listens = {one["port"] for one in found["unit"]["listens"] if one["protocol"] == "tcp" and _outside(one["address"])}
    data: list[tuple[str, str]] = []
    for path in found["unit"]["directories"].get("state", ()):
        if apps.is_data_path(path) and not any(path.startswith(f"{at}/") for _name, at in data):
            data.append((_name(path, [one for one, _path in data]), path))
    options: dict[str, Any] = {
        "device": device,
        "name": name or own,
        "unit": found["name"],
        "images": dict(images),
        "env": [one for one in found["env"] if portability.is_variable(one)],
        "ports": [{"port": one, "device_port": one, "protocol": "TCP"} for one in sorted(listens)],
        "data": [{"name": one, "path": path} for one, path in data],
        "cpu": f"{max(1, math.ceil(found['cpus'] * 1000))}m" if found.get("cpus") else "",
        "memory": _memory(int(found.get("memory_bytes") or 0)),
    }
    return {**options, "probe": {"path": probe}} if probe else options


def _outside(address: str) -> bool:
    return address not in portable_unit.LOOPBACK


def _images(found: Mapping[str, Any]) -> dict[str, str]:
    """The image by its name, if a registry has served it; any other one is pushed by the device."""
    named, architecture = str(found.get("image") or ""), str(found.get("architecture") or "")
    if architecture not in ARCHITECTURES or not apps.is_image(named):
        return {}
    return {architecture: named} if image.pinned(named, found.get("image_digests") or ()) else {}


def _ports(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each port of the container once, under the first port of the device that leads to it; TCP before UDP."""
    ports: dict[tuple[str, int], dict[str, Any]] = {}
    for one in found.get("ports") or ():
        protocol, port, outside = str(one["protocol"]).upper(), one["port"], one["device_port"]
        taken = [(known["protocol"], known["device_port"]) for known in ports.values()]
        if protocol in apps.PROTOCOLS and outside and (protocol, outside) not in taken:
            ports.setdefault((protocol, port), {"port": port, "device_port": outside, "protocol": protocol})
    return [ports[key] for key in sorted(ports)]


def _data(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name and path of each directory that is the app's own: the outer one of two that lie within each other."""
    data: list[tuple[str, str]] = []
    for mount in sorted(found.get("mounts") or (), key=lambda one: str(one["path"])):
        path = posixpath.normpath(str(mount["path"]))
        if _holds_data(mount) and apps.is_data_path(path) and not any(path.startswith(f"{at}/") for _name, at in data):
            data.append((_name(path, [name for name, _path in data]), path))
    return data


def _holds_data(mount: Mapping[str, Any]) -> bool:
    if mount.get("kind") != "directory":
        return False
    if mount["type"] == "volume":
        return mount["driver"] in ("", "local") and not (mount["empty"] and _ANONYMOUS.match(mount["name"]))
    source = posixpath.normpath(str(mount["source"]))
    trees = any(source == one or source.startswith(f"{one}/") for one in SYSTEM_TREES)
    return mount["type"] == "bind" and source not in SYSTEM and not trees


def _name(path: str, taken: Sequence[str]) -> str:
    """A name that none has: by the last part of the path, else by all of it, else by a number."""
    wanted = [names.fold(posixpath.basename(path)), names.fold(path)]
    wanted += [f"data-{number}" for number in range(1, len(taken) + 2)]
    return next(one for one in wanted if one and one not in taken)


def _state(found: Mapping[str, Any], path: str) -> dict[str, Any]:
    """What a mount tells of the data directory at its path."""
    mount = next(one for one in found["mounts"] if posixpath.normpath(one["path"]) == path)
    return {
        "path": path,
        "folder": mount["source"],
        "exists": mount["kind"] == "directory",
        "mount_point": bool(mount.get("mount_point")),
    }


def _memory(size: int) -> str:
    unit = sizes.UNITS["Ki"]
    return sizes.to_kubernetes(max(apps.MINIMUM_MEMORY, math.ceil(size / unit) * unit)) if size else ""


def _probe(found: Mapping[str, Any], path: str, ports: Sequence[int]) -> dict[str, Any] | None:
    if path:
        return {"path": path}
    for word in " ".join((found.get("healthcheck") or {}).get("argv") or ()).split():
        match = _LOCAL_URL.match(word.strip("'\""))
        port = int(match[1] or 80) if match else 0
        if match and port in ports:
            return {"path": match[2] or "/", "port": port}
    return None


def images(given: Any) -> dict[str, str]:
    """Images by architecture from what an operator gives: a mapping, or a list or text of ``architecture=image``.

    Raises:
        KrafError: for what is neither.
    """
    if isinstance(given, Mapping):
        return {str(key): str(value) for key, value in given.items()}
    found = {}
    for one in coerce.as_list(given):
        architecture, equals, image_name = str(one).partition("=")
        if not (architecture.strip() and equals and image_name.strip()):
            fix = "Write architecture=image, such as amd64=registry.example.org/faces:1.4"
            raise KrafError("kraf_app_images", one, "it is no image for an architecture", fix)
        found[architecture.strip()] = image_name.strip()
    return found
