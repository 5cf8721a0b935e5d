# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who works on an app: a Lease, judged by an unchanged record over the observer's own monotonic clock.

No clock of another machine is trusted: a holder is taken for dead when its Lease did not change for as long as it says
that it lasts. A holder that only slept finds its Lease changed, and what it still does is refused by its number, which
every later holder exceeds. Rules: https://kubernetes.io/docs/concepts/architecture/leases/
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, Callable

from ..cluster.client import Cluster
from ..cluster.errors import AlreadyExists, ClusterError, Conflict
from ..cluster.kinds import LEASE
from ..core.errors import KrafError

SECONDS = 15
PAUSE = 1.0


class Lease:
    """The right to work on an app, for one run.

    Args:
        cluster: where.
        namespace: of the app's device.
        name: of the Lease.
        labels: of the Lease, when it is made.
        holder: names this run for others.
        seconds: for how long it lasts without a sign of life.
    """

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        name: str,
        labels: Mapping[str, str],
        holder: str,
        seconds: int = SECONDS,
    ) -> None:
        self._cluster = cluster
        self._place = (name, namespace)
        self._labels = dict(labels)
        self._holder = holder
        self._seconds = seconds
        self._held: dict[str, Any] = {}
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self.lost = False
        self.waited = False
        self.number = 0
        self._alive = 0.0
        self._writing = threading.Lock()

    def acquire(self, limit: float, say: Callable[[str], None]) -> int:
        """Take the Lease; wait for whoever has it.

        Args:
            limit: seconds to wait.
            say: told once for whom this waits.

        Returns:
            The run's number, greater than that of every earlier run.

        Raises:
            KrafError: naming the holder, when it still works after the limit.
        """
        end = time.monotonic() + limit
        seen, since = "", time.monotonic()
        while True:
            with self._cluster.waiting() if self.waited else contextlib.nullcontext():
                found = self._cluster.get(LEASE, *self._place)
            if found is None:
                if self._take(None):
                    break
                continue
            holder = (found.get("spec") or {}).get("holderIdentity") or ""
            if found["metadata"]["resourceVersion"] != seen:
                seen, since = found["metadata"]["resourceVersion"], time.monotonic()
            lasts = int((found["spec"] or {}).get("leaseDurationSeconds") or SECONDS)
            if not holder or time.monotonic() - since >= lasts:
                self.waited = self.waited or bool(holder)
                if self._take(found):
                    break
                continue
            if not self.waited:
                say(f"{holder} works on it; waiting for it to end, or for {lasts} s without a sign of life")
            self.waited = True
            if time.monotonic() >= end:
                why = f"{holder} works on it, and still did after {limit:g} s"
                fix = "Let that run end, or run this again later"
                raise KrafError(f"lock {self._place[0]}", None, why, fix, holder=holder)
            time.sleep(PAUSE)
        self.number = int(self._held["spec"]["leaseTransitions"])
        self._alive = _now()
        self._thread = threading.Thread(target=self._renew, daemon=True)
        self._thread.start()
        return self.number

    def check(self) -> None:
        """Raise if another run has taken over. Who slept for longer than the Lease lasts asks before going on.

        Raises:
            KrafError: also when the API server cannot be asked.
        """
        if not self.lost and _now() - self._alive >= self._seconds:
            self._renewed()
        if self.lost:
            why = "another run has taken it over, since this one gave no sign of life"
            raise KrafError(f"lock {self._place[0]}", None, why, "Nothing more was changed; see what that run did")

    def release(self) -> None:
        """Let the next run have it at once."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        if self.lost or not self._held:
            return
        self._held["spec"]["holderIdentity"] = ""
        self._try(lambda: self._cluster.replace(self._held))

    def _wanted(self, found: dict[str, Any] | None) -> dict[str, Any]:
        name, namespace = self._place
        now = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        before = (found or {}).get("spec") or {}
        spec = {
            "holderIdentity": self._holder,
            "leaseDurationSeconds": self._seconds,
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": int(before.get("leaseTransitions") or 0) + 1,
        }
        metadata = found["metadata"] if found else {"name": name, "namespace": namespace, "labels": self._labels}
        return {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": metadata, "spec": spec}

    def _take(self, found: dict[str, Any] | None) -> bool:
        wanted = self._wanted(found)
        return self._try(lambda: self._cluster.replace(wanted) if found else self._cluster.create(wanted))

    def _try(self, write: Callable[[], dict[str, Any]]) -> bool:
        try:
            self._held = write()
        except (AlreadyExists, Conflict):
            return False
        return True

    def _renewed(self) -> None:
        """Give a sign of life, or find that the Lease is lost."""
        with self._writing:
            self._held["spec"]["renewTime"] = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
            if self._try(lambda: self._cluster.replace(self._held)):
                self._alive = _now()
            else:
                self.lost = True

    def _renew(self) -> None:
        while not self.lost and not self._ended.wait(self._seconds / 3):
            try:
                with self._cluster.waiting():
                    self._renewed()
            except ClusterError:
                # An API server that is away for a moment: the Lease is lost only when it has lapsed.
                self.lost = _now() - self._alive >= self._seconds


def _now() -> float:
    """Seconds of a clock that nobody sets, and that goes on while the machine is suspended (clock_gettime(2))."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
