# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a container is shut off from its host, and Docker's other settings, at the edge. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from ..core import sizes
from .verdicts import KEPT, LOST, REFUSED, TRANSLATED, Row, row

BRIDGES = ("", "default", "bridge")
# What Docker gives to every container, on the nodes as well; nothing beyond is given.
DEFAULT_CAPABILITIES = frozenset({
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW",
    "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
})  # fmt: skip
# https://v1-22.docs.kubernetes.io/docs/tasks/administer-cluster/sysctl-cluster/#enabling-unsafe-sysctls
SAFE_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_syncookies",
    }
)
LOSSES = {
    "Annotations": "annotations are not carried",
    "Blkio": "weights and rates of disks are not given at the edge",
    "Cgroup": "the edge has control groups of its own",
    "Cpu": "processors are not shared out in this way at the edge",
    "Dns": "at the edge the cluster's DNS answers",
    "Domainname": "at the edge it is the cluster's",
    "IO": "weights and rates of disks are not given at the edge",
    "KernelMemory": "only memory as a whole is limited at the edge",
    "Links": "other containers of the device are not found by name at the edge",
    "MacAddress": "at the edge it has another",
    "Memory": "only memory as a whole is limited at the edge",
    "OomKillDisable": "at the edge what takes too much memory is ended",
    "OomScoreAdj": "Kubernetes sets it",
    "StorageOpt": "the size of what it writes into itself is not limited in this way",
    "UTSMode": "at the edge its host name is the pod's",
    "UsernsMode": "there are no user namespaces at the edge",
}
"""Settings without which an app runs, by how Docker's names for them begin."""
_HOST = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")


def rows(found: Mapping[str, Any]) -> list[Row]:
    """A row for each of them that is set."""
    return [
        *_network(found),
        *_isolation(found),
        *_capabilities(found),
        *_security(found),
        *_machine(found),
        *_names(found),
        *_others(found),
    ]


def hosts(found: Mapping[str, Any]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Entries of /etc/hosts that Kubernetes takes: names by address."""
    pairs = [_host(one) for one in found.get("extra_hosts") or ()]
    addresses = dict.fromkeys(address for _name, address in pairs if address)
    return tuple((at, tuple(dict.fromkeys(name for name, one in pairs if one == at))) for at in addresses)


def capabilities(found: Mapping[str, Any]) -> tuple[str, ...]:
    """Capabilities that are given again after others were dropped: only what every container has anyway."""
    return tuple(one for one in found.get("capabilities") or () if one in DEFAULT_CAPABILITIES)


def no_new_privileges(found: Mapping[str, Any]) -> bool:
    """Whether programs gain no rights by being executed."""
    return any(_is_no_new_privileges(one) for one in found.get("security_options") or ())


def sysctls(found: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Kernel parameters that Kubernetes sets without asking its administrator."""
    return tuple(sorted((key, value) for key, value in (found.get("sysctls") or {}).items() if key in SAFE_SYSCTLS))


def _host(entry: str) -> tuple[str, str]:
    """Name and address; an empty address for what Kubernetes does not take."""
    name, _colon, text = entry.partition(":")
    try:
        address = str(ipaddress.ip_address(text.strip("[]")))
    except ValueError:
        return name, ""
    return name, address if _HOST.match(name) and len(name) <= 253 else ""


def _network(found: Mapping[str, Any]) -> list[Row]:
    mode = str(found.get("network_mode") or "")
    listed = []
    if mode == "host" or mode.startswith("container:"):
        return [row(f"network {mode}", REFUSED, "at the edge it has a network of its own", "it has one of its own")]
    if mode == "none":
        return [row("network none", REFUSED, "at the edge it has a network", "it has a network")]
    named = {**dict.fromkeys(found.get("networks") or ()), mode: None}
    for one in named:
        if one in BRIDGES:
            continue
        aliases = (found.get("aliases") or {}).get(one)
        also = f", and it not by {' '.join(aliases)}" if aliases else ""
        why = f"other containers of the device are not found by name at the edge{also}"
        listed.append(row(f"network {one}", LOST, f"{why}, but as members of the app they are"))
    return listed


def _isolation(found: Mapping[str, Any]) -> list[Row]:
    listed = []
    for key in ("pid_mode", "ipc_mode"):
        mode = str(found.get(key) or "")
        if mode == "host" or mode.startswith("container:"):
            listed.append(row(f"{key} {mode}", REFUSED, "at the edge it has its own", "it has its own"))
        elif mode not in ("", "private", "shareable"):
            listed.append(row(f"{key} {mode}", LOST, "at the edge it has its own"))
    without = "it runs without"
    if found.get("privileged"):
        listed.append(row("privileged", REFUSED, "nothing runs privileged at the edge", without))
    if found.get("open_paths"):
        why = "files of the kernel that Docker hides stay hidden at the edge"
        listed.append(row("system paths unconfined", REFUSED, why, without))
    for one in found.get("devices") or ():
        listed.append(row(f"device {one}", REFUSED, "the edge does not have it", without))
    return listed


def _capabilities(found: Mapping[str, Any]) -> list[Row]:
    listed = []
    for one in found.get("capabilities") or ():
        if one in DEFAULT_CAPABILITIES:
            listed.append(row(f"capability {one}", KEPT, "every container has it"))
        else:
            listed.append(
                row(f"capability {one}", REFUSED, "capabilities are not given at the edge", "it runs without")
            )
    dropped = found.get("capabilities_dropped") or ()
    return listed + [row(f"dropped capability {one}", TRANSLATED, "dropped at the edge, too") for one in dropped]


def _is_no_new_privileges(option: str) -> bool:
    return option in ("no-new-privileges", "no-new-privileges:true", "no-new-privileges=true")


def _security(found: Mapping[str, Any]) -> list[Row]:
    listed = []
    for one in found.get("security_options") or ():
        # A profile of seccomp stands there as its whole text.
        name = f"security option {one if len(one) < 60 else one.partition('=')[0]}"
        if _is_no_new_privileges(one):
            listed.append(row(name, TRANSLATED, "no program gains rights at the edge"))
        elif one.startswith("label") or one in ("apparmor=docker-default", "no-new-privileges:false"):
            listed.append(row(name, LOST, "the edge has Docker's defaults"))
        else:
            listed.append(row(name, REFUSED, "the edge has Docker's defaults", "it runs with these"))
    for key, value in sorted((found.get("sysctls") or {}).items()):
        if key in SAFE_SYSCTLS:
            listed.append(row(f"sysctl {key}", TRANSLATED, f"{value} at the edge, too"))
        else:
            listed.append(row(f"sysctl {key}", REFUSED, "the nodes do not let a pod set it", "it has the node's value"))
    return listed


def _machine(found: Mapping[str, Any]) -> list[Row]:
    """Limits and helpers."""
    listed = []
    for one in found.get("ulimits") or ():
        name = f"ulimit {one['name']} {one['soft']}:{one['hard']}"
        listed.append(row(name, LOST, "at the edge the nodes' own limit holds"))
    if found.get("pids"):
        listed.append(row(f"pids limit {found['pids']}", LOST, "at the edge the nodes' own limit holds"))
    memory, swap = int(found.get("memory_bytes") or 0), int(found.get("swap_bytes") or 0)
    if swap not in (0, 2 * memory):
        shown = "without limit" if swap < 0 else sizes.human(swap)
        listed.append(row(f"memory with swap {shown}", LOST, "there is no swap at the edge"))
    if found.get("init"):
        listed.append(row("init", LOST, "at the edge the app's first process is to wait for processes left by others"))
    if found.get("read_only"):
        listed.append(row("read-only root", KEPT, "at the edge, too"))
    listed += [row(key, KEPT, "at the edge, too") for key in ("tty", "stdin") if found.get(key)]
    runtime, driver = str(found.get("runtime") or "runc"), str(found.get("log_driver") or "json-file")
    if runtime != "runc" and not found.get("runtime_is_default"):
        listed.append(row(f"runtime {runtime}", REFUSED, "the nodes have their own", "it runs by the nodes' own"))
    if driver != "json-file":
        listed.append(row(f"log driver {driver}", LOST, "at the edge kubelet keeps what it writes (kubectl logs)"))
    return listed


def _names(found: Mapping[str, Any]) -> list[Row]:
    listed = []
    if found.get("hostname") != str(found.get("id") or "")[:12]:
        listed.append(row("host name", LOST, "at the edge it is the name of the pod"))
    for entry in found.get("extra_hosts") or ():
        name, address = _host(entry)
        if address:
            listed.append(row(f"host {entry}", TRANSLATED, "in /etc/hosts at the edge, too"))
        else:
            why = "it stands for the device itself" if "host-gateway" in entry else "Kubernetes takes no such entry"
            listed.append(row(f"host {entry}", REFUSED, why, f"{name} is not found at the edge"))
    labels = found.get("labels") or {}
    if labels.get("com.docker.compose.project"):
        files = " ".join((found.get("compose") or {}).get("files") or ())
        why = "docker compose up on the device would start it there again"
        listed.append(row("compose project", LOST, f"{why}{f': {files}' if files else ''}"))
    own = sorted(one for one in labels if not one.startswith("com.docker.compose."))
    if own:
        listed.append(row("labels", LOST, f"nobody reads them at the edge: {' '.join(own)}"))
    return listed


def _others(found: Mapping[str, Any]) -> list[Row]:
    listed = []
    for key, value in sorted((found.get("settings") or {}).items()):
        name = f"{key} {value}".strip()
        loss = next((why for begin, why in LOSSES.items() if key.startswith(begin)), "")
        if loss:
            listed.append(row(name, LOST, loss))
        else:
            listed.append(row(name, REFUSED, "the edge does not give it", "it runs without"))
    return listed
