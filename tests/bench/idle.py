# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules that have nothing to do: their requests, what they leave untouched, their time beside a ping's."""

from __future__ import annotations

import base64
import json
import statistics
from typing import Any

from tests.demo import access, disk
from tests.demo.access import KUBECTL
from tests.demo.apps import DEVICE
from tests.demo.progress import Progress

from . import tasks
from .rows import Row

TIMES = 9
HERE = {
    "hosts": "localhost",
    "connection": "local",
    "vars": {"ansible_python_interpreter": "{{ ansible_playbook_python }}"},
}
THERE = {"hosts": DEVICE}


def versions() -> dict[str, str]:
    """resourceVersion of everything that belongs to the device: its namespace's objects and its persistent volumes."""
    kinds = "secrets,services,statefulsets,persistentvolumeclaims,networkpolicies,resourcequotas,limitranges"
    listed = access.ssh("control1", f"{KUBECTL} -n kraf-{DEVICE} get {kinds} -o json; {KUBECTL} get pv,ns -o json")
    found: dict[str, str] = {}
    decoder = json.JSONDecoder()
    while listed.strip():
        answer, end = decoder.raw_decode(listed.lstrip())
        listed = listed.lstrip()[end:]
        for item in answer["items"]:
            found[f"{item['kind']}/{item['metadata']['name']}"] = item["metadata"]["resourceVersion"]
    return found


def the_tasks() -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Each module's task as the playbook ``volume`` has it, and the play that it runs in."""
    config = _values("configmap", "kraf-system", "kraf-cluster")
    account = {
        key: base64.b64decode(text).decode()
        for key, text in _values("secret", f"kraf-{DEVICE}", f"export-{disk.VOLUME}").items()
    }
    uid = access.ssh(
        "control1", f"{KUBECTL} get ns kraf-{DEVICE} -o jsonpath='{{.metadata.labels.kraf\\.io/device-uid}}'"
    )
    owner = {"device": DEVICE, "device_uid": uid.strip()}
    cluster = {"kubeconfig": str(access.KUBECONFIG)}
    volume = {**owner, "name": disk.VOLUME, "size": "1Gi", "storage_class": "kraf-local"}
    export = {"image": config["image_edge"], "exports": [{**owner, "volume": disk.VOLUME}]}
    forward = json.loads(access.ssh(DEVICE, f"cat /etc/kraf/forwards/export-{disk.VOLUME}.json"))
    mount = {
        "name": disk.VOLUME,
        "path": disk.MOUNT,
        "port": forward["port"],
        "username": account["username"],
        "password": account["password"],
    }
    offered = {key: forward[key] for key in ("name", "edge", "sni")}
    return {
        "volume": ({"kraf.edge.volume": {**cluster, "volumes": [volume]}}, HERE),
        "export": ({"kraf.edge.export": {**cluster, **export}}, HERE),
        "mount": ({"kraf.edge.mount": mount}, THERE),
        "forward": ({"kraf.edge.forward": {"forwards": [offered]}}, THERE),
    }


def _values(kind: str, namespace: str, name: str) -> dict[str, str]:
    text = access.ssh("control1", f"{KUBECTL} -n {namespace} get {kind} {name} -o json")
    found: dict[str, str] = json.loads(text)["data"]
    return found


def rows(progress: Progress) -> list[Row]:
    """The figures of idle modules."""
    result: list[Row] = []
    for name, (task, play) in the_tasks().items():
        progress.say(f"{name}, and a ping on the same host, {TIMES} times in turn ...")
        before = versions()
        ran = _in_turn(task, play)
        untouched = versions() == before
        changed = sum(one["changed"] for one in ran["task"]["results"])
        seconds, ping = (statistics.median(ran[key]["seconds"]) for key in ("task", "ping"))
        result += [
            Row(f"{name}_idle_changed", changed, 0, note=f"in {TIMES + 1} runs"),
            Row(f"{name}_idle_ratio", seconds / ping, 2, note=f"{seconds:.2f} s / {ping:.2f} s of a ping"),
        ]
        if play is HERE:
            requests = max(one["requests"] for one in ran["task"]["results"])
            result += [
                Row(
                    f"{name}_idle_requests",
                    requests,
                    4,
                    note="to the API server, with the image named" if name == "export" else "to the API server",
                ),
                Row(f"{name}_idle_versions_kept", untouched, True, most=False, note="every resourceVersion as it was"),
            ]
    return result


def _in_turn(task: dict[str, Any], play: dict[str, Any]) -> dict[str, dict[str, list[Any]]]:
    """Seconds and results of a task and of a ping that are run in turn; seconds of the first of each are left out."""
    both = [{"name": name, **one} for name, one in (("task", task), ("ping", tasks.PING))]
    ran = tasks.run([{"name": "idle", "gather_facts": False, **play, "tasks": both * (TIMES + 1)}])
    found: dict[str, dict[str, list[Any]]] = {}
    for name in ("task", "ping"):
        mine = [row for row in ran if row["name"] == name]
        found[name] = {
            "seconds": [row["seconds"] for row in mine][1:],
            "results": [next(iter(row["hosts"].values())) for row in mine],
        }
    return found
