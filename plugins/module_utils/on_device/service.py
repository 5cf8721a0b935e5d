# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A systemd service of the device, described in the words in which a container is: what systemd has loaded, not files.

Everything is read over D-Bus (org.freedesktop.systemd1(5)): there arguments are a list, in ``systemctl show`` they are
a line that nobody can split again. What counts as a setting is what differs from a unit that does not exist, which has
this very systemd's defaults.
"""

from __future__ import annotations

import grp
import json
import os
import pwd
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.errors import KrafError
from . import env_file, sockets
from .container import Container
from .run import check

PREFIX = "unit:"
"""What names a unit where otherwise a container is named; no container's name has a colon."""
AWAY = Path("/var/lib/kraf/at-the-edge")
"""Holds a file of the name of each unit that is kept from starting: its own condition asks for it."""
DROP_IN = "zzz-kraf.conf"
DIRECTORIES = {
    "state": ("StateDirectory", "/var/lib"),
    "cache": ("CacheDirectory", "/var/cache"),
    "logs": ("LogsDirectory", "/var/log"),
    "runtime": ("RuntimeDirectory", "/run"),
    "configuration": ("ConfigurationDirectory", "/etc"),
}
"""Property of each, and where systemd makes it (systemd.exec(5))."""
COMMANDS = (
    "ExecCondition",
    "ExecStartPre",
    "ExecStartPost",
    "ExecReload",
    "ExecStop",
    "ExecStopPost",
)
RUNNING = ("active", "activating", "reloading", "deactivating")
INFINITY = 2**64 - 1
NOBODY = 2**32 - 1
_CPU_PERIOD = 10**6
_REFERENCE = "kraf-reference.service"
_MANAGER = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
_EXPANDS = re.compile(r"\$(?:\{|[A-Za-z_])")

# What a unit is doing, and what says again what another property says.
_STATE = re.compile(
    r"(?:MainPID|ControlPID|UID|GID|Slice|ControlGroup(?:Id)?|ExecMain\w+|Status(?:Text|Errno|BusError|VarlinkError)"
    r"|NRestarts|\w*Result|NFileDescriptorStore|WatchdogTimestamp\w*|CPUUsageNSec|(?:IP|IO)\w+(?:Bytes|Packets|Operations)"
    r"|(?:Memory|Tasks)(?:Current|Available|Peak|SwapCurrent|SwapPeak|ZSwapCurrent)|Effective\w+|Exec\w+Ex"
    r"|\w+DirectorySymlink|\w+Accounting|OOMPolicy|WatchdogUSec|StandardOutput|StandardError|Default\w+|StartupMemory\w+"
    r"|RestartUSecNext|ExtraFileDescriptorNames|RootHashPath|DebugInvocation|CPUQuotaPeriodUSec|MemoryLimit)\Z"
)
_FIELDS = frozenset({
    "AmbientCapabilities", "CPUQuotaPerSecUSec", "CapabilityBoundingSet", "DynamicUser", "Environment",
    "EnvironmentFiles", "ExecStart", "Group", "KillSignal", "MemoryMax", "NoNewPrivileges", "PassEnvironment",
    "PrivateTmp", "ProtectSystem", "ReadWritePaths", "Restart", "SupplementaryGroups", "TasksMax",
    "TemporaryFileSystem", "TimeoutStopUSec", "Type", "UnsetEnvironment", "User", "WorkingDirectory",
    *COMMANDS, *(one for one, _base in DIRECTORIES.values()),
})  # fmt: skip

# Of the interface Unit, whose other properties are links to other units, or say what the unit is doing.
_UNIT_SETTINGS = (
    "Asserts", "FailureAction", "JobTimeoutAction", "JoinsNamespaceOf", "OnFailure", "OnSuccess", "PropagatesReloadTo",
    "PropagatesStopTo", "RefuseManualStart", "RefuseManualStop", "StartLimitAction", "StopWhenUnneeded",
    "SuccessAction", "Upholds",
)  # fmt: skip

# Order of the bits: linux/capability.h.
CAPABILITIES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
    "CHECKPOINT_RESTORE",
)  # fmt: skip


@dataclass(frozen=True)
class Service(Container):
    """A unit as it is loaded: a container's description, whose ``settings`` are properties of systemd.

    Attributes:
        unit: what no container has. ``type``; ``enabled`` (UnitFileState); ``restart``; ``group``; ``dynamic_user``;
            ``directories``, those of ``DIRECTORIES`` by kind, as paths; ``triggered_by``, ``needs``, ``wants`` and
            ``needed_by``, other units; ``commands``, those beside ExecStart by property; ``environment_files``, and
            the ``unreadable`` ones of them; ``expands``, whether an argument names a variable; ``argv0``, where it is
            not the program; ``read_write_paths``; ``protect_system``; ``private_tmp``; ``ambient`` and ``bounding``
            capabilities; ``conditions``, its own; ``listens``, where it does (``address``, ``port``, ``protocol``);
            ``kept_down``; ``masked``; ``drop_ins``; ``transient``; ``default_dependencies``; ``starts``, how many
            programs ExecStart has; ``passed``, variables of systemd's own that it gets.
    """

    unit: dict[str, Any] = field(default_factory=dict)


def is_unit(named: str) -> bool:
    """Whether an app's name for what runs it is that of a unit."""
    return named.startswith(PREFIX)


def name_of(named: str) -> str:
    """The unit's own name."""
    return named[len(PREFIX) :]


def describe(name: str) -> Service:
    """Describe a unit.

    Raises:
        KrafError: when there is none of that name, or systemd does not answer.
    """
    found = find(name)
    if found is None:
        why = "systemd on the device has none of this name"
        raise KrafError("unit", name, why, "See systemctl list-units --all --type=service on the device")
    return found


def find(name: str) -> Service | None:
    """Describe a unit; None when there is none.

    Raises:
        KrafError: when systemd does not answer, cannot load it, or knows it by another name.
    """
    unit = _load(name, "Unit")
    state, own = str(unit["LoadState"]), str(unit["Id"])
    if state == "not-found":
        return None
    if state not in ("loaded", "masked"):
        said = str((unit.get("LoadError") or ["", ""])[1])
        raise KrafError("unit", name, f"systemd cannot load it: {said or state}", f"See systemctl status {name}")
    if own != name:
        raise KrafError("unit", name, "it is another name of a unit", f"Give its own name, {own}")
    return from_properties(unit, _load(name, "Service"), _defaults())


def main_process(name: str) -> int:
    """Id of its main process; 0 when it does not run."""
    return int(_load(name, "Service")["MainPID"])


def has_condition(name: str) -> bool:
    """Whether what systemd has loaded keeps the unit from starting while its file in ``AWAY`` is there."""
    wanted = ("ConditionPathExists", False, True, str(AWAY / name))
    return any(tuple(one[:4]) == wanted for one in _load(name, "Unit")["Conditions"])


def conditioned(name: str) -> bool:
    """Whether the unit is kept from starting."""
    return (AWAY / name).exists()


def _load(name: str, interface: str) -> dict[str, Any]:
    """Properties of a unit; one that does not exist has the defaults."""
    path = str(_call(*_MANAGER, "LoadUnit", "s", name)[0])
    words = (_MANAGER[0], path, "org.freedesktop.DBus.Properties", "GetAll", "s", f"{_MANAGER[0]}.{interface}")
    return {key: one["data"] for key, one in _call(*words)[0].items()}


def _defaults() -> dict[str, Any]:
    return {**_load(_REFERENCE, "Unit"), **_load(_REFERENCE, "Service")}


def _call(*words: str) -> list[Any]:
    fix = "Check that systemd and D-Bus (package dbus) run on the device, and that the task runs as root"
    text = check(["busctl", "--json=short", "call", *words], 20, fix=fix)
    return list(json.loads(text)["data"])


def from_properties(unit: Mapping[str, Any], service: Mapping[str, Any], defaults: Mapping[str, Any]) -> Service:
    """The service that systemd's properties tell of.

    Args:
        unit: of its interface Unit.
        service: of its interface Service.
        defaults: of both interfaces, of a unit that does not exist.
    """
    name = str(unit["Id"])
    starts = service["ExecStart"]
    path, argv = (str(starts[0][0]), list(map(str, starts[0][1]))) if len(starts) == 1 else ("", [])
    directories = {
        kind: [f"{base}/{one}" for one in service[key]] for kind, (key, base) in DIRECTORIES.items() if service[key]
    }
    env, unreadable = _environment(service, directories)
    user, running = str(service["User"] or ""), str(unit["ActiveState"]) in RUNNING
    seconds = int(service["TimeoutStopUSec"])
    own = [one for one in unit["Conditions"] if not str(one[3]).startswith(f"{AWAY}/")]
    kept_down = conditioned(name)
    listens = sockets.listening(str(service["ControlGroup"])) if running else []
    return Service(
        name=name,
        id=PREFIX + name,
        image="",
        image_id="",
        architecture="",
        running=running,
        status=f"{unit['ActiveState']} ({unit['SubState']})",
        exit_code=int(service["ExecMainStatus"]),
        pid=int(service["MainPID"]),
        path=path,
        args=tuple(one.replace("$$", "$") for one in argv[1:]),
        env=env,
        user=user or ("dynamic" if service["DynamicUser"] else "root"),
        groups=tuple(map(str, service["SupplementaryGroups"])),
        working_dir=_working_directory(str(service["WorkingDirectory"]), user),
        tmpfs=tuple(
            {"path": str(one), "bytes": 0, "options": [option for option in str(options).split(",") if option]}
            for one, options in service["TemporaryFileSystem"]
        ),
        ports=(),
        restart_policy="no" if kept_down else str(unit["UnitFileState"] or "none"),
        read_only=service["ProtectSystem"] == "strict",
        security_options=("no-new-privileges",) if service["NoNewPrivileges"] else (),
        memory_bytes=_limit(service["MemoryMax"]),
        cpus=_limit(service["CPUQuotaPerSecUSec"]) / _CPU_PERIOD,
        pids=0 if service["TasksMax"] == defaults["TasksMax"] else _limit(service["TasksMax"]),
        stop_signal=str(int(service["KillSignal"])),
        stop_timeout=-1 if seconds in (0, INFINITY) else max(1, seconds // 10**6),
        settings=_settings({**{key: unit[key] for key in _UNIT_SETTINGS if key in unit}, **service}, defaults),
        unit={
            "type": str(service["Type"]),
            "enabled": str(unit["UnitFileState"]),
            "restart": str(service["Restart"]),
            "group": str(service["Group"] or ""),
            "dynamic_user": bool(service["DynamicUser"]),
            "directories": directories,
            "triggered_by": _named(unit, "TriggeredBy"),
            "needs": _services(unit, "Requires", "Requisite", "BindsTo"),
            "wants": _services(unit, "Wants"),
            "needed_by": _services(unit, "RequiredBy", "RequisiteOf", "BoundBy", "ConsistsOf"),
            "commands": {key: len(service[key]) for key in COMMANDS if service.get(key)},
            "environment_files": [str(one) for one, _optional in service["EnvironmentFiles"]],
            "unreadable": unreadable,
            "passed": sorted(map(str, service["PassEnvironment"])),
            "starts": len(starts),
            "expands": any(_EXPANDS.search(one.replace("$$", "")) for one in argv[1:]),
            "argv0": argv[0] if argv and argv[0] != path else "",
            "read_write_paths": [str(one).lstrip("-+") for one in service["ReadWritePaths"]],
            "protect_system": str(service["ProtectSystem"]),
            "private_tmp": str(service["PrivateTmp"]).lower() not in ("false", "no"),
            "ambient": _capabilities(int(service["AmbientCapabilities"])),
            "bounding": _capabilities(int(service["CapabilityBoundingSet"])),
            "conditions": [f"{one[0]}={one[3]}" for one in own],
            "listens": listens,
            "kept_down": kept_down,
            "masked": str(unit["LoadState"]) == "masked",
            "drop_ins": [str(one) for one in unit["DropInPaths"] if not str(one).endswith(f"/{DROP_IN}")],
            "transient": bool(unit["Transient"]),
            "default_dependencies": bool(unit["DefaultDependencies"]),
        },
    )


def identity(found: Service) -> dict[str, Any]:
    """Numbers of its user and groups, as ``inside.identity`` gives them for a container.

    A dynamic user has a number while it runs; at rest its data directory still has it.
    """
    group_name, unknown = str(found.unit.get("group") or ""), []
    user: int | None = None
    group: int | None = None
    groups: list[int] = []
    if found.unit["dynamic_user"]:
        user, group = _dynamic(found)
    else:
        row = _row(pwd.getpwnam, pwd.getpwuid, found.user)
        if row is not None:
            user, group = row.pw_uid, row.pw_gid
            groups = [one for one in os.getgrouplist(row.pw_name, row.pw_gid) if one != row.pw_gid]
        elif found.user.isdigit():
            user = group = int(found.user)
        else:
            unknown.append(found.user)
    for one in filter(None, (group_name, *found.groups)):
        row = _row(grp.getgrnam, grp.getgrgid, one)
        number = row.gr_gid if row is not None else int(one) if one.isdigit() else None
        if number is None:
            unknown.append(one)
        elif one == group_name:
            group = number
        else:
            groups.append(number)
    return {"user": user, "group": group, "groups": sorted(set(groups)), "unknown": unknown}


def _row(by_name: Any, by_number: Any, given: str) -> Any:
    try:
        return by_number(int(given)) if given.isdigit() else by_name(given)
    except (KeyError, OverflowError):
        return None


def _dynamic(found: Service) -> tuple[int | None, int | None]:
    places = [f"/proc/{found.pid}"] if found.pid else []
    for path in [*places, *found.unit["directories"].get("state", ())]:
        try:
            state = os.stat(path)
        except OSError:
            continue
        if state.st_uid:
            return state.st_uid, state.st_gid
    return None, None


def _environment(service: Mapping[str, Any], directories: Mapping[str, list[str]]) -> tuple[dict[str, str], list[str]]:
    """Variables as systemd sets them for it, those of its files last; and files that cannot be read."""
    env: dict[str, str] = {}
    user = str(service["User"] or "")
    row = _row(pwd.getpwnam, pwd.getpwuid, user) if user else None
    if row is not None:
        env.update(HOME=row.pw_dir, LOGNAME=row.pw_name, USER=row.pw_name)
    for kind, paths in directories.items():
        env[f"{kind.upper()}_DIRECTORY"] = ":".join(paths)
    for one in service["Environment"]:
        name, _equals, value = str(one).partition("=")
        env[name] = value
    unreadable = []
    for path, optional in service["EnvironmentFiles"]:
        try:
            env.update(env_file.read(str(path)))
        except FileNotFoundError:
            if not optional:
                unreadable.append(str(path))
        except (OSError, ValueError):
            unreadable.append(str(path))
    for one in service["UnsetEnvironment"]:
        name, equals, value = str(one).partition("=")
        if not equals or env.get(name) == value:
            env.pop(name, None)
    return env, unreadable


def _working_directory(given: str, user: str) -> str:
    """Without the mark of one that may be missing; ``~`` is the user's home."""
    path = given[1:] if given.startswith("!") else given
    if path == "~":
        row = _row(pwd.getpwnam, pwd.getpwuid, user or "root")
        return str(row.pw_dir) if row is not None else ""
    return path


def _settings(service: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, str]:
    """Properties without a field that are not the default's, as short texts; what may be secret has none."""
    found = {}
    for key, value in service.items():
        if key in _FIELDS or _STATE.match(key) or value == defaults.get(key):
            continue
        secret = "Credential" in key
        shown = " ".join(map(str, value)) if isinstance(value, list) else str(value)
        found[str(key)] = "" if secret or isinstance(value, bool) else shown[:120]
    return found


def _named(unit: Mapping[str, Any], *keys: str) -> list[str]:
    return sorted({str(one) for key in keys for one in unit.get(key) or ()})


def _services(unit: Mapping[str, Any], *keys: str) -> list[str]:
    """Those that are programs, not the system's own stages and places."""
    return [one for one in _named(unit, *keys) if one.endswith((".service", ".socket")) and not _own(one)]


def _own(name: str) -> bool:
    return name.startswith(("systemd-", "kraf-"))


def _limit(given: Any) -> int:
    return 0 if int(given) == INFINITY else int(given)


def _capabilities(bits: int) -> list[str]:
    return [name for number, name in enumerate(CAPABILITIES) if bits >> number & 1]


def addresses(found: Service, port: int, protocol: str) -> Iterable[str]:
    """Where it listens on a port."""
    return [one["address"] for one in found.unit["listens"] if (one["port"], one["protocol"]) == (port, protocol)]
