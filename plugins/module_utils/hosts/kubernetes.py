# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Docker Engine and Kubernetes as they are on a host: what runs, with which addresses and networks it was made."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
import ssl
from datetime import datetime, timezone
from typing import Any

from ..on_device.docker import SOCKET, Connection, silent
from .reading import Root

MANIFESTS = "/etc/kubernetes/manifests"
DROP_INS = "/etc/systemd/system/kubelet.service.d"
CLUSTER_FILE = "/etc/kubernetes/kraf-cluster.json"
CLIENT_CERTIFICATE = "/var/lib/kubelet/pki/kubelet-client-current.pem"


def ask_docker(path: str, socket_path: str = SOCKET, timeout: float = 20) -> Any:
    """What Docker Engine answers to one GET; None when it does not run.

    Raises:
        KrafError: when this user may not ask it, for that says nothing about Docker.
    """
    connection = Connection(socket_path, timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return json.loads(answer.read()) if answer.status == 200 else None
    except PermissionError as error:
        raise silent(error) from error
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


def docker(root: Root) -> dict[str, Any]:
    """Docker Engine's own word about itself; empty values when it does not answer."""
    socket_path = root.at(SOCKET)
    info = ask_docker("/info", socket_path) or {}
    listed = (ask_docker("/containers/json?all=1", socket_path) or []) if info else []
    names = [container["Names"][0].lstrip("/") for container in listed if container.get("Names")]
    return {
        "running": bool(info),
        "version": info.get("ServerVersion", ""),
        "cgroup_driver": info.get("CgroupDriver", ""),
        "live_restore": bool(info.get("LiveRestoreEnabled", False)),
        # Those that kubelet did not make.
        "containers": sorted(name for name in names if not name.startswith("k8s_")),
        "storage_driver": info.get("Driver", ""),
    }


def kubernetes(root: Root) -> dict[str, Any]:
    """The cluster that this host belongs to, as its own files say it; empty values when it belongs to none."""
    api = root.text(f"{MANIFESTS}/kube-apiserver.yaml")
    manager = root.text(f"{MANIFESTS}/kube-controller-manager.yaml")
    authority = root.data("/etc/kubernetes/pki/ca.crt")
    server = re.search(r"server: (\S+)", root.text("/etc/kubernetes/kubelet.conf"))
    try:
        cluster = json.loads(root.text(CLUSTER_FILE) or "{}")
    except ValueError:
        cluster = {}
    return {
        "control": root.exists("/etc/kubernetes/admin.conf"),
        "initialised": root.exists("/etc/kubernetes/kraf-initialised"),
        "joined": root.exists("/etc/kubernetes/kubelet.conf"),
        "cluster_name": str(cluster.get("name", "")),
        "version": str(cluster.get("version", "")),
        "server": server.group(1) if server else "",
        "authority": hashlib.sha256(authority).hexdigest() if authority else "",
        "advertise_address": _flag(api, "advertise-address"),
        "service_cidr": _flag(api, "service-cluster-ip-range"),
        "pod_cidr": _flag(manager, "cluster-cidr"),
        "cni_plugins": root.text("/opt/cni/bin/.kraf-checksum").strip(),
        "cgroup_flags": cgroup_flags(root),
        "certificates": certificates(root),
    }


def cgroup_flags(root: Root) -> dict[str, str]:
    """Cgroup drivers that flags give kubelet, by the file that they stand in."""
    found = {}
    for path in ["/etc/default/kubelet", *[f"{DROP_INS}/{name}" for name in root.names(DROP_INS)]]:
        flag = re.search(r"^[^#]*--cgroup-driver[= ](\w+)", root.text(path), re.MULTILINE)
        if flag:
            found[path] = flag.group(1)
    return found


def _flag(manifest: str, name: str) -> str:
    found = re.search(rf"--{name}=(\S+)", manifest)
    return found.group(1) if found else ""


def certificates(root: Root) -> dict[str, float]:
    """Days that each certificate of this host is still valid, by the path of its file.

    Those inside the control plane's kubeconfigs are among them, and kubelet's own client certificate, which
    ``kubeadm certs renew`` does not cover.
    """
    paths = [
        f"{folder}/{name}"
        for folder in ("/etc/kubernetes/pki", "/etc/kubernetes/pki/etcd")
        for name in root.names(folder)
        if name.endswith(".crt")
    ]
    texts = {path: root.text(path) for path in [*paths, CLIENT_CERTIFICATE]}
    for name in ("admin", "controller-manager", "scheduler"):
        path = f"/etc/kubernetes/{name}.conf"
        inside = re.search(r"client-certificate-data: (\S+)", root.text(path))
        texts[path] = base64.b64decode(inside.group(1)).decode() if inside else ""
    days = {}
    for path, text in texts.items():
        end = not_after(text)
        if end:
            days[path] = round((end - datetime.now(timezone.utc)).total_seconds() / 86400, 1)
    return days


def not_after(pem: str) -> datetime | None:
    """End of validity of the first certificate in a PEM text; None when there is none.

    The standard library offers no public way to decode a certificate, so its DER is walked to the field that RFC 5280
    (section 4.1) puts fifth: version, serial number, signature, issuer, validity.
    """
    found = re.search(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", pem, re.DOTALL)
    if not found:
        return None
    der = ssl.PEM_cert_to_DER_cert(found.group(0))
    outer = _element(der, 0)[1]
    position = _element(der, outer)[1]
    for _field in range(4):
        position = _element(der, position)[2]
    inside = _element(der, position)[1]
    second = _element(der, inside)[2]
    kind, begin, end = _element(der, second)
    text = der[begin:end].decode("ascii")
    form = "%y%m%d%H%M%SZ" if kind == 0x17 else "%Y%m%d%H%M%SZ"
    return datetime.strptime(text, form).replace(tzinfo=timezone.utc)


def _element(der: bytes, position: int) -> tuple[int, int, int]:
    """Tag, begin and end of the content of the DER element at a position."""
    kind, length, begin = der[position], der[position + 1], position + 2
    if length & 0x80:
        octets = length & 0x7F
        length = int.from_bytes(der[begin : begin + octets], "big")
        begin += octets
    return kind, begin, begin + length
