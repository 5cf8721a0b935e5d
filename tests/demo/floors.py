# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shortest wait that a move by hand could give: stop the one side, start and probe the prepared other side.

Nothing of the collection is used: docker on the device, kubectl on the control plane host. "Prepared" means that the
image is on the node or device already. Data are not copied, so the floor is low for an app that has some.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from . import access

# Bash alone: not every host has curl.
PROBE = """
answers() {{
    timeout 2 bash -c "exec 3<>/dev/tcp/$1/{port}
        printf 'GET /health HTTP/1.0\\r\\n\\r\\n' >&3 && grep -q ^ok <&3" 2>/dev/null
}}
"""
STOP = """
begin=$(date +%s%N); docker stop -t 10 floor >/dev/null; end=$(date +%s%N); echo $(( (end - begin) / 1000000 ))
"""
START = (
    PROBE
    + """
begin=$(date +%s%N); docker start floor >/dev/null
until answers 127.0.0.1; do sleep 0.02; done
end=$(date +%s%N); echo $(( (end - begin) / 1000000 ))
"""
)
POD_START = (
    PROBE
    + """
export KUBECONFIG=/etc/kubernetes/admin.conf
begin=$(date +%s%N); kubectl apply -f - >/dev/null
until ip=$(kubectl get pod floor -o 'jsonpath={{.status.podIP}}') && [ -n "$ip" ]; do sleep 0.02; done
until answers "$ip"; do sleep 0.02; done
end=$(date +%s%N); echo $(( (end - begin) / 1000000 ))
"""
)
POD_STOP = """
export KUBECONFIG=/etc/kubernetes/admin.conf
begin=$(date +%s%N); kubectl delete pod floor --wait >/dev/null; end=$(date +%s%N); echo $(( (end - begin) / 1000000 ))
"""


@dataclass
class Floors:
    """Seconds without an answer, at the least, in each direction."""

    to_edge_seconds: float
    to_device_seconds: float

    def mean(self, other: Floors) -> Floors:
        """Of one before a move and one after it: on a machine that others use, one alone proves little."""
        return Floors(
            (self.to_edge_seconds + other.to_edge_seconds) / 2, (self.to_device_seconds + other.to_device_seconds) / 2
        )

    def to(self, side: str) -> float:
        """Seconds to ``edge`` or ``device``."""
        return self.to_edge_seconds if side == "edge" else self.to_device_seconds


def measure(device: str, node: str, image: str, port: int = 8000) -> Floors:
    """Measure both directions with a container and a pod of the app's image that are made for this alone.

    Args:
        device: host with the container.
        node: node on which the pod is to run; the image is pulled there before the clock starts.
        image: an image whose container answers ``ok`` on ``/health``.
        port: the port inside the container.
    """
    published = 18999
    access.ssh(node, f"docker pull -q {image}")
    access.ssh(device, f"docker rm -f floor >/dev/null 2>&1; docker run -d --name floor -p {published}:{port} {image}")
    access.ssh(device, START.format(port=published))
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "floor"},
        "spec": {
            "nodeName": node,
            "containers": [{"name": "floor", "image": image, "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
            "volumes": [{"name": "data", "emptyDir": {}}],
        },
    }
    try:
        stop = _milliseconds(device, STOP)
        start_pod = _milliseconds("control1", POD_START.format(port=port), json.dumps(pod).encode())
        stop_pod = _milliseconds("control1", POD_STOP)
        start = _milliseconds(device, START.format(port=published))
    finally:
        access.ssh(device, "docker rm -f floor")
        access.ssh("control1", f"{access.KUBECTL} delete pod floor --ignore-not-found --now")
    return Floors(to_edge_seconds=(stop + start_pod) / 1000, to_device_seconds=(stop_pod + start) / 1000)


def _milliseconds(host: str, script: str, stdin: bytes = b"") -> int:
    return int(access.ssh(host, script, stdin, timeout=180).strip())
