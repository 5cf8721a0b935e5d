# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Waiting is watching, with a limit. What is known about the object when the limit passes goes into the error."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Callable

from .errors import ClusterError, Expired, WaitTimeout
from .kinds import EVENT, POD, Kind
from .transport import Transport

if TYPE_CHECKING:
    from .client import Cluster

Object = dict[str, Any]


def until(
    cluster: Cluster,
    link: Transport,
    kind: Kind,
    name: str,
    namespace: str,
    ready: Callable[[Object | None], bool],
    timeout: float,
) -> Object | None:
    """See ``Cluster.wait``."""
    deadline = time.monotonic() + timeout
    last: Object | None = None
    for last in _states(link, kind, name, namespace, deadline):
        if ready(last):
            return last
    facts = explain(cluster, kind, name, namespace, last)
    what = f"{kind.kind} {namespace + '/' if namespace else ''}{name}"
    why = f"it was not as wanted after {timeout:g} seconds{_sentence(facts)}"
    raise WaitTimeout(what, None, why, "Look at conditions, events and logs of this result", **facts)


def _states(link: Transport, kind: Kind, name: str, namespace: str, deadline: float) -> Iterator[Object | None]:
    """The object as it is now, then after each change, until the deadline; None while it does not exist."""
    version = ""
    path, selector = kind.path(namespace), {"fieldSelector": f"metadata.name={name}"}
    while True:
        if not version:
            found = json.loads(link.request("GET", path, selector))
            version = str(found["metadata"]["resourceVersion"])
            items = found.get("items") or []
            yield {"apiVersion": kind.api_version, "kind": kind.kind, **items[0]} if items else None
        left = deadline - time.monotonic()
        if left <= 0:
            return
        query = {**selector, "watch": "true", "resourceVersion": version, "allowWatchBookmarks": "true"}
        query["timeoutSeconds"] = str(max(1, int(min(left, 300))))
        started = time.monotonic()
        try:
            for line in link.lines(path, query, min(left, 301)):
                event = json.loads(line)
                obj = event["object"]
                if event["type"] == "ERROR":
                    version = ""
                    break
                version = str(obj["metadata"]["resourceVersion"])
                if event["type"] != "BOOKMARK":
                    yield None if event["type"] == "DELETED" else obj
                if time.monotonic() >= deadline:
                    return
        except Expired:
            version = ""
        except ClusterError as error:
            # A server that restarts is part of what is waited for; a refusal is not.
            if error.facts.get("status", 503) < 500:
                raise
        if time.monotonic() - started < 1:
            time.sleep(min(0.5, max(0.0, deadline - time.monotonic())))


def explain(cluster: Cluster, kind: Kind, name: str, namespace: str, obj: Object | None) -> dict[str, Any]:
    """Conditions, events and last log lines of an object and of its pods, as far as they can be had."""
    facts: dict[str, Any] = {"conditions": _conditions(obj), "events": [], "logs": {}, "exists": obj is not None}
    try:
        pods = [obj] if obj and kind == POD else _pods(cluster, namespace, obj)
        facts["pods"] = [_pod(pod) for pod in pods]
        names = {name, *(pod["metadata"]["name"] for pod in pods)}
        facts["events"] = _events(cluster, namespace, names)
        for pod in pods[:3]:
            for status in _containers(pod):
                if not status.get("ready"):
                    text = cluster.logs(pod["metadata"]["name"], namespace, status["name"])
                    facts["logs"][f"{pod['metadata']['name']}/{status['name']}"] = text
    except ClusterError as error:
        facts["incomplete"] = str(error)
    return facts


def _conditions(obj: Object | None) -> list[dict[str, Any]]:
    found = ((obj or {}).get("status") or {}).get("conditions") or []
    keys = ("type", "status", "reason", "message")
    return [{key: item[key] for key in keys if item.get(key)} for item in found]


def _pods(cluster: Cluster, namespace: str, obj: Object | None) -> list[Object]:
    selector = ((obj or {}).get("spec") or {}).get("selector") or {}
    labels = selector.get("matchLabels") if isinstance(selector, dict) else None
    return cluster.list(POD, namespace, labels) if labels and namespace else []


def _containers(pod: Object) -> list[dict[str, Any]]:
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def _pod(pod: Object) -> dict[str, Any]:
    status = pod.get("status") or {}
    states = {item["name"]: item.get("state", {}) for item in _containers(pod) if not item.get("ready")}
    return {
        "name": pod["metadata"]["name"],
        "phase": status.get("phase"),
        "conditions": [item for item in _conditions(pod) if item.get("status") != "True"],
        "not_ready": states,
    }


def _events(cluster: Cluster, namespace: str, names: set[str]) -> list[str]:
    # Events of objects without a namespace are kept in default.
    found = cluster.list(EVENT, namespace or "default")
    mine = [item for item in found if (item.get("involvedObject") or {}).get("name") in names]
    mine.sort(key=lambda item: str(item.get("lastTimestamp") or item.get("eventTime") or ""))
    return [f"{item.get('type')} {item.get('reason')}: {item.get('message')}" for item in mine[-10:]]


def _sentence(facts: dict[str, Any]) -> str:
    for pod in facts.get("pods", []):
        for name, state in pod["not_ready"].items():
            waiting = state.get("waiting") or state.get("terminated") or {}
            if waiting.get("reason"):
                reason = f"{waiting['reason']} {waiting.get('message', '')}".rstrip()
                return f"; container {name} of pod {pod['name']}: {reason}"
    if not facts["exists"]:
        return "; it does not exist"
    return f"; last event: {facts['events'][-1]}" if facts["events"] else ""
