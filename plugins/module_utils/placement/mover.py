# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The mover of one run: started, spoken to, removed. Its box is where controller and device meet."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from typing import Any, Callable

from ..cluster.client import Cluster
from ..cluster.converge import converge
from ..cluster.errors import ClusterError
from ..cluster.kinds import CONFIG_MAP, POD, SECRET, SERVICE
from ..core import names
from ..core.errors import KrafError
from ..manifests import mover as manifest
from ..manifests.mover import (
    BOX,
    CHANGED,
    COMPARE,
    CONTAINER,
    DISKS,
    GIVE,
    MARK,
    PURGE,
    REMEMBER,
    ROOT,
    SHOW,
    Mover,
)
from ..manifests.workload import Disk

SLICE = 5.0
"""Seconds that one wait inside the pod takes at most: in between, this side looks whether the device still works."""

# $1: file to leave, may be empty, $2: its content, $3: fiftieths of a second to wait, then the files to wait for. When
# none has come, it says how far the device is.
_TALK = f"""\
set -eu
dir={BOX}/files/$(cat /kraf/secret/token)
put=$1 text=$2 left=$3
shift 3
if [ -n "$put" ]; then printf %s "$text" >"$dir/.$put"; chmod 644 "$dir/.$put"; mv "$dir/.$put" "$dir/$put"; fi
[ $# -gt 0 ] || exit 0
while [ "$left" -gt 0 ]; do
  for name in "$@"; do
    if [ -e "$dir/$name" ]; then printf '%s\\n' "$name"; cat "$dir/$name"; exit 0; fi
  done
  left=$((left - 1))
  sleep 0.02
done
cat "$dir/progress" 2>/dev/null || true
exit 4
"""


class MoverPod:
    """The mover of one run.

    Args:
        cluster: where.
        mover: what is wanted.
    """

    def __init__(self, cluster: Cluster, mover: Mover) -> None:
        self._cluster = cluster
        self.mover = mover

    def start(self, limit: float) -> None:
        """Start it, in place of any earlier run's; wait until it serves and the app's image is on its node.

        Raises:
            KrafError: when the node cannot pull the app's image, the pod does not start in time, or it is a later
                run's.
        """
        place = self.mover.name, self.mover.namespace
        found = self._cluster.get(POD, *place)
        run = ((found or {}).get("metadata", {}).get("annotations") or {}).get(manifest.RUN_ANNOTATION)
        if run is not None and int(run) > self.mover.run:
            why = f"run {run} has started it since, this is run {self.mover.run}"
            raise KrafError("mover at the edge", self.mover.name, why, "See what that run did")
        if found is not None and run != str(self.mover.run):
            # Not by force: what it copies must have ended before another one copies.
            self._cluster.delete(POD, *place)
            self._cluster.wait(POD, *place, lambda pod: pod is None, limit)
        converge(self._cluster, manifest.objects(self.mover), False)
        end = time.monotonic() + limit
        pod = self._cluster.wait(POD, *place, self._serves, limit)
        while self.mover.app_image:
            said = manifest.pulled(pod or {})
            if said == manifest.THERE:
                break
            if said != manifest.WAITING:
                fix = "Name an image that the nodes can pull (images of the app), or remove it and let the device push"
                raise KrafError("image of the app at the edge", ", ".join(self.mover.images), said, fix)
            pod = self._cluster.wait(
                POD, *place, lambda one: manifest.pulled(one or {}) != manifest.WAITING, end - time.monotonic()
            )

    def _serves(self, pod: dict[str, Any] | None) -> bool:
        statuses = ((pod or {}).get("status") or {}).get("containerStatuses") or []
        state: dict[str, Any] = next((one.get("state") or {} for one in statuses if one["name"] == CONTAINER), {})
        if "terminated" in state:
            said = self._cluster.logs(self.mover.name, self.mover.namespace, CONTAINER).strip()
            why = f"it ended with {state['terminated'].get('exitCode')}: {said}"
            raise ClusterError("mover at the edge", self.mover.name, why, "Run it again")
        return "running" in state

    def node(self) -> str:
        """The node that it runs on, which has the app's image."""
        found = self._cluster.get(POD, self.mover.name, self.mover.namespace) or {}
        return str(found.get("spec", {}).get("nodeName") or "")

    def withdraw(self) -> None:
        """Remove what is still this run's: another run is at work, and its mover stays."""
        for kind in (POD, CONFIG_MAP, SECRET):
            found = self._cluster.get(kind, self.mover.name, self.mover.namespace)
            marks = (found or {}).get("metadata", {}).get("annotations") or {}
            if marks.get(manifest.RUN_ANNOTATION) == str(self.mover.run):
                self._cluster.delete(kind, self.mover.name, self.mover.namespace)
        service = names.mover_service(self.mover.app, self.mover.run)
        self._cluster.delete(SERVICE, service, self.mover.namespace)

    def say(self, name: str, text: str = "") -> None:
        """Leave a file in the box."""
        self._run("sh", "-c", _TALK, "box", name, text, "0")

    def wait(
        self,
        name: str,
        limit: float,
        alive: Callable[[], None],
        put: str = "",
        told: Callable[[str], None] | None = None,
    ) -> None:
        """Wait for a file, or for word that the device has failed.

        Args:
            name: of the file.
            limit: seconds.
            alive: raises when there is nothing to wait for any more.
            put: a file to leave first.
            told: told from time to time how far the device says it is.

        Raises:
            KrafError: at the limit, or with what the device said when it failed.
        """
        end = time.monotonic() + limit
        while True:
            ticks = int(min(SLICE, max(0.02, end - time.monotonic())) * 50)
            # Who leaves a file does something; who only asks for one waits.
            with contextlib.nullcontext() if put else self._cluster.waiting():
                rc, found = self._run("sh", "-c", _TALK, "box", put, "", str(ticks), name, "failed", expected=(0, 4))
            put = ""
            there, _newline, content = found.partition("\n") if rc == 0 else ("", "", found)
            if not there and content and told is not None:
                told(content)
            if there == "failed":
                alive()
                raise KrafError(
                    "migration",
                    None,
                    f"the device gave up: {content.strip().rstrip('.')}",
                    "See the reason, then run it again",
                )
            if there:
                return
            alive()
            if time.monotonic() >= end:
                why = f"the device did not say {name} within {limit:g} s"
                raise KrafError("migration", None, why, "See what the device is at, then run it again")

    def mark(self, epoch: int, put: str = "") -> None:
        """Write the marker that opens the gate of an epoch, then leave a file in the box: one request, clients wait."""
        script = f"set -eu\n(\n{MARK})\nshift 2\n{_TALK}"
        self._run("sh", "-c", script, "mark", str(epoch), str(self.mover.run), put, "", "0")

    def marked(self) -> int:
        """Number of the run that wrote the volume's marker; 0 when there is none."""
        _rc, found = self._run("sh", "-c", f"cat {ROOT}/.kraf/epoch 2>/dev/null || true")
        words = found.split()
        return int(words[1]) if len(words) == 2 and words[1].isdigit() else 0

    def bytes_of(self, tree: int) -> int:
        """Bytes that a tree takes."""
        _rc, found = self._run("sh", "-c", f"du -s -B1 {ROOT}/$1 | cut -f1", "du", str(tree))
        return int(found.strip() or 0)

    def remember(self, tree: int) -> None:
        """Write down the tuples of a tree's files, before they are copied."""
        self._run("sh", "-c", REMEMBER, "remember", str(tree))

    def stopped(self, tree: int) -> None:
        """Tell the device that nothing writes any more, and which files of the tree have to be read again."""
        script = f'{CHANGED}set -- stopped "$text" 0\n{_TALK}'
        self._run("sh", "-c", script, "changed", str(tree))

    def differing(self, disk: Disk) -> list[str]:
        """The first entries of a volume that are not as the device's mount has shown them last."""
        _rc, found = self._run("sh", "-c", COMPARE, "compare", disk.name, _at(disk), "all")
        return found.splitlines()

    def show(self, disk: Disk) -> list[str]:
        """Tell the device what a volume holds; what of it a mount will not show as it is: type of find(1), path."""
        _rc, found = self._run("sh", "-c", SHOW, "show", disk.name, _at(disk), "auto")
        return found.splitlines()

    def give(self, disk: Disk) -> None:
        """Let a volume's server have what the app has written."""
        self._run("sh", "-c", GIVE, "give", _at(disk), str(self.mover.run))

    def purge(self, keep: int) -> list[str]:
        """Remove all trees but one; which were removed."""
        _rc, found = self._run("sh", "-c", PURGE, "purge", str(keep), str(self.mover.run))
        return found.split()

    def set_aside(self, tree: int) -> str:
        """Give a tree another name, under which it stays; the name."""
        name = f"lost-{tree}"
        script = f"if [ -d {ROOT}/$1 ]; then rm -rf {ROOT}/$2; mv {ROOT}/$1 {ROOT}/$2; sync {ROOT}; fi"
        self._run("sh", "-c", f"set -eu; {script}", "aside", str(tree), name)
        return name

    def _run(self, *argv: str, expected: Sequence[int] = (0,)) -> tuple[int, str]:
        found = self._cluster.exec(self.mover.name, self.mover.namespace, argv, CONTAINER)
        if found.rc not in expected:
            said = found.stderr.decode("utf-8", "replace").strip()[-1000:]
            raise ClusterError(
                "mover at the edge", self.mover.name, said or f"it ended with {found.rc}", "Run it again"
            )
        return found.rc, found.stdout.decode("utf-8", "replace")


def _at(disk: Disk) -> str:
    return f"{DISKS}/disk-{names.claim(disk.volume)}/{disk.path}"


def remove(cluster: Cluster, device: str, app: str) -> None:
    """Remove all that a mover is made of, whoever started it."""
    namespace = names.namespace(device)
    for kind in (POD, CONFIG_MAP, SECRET):
        cluster.delete(kind, names.mover(app), namespace)
    for service in cluster.list(SERVICE, namespace, manifest.selector(app)):
        cluster.delete(SERVICE, service["metadata"]["name"], namespace)
