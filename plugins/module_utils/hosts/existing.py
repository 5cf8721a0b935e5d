# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong with a host that belongs to a cluster already, for joining one and for taking it out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..core.errors import KrafError
from . import plan

Host = Mapping[str, Any]
Hosts = Mapping[str, Host]
Settings = Mapping[str, Any]


def node(name: str, host: Host, hosts: Hosts, settings: Settings) -> Iterator[KrafError]:
    """What is on the host already must be this cluster, at the same address and with the same networks."""
    found = host["kubernetes"]
    if not found["joined"]:
        return
    if not found["cluster_name"]:
        why = f"it belongs to a cluster ({found['server']}) that this collection did not make"
        yield KrafError(
            f"host {name}", None, why, "Take it out of that cluster first; nothing here resets a node that is in use"
        )
    elif found["cluster_name"] != settings["cluster_name"]:
        why = f"host {name} belongs to the cluster {found['cluster_name']}"
        yield KrafError(
            "kraf_cluster_name",
            settings["cluster_name"],
            why,
            "Use that name, or reset the host with playbook reset first",
        )
    if found["version"] and found["version"] != settings["version"]:
        why = f"{name} runs {found['version']}, and the collection does not upgrade clusters"
        yield KrafError("kraf_kubernetes_version", settings["version"], why, "Keep the version of the cluster")
    control = [other for other in settings["control"] if other in hosts]
    if control and name not in settings["control"] and found["authority"]:
        authority = hosts[control[0]]["kubernetes"]["authority"]
        if authority != found["authority"]:
            why = f"it has joined a cluster with another certificate authority than {control[0]}'s"
            yield KrafError(f"host {name}", None, why, "Reset it with playbook reset (--limit) first")
    yield from _drift(name, host, settings)


def _drift(name: str, host: Host, settings: Settings) -> Iterator[KrafError]:
    found = host["kubernetes"]
    was = found["advertise_address"]
    if was and was not in [entry["address"] for entry in host["addresses"]] and not settings.get("moving"):
        # INS-14: etcd, manifests and certificates carry the address.
        why = f"the control plane was made with {was}, which this host no longer has; its address is {host['address']}"
        fix = f"Give the host {was} back (a fixed lease), or run playbook control_address: it moves the control plane"
        yield KrafError(f"address of {name}", host["address"], why, fix)
    for key in ("pod_cidr", "service_cidr"):
        # CNI-04: flannel waits for ever for a pod network that the cluster was not made with.
        if found[key] and plan.network(found[key]) != plan.network(settings[key]):
            why = f"the cluster was made with {found[key]}, and that cannot be changed afterwards"
            yield KrafError(f"kraf_{key}", settings[key], why, f"Set it to {found[key]}")


def reset(hosts: Hosts, settings: Settings) -> Iterator[KrafError]:
    """Complaints of playbook reset.

    Args:
        hosts: facts of module host_info, each with ``disks``: paths of the virtual disks that lie there.
        settings: cluster_name, and remove_volumes, the consent to lose devices' data.
    """
    for name, host in hosts.items():
        found, wanted = host["kubernetes"], settings["cluster_name"]
        if found["joined"] and found["cluster_name"] != wanted:
            whose = f"the cluster {found['cluster_name']}" if found["cluster_name"] else "a cluster of somebody else's"
            why = f"it belongs to {whose} ({found['server']}), not to {wanted}"
            yield KrafError(
                f"host {name}", None, why, "Leave it out (--limit), or name its cluster in kraf_cluster_name"
            )
        if host["disks"] and not settings["remove_volumes"]:
            why = f"{len(host['disks'])} virtual disks of devices lie there ({', '.join(host['disks'][:3])}, ...)"
            fix = "Save what is needed and set kraf_remove_volumes=true: they are lost then"
            yield KrafError(f"host {name}", None, why, fix)
