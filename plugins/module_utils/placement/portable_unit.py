# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of a systemd service of the device is the same at the edge, in an image of its operator's choice. Pure.

As for containers nothing is passed over: a property that differs from systemd's default and is not known here is
refused by its name.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

from ..catalog.records import App, Port
from ..core.errors import KrafError
from ..manifests.workload import Process
from . import portability
from . import portable_storage as storage
from .portable_settings import DEFAULT_CAPABILITIES
from .verdicts import KEPT, LOST, REFUSED, TRANSLATED, Row, accepted, row

EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104
LOOPBACK = frozenset({"127.0.0.1", "::1"})
TYPES = {
    "simple": (KEPT, "its program is the app's first process"),
    "exec": (KEPT, "its program is the app's first process"),
    "idle": (KEPT, "its program is the app's first process"),
    "notify": (TRANSLATED, "at the edge its port or the app's probe says that it is ready"),
    "notify-reload": (TRANSLATED, "at the edge its port or the app's probe says that it is ready"),
}
ENABLED = ("enabled", "enabled-runtime", "static", "indirect", "alias", "disabled", "linked", "generated")
COMMANDS = {
    "ExecCondition": "at the edge nothing is asked before it starts",
    "ExecStartPre": "at the edge it starts without what this does",
    "ExecStartPost": "at the edge nothing follows its start",
    "ExecStop": "at the edge it is ended by a signal",
    "ExecStopPost": "at the edge nothing follows its end",
}
# By the name of the property, or how it begins.
OWN = (
    "KeyringMode", "MountAPIVFS", "MountFlags", "PrivateDevices", "PrivateIPC", "PrivateMounts", "PrivateTmp",
    "ProcSubset", "ProtectClock", "ProtectControlGroups", "ProtectHome", "ProtectHostname", "ProtectKernel",
    "ProtectProc", "RemoveIPC",
)  # fmt: skip
LOSSES = {
    "AppArmorProfile": "the edge has Docker's defaults",
    "Asserts": "at the edge it starts in any case",
    "BlockIO": "weights and rates of disks are not given at the edge",
    "CPU": "processors are not shared out in this way at the edge",
    "CoredumpFilter": "the nodes have their own",
    "Delegate": "the edge has control groups of its own",
    "ExitType": "at the edge the app ends with its first process",
    "FailureAction": "at the edge Kubernetes starts it again",
    "FileDescriptorStore": "at the edge there is no systemd that keeps open files for it",
    "FinalKillSignal": "at the edge it is SIGKILL",
    "GuessMainPID": "at the edge the first process is the app",
    "IO": "weights and rates of disks are not given at the edge",
    "IPAccounting": "nothing counts it at the edge",
    "IgnoreSIGPIPE": "at the edge a write to a closed pipe ends a program that does not say otherwise",
    "JobTimeoutAction": "at the edge Kubernetes waits for it",
    "JoinsNamespaceOf": "at the edge it has its own",
    "KillMode": "at the edge its first process gets the signal, and all are killed in the end",
    "Limit": "at the edge the nodes' own limit holds",
    "LockPersonality": "Docker's filter of system calls holds instead",
    "Log": "at the edge kubelet keeps what it writes (kubectl logs)",
    "ManagedOOM": "at the edge the kernel and kubelet decide",
    "Memory": "only its most is a limit at the edge",
    "NUMA": "processors are not shared out in this way at the edge",
    "Nice": "processors are not shared out in this way at the edge",
    "NotifyAccess": "there is no systemd that it tells at the edge",
    "OOM": "Kubernetes sets it",
    "OnFailure": "at the edge nothing is started when it fails",
    "OnSuccess": "at the edge nothing is started when it ends",
    "PIDFile": "at the edge the first process is the app",
    "PrivateUsers": "there are no user namespaces at the edge",
    "PropagatesReloadTo": "at the edge it has no part in other units",
    "ReadOnlyPaths": "at the edge it may write to its image's files",
    "Restart": "at the edge Kubernetes waits longer each time, up to 5 min",
    "RestrictAddressFamilies": "Docker's filter of system calls holds instead",
    "RestrictNamespaces": "Docker's filter of system calls holds instead",
    "RestrictRealtime": "Docker's filter of system calls holds instead",
    "RestrictSUIDSGID": "at the edge it may make such files in its own container",
    "CacheDirectoryMode": "at the edge every user of the app may use it",
    "ConfigurationDirectoryMode": "at the edge its mode is the image's",
    "LogsDirectoryMode": "at the edge every user of the app may use it",
    "RuntimeDirectoryMode": "at the edge every user of the app may use it",
    "RuntimeDirectoryPreserve": "at the edge what lies in memory ends with the pod",
    "SELinuxContext": "the edge has Docker's defaults",
    "SendSIGHUP": "at the edge only one signal is sent",
    "Slice": "the edge has control groups of its own",
    "SmackProcessLabel": "the edge has Docker's defaults",
    "StartLimitAction": "at the edge Kubernetes starts it again, more slowly each time",
    "Startup": "at the edge there is no time of starting up",
    "SuccessAction": "at the edge Kubernetes starts it again",
    "SuccessExitStatus": "at the edge it is started again whatever it ends with",
    "SyslogIdentifier": "at the edge kubelet keeps what it writes (kubectl logs)",
    "Syslog": "at the edge kubelet keeps what it writes (kubectl logs)",
    "SystemCall": "Docker's filter of system calls holds instead",
    "Tasks": "at the edge the nodes' own limit holds",
    "TTY": "at the edge it has none",
    "TimeoutAbort": "at the edge one limit holds for its end",
    "TimeoutClean": "at the edge nothing is cleaned",
    "TimeoutStart": "at the edge Kubernetes waits for it",
    "TimerSlack": "the nodes have their own",
    "UMask": "files that it makes have another mode at the edge",
    "Utmp": "at the edge nobody logs it",
    "Watchdog": "at the edge no watchdog asks it",
}
"""Properties without which an app runs."""
REFUSALS = {
    "Bind": ("directories of the device are not at the edge", "it runs without them, with what its image has there"),
    "BusName": ("it is known by a name on the device's D-Bus, which the edge has not", ""),
    "Device": ("the edge has none of the device's own", "it runs without them"),
    "IPAddress": ("at the edge it would reach, and be reached from, more than it may", "nothing keeps it from that"),
    "LoadCredential": ("systemd hands these to it in files of its own", "it runs without them"),
    "Network": ("it has a network of its own on the device", "at the edge it has the pod's"),
    "PAMName": ("there is no PAM session at the edge", "it runs without"),
    "PropagatesStopTo": ("units that are stopped with it are not started again", "they are yours to start again"),
    "RefuseManual": ("nobody may stop or start it by hand, and neither may its way to the edge and back", ""),
    "StopWhenUnneeded": ("systemd stops it when nothing needs it, also after its way back", "it may be stopped then"),
    "PrivateNetwork": ("it has no network on the device, and would have one at the edge", "it has the pod's network"),
    "Root": ("it runs in another root on the device", "the image takes its place"),
    "RuntimeMaxUSec": ("systemd ends it after a time", "at the edge it runs on"),
    "SetCredential": ("systemd hands these to it in files of its own", "it runs without them"),
    "StandardInput": ("it reads what the edge does not give it", "it reads nothing"),
}
"""Why, and what the app is like if that is accepted."""


def examine(app: App, found: Mapping[str, Any] | None, accept: Sequence[str] = ()) -> list[Row]:
    """The portability report of a unit; like ``portability.examine`` of a container.

    Raises:
        KrafError: when there is nothing to examine.
    """
    if found is None:
        fix = "Correct the app's unit in the catalog"
        raise KrafError(f"unit of app {app.key}", app.unit, "systemd on the device has none of this name", fix)
    rows = [
        *_program(app, found),
        *_user(found),
        *_environment(app, found),
        *_ports(app, found),
        *storage.data(found),
        *_directories(app, found),
        *_rights(found),
        *_life(found),
        *_others(found),
        *portability.limits(app, found),
        *_settings(found),
        row("address of clients", LOST, "at the edge the app sees the door's address"),
    ]
    return accepted(rows, accept)


def process(app: App, found: Mapping[str, Any]) -> Process:
    """What is to run at the edge. What Kubernetes would refuse is left out; ``examine`` has said so."""
    ids, unit = found.get("identity") or {}, found["unit"]
    env = found.get("env") or {}
    return Process(
        argv=_argv(app) or tuple(found["argv"]),
        env={key: value for key, value in env.items() if portability.is_variable(key)}
        if isinstance(env, Mapping)
        else {},
        working_dir=str(found.get("working_dir") or "/"),
        user=ids.get("user"),
        group=ids.get("group"),
        groups=tuple(ids.get("groups") or ()),
        stop_seconds=int(found["stop_timeout"]) if int(found["stop_timeout"]) >= 0 else portability.LONGEST_STOP,
        read_only=bool(found.get("read_only")),
        tmpfs=tuple((path, 0) for path in _in_memory(app, found)),
        dropped=tuple(sorted(DEFAULT_CAPABILITIES - set(unit["bounding"]))),
        no_new_privileges="no-new-privileges" in (found.get("security_options") or ()),
    )


def _argv(app: App) -> tuple[str, ...]:
    """As the catalog has it; empty for the unit's own."""
    return (*app.command, *app.args)


def _program(app: App, found: Mapping[str, Any]) -> list[Row]:
    unit, own = found["unit"], _argv(app)
    fix = "Give command and args in the catalog, as they are to be at the edge"
    listed = []
    if app.args and not app.command:
        listed.append(
            row("args", REFUSED, "the catalog gives args and no command, and a unit's image has none that counts")
        )
    if own:
        listed.append(row("argv", TRANSLATED, "program and arguments are those of the catalog"))
    elif unit["starts"] != 1:
        listed.append(row("argv", REFUSED, f"its ExecStart has {unit['starts']} programs, a container has one. {fix}"))
    elif unit["expands"]:
        listed.append(row("argv", REFUSED, f"systemd puts variables into its arguments, a container does not. {fix}"))
    else:
        listed.append(row("argv", KEPT, f"program and arguments; the image has to have {found['argv'][0]}"))
        if unit["argv0"]:
            listed.append(row("argv[0]", LOST, "at the edge the program is called by its path"))
    kind = str(unit["type"])
    if kind in TYPES:
        listed.append(row(f"type {kind}", *TYPES[kind]))
    elif kind == "forking" and own:
        listed.append(
            row("type forking", TRANSLATED, "the program that the catalog gives has to stay in the foreground")
        )
    elif kind == "forking":
        why = f"its first process ends, and a container with it. {fix}: with the option that keeps it in the foreground"
        listed.append(row("type forking", REFUSED, why))
    else:
        listed.append(row(f"type {kind}", REFUSED, "such a unit is no service that runs until it is stopped"))
    return listed


def _user(found: Mapping[str, Any]) -> list[Row]:
    ids, name = found.get("identity") or {}, f"user {found.get('user') or 'root'}"
    listed = []
    if found["unit"]["dynamic_user"] and not ids.get("user"):
        listed.append(row(name, REFUSED, "it has a number only while the unit runs; start it"))
    elif ids.get("unknown"):
        listed.append(row(name, REFUSED, f"the device does not know {' and '.join(map(str, ids['unknown']))}"))
    elif ids.get("user") is None or ids.get("group") is None:
        listed.append(row(name, REFUSED, "its number is not known"))
    elif ids["user"]:
        groups = ", ".join(map(str, ids.get("groups") or ())) or "none"
        listed.append(row(name, KEPT, f"as number {ids['user']}, group {ids['group']}, further groups {groups}"))
    else:
        listed.append(row(name, LOST, "at the edge root has the rights that Docker leaves it, and no others"))
    numbers = (ids.get("user"), ids.get("group"), *(ids.get("groups") or ()))
    wrong = [one for one in numbers if (one or 0) > portability.LARGEST_ID]
    return listed + [
        row(f"id {one}", REFUSED, f"Kubernetes takes numbers up to {portability.LARGEST_ID}") for one in wrong
    ]


def _environment(app: App, found: Mapping[str, Any]) -> list[Row]:
    env, unit = found.get("env") or (), found["unit"]
    listed = []
    for name in sorted(env):
        if not portability.is_variable(name):
            why = "Kubernetes takes letters, digits, '-', '_' and '.' in its name, and no digit at the start"
            listed.append(row(f"variable {name}", REFUSED, why, "the app runs without this variable"))
    for name in sorted(set(app.env) - set(env)):
        listed.append(row(f"variable {name}", REFUSED, "the catalog names it, the unit does not have it"))
    for path in unit["unreadable"]:
        why = "systemd could not read it either: it is not there, or no text"
        listed.append(row(f"environment file {path}", REFUSED, why, "the app runs without what it would set"))
    for name in unit["passed"]:
        listed.append(row(f"passed variable {name}", LOST, "it is one of the device's systemd itself"))
    if (
        isinstance(env, Mapping)
        and sum(len(value.encode()) for value in env.values()) > portability.LARGEST_ENVIRONMENT
    ):
        listed.append(row("environment", REFUSED, "a Secret holds 1 MiB, its values are more"))
    elif env:
        listed.append(row("environment", KEPT, f"values go to a Secret: {', '.join(sorted(env))}"))
    return listed


def _ports(app: App, found: Mapping[str, Any]) -> list[Row]:
    listens: dict[tuple[int, str], set[str]] = {}
    for one in found["unit"]["listens"]:
        listens.setdefault((one["port"], one["protocol"]), set()).add(one["address"])
    declared = {(port.port, port.protocol.lower()) for port in app.ports}
    listed = [_port(app, port, listens, bool(found.get("running"))) for port in app.ports]
    for (number, protocol), addresses in sorted(listens.items()):
        if (number, protocol) in declared:
            continue
        name = f"port {number}/{protocol}"
        if addresses <= LOOPBACK:
            listed.append(row(name, LOST, "other programs of the device do not reach it at the edge"))
        else:
            why = (
                f"it listens there ({', '.join(sorted(addresses))}), and it is not among the app's ports in the catalog"
            )
            without = "clients of the device do not reach this port while the app is at the edge"
            listed.append(row(name, REFUSED, why, without))
    return listed


def _port(app: App, port: Port, listens: Mapping[tuple[int, str], set[str]], running: bool) -> Row:
    name = f"port {port.port}/{port.protocol.lower()}"
    addresses = listens.get((port.port, port.protocol.lower()), set())
    kept = "the device's own port stays; its forward leads to the edge"
    if not running:
        return row(name, TRANSLATED, f"{kept}; the unit does not run, so that nobody sees whether it listens there")
    if not addresses:
        return row(
            name, REFUSED, "nothing of the unit listens there; correct the app's ports, or wait until it has started"
        )
    if addresses & EVERYWHERE:
        return row(name, TRANSLATED, kept)
    at = ", ".join(sorted(addresses))
    if _argv(app):
        return row(
            name,
            TRANSLATED,
            f"{kept}, for clients of {at} as now; at the edge the catalog's program has to listen everywhere",
        )
    why = f"it listens on {at} alone, where the edge does not reach it. Let it listen on every address, or give command"
    return row(name, REFUSED, why, "it listens on every address at the edge all the same")


def _directories(app: App, found: Mapping[str, Any]) -> list[Row]:
    unit, data = found["unit"], [one.path.rstrip("/") for one in app.data]
    without = "the app runs without what is in it, with what its image has at this path"
    listed = []
    for kind, paths in sorted(unit["directories"].items()):
        for path in paths:
            name = f"{kind} directory {path}"
            if _within(path, data):
                listed.append(row(name, KEPT, "it is among the app's data"))
            elif kind == "state":
                listed.append(row(name, REFUSED, "it is not among the app's data in the catalog", without))
            elif kind == "configuration" and path in (found.get("full") or ()):
                listed.append(row(name, REFUSED, "its files are the device's; the image has to have them", without))
            elif kind == "configuration":
                listed.append(row(name, KEPT, "it is empty"))
            elif ":" in path:
                listed.append(row(name, REFUSED, "Docker on the nodes takes no path with ':' in it", without))
            else:
                why = "at the edge it is empty at first, in memory, and counts as the app's"
                listed.append(row(name, TRANSLATED if kind == "runtime" else LOST, why))
    known = [*data, *(path for paths in unit["directories"].values() for path in paths)]
    for path in unit["read_write_paths"]:
        if _within(path, known):
            listed.append(row(f"path {path}", KEPT, "it is one of the app's directories"))
        else:
            why = "it writes there, and it is not among the app's data in the catalog"
            listed.append(row(f"path {path}", REFUSED, why, "at the edge what it writes there ends with the pod"))
    for one in found.get("tmpfs") or ():
        if ":" in one["path"]:
            listed.append(
                row(f"tmpfs {one['path']}", REFUSED, "Docker on the nodes takes no path with ':' in it", without)
            )
        else:
            listed.append(row(f"tmpfs {one['path']}", TRANSLATED, "a directory in memory, which counts as the app's"))
    return listed


def _within(path: str, folders: Sequence[str]) -> bool:
    return any(path.rstrip("/") == one or path.startswith(f"{one}/") for one in folders)


def _in_memory(app: App, found: Mapping[str, Any]) -> list[str]:
    """Directories that are there, empty, when it starts."""
    unit, data = found["unit"], [one.path.rstrip("/") for one in app.data]
    paths = [path for kind in ("cache", "logs", "runtime") for path in unit["directories"].get(kind, ())]
    paths += [str(one["path"]) for one in found.get("tmpfs") or ()]
    if found.get("read_only"):
        paths += unit["read_write_paths"]
        paths += ["/tmp", "/var/tmp"] if unit["private_tmp"] else []  # noqa: S108
    paths = [posixpath.normpath(one) for one in paths]
    return sorted({one for one in paths if ":" not in one and not _within(one, data) and not _holds(one, data)})


def _holds(path: str, data: Sequence[str]) -> bool:
    return any(_within(one, [path]) for one in data)


def _rights(found: Mapping[str, Any]) -> list[Row]:
    unit, bounding = found["unit"], set(found["unit"]["bounding"])
    listed = []
    protect = str(unit["protect_system"])
    if protect == "strict":
        listed.append(
            row("ProtectSystem strict", TRANSLATED, "at the edge, too, only its own directories can be written")
        )
    elif protect not in ("no", "false"):
        listed.append(
            row(f"ProtectSystem {protect}", LOST, "at the edge it may write to its image's files, for itself alone")
        )
    if unit["private_tmp"]:
        listed.append(row("PrivateTmp", KEPT, "at the edge it has its own, too"))
    if found.get("security_options"):
        listed.append(row("NoNewPrivileges", TRANSLATED, "no program gains rights at the edge"))
    for one in unit["ambient"]:
        why = "a user other than root gets no rights of root in a container"
        listed.append(row(f"ambient capability {one}", REFUSED, why, f"it runs without {one}"))
    gone = sorted(DEFAULT_CAPABILITIES - bounding)
    if gone:
        listed.append(row("CapabilityBoundingSet", TRANSLATED, f"dropped at the edge, too: {', '.join(gone)}"))
    return listed


def _life(found: Mapping[str, Any]) -> list[Row]:
    """How it starts, is watched, and ends."""
    unit = found["unit"]
    enabled = str(unit["enabled"]) or "none"
    listed = []
    if unit["masked"]:
        listed.append(row("mask", REFUSED, "it is masked, so that there is no way back; systemctl unmask it"))
    elif unit["transient"] or enabled in ("transient", "none"):
        why = "it has no file that lasts, and is gone when it is stopped; write a unit file for it"
        listed.append(row("transient unit", REFUSED, why))
    elif enabled in ENABLED:
        listed.append(
            row(f"state {enabled}", KEPT, "it stays as it is; a condition keeps the unit from starting meanwhile")
        )
    else:
        listed.append(
            row(
                f"state {enabled}", REFUSED, "it is not known what this state of a unit file means", "it stays as it is"
            )
        )
    if not unit["default_dependencies"]:
        why = "it starts before what keeps an app stopped at boot could ask"
        listed.append(row("DefaultDependencies no", REFUSED, why, "it starts at boot as ever, while it is kept ready"))
    restart = str(unit["restart"])
    if restart == "always":
        listed.append(row("Restart always", KEPT, "at the edge Kubernetes starts it again whenever it ends"))
    else:
        why = "at the edge Kubernetes starts it again whenever it ends"
        listed.append(row(f"Restart {restart}", TRANSLATED, why))
    if str(found.get("stop_signal")) != "15":
        listed.append(
            row(f"KillSignal {found.get('stop_signal')}", LOST, "at the edge the image's own is sent, or SIGTERM")
        )
    seconds = int(found["stop_timeout"])
    if seconds < 0:
        listed.append(
            row("TimeoutStopSec", LOST, f"systemd would wait for ever, the edge waits {portability.LONGEST_STOP} s")
        )
    else:
        listed.append(row(f"TimeoutStopSec {seconds} s", KEPT, "at least 1 s"))
    if found.get("pids"):
        listed.append(row(f"TasksMax {found['pids']}", LOST, "at the edge the nodes' own limit holds"))
    for key in sorted(unit["commands"]):
        if key == "ExecReload":
            listed.append(row(key, LOST, "at the edge it is started anew instead"))
        else:
            listed.append(row(key, REFUSED, "an image has one program, and this is none of it", COMMANDS[key]))
    for one in unit["conditions"]:
        listed.append(row(f"condition {one}", LOST, "at the edge it starts in any case"))
    return listed


def _others(found: Mapping[str, Any]) -> list[Row]:
    """Units that start it, that it needs, and that need it."""
    unit = found["unit"]
    listed = []
    for one in unit["triggered_by"]:
        if one.endswith(".socket"):
            why = f"systemd opens the port for it, the edge does not. Let the unit listen itself, without {one}"
            listed.append(row(f"socket {one}", REFUSED, why))
        else:
            why = "it starts the unit on the device; while the edge owns the app that does nothing"
            listed.append(row(f"trigger {one}", REFUSED, why, "at the edge the app runs all the time"))
    for one in unit["needs"]:
        listed.append(row(f"needs {one}", REFUSED, "it stays on the device", "the app does not need it at the edge"))
    for one in unit["wants"]:
        if one not in unit["needs"]:
            listed.append(row(f"wants {one}", LOST, "it stays on the device"))
    for one in unit["needed_by"]:
        why = "systemd stops it with the unit, and does not start it again"
        listed.append(row(f"needed by {one}", REFUSED, why, f"{one} stops with it, and is yours to start again"))
    return listed


def _settings(found: Mapping[str, Any]) -> list[Row]:
    listed = []
    for key, value in sorted((found.get("settings") or {}).items()):
        name = f"{key} {value}".strip()
        # The longest beginning knows it best.
        loss = LOSSES.get(max((one for one in LOSSES if key.startswith(one)), key=len, default=""), "")
        why, override = next((REFUSALS[begin] for begin in REFUSALS if key.startswith(begin)), ("", ""))
        if why:
            listed.append(row(key, REFUSED, why, override))
        elif key == "StateDirectoryMode":
            listed.append(row(name, KEPT, "it is copied with the directory"))
        elif key.startswith(OWN):
            listed.append(row(name, KEPT, "a container is shut off in this way, or has its own"))
        elif loss:
            listed.append(row(name, LOST, loss))
        else:
            listed.append(row(key, REFUSED, f"the edge does not give it ({value or 'set'})", "it runs without"))
    return listed
