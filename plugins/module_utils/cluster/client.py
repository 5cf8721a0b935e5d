# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one client of the API server: verbs on objects, no discovery, every request counted.

Rules of the API: https://kubernetes.io/docs/reference/using-api/api-concepts/ and
https://kubernetes.io/docs/reference/using-api/server-side-apply/
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Callable

from . import watch
from .connection import transport
from .errors import ClusterError, Forbidden
from .kinds import NAMESPACE, POD, Kind, kind_of
from .transport import ExecResult, Transport

MANAGER = "kraf"
_PATCHES = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "apply": "application/apply-patch+yaml",
}


# A kubelet has answered by then that all is well, and has no other way to say it (GetContainerLogs of its
# kuberuntime/kuberuntime_container.go): of a container that was removed meanwhile.
_LOG_IS_GONE = re.compile(r"unable to retrieve container logs for \S+\s*")


class Cluster:
    """One cluster.

    Args:
        link: the connection.
        expected_uid: the uid that the cluster must have; empty takes any.
    """

    def __init__(self, link: Transport, expected_uid: str = "") -> None:
        self._link = link
        self._expected_uid = expected_uid
        self._uid = ""

    @property
    def server(self) -> str:
        """URL of the API server."""
        return self._link.server

    @property
    def requests(self) -> int:
        """How many requests were sent."""
        return self._link.requests

    @property
    def waits(self) -> int:
        """How many of them only looked whether something had come."""
        return self._link.waits

    def waiting(self) -> AbstractContextManager[None]:
        """Count what this thread sends meanwhile as waiting."""
        return self._link.waiting()

    def identity(self) -> dict[str, str]:
        """What a module returns as ``cluster``."""
        return {"server": self.server, "uid": self.uid()}

    def uid(self) -> str:
        """The uid of namespace kube-system, by which a cluster is known.

        Raises:
            ClusterError: when another uid was expected; both are named.
        """
        if not self._uid:
            try:
                found = self.get(NAMESPACE, "kube-system") or {}
            except Forbidden:
                if self._expected_uid:
                    raise
                return ""
            self._uid = str(found.get("metadata", {}).get("uid", ""))
        if self._expected_uid and self._uid != self._expected_uid:
            why = f"the API server {self.server} belongs to cluster {self._uid}, expected was {self._expected_uid}"
            fix = "Connect to the cluster that the catalog knows, or correct cluster_uid"
            raise ClusterError("cluster", self._uid, why, fix, uid=self._uid, expected=self._expected_uid)
        return self._uid

    def version(self) -> tuple[int, int]:
        """Major and minor version of the API server."""
        found = json.loads(self._link.request("GET", "/version"))
        return int(found["major"]), int("".join(c for c in found["minor"] if c.isdigit()))

    def get(self, kind: Kind, name: str, namespace: str = "") -> dict[str, Any] | None:
        """The object, or None when there is none."""
        try:
            return self._json("GET", kind.path(namespace, _named(kind, name)))
        except ClusterError as error:
            _unless_missing(error)
            return None

    def list(self, kind: Kind, namespace: str = "", labels: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """All objects of a kind, in one namespace or all, that carry these labels."""
        query = {"labelSelector": ",".join(f"{key}={value}" for key, value in labels.items())} if labels else {}
        found = self._json("GET", kind.path(namespace), query)
        # Items of a list come without these two.
        return [{"apiVersion": kind.api_version, "kind": kind.kind, **item} for item in found.get("items") or []]

    def apply(self, obj: Mapping[str, Any], *, dry_run: bool = False, resource_version: str = "") -> dict[str, Any]:
        """Server-side apply of a whole object, forced, by field manager kraf.

        Args:
            obj: the object; what it no longer holds of an earlier apply is removed.
            dry_run: let the server do all but store it.
            resource_version: apply only onto this state.

        Raises:
            Conflict: when the object has another resourceVersion by now.
        """
        body = dict(obj)
        metadata = {key: value for key, value in obj["metadata"].items() if key not in ("managedFields", "uid")}
        metadata.pop("resourceVersion", None)
        body["metadata"] = {**metadata, "resourceVersion": resource_version} if resource_version else metadata
        query = {"fieldManager": MANAGER, "force": "true", **_dry(dry_run)}
        return self._json("PATCH", _path_of(obj), query, body, _PATCHES["apply"])

    def create(self, obj: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        """Create an object.

        Raises:
            AlreadyExists: when it is there already.
        """
        path = kind_of(obj).path(obj["metadata"].get("namespace", ""))
        return self._json("POST", path, {"fieldManager": MANAGER, **_dry(dry_run)}, obj)

    def replace(self, obj: Mapping[str, Any], *, dry_run: bool = False, subresource: str = "") -> dict[str, Any]:
        """Replace an object; a resourceVersion in it must still be the stored one.

        Raises:
            Conflict: when it is not.
        """
        return self._json("PUT", _path_of(obj, subresource), {"fieldManager": MANAGER, **_dry(dry_run)}, obj)

    def patch(
        self,
        kind: Kind,
        name: str,
        namespace: str,
        body: Any,
        *,
        subresource: str = "",
        dry_run: bool = False,
        content: str = "merge",
    ) -> dict[str, Any]:
        """Patch an object; ``content`` is merge, json or strategic."""
        path = kind.path(namespace, _named(kind, name), subresource)
        return self._json("PATCH", path, {"fieldManager": MANAGER, **_dry(dry_run)}, body, _PATCHES[content])

    def delete(
        self,
        kind: Kind,
        name: str,
        namespace: str = "",
        *,
        dry_run: bool = False,
        uid: str = "",
        grace: int | None = None,
    ) -> bool:
        """Delete an object and, in the background, what it owns.

        Args:
            kind: its kind.
            name: its name.
            namespace: its namespace.
            dry_run: let the server do all but delete it.
            uid: delete it only if it still is this one.
            grace: seconds for its pods to end; None leaves the object's own.

        Returns:
            False when there was nothing to delete.
        """
        body: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if uid:
            body["preconditions"] = {"uid": uid}
        if grace is not None:
            body["gracePeriodSeconds"] = grace
        if dry_run:
            # In the query it would do nothing: a body's options replace the query's.
            body["dryRun"] = ["All"]
        try:
            self._json("DELETE", kind.path(namespace, _named(kind, name)), None, body)
        except ClusterError as error:
            _unless_missing(error)
            return False
        return True

    def wait(
        self,
        kind: Kind,
        name: str,
        namespace: str,
        ready: Callable[[dict[str, Any] | None], bool],
        timeout: float,
    ) -> dict[str, Any] | None:
        """Watch an object until ``ready`` says so of it (None: it does not exist).

        Returns:
            The object as it was then.

        Raises:
            WaitTimeout: after ``timeout`` seconds, with conditions, events and the last log lines.
        """
        with self.waiting():
            return watch.until(self, self._link, kind, name, namespace, ready, timeout)

    def logs(self, pod: str, namespace: str, container: str = "", tail: int = 20) -> str:
        """The last lines of a container's log; empty when there is none."""
        query = {"tailLines": tail, **({"container": container} if container else {})}
        try:
            text = self._link.request("GET", POD.path(namespace, pod, "log"), query).decode("utf-8", "replace")
            return "" if _LOG_IS_GONE.fullmatch(text) else text
        except ClusterError as error:
            if error.facts.get("status") in (400, 404):
                return ""
            raise

    def exec(
        self,
        pod: str,
        namespace: str,
        argv: Sequence[str],
        container: str = "",
        stdin: bytes = b"",
        timeout: float = 60,
    ) -> ExecResult:
        """Run a command in a container.

        With ``stdin`` the container needs sh and head: the protocol of this API version cannot close standard input, so
        the command is given exactly as many bytes as there are.
        """
        if stdin:
            argv = ["sh", "-c", 'n=$1; shift; head -c "$n" | "$@"', "sh", str(len(stdin)), *argv]
        query = [("command", part) for part in argv] + [("stdout", "true"), ("stderr", "true")]
        query += [("stdin", "true")] if stdin else []
        query += [("container", container)] if container else []
        return self._link.exec(POD.path(namespace, pod, "exec"), query, stdin, timeout)

    def _json(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        content: str = "application/json",
    ) -> dict[str, Any]:
        found = json.loads(self._link.request(method, path, query, body, content))
        if not isinstance(found, dict):
            raise ClusterError("answer of the API server", path, "it is no object", "Check that host is an API server")
        return found


def connect(params: Mapping[str, Any]) -> Cluster:
    """Connect as a module's options (``CLUSTER_ARGS``) say, and make sure that it is the right cluster.

    Raises:
        ClusterError: unreachable, wrong credentials, wrong cluster; the text names the URL.
    """
    cluster = Cluster(transport(params), str(params.get("cluster_uid") or ""))
    cluster.uid()
    return cluster


def _path_of(obj: Mapping[str, Any], subresource: str = "") -> str:
    kind, metadata = kind_of(obj), obj["metadata"]
    return kind.path(metadata.get("namespace", ""), _named(kind, metadata["name"]), subresource)


def _named(kind: Kind, name: str) -> str:
    # Without a name the path is the collection's, and a DELETE would empty it.
    if not name:
        raise ClusterError(f"name of a {kind.kind}", name, "it is empty", "Give the object's name")
    return name


def _dry(dry_run: bool) -> dict[str, str]:
    return {"dryRun": "All"} if dry_run else {}


def _unless_missing(error: ClusterError) -> None:
    if error.facts.get("status") != 404:
        raise error
