# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The network of a host: addresses, resolvers, firewall back-ends, VXLAN, and connections that can be made."""

from __future__ import annotations

import json
import os
import re
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any

from .reading import Root, output

# Interfaces of the cluster itself: their networks are the cluster's, so they cannot be in its way.
OWN_INTERFACES = re.compile(r"(lo|cni\d+|flannel.*|veth.*|kube-ipvs\d+|cali.*)\Z")
RESOLVER_FILES = ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf", "/run/NetworkManager/no-stub-resolv.conf")
SYSCTLS = {
    "net.bridge.bridge-nf-call-iptables": "1",
    "net.bridge.bridge-nf-call-ip6tables": "1",
    "net.ipv4.ip_forward": "1",
}


def addresses() -> list[dict[str, Any]]:
    """IPv4 addresses of this host, each with its prefix length and interface."""
    code, text = output(["ip", "-json", "-4", "address", "show"])
    if code:
        return []
    found = []
    for link in json.loads(text or "[]"):
        name = link.get("ifname", "")
        for entry in link.get("addr_info", []):
            own = bool(OWN_INTERFACES.match(name))
            found.append({"address": entry["local"], "prefix": entry["prefixlen"], "interface": name, "own": own})
    return found


def primary(found: Sequence[Mapping[str, Any]], wanted: Sequence[str]) -> str:
    """This host's address in the cluster: the first of ``wanted`` that it has, else the one of its default route."""
    own = [entry["address"] for entry in found]
    for address in wanted:
        if address in own:
            return address
    code, text = output(["ip", "-json", "-4", "route", "get", "192.0.2.1"])
    routes = json.loads(text) if code == 0 and text.startswith("[") else []
    source = str(routes[0].get("prefsrc", "")) if routes else ""
    others = [entry["address"] for entry in found if not entry["own"] and entry["interface"] != "docker0"]
    return source or (others[0] if others else "")


def nameservers(root: Root) -> list[str]:
    """Name servers that are not this host itself: a pod that is given a loopback address asks itself, for ever."""
    for path in RESOLVER_FILES:
        servers = [line.split()[1] for line in root.lines(path) if re.match(r"nameserver\s+\S", line)]
        real = [server for server in servers if not server.startswith("127.") and server not in ("::1", "0.0.0.0")]  # noqa: S104
        if real:
            return real[:3]
    return []


def resolve(names: Sequence[str]) -> dict[str, list[str]]:
    """IPv4 addresses that this host finds for each name."""
    found: dict[str, list[str]] = {}
    for name in names:
        try:
            found[name] = sorted({str(entry[4][0]) for entry in socket.getaddrinfo(name, None, socket.AF_INET)})
        except OSError:
            found[name] = []
    return found


def sysctls(root: Root) -> dict[str, bool]:
    """Whether each kernel setting that pods need has its value now."""
    return {key: root.text("/proc/sys/" + key.replace(".", "/")).strip() == value for key, value in SYSCTLS.items()}


def iptables(root: Root) -> dict[str, Any]:
    """Which iptables back-ends work here, which one holds rules, and which one the plain command uses.

    The legacy program loads its tables when it is asked, so it is asked only if they are there or nothing else works.
    """
    current = os.path.basename(os.path.realpath(root.at("/usr/sbin/iptables")))
    current = "legacy" if "legacy" in current else "nft" if root.exists("/usr/sbin/iptables") else ""
    code, text = output(["iptables-nft", "-t", "nat", "-S"])
    nft = {
        "works": code == 0,
        "rules": sum(line.startswith("-A") for line in text.splitlines()),
        "error": text.strip() if code else "",
    }
    legacy: dict[str, Any] = {"works": False, "rules": 0, "error": ""}
    if not nft["works"] or "nat" in root.text("/proc/net/ip_tables_names").split():
        code, text = output(["iptables-legacy", "-t", "nat", "-S"])
        rules = sum(line.startswith("-A") for line in text.splitlines())
        legacy = {"works": code == 0, "rules": rules, "error": text.strip() if code else ""}
    return {"installed": bool(current), "current": current, "nft": nft, "legacy": legacy}


def vxlan(root: Root) -> bool:
    """Whether this kernel can make VXLAN links; shown by one that is taken away at once, unless flannel has its own."""
    if root.exists("/sys/class/net/flannel.1"):
        return True
    code, _text = output(["ip", "link", "add", "kraf-probe", "type", "vxlan", "id", "8472", "dstport", "8473"])
    output(["ip", "link", "delete", "kraf-probe"])
    return code == 0


def unreached(targets: Sequence[Mapping[str, Any]], limit: float) -> list[dict[str, Any]]:
    """Those of ``targets`` (name, address, port) to which no TCP connection could be made within ``limit`` seconds."""
    started = time.monotonic()
    missing = [dict(target) for target in targets]
    while missing:
        missing = [target for target in missing if not _connects(target["address"], int(target["port"]))]
        if time.monotonic() - started >= limit:
            break
        if missing:
            time.sleep(0.5)
    return missing


def _connects(address: str, port: int) -> bool:
    try:
        with socket.create_connection((address, port), timeout=2):
            return True
    except OSError:
        return False
