# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong with hosts for Docker and Kubernetes. Pure: facts in (of module host_info, by host), complaints out.

A complaint is a KrafError that was not raised, so that a preflight can show all of them at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..core.errors import KrafError
from . import daemon, existing, plan

Host = Mapping[str, Any]
Hosts = Mapping[str, Host]
Settings = Mapping[str, Any]

OLDEST_PYTHON = (3, 9)
"""What everything below plugins/ is written for."""


def python(versions: Mapping[str, str], oldest: tuple[int, int]) -> Iterator[KrafError]:
    """INS-20: without this, an old Python shows as a syntax error in the middle of a module.

    Args:
        versions: what came back when ``python3`` was asked for its version, by host; SSH may have added lines.
        oldest: the oldest Python that this ansible-core takes on a host.
    """
    least = max(oldest, OLDEST_PYTHON)
    wanted = ".".join(map(str, least))
    for name, text in versions.items():
        found = re.search(r"^\s*(\d+)\.(\d+)\s*$", text, re.MULTILINE)
        if not found:
            why = f"no Python answered there ({text.strip()[-120:] or 'no output'})"
            yield KrafError(
                f"Python of {name}",
                None,
                why,
                f"Install python3 ({wanted} or later), or set ansible_python_interpreter",
            )
        elif (int(found.group(1)), int(found.group(2))) < least:
            why = f"this ansible-core and this collection need {wanted} or later on a host"
            fix = "Upgrade the host's distribution, or set ansible_python_interpreter to a newer Python"
            yield KrafError(f"Python of {name}", found.group(0).strip(), why, fix)


def docker(hosts: Hosts, settings: Settings) -> Iterator[KrafError]:
    """Complaints of the role docker."""
    for name, host in hosts.items():
        yield from _modules(name, host)
        yield from _iptables(name, host)
        if host["daemon_fault"]:
            # DKR-05: the owner's file is never replaced by another.
            yield KrafError(f"{daemon.PATH} of {name}", None, host["daemon_fault"], "Correct it by hand")


def kubernetes(hosts: Hosts, settings: Settings) -> Iterator[KrafError]:
    """Complaints of the role kubernetes.

    Args:
        settings: version, pod_cidr, service_cidr, cluster_name, backend, control (list of hosts), endpoint, node_names
            (by host, empty for the host's own name), nameservers, clock_limit, may_reboot.
    """
    yield from plan.complaints(settings)
    yield from _control(hosts, settings)
    yield from _names(hosts, settings)
    yield from _twins(hosts)
    yield from _networks(hosts, settings)
    for name, host in hosts.items():
        yield from _clock(name, host, settings)
        yield from _cgroup(name, host, settings)
        yield from _vxlan(name, host, settings)
        yield from _resolvers(name, host, settings)
        yield from _programs(name, host, settings)
        yield from existing.node(name, host, hosts, settings)


def _modules(name: str, host: Host) -> Iterator[KrafError]:
    """DKR-01: dockerd dies of missing iptables modules when the kernel was upgraded and the host not restarted."""
    modules = host["modules"]
    if not modules["present"]:
        why = f"/lib/modules/{modules['release']} is not there: the running kernel's package was replaced"
        yield KrafError(f"kernel of {name}", modules["release"], why, "Reboot the host, then run this again")


def _iptables(name: str, host: Host) -> Iterator[KrafError]:
    """DKR-02: a host whose iptables work with neither back-end cannot run Docker."""
    tables = host["iptables"]
    if tables["installed"] and not plan.iptables_backend(tables):
        errors = "; ".join(f"{kind}: {tables[kind]['error'][:120]}" for kind in ("nft", "legacy"))
        why = f"neither back-end lists its nat table ({errors})"
        yield KrafError(
            f"iptables of {name}", tables["current"], why, "Reboot into a kernel with nf_tables or ip_tables"
        )


def _control(hosts: Hosts, settings: Settings) -> Iterator[KrafError]:
    control = list(settings["control"])
    if len(control) != 1:
        why = "the collection makes clusters with one control plane host"
        yield KrafError(
            "group kraf_control", ", ".join(control) or "empty", why, "Put exactly one host into kraf_control"
        )


def _names(hosts: Hosts, settings: Settings) -> Iterator[KrafError]:
    """INS-05: kubeadm only warns, then the node never appears."""
    nodes: dict[str, str] = {}
    for name, host in hosts.items():
        override = settings["node_names"].get(name) or ""
        node = override or host["hostname"]
        suggestion = plan.fold(node)
        if not plan.NODE_NAME.match(node) or len(node) > plan.MAX_NODE_NAME:
            why = "Kubernetes takes at most 63 lower-case letters, digits, '-' and '.', a letter or digit at both ends"
            fix = f"Rename the host, for example to {suggestion!r}, or set kubernetes_node_name to that"
            yield KrafError(f"node name of {name}", node, why, fix)
        if suggestion in nodes:
            why = f"{nodes[suggestion]} has the same name once upper case and odd characters are folded ({suggestion})"
            yield KrafError(f"node name of {name}", node, why, "Rename one of the two, or set kubernetes_node_name")
        nodes[suggestion] = name


def _twins(hosts: Hosts) -> Iterator[KrafError]:
    """INS-09: copies of one SD card have one machine id, and the second node replaces the first."""
    for key, what in (("machine_id", "machine id"), ("product_uuid", "product uuid"), ("address", "address")):
        seen: dict[str, list[str]] = {}
        for name, host in hosts.items():
            if host[key]:
                seen.setdefault(host[key], []).append(name)
            elif key == "machine_id":
                fix = "Run systemd-machine-id-setup there and reboot"
                yield KrafError(f"{what} of {name}", "", "/etc/machine-id is empty or missing", fix)
            elif key == "address":
                yield KrafError(
                    f"{what} of {name}", "", "no IPv4 address and no default route", "Set kubernetes_node_address"
                )
        for value, names in seen.items():
            if len(names) > 1:
                fix = {
                    "machine_id": "On all but one: truncate /etc/machine-id (never delete it) and reboot",
                    "product_uuid": "Give the virtual machines different UUIDs",
                    "address": "Set kubernetes_node_address for each of them",
                }[key]
                yield KrafError(
                    f"{what} of {' and '.join(names)}", value, "it must differ between the nodes of a cluster", fix
                )


def _networks(hosts: Hosts, settings: Settings) -> Iterator[KrafError]:
    """Overlapping networks make some addresses unreachable, from some hosts, some of the time."""
    for key in ("pod_cidr", "service_cidr"):
        network = plan.network(settings[key])
        if network is None:
            continue
        for name, host in hosts.items():
            for entry in host["addresses"]:
                other = plan.network(f"{entry['address']}/{entry['prefix']}", strict=False)
                if not entry["own"] and other is not None and network.overlaps(other):
                    why = f"it overlaps {other} of {name}'s interface {entry['interface']}"
                    yield KrafError(f"kraf_{key}", str(network), why, "Choose a network that no host uses")


def _clock(name: str, host: Host, settings: Settings) -> Iterator[KrafError]:
    """INS-13: certificates made by a clock that is off are not valid yet, and tokens have expired, elsewhere."""
    skew = host["clock"]["skew"]
    if skew is not None and abs(skew) > float(settings["clock_limit"]):
        direction = "ahead of" if skew > 0 else "behind"
        why = (
            f"it is {abs(skew):.0f} s {direction} the controller's, {float(settings['clock_limit']):.0f} s are allowed"
        )
        yield KrafError(
            f"clock of {name}", f"{skew:+.0f} s", why, "Set up time synchronisation there (systemd-timesyncd, chrony)"
        )


def _cgroup(name: str, host: Host, settings: Settings) -> Iterator[KrafError]:
    """INS-01, INS-03 and INS-21: the effective state counts, not what a file says."""
    group, version = host["cgroup"], str(settings["version"])
    minor = plan.minor(version)
    if group["version"] == 1 and minor is not None and minor >= (1, 35):
        why = f"kubelet {version} refuses control groups of version 1"
        yield KrafError(
            f"control groups of {name}",
            "v1",
            why,
            "Boot with systemd.unified_cgroup_hierarchy=1, or use Kubernetes 1.22",
        )
    driver = str(settings["cgroup_driver"])
    for path, flag in host["kubernetes"]["cgroup_flags"].items():
        if flag != driver:
            # INS-06: a flag wins over kubelet's configuration, and kubelet exits when Docker uses another driver.
            why = f"{path} gives kubelet another driver than Docker's, {driver}"
            yield KrafError(f"cgroup driver of {name}", flag, why, "Take --cgroup-driver out of that file")
    if group["version"] == 2 and driver == "cgroupfs" and minor is not None and minor < (1, 25):
        why = f"kubelet {version} works with control groups of version 2 only through systemd"
        yield KrafError(f"cgroup driver of {name}", driver, why, "Use the driver systemd")
    if group["memory"] or (settings["may_reboot"] and group["cause"] in ("option", "reboot")):
        return
    what, options = f"memory control group of {name}", "cgroup_enable=memory cgroup_memory=1"
    if group["cause"] == "option":
        why = f"it is off, and {group['file']} lacks the option for it"
        yield KrafError(what, "off", why, f"Set kubernetes_may_reboot, or add {options} there and reboot")
    elif group["cause"] == "reboot":
        why = f"{group['file']} has the option, the running kernel does not: no reboot since, or another file counts"
        yield KrafError(what, "off", why, "Reboot the host, then look at /proc/cmdline")
    else:
        why = "neither /boot/firmware/cmdline.txt nor /boot/cmdline.txt holds a line with root="
        yield KrafError(
            what, "off", why, f"Add {options} to the kernel's options where this host keeps them, and reboot"
        )


def _vxlan(name: str, host: Host, settings: Settings) -> Iterator[KrafError]:
    """CNI-02: some kernels have no VXLAN until another package is installed."""
    if settings["backend"] == "vxlan" and not host["vxlan"]:
        fix = "Install linux-modules-extra-raspi (Ubuntu) and reboot, or set kubernetes_flannel_backend to host-gw"
        yield KrafError(f"kernel of {name}", host["kernel"], "it cannot make VXLAN links, which flannel needs", fix)


def _resolvers(name: str, host: Host, settings: Settings) -> Iterator[KrafError]:
    if not settings["nameservers"] and not host["nameservers"]:
        why = "every name server that it knows is a loopback address, and CoreDNS would ask itself for ever"
        yield KrafError(
            f"resolver of {name}", None, why, "Set kubernetes_resolv_conf_nameservers to the site's real ones"
        )


def _programs(name: str, host: Host, settings: Settings) -> Iterator[KrafError]:
    """Nothing is installed whose checksum is not known, for the host's own architecture."""
    version, plugins = str(settings["version"]), str(settings["cni_plugins_version"])
    wanted = {"kubeadm": version, "kubelet": version, "kubectl": version, "cni_plugins": plugins}
    sums, architecture = settings["checksums"], host["architecture"]
    missing = [f"{what} {v}" for what, v in wanted.items() if architecture not in sums.get(what, {}).get(v, {})]
    if missing and plan.minor(version):
        fix = "Choose a version that the list of checksums has, or set kraf_checksums_url to a list that has it"
        yield KrafError(f"programs for {name}", ", ".join(missing), f"no checksum is known for {architecture}", fix)


def certificate_days(hosts: Hosts) -> dict[str, Any]:
    """INS-19: the certificate that ends first: ``{days, host, path}``; empty where there is none."""
    rows = [
        (days, name, path) for name, host in hosts.items() for path, days in host["kubernetes"]["certificates"].items()
    ]
    if not rows:
        return {}
    days, name, path = min(rows)
    return {"days": days, "host": name, "path": path}
