# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A container as Docker's inspect tells of it. Pure: answers of Docker in, a description out.

https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Container/operation/ContainerInspect
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NANO = 10**9
DEFAULT_SHM = 64 * 2**20
UNLIMITED_PIDS = (None, 0, -1)

_COMPOSE = "com.docker.compose."
# What has a field of its own below, and what is about the client or the moment and not about how the app runs.
_HOST_FIELDS = frozenset({
    "AutoRemove", "Binds", "CapAdd", "CapDrop", "ContainerIDFile", "ConsoleSize", "CgroupnsMode", "CpuPeriod",
    "CpuQuota", "Devices", "ExtraHosts", "GroupAdd", "Init", "IpcMode", "Isolation", "LogConfig", "MaskedPaths",
    "Memory", "MemorySwap", "Mounts", "NanoCpus", "NetworkMode", "PidMode", "PidsLimit", "PortBindings",
    "Privileged", "PublishAllPorts", "ReadonlyPaths", "ReadonlyRootfs", "RestartPolicy", "Runtime", "SecurityOpt",
    "ShmSize", "Sysctls", "Tmpfs", "Ulimits", "VolumeDriver", "VolumesFrom",
})  # fmt: skip
_CONFIG_FIELDS = frozenset({
    "ArgsEscaped", "AttachStderr", "AttachStdin", "AttachStdout", "Cmd", "Entrypoint", "Env", "ExposedPorts",
    "Healthcheck", "Hostname", "Image", "Labels", "OnBuild", "OpenStdin", "Shell", "StdinOnce", "StopSignal",
    "StopTimeout", "Tty", "User", "Volumes", "WorkingDir",
})  # fmt: skip


@dataclass(frozen=True)
class Container:
    """A container as it really runs, not as its image or a file says it should.

    Attributes:
        image_env: variables that the image sets; ``image_labels`` likewise.
        groups: supplementary groups, as they were given: numbers or names.
        ports: ``port``, ``protocol``, ``device_port`` (0 while Docker has yet to choose one) and ``address``.
        exposed: ports that are named and not published, such as ``9000/tcp``.
        mounts: binds and volumes: ``type``, ``name``, ``source``, ``path``, ``driver``, ``read_only``, ``propagation``.
        tmpfs: ``path``, ``bytes`` (0 is no limit) and ``options``.
        shm_bytes: size of /dev/shm.
        ulimits: ``name``, ``soft`` and ``hard``.
        healthcheck: ``argv``, ``interval``, ``timeout``, ``start_period`` (seconds) and ``retries``; None for none.
        extra_hosts: entries of /etc/hosts, as ``name:address``.
        aliases: the names by which others find it, by network; without its id.
        compose: ``project``, ``service``, ``files`` and ``folder`` of the compose project that it belongs to.
        open_paths: whether files of the kernel that Docker hides are shown.
        stop_timeout: seconds; below zero is without an end.
        settings: every other setting that is not Docker's default, by Docker's own name for it, as a short text.
    """

    name: str
    id: str
    image: str
    image_id: str
    architecture: str
    running: bool
    status: str
    exit_code: int
    pid: int
    path: str
    args: tuple[str, ...]
    env: dict[str, str] = field(repr=False)
    image_env: dict[str, str] = field(default_factory=dict, repr=False)
    image_user: str = ""
    image_stop_signal: str = "SIGTERM"
    image_digests: tuple[str, ...] = ()
    user: str = ""
    groups: tuple[str, ...] = ()
    working_dir: str = ""
    hostname: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    image_labels: dict[str, str] = field(default_factory=dict)
    ports: tuple[dict[str, Any], ...] = ()
    exposed: tuple[str, ...] = ()
    mounts: tuple[dict[str, Any], ...] = ()
    tmpfs: tuple[dict[str, Any], ...] = ()
    shm_bytes: int = DEFAULT_SHM
    ulimits: tuple[dict[str, Any], ...] = ()
    healthcheck: dict[str, Any] | None = None
    extra_hosts: tuple[str, ...] = ()
    networks: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, list[str]] = field(default_factory=dict)
    compose: dict[str, Any] | None = None
    network_mode: str = ""
    pid_mode: str = ""
    ipc_mode: str = ""
    restart_policy: str = "no"
    restart_maximum: int = 0
    auto_remove: bool = False
    privileged: bool = False
    read_only: bool = False
    init: bool = False
    devices: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    capabilities_dropped: tuple[str, ...] = ()
    security_options: tuple[str, ...] = ()
    open_paths: bool = False
    sysctls: dict[str, str] = field(default_factory=dict)
    memory_bytes: int = 0
    swap_bytes: int = 0
    cpus: float = 0.0
    pids: int = 0
    runtime: str = ""
    log_driver: str = ""
    stop_signal: str = "SIGTERM"
    stop_timeout: int = 10
    tty: bool = False
    stdin: bool = False
    stdin_once: bool = False
    started_at: str = ""
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def argv(self) -> list[str]:
        """What runs as its first process, whatever mixture of image and command line it came from."""
        return [self.path, *self.args]

    @property
    def own_env(self) -> dict[str, str]:
        """The environment without what the image sets in the same way."""
        return {key: value for key, value in self.env.items() if self.image_env.get(key) != value}

    def report(self) -> dict[str, Any]:
        """The container as a module may return it: the names of its environment, never the values."""
        hidden = ("env", "image_env", "image_labels", "path", "args")
        shown = {key: value for key, value in vars(self).items() if key not in hidden}
        own = {key: value for key, value in self.labels.items() if self.image_labels.get(key) != value}
        shown.update(argv=self.argv, env=sorted(self.own_env), labels=own)
        return {key: list(value) if isinstance(value, tuple) else value for key, value in shown.items()}


def from_inspect(found: Mapping[str, Any], image: Mapping[str, Any] | None = None) -> Container:
    """The container that an answer of Docker's inspect tells of.

    Args:
        found: the answer for the container.
        image: the answer for its image; None when Docker has it no more.
    """
    config, host, state = (found.get(key) or {} for key in ("Config", "HostConfig", "State"))
    own = (image or {}).get("Config") or {}
    network = found.get("NetworkSettings") or {}
    policy = host.get("RestartPolicy") or {}
    labels = dict(config.get("Labels") or {})
    published = _ports(host, network.get("Ports") or {})
    timeout = config.get("StopTimeout")
    return Container(
        name=str(found.get("Name", "")).lstrip("/"),
        id=str(found.get("Id", "")),
        image=str(config.get("Image", "")),
        image_id=str(found.get("Image", "")),
        architecture=str((image or {}).get("Architecture", "")),
        running=bool(state.get("Running")),
        status=str(state.get("Status", "")),
        exit_code=int(state.get("ExitCode") or 0),
        pid=int(state.get("Pid") or 0),
        path=str(found.get("Path", "")),
        args=tuple(found.get("Args") or ()),
        env=_environment(config),
        image_env=_environment(own),
        image_user=str(own.get("User") or ""),
        image_stop_signal=str(own.get("StopSignal") or "SIGTERM"),
        image_digests=tuple((image or {}).get("RepoDigests") or ()),
        user=str(config.get("User") or ""),
        groups=tuple(map(str, host.get("GroupAdd") or ())),
        working_dir=str(config.get("WorkingDir") or ""),
        hostname=str(config.get("Hostname") or ""),
        labels=labels,
        image_labels=dict(own.get("Labels") or {}),
        ports=published,
        exposed=_exposed(config, published),
        mounts=tuple(_mount(one) for one in found.get("Mounts") or () if one.get("Type") != "tmpfs"),
        tmpfs=_tmpfs(host),
        shm_bytes=int(host.get("ShmSize") or DEFAULT_SHM),
        ulimits=tuple(
            {"name": str(one.get("Name")), "soft": int(one.get("Soft") or 0), "hard": int(one.get("Hard") or 0)}
            for one in host.get("Ulimits") or ()
        ),
        healthcheck=_healthcheck(config),
        extra_hosts=tuple(map(str, host.get("ExtraHosts") or ())),
        networks={key: str((one or {}).get("IPAddress") or "") for key, one in (network.get("Networks") or {}).items()},
        aliases=_aliases(found, network.get("Networks") or {}),
        compose=_compose(labels),
        network_mode=str(host.get("NetworkMode") or ""),
        pid_mode=str(host.get("PidMode") or ""),
        ipc_mode=str(host.get("IpcMode") or ""),
        restart_policy=str(policy.get("Name") or "no"),
        restart_maximum=int(policy.get("MaximumRetryCount") or 0),
        auto_remove=bool(host.get("AutoRemove")),
        privileged=bool(host.get("Privileged")),
        read_only=bool(host.get("ReadonlyRootfs")),
        init=bool(host.get("Init")),
        devices=tuple(str(one.get("PathOnHost", "")) for one in host.get("Devices") or ()),
        capabilities=_capabilities(host.get("CapAdd")),
        capabilities_dropped=_capabilities(host.get("CapDrop")),
        security_options=tuple(map(str, host.get("SecurityOpt") or ())),
        open_paths=not host.get("Privileged") and [] in (host.get("MaskedPaths"), host.get("ReadonlyPaths")),
        sysctls={str(key): str(value) for key, value in (host.get("Sysctls") or {}).items()},
        memory_bytes=int(host.get("Memory") or 0),
        swap_bytes=int(host.get("MemorySwap") or 0),
        cpus=_cpus(host),
        pids=0 if host.get("PidsLimit") in UNLIMITED_PIDS else int(host["PidsLimit"]),
        runtime=str(host.get("Runtime") or ""),
        log_driver=str((host.get("LogConfig") or {}).get("Type") or ""),
        stop_signal=str(config.get("StopSignal") or "SIGTERM"),
        stop_timeout=10 if timeout is None else int(timeout),
        tty=bool(config.get("Tty")),
        stdin=bool(config.get("OpenStdin")),
        stdin_once=bool(config.get("StdinOnce")),
        started_at=str(state.get("StartedAt") or ""),
        settings={**_others(host, _HOST_FIELDS), **_others(config, _CONFIG_FIELDS)},
    )


def _environment(config: Mapping[str, Any]) -> dict[str, str]:
    """Variables by name; of twins Docker keeps the last, and an entry without '=' takes a variable away."""
    entries = (str(entry).partition("=") for entry in config.get("Env") or ())
    return {name: value for name, equals, value in entries if equals}


def _ports(host: Mapping[str, Any], bound: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """Published ports: as they are bound while the container runs, as they were asked for otherwise."""
    asked = {key: hosts or [{}] for key, hosts in (host.get("PortBindings") or {}).items()}
    found = {}
    for key, hosts in {**asked, **{key: hosts for key, hosts in bound.items() if hosts}}.items():
        port, _slash, protocol = str(key).partition("/")
        for one in hosts:
            # A range to choose from has no number yet.
            given, address = str(one.get("HostPort") or "0"), str(one.get("HostIp") or "")
            row = {
                "port": int(port),
                "protocol": protocol or "tcp",
                "device_port": int(given) if given.isdigit() else 0,
                # Docker shows one publication everywhere as two, one for each version of IP.
                "address": "" if address in ("0.0.0.0", "::") else address,  # noqa: S104
            }
            found[tuple(row.values())] = row
    return tuple(found[key] for key in sorted(found))


def _exposed(config: Mapping[str, Any], ports: tuple[dict[str, Any], ...]) -> tuple[str, ...]:
    published = {f"{one['port']}/{one['protocol']}" for one in ports}
    return tuple(sorted(set(map(str, config.get("ExposedPorts") or ())) - published))


def _mount(mount: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": str(mount.get("Type", "")),
        "name": str(mount.get("Name", "")),
        "source": str(mount.get("Source", "")),
        "path": str(mount.get("Destination", "")),
        "driver": str(mount.get("Driver", "")),
        "read_only": not mount.get("RW", True),
        "propagation": str(mount.get("Propagation", "")),
    }


_SIZE = re.compile(r"size=([0-9]+)([kmg]?)\Z", re.IGNORECASE)
_FACTORS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}


def _tmpfs(host: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """By ``--tmpfs`` and by ``--mount type=tmpfs``; a size in percent counts among the other options."""
    found = {}
    for path, text in (host.get("Tmpfs") or {}).items():
        sizes = [match for match in map(_SIZE.match, str(text or "").split(",")) if match]
        size = int(sizes[-1][1]) * _FACTORS[sizes[-1][2].lower()] if sizes else 0
        options = [one for one in str(text or "").split(",") if one and not _SIZE.match(one)]
        found[str(path)] = {"path": str(path), "bytes": size, "options": options}
    for one in host.get("Mounts") or ():
        if one.get("Type") == "tmpfs":
            given, path = one.get("TmpfsOptions") or {}, str(one.get("Target", ""))
            options = [f"mode={int(given['Mode']):o}"] if given.get("Mode") else []
            found[path] = {"path": path, "bytes": int(given.get("SizeBytes") or 0), "options": options}
    return tuple(found[path] for path in sorted(found))


def _healthcheck(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Docker's defaults: every 30 s, 30 s for an answer, three failures in a row."""
    given = config.get("Healthcheck") or {}
    test = [str(one) for one in given.get("Test") or ()]
    if len(test) < 2 or test[0] not in ("CMD", "CMD-SHELL"):
        return None
    shell = list(config.get("Shell") or ("/bin/sh", "-c"))
    return {
        "argv": test[1:] if test[0] == "CMD" else [*shell, test[1]],
        "interval": int(given.get("Interval") or 30 * NANO) / NANO,
        "timeout": int(given.get("Timeout") or 30 * NANO) / NANO,
        "start_period": int(given.get("StartPeriod") or 0) / NANO,
        "retries": int(given.get("Retries") or 3),
    }


def _aliases(found: Mapping[str, Any], networks: Mapping[str, Any]) -> dict[str, list[str]]:
    short = str(found.get("Id", ""))[:12]
    names = {
        key: [one for one in (value or {}).get("Aliases") or () if one != short] for key, value in networks.items()
    }
    return {key: value for key, value in names.items() if value}


def _compose(labels: Mapping[str, str]) -> dict[str, Any] | None:
    project = labels.get(f"{_COMPOSE}project")
    if not project:
        return None
    files = str(labels.get(f"{_COMPOSE}project.config_files") or "")
    return {
        "project": project,
        "service": str(labels.get(f"{_COMPOSE}service") or ""),
        "files": [one for one in files.split(",") if one],
        "folder": str(labels.get(f"{_COMPOSE}project.working_dir") or ""),
    }


def _capabilities(given: Any) -> tuple[str, ...]:
    """As Kubernetes names them: Docker keeps some with CAP_ in front."""
    names = (str(one).upper() for one in given or ())
    return tuple(one[4:] if one.startswith("CAP_") else one for one in names)


def _cpus(host: Mapping[str, Any]) -> float:
    """By ``--cpus``, or by its older form of a quota in each period (microseconds; 100 ms by default)."""
    quota = int(host.get("CpuQuota") or 0)
    by_quota = quota / (int(host.get("CpuPeriod") or 0) or 100_000) if quota > 0 else 0.0
    return int(host.get("NanoCpus") or 0) / NANO or by_quota


def _others(given: Mapping[str, Any], known: frozenset[str]) -> dict[str, str]:
    """Settings without a field, unless they are empty or Docker's default. Options of drivers may hold secrets."""
    found = {}
    for key, value in given.items():
        if key in known or not value or (key == "MemorySwappiness" and value == -1):
            continue
        plain = isinstance(value, (str, int, float)) or (
            isinstance(value, list) and all(isinstance(one, (str, int)) for one in value)
        )
        shown = " ".join(map(str, value)) if isinstance(value, list) else str(value)
        found[str(key)] = shown[:120] if plain and not isinstance(value, bool) else ""
    return found
