# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decisions about hosts and a cluster's settings: pure, and used by the preflights."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..core import names
from ..core.errors import KrafError

NODE_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
"""RFC 1123 subdomain, https://kubernetes.io/docs/concepts/overview/working-with-objects/names/"""
MAX_NODE_NAME = 63
"""kubelet labels its node with the host's name, and a label's value has at most 63 characters."""
SUPPORTED = ((1, 22),)
BACKENDS = ("vxlan", "host-gw")

Network = ipaddress.IPv4Network


def fold(name: str) -> str:
    """A node name that Kubernetes takes, as near to ``name`` as can be."""
    folded = re.sub(r"[^a-z0-9.]+", "-", name.strip().lower())[:MAX_NODE_NAME]
    return re.sub(r"-*\.[-.]*", ".", folded).strip("-.")


def minor(version: str) -> tuple[int, int] | None:
    """(1, 22) of 1.22.9; None for what is no version."""
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)\Z", version)
    return (int(found.group(1)), int(found.group(2))) if found else None


def network(text: object, strict: bool = True) -> Network | None:
    """An IPv4 network; None for what is none."""
    try:
        return ipaddress.IPv4Network(str(text), strict=strict)
    except ValueError:
        return None


def iptables_backend(tables: Mapping[str, Any]) -> str:
    """DKR-02: the back-end to use: one that works, of these the one that holds rules already. Empty when none works."""
    working = [kind for kind in ("nft", "legacy") if tables[kind]["works"]]
    if not working:
        return ""
    current = tables["current"]
    return max(working, key=lambda kind: (tables[kind]["rules"], kind == current, kind == "nft"))


def complaints(settings: Mapping[str, Any]) -> Iterator[KrafError]:
    """What is wrong with a cluster's settings, whatever the hosts are."""
    try:
        names.check("cluster", settings["cluster_name"])
    except KrafError as error:
        yield error
    version = str(settings["version"])
    release = minor(version)
    if release is None:
        yield KrafError("kraf_kubernetes_version", version, "a version has three numbers", "Write for example 1.22.9")
    elif release not in SUPPORTED:
        why = "the collection sets up 1.22 with Docker Engine; kubelet drives Docker Engine itself only up to 1.23"
        yield KrafError("kraf_kubernetes_version", version, why, "Write for example 1.22.9")
    networks = {}
    for key in ("pod_cidr", "service_cidr"):
        text = str(settings[key])
        networks[key] = network(text)
        if networks[key] is None:
            why = "it is no IPv4 network" + (
                ", and flannel as it is set up here carries IPv4 only" if ":" in text else ""
            )
            yield KrafError(f"kraf_{key}", text, why, "Write an address and a prefix length, for example 10.244.0.0/16")
    pods, services = networks["pod_cidr"], networks["service_cidr"]
    if pods and services and pods.overlaps(services):
        yield KrafError(
            "kraf_pod_cidr", str(pods), f"it overlaps kraf_service_cidr {services}", "Choose networks that lie apart"
        )
    if pods and pods.prefixlen > 24:
        why = "every node takes a /24 of it"
        yield KrafError("kraf_pod_cidr", str(pods), why, "Use a prefix of at most 24, for example 10.244.0.0/16")
    if settings["backend"] not in BACKENDS:
        yield KrafError(
            "kubernetes_flannel_backend",
            settings["backend"],
            "flannel has no such back-end here",
            "Write vxlan or host-gw",
        )
