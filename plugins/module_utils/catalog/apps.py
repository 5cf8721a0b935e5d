# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What makes a declaration of an app valid. All of it is checked before anything is stored or sent."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..core import coerce, names, schedule, sizes
from ..core.errors import KrafError
from .records import ARCHITECTURES, CRONJOB, JOB, SERVICE, App, Data, Member, Port, Probe

KINDS = (SERVICE, JOB, CRONJOB)
MOST_RETRIES = 100
LONGEST_DEADLINE = 366 * 24 * 3600
"""Seconds of a job's deadline: a year, as a guard against a number in another unit."""
_DEVICE_PORT = {"TCP": "device port", "UDP": "device port of UDP"}
PROTOCOLS = tuple(_DEVICE_PORT)
MINIMUM_MEMORY = 4 * 2**20

# Kubernetes 1.22, pkg apimachinery/util/validation, IsEnvVarName.
_ENV = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*\Z", re.ASCII)
# https://docs.docker.com/engine/reference/commandline/tag/, loosely: what is no reference at all is found here.
_IMAGE = re.compile(r"[a-z0-9][-a-zA-Z0-9._:/]{0,254}(@sha256:[0-9a-f]{64})?\Z", re.ASCII)
_CONTAINER = re.compile(r"[a-zA-Z0-9][-a-zA-Z0-9_.]{0,127}\Z", re.ASCII)
# systemd.unit(5); a template without an instance is no unit.
_UNIT = re.compile(r"[a-zA-Z0-9:_.@-]{1,247}\.service\Z", re.ASCII)
_MEMBER = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?\Z", re.ASCII)
_TAKEN = ("app", "gate", "udp", "presence")
"""Names of containers that a pod has anyway."""
_KERNEL_PATHS = ("/proc", "/sys", "/dev")


def declared(raw: Mapping[str, Any]) -> App:
    """The app that a declaration describes; it replaces whatever row is there.

    Args:
        raw: options of the module ``app``.

    Raises:
        KrafError: naming the app, the option, the reason and the fix.
    """
    device, name = names.check("device", raw["device"]), names.check("app", raw["name"])
    key = f"{device}/{name}"
    kind = raw.get("kind") or SERVICE
    if kind not in KINDS:
        raise KrafError(
            f"kind of app {key}", kind, "there is no such kind", f"Write one of {', '.join(KINDS)}, or leave it out"
        )
    if raw.get("vram"):
        fix = "Leave vram out: the app then runs without a GPU"
        raise KrafError(f"vram of app {key}", raw["vram"], "GPUs are not supported yet", fix)
    members = _members(key, raw.get("members") or [])
    known = [one.name for one in members]
    ports = _ports(key, raw.get("ports") or [], known)
    data = _data(key, raw.get("data") or [], known)
    overlap = coerce.as_bool(raw.get("overlap"), default=False, what=f"overlap of app {key}")
    if overlap and data:
        why = "its data have one owner, so it cannot run on both sides at once"
        raise KrafError(f"overlap of app {key}", True, why, "Leave overlap out, or declare no data")
    retries, deadline = _tries(key, raw, kind)
    if kind != SERVICE:
        _refuse_of_job(key, {"ports": ports, "probe": raw.get("probe"), "overlap": overlap})
    unit, container = _runs(key, raw, name, kind)
    if members:
        given = {"kind": kind != SERVICE, "overlap": overlap, "emulation": raw.get("emulation"), "unit": unit}
        _check_group(key, given, ports, [container, *(one.container for one in members)])
    if unit:
        _check_unit(key, raw.get("images") or {}, ports)
    return App(
        device=device,
        name=name,
        kind=kind,
        images=_images(key, raw.get("images") or {}),
        container=container,
        unit=unit,
        command=_argv(f"command of app {key}", raw.get("command")),
        args=_argv(f"args of app {key}", raw.get("args")),
        env=_env(key, raw.get("env")),
        ports=ports,
        data=data,
        cpu=_cpu(key, raw.get("cpu") or ""),
        memory=_memory(key, raw.get("memory") or ""),
        probe=_probe(key, raw.get("probe") or {}, ports),
        overlap=overlap,
        emulation=coerce.as_bool(raw.get("emulation"), default=False, what=f"emulation of app {key}"),
        retries=retries,
        deadline_seconds=deadline,
        schedule=_schedule(key, raw.get("schedule") or "", kind),
        members=members,
    )


def _tries(key: str, raw: Mapping[str, Any], kind: str) -> tuple[int, int]:
    """Retries and deadline, which only a job has."""
    found = []
    for name, most in (("retries", MOST_RETRIES), ("deadline_seconds", LONGEST_DEADLINE)):
        given = raw.get(name)
        text = "0" if given is None or given == "" else str(given)
        what = f"{name} of app {key}"
        if isinstance(given, bool) or not re.fullmatch(r"[0-9]{1,10}", text, re.ASCII) or int(text) > most:
            raise KrafError(what, given, f"it is a whole number from 0 to {most}", "Correct the number")
        if kind == SERVICE and int(text):
            raise KrafError(what, given, "only a job ends and is tried again", "Leave it out, or write kind: job")
        found.append(int(text))
    return found[0], found[1]


def _schedule(key: str, text: str, kind: str) -> str:
    """When a cronjob is due, as its five fields."""
    what = f"schedule of app {key}"
    if kind != CRONJOB:
        if text:
            raise KrafError(what, text, f"a {kind} has none", "Leave it out, or write kind: cronjob")
        return ""
    if not text:
        raise KrafError(what, None, "a cronjob needs one", "Write five fields, such as '*/15 * * * *', in UTC")
    return schedule.parse(text, what).text


def _refuse_of_job(key: str, given: Mapping[str, Any]) -> None:
    """A job ends by itself, and nobody asks it anything meanwhile."""
    for name, value in given.items():
        if value:
            why = "it runs to its end and has no clients"
            raise KrafError(f"{name} of app {key}", None, why, f"Leave {name} out, or write kind: service")


def refuse_twins(apps: Iterable[App]) -> None:
    """Refuse apps of one device that share a folded name, a port of the device, a container, or a unit."""
    seen: dict[tuple[str, str, object], App] = {}
    for app in apps:
        claims: list[tuple[str, object]] = [("name", names.fold(app.name))]
        claims.append(("unit", app.unit) if app.unit else ("container", app.container))
        claims += [("container", member.container) for member in app.members]
        claims += [(_DEVICE_PORT[port.protocol], port.device_port) for port in app.ports]
        for what, value in claims:
            other = seen.setdefault((app.device, what, value), app)
            if other is not app:
                why = f"apps {other.key} and {app.key} cannot both have it"
                raise KrafError(
                    f"{what} of app {app.key}", value, why, "Give one of them another", apps=[other.key, app.key]
                )


def env_values(raw: Any) -> list[str]:
    """Every text in ``env`` that has, or is, a value: what must not be shown when a declaration is refused."""
    if isinstance(raw, Mapping):
        return [str(value) for value in raw.values()]
    if isinstance(raw, (list, tuple)):
        return [text for element in raw for text in env_values(element)]
    text = str(raw or "")
    return [text, text.partition("=")[2]] if "=" in text else []


def _images(key: str, images: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for architecture, image in sorted(images.items()):
        what = f"image of app {key} for {architecture}"
        if architecture not in ARCHITECTURES:
            raise KrafError(what, image, "no such architecture is known", f"Write one of {', '.join(ARCHITECTURES)}")
        if not isinstance(image, str) or not is_image(image):
            raise KrafError(what, image, "it is no reference of an image", "Write it as registry/name:tag")
        found[architecture] = image
    return found


def is_image(text: str) -> bool:
    """Whether it is the reference of an image."""
    return bool(_IMAGE.match(text))


def _runs(key: str, raw: Mapping[str, Any], name: str, kind: str) -> tuple[str, str]:
    """Unit and container, one of which is empty."""
    unit = str(raw.get("unit") or "")
    if not unit:
        return "", _container(key, raw.get("container") or name)
    what = f"unit of app {key}"
    if raw.get("container"):
        why = f"the app has container {raw['container']}, too, and only one of both runs it"
        raise KrafError(what, unit, why, "Give unit or container")
    if not _UNIT.match(unit) or "@." in unit:
        fix = "Give the name of a service with its ending, such as faces.service"
        raise KrafError(what, unit, "it is no name of a service", fix)
    if kind != SERVICE:
        raise KrafError(what, unit, f"a {kind} is a container", "Write kind: service, or give container")
    return unit, ""


def _check_unit(key: str, images: Mapping[str, Any], ports: Sequence[Port]) -> None:
    """What an app that is a unit needs, and cannot have."""
    if not images:
        why = "a unit has no image, so that the device has nothing to push"
        fix = "Name one for the cluster's nodes (images: {amd64: ...}), or build one (playbook image_build)"
        raise KrafError(f"images of app {key}", None, why, fix)
    for port in ports:
        what = f"port of app {key}"
        if port.protocol != "TCP":
            fix = "Leave it out, or run the app in a container"
            raise KrafError(what, f"{port.port}/{port.protocol}", "of a unit only TCP ports move", fix)
        if port.port != port.device_port:
            why = f"a unit listens itself on the port of its clients, device_port says {port.device_port}"
            raise KrafError(what, port.port, why, "Give the same number for both, or leave device_port out")


def _container(key: str, container: str) -> str:
    if not _CONTAINER.match(container):
        raise KrafError(f"container of app {key}", container, "Docker takes no such name", "Give what docker ps shows")
    return container


def _members(key: str, raws: Sequence[Mapping[str, Any]]) -> tuple[Member, ...]:
    """The further containers of a group."""
    what = f"member of app {key}"
    found: list[Member] = []
    for raw in raws:
        name = str(raw.get("name") or "")
        if not _MEMBER.match(name) or name in _TAKEN:
            why = f"it is no name of a host, or one of {', '.join(_TAKEN)}, which a pod has anyway"
            fix = "Give the name by which the others call it, of at most 40 lower-case letters, digits and '-'"
            raise KrafError(what, name, why, fix)
        if name in [one.name for one in found]:
            raise KrafError(what, name, "the name stands there twice", "Rename one of the two")
        inner = f"{key}, member {name}"
        found.append(
            Member(
                name,
                _container(inner, str(raw.get("container") or name)),
                _images(inner, raw.get("images") or {}),
                _env(inner, raw.get("env")),
                _cpu(inner, raw.get("cpu") or ""),
                _memory(inner, raw.get("memory") or ""),
            )
        )
    return tuple(found)


def _check_group(key: str, given: Mapping[str, Any], ports: Sequence[Port], containers: Sequence[str]) -> None:
    """What an app of several containers cannot be, or have."""
    whys = {
        "kind": "a job is one container, which ends by itself",
        "overlap": "containers that call each other are of one side",
        "emulation": "of several images none is emulated",
        "unit": "the members of a unit's group would have to be units",
    }
    for name, why in whys.items():
        if given.get(name):
            raise KrafError(f"{name} of app {key}", None, f"it has members, and {why}", f"Leave {name} or members out")
    for port in ports:
        if port.protocol != "TCP":
            fix = "Leave it out, or declare the container as an app of its own"
            raise KrafError(f"port of app {key}", f"{port.port}/{port.protocol}", "of a group only TCP ports move", fix)
    for container in containers:
        if containers.count(container) > 1:
            why = "it stands there twice"
            raise KrafError(f"container of app {key}", container, why, "Name each container once")


def _member(what: str, raw: Mapping[str, Any], known: Sequence[str]) -> str:
    """Whose a port or a directory is; empty is the app's own container."""
    name = str(raw.get("member") or "")
    if name and name not in known:
        why = f"the app has {', '.join(known) or 'no'} members"
        raise KrafError(f"member of {what}", name, why, "Correct the name, or leave it out for the app's own container")
    return name


def _argv(what: str, raw: Any) -> tuple[str, ...]:
    if raw is None or raw == "":
        return ()
    fix = "Write a list with one argument in each element, such as [python3, app.py]"
    if not isinstance(raw, (list, tuple)):
        raise KrafError(what, raw, "it is a list of arguments, and no shell would split a text", fix)
    for argument in raw:
        if isinstance(argument, bool) or not isinstance(argument, (str, int)):
            raise KrafError(what, argument, "an argument is a text", "Put it in quotes")
        if isinstance(argument, str) and "\0" in argument:
            raise KrafError(what, argument, "no argument can hold a NUL character", "Remove it")
    return tuple(str(argument) for argument in raw)


def _env(key: str, raw: Any) -> tuple[str, ...]:
    what = f"env of app {key}"
    if isinstance(raw, Mapping):
        listed = ", ".join(str(name) for name in raw)
        raise KrafError(what, None, f"{listed}: it is a list of names, and values never enter the catalog", _ENV_FIX)
    found: list[str] = []
    for element in coerce.as_list(raw, what):
        if isinstance(element, Mapping) or "=" in str(element):
            name = (
                ", ".join(str(part) for part in element) if isinstance(element, Mapping) else element.partition("=")[0]
            )
            raise KrafError(what, name, "it comes with a value, and values never enter the catalog", _ENV_FIX)
        if not isinstance(element, str) or not _ENV.match(element) or element == "." or element.startswith(".."):
            why = "Kubernetes 1.22 takes letters, digits, '_', '-' and '.', and no digit at the start"
            raise KrafError(what, element, why, "Rename the variable in the app")
        if element in found:
            raise KrafError(what, element, "it stands there twice", "Remove one of the two")
        found.append(element)
    return tuple(found)


_ENV_FIX = "Give the name alone: the value is read from the container when the app moves"


def _ports(key: str, raws: Sequence[Mapping[str, Any]], known: Sequence[str]) -> tuple[Port, ...]:
    what = f"port of app {key}"
    found: list[Port] = []
    for raw in raws:
        port = _port(what, raw.get("port"))
        device_port = _port(f"device_port of app {key}", port if raw.get("device_port") is None else raw["device_port"])
        protocol = str(raw.get("protocol") or "TCP").upper()
        if protocol not in PROTOCOLS:
            why = f"a forward carries {' and '.join(PROTOCOLS)} only"
            raise KrafError(f"protocol of {what}", protocol, why, "Leave this port out")
        for other in [one for one in found if one.protocol == protocol]:
            if port == other.port and _member(what, raw, known) != other.member:
                why = (
                    f"{other.member or 'the app itself'} and {raw.get('member') or 'the app itself'} both listen on it"
                )
                fix = "Let one of them listen on another port: at the edge the containers of a group share one address"
                raise KrafError(what, port, why, fix)
            if port == other.port:
                raise KrafError(what, port, "it stands there twice", "Remove one of the two")
            if device_port == other.device_port:
                why = f"ports {other.port} and {port} cannot both be reached under it"
                raise KrafError(f"device_port of app {key}", device_port, why, "Give one of them another")
        found.append(Port(port, device_port, protocol, _member(what, raw, known)))
    return tuple(found)


def _port(what: str, value: Any) -> int:
    text = str(value)
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,5}", text, re.ASCII) or not 1 <= int(text) <= 65535:
        raise KrafError(what, value, "a port is a number from 1 to 65535", "Correct the number")
    return int(text)


def _data(key: str, raws: Sequence[Mapping[str, Any]], known: Sequence[str]) -> tuple[Data, ...]:
    what = f"data of app {key}"
    found: list[Data] = []
    for raw in raws:
        name, path = names.check("data", raw.get("name")), str(raw.get("path") or "")
        if not _is_plain(path):
            fix = "Write the directory in the container from the root on, without '..' and without '/' at the end"
            raise KrafError(what, path, "it is no plain absolute path", fix)
        if not is_data_path(path):
            raise KrafError(
                what, path, "the container's root and the kernel's directories hold no data", "Name a directory"
            )
        member = _member(what, raw, known)
        for other in found:
            if other.name == name:
                raise KrafError(what, name, "the name stands there twice", "Rename one of the two")
            if member == other.member and (_within(path, other.path) or _within(other.path, path)):
                raise KrafError(what, path, f"it overlaps with {other.path}", "Declare the outer of the two only")
        found.append(Data(name, path, member))
    return tuple(found)


def is_data_path(path: str) -> bool:
    """Whether data may lie in this directory of a container."""
    return _is_plain(path) and path != "/" and not any(_within(path, kernel) for kernel in _KERNEL_PATHS)


def _is_plain(path: str) -> bool:
    return path.startswith("/") and posixpath.normpath(path) == path and not path.startswith("//") and "\0" not in path


def _within(path: str, other: str) -> bool:
    return path == other or path.startswith(other.rstrip("/") + "/")


def _cpu(key: str, cpu: str) -> str:
    if cpu:
        sizes.millicores(cpu, f"cpu of app {key}")
    return cpu


def _memory(key: str, memory: str) -> str:
    if memory:
        sizes.parse(memory, f"memory of app {key}", MINIMUM_MEMORY)
    return memory


def _probe(key: str, raw: Mapping[str, Any], ports: Sequence[Port]) -> Probe | None:
    if not raw.get("path") and raw.get("port") is None:
        return None
    what, path = f"probe of app {key}", str(raw.get("path") or "/")
    if not re.fullmatch(r"/[!-~]*", path, re.ASCII):
        raise KrafError(what, path, "it is no path of a URL", "Write it from the first '/' on, such as /health")
    known = [port.port for port in ports if port.protocol == "TCP"]
    if not known:
        raise KrafError(what, path, "the app declares no TCP port to probe", "Declare the port under ports")
    port = known[0] if raw.get("port") is None else _port(what, raw["port"])
    if port not in known:
        listed = ", ".join(map(str, known))
        raise KrafError(what, port, "it is none of the app's TCP ports", f"Name one of {listed}")
    return Probe(path, port)
