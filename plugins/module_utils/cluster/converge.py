# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what the server holds to what is wanted, with the least of requests, and an account of what changed.

Each object that was applied carries a fingerprint of what was applied. When it is the wanted one's and the stored
object still holds every wanted value, there is nothing to do, and nothing is sent. Whatever differs is left to
server-side apply.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .client import Cluster
from .kinds import kind_of

FINGERPRINT = "kraf.io/applied"
HIDDEN = "(hidden)"
Object = dict[str, Any]


@dataclass
class Change:
    """What converging did, or in check mode would do."""

    changed: bool = False
    objects: list[Object] = field(default_factory=list)
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)

    @property
    def diff(self) -> dict[str, Any]:
        """For a module's result: only what changed, secrets hidden."""
        return {"before": self.before, "after": self.after}

    def note(self, before: Object | None, after: Object | None) -> None:
        """Add one object's before and after; they count as a change when they differ once cleaned."""
        old, new = clean(before), clean(after)
        if after is not None:
            self.objects.append(after)
        if old == new:
            return
        self.changed = True
        title = _title(before or after or {})
        self.before[title], self.after[title] = _hide(before, old, new), _hide(after, new, old)

    def add(self, other: Change) -> None:
        """Take over another change."""
        self.changed = self.changed or other.changed
        self.objects += other.objects
        self.before.update(other.before)
        self.after.update(other.after)


def converge(
    cluster: Cluster,
    wanted: Sequence[Mapping[str, Any]],
    check_mode: bool,
    current: Mapping[str, Object] | None = None,
) -> Change:
    """Make the server hold these objects.

    Args:
        cluster: where.
        wanted: whole objects, in the order in which they are applied.
        check_mode: ask the server what it would store, and store nothing.
        current: objects already read, by ``key``; given, nothing else is read: what is not in it does not exist.
    """
    change = Change()
    absent: set[str] = set()
    for obj in wanted:
        if current is None:
            before = cluster.get(kind_of(obj), obj["metadata"]["name"], obj["metadata"].get("namespace", ""))
        else:
            before = current.get(key(obj))
        marked = fingerprinted(obj)
        if before is not None and is_applied(marked, before):
            change.objects.append(before)
            continue
        after = _apply(cluster, marked, check_mode, absent)
        if check_mode and before is None and after["kind"] == "Namespace":
            absent.add(after["metadata"]["name"])
        change.note(before, after)
    return change


def _apply(cluster: Cluster, obj: Object, check_mode: bool, absent: set[str]) -> Object:
    # In a namespace that exists only in this prediction, the server's own dry run would say "not found".
    if check_mode and obj["metadata"].get("namespace") in absent:
        return obj
    return cluster.apply(obj, dry_run=check_mode)


def key(obj: Mapping[str, Any]) -> str:
    """The name of an object among all: kind, namespace, name."""
    return "/".join((obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]))


def by_key(objects: Iterable[Object]) -> dict[str, Object]:
    """Objects by their ``key``."""
    return {key(obj): obj for obj in objects}


def fingerprinted(obj: Mapping[str, Any]) -> Object:
    """The object with the fingerprint of its content among its annotations."""
    text = json.dumps(_ours(obj), sort_keys=True, separators=(",", ":"))
    annotations = {
        **obj["metadata"].get("annotations", {}),
        FINGERPRINT: hashlib.sha256(text.encode()).hexdigest()[:32],
    }
    return {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}


def _ours(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    """The object without what is only carried along: by whom a PersistentVolume is bound, which a controller writes."""
    reference = (obj.get("spec") or {}).get("claimRef")
    if not reference:
        return obj
    kept = {name: value for name, value in reference.items() if name not in ("uid", "resourceVersion")}
    return {**obj, "spec": {**obj["spec"], "claimRef": kept}}


def is_applied(marked: Mapping[str, Any], current: Mapping[str, Any]) -> bool:
    """True when the stored object is what applying this fingerprinted one would leave."""
    return _holds(current, marked)


def _holds(current: Any, wanted: Any) -> bool:
    if isinstance(wanted, Mapping):
        return isinstance(current, Mapping) and all(
            # The server drops empty values, and stringData becomes data.
            (key in current and _holds(current[key], value)) or (key not in current and value in ({}, [], None, ""))
            for key, value in wanted.items()
        )
    if isinstance(wanted, (list, tuple)):
        return (
            isinstance(current, list)
            and len(current) == len(wanted)
            and all(_holds(one, other) for one, other in zip(current, wanted))
        )
    return bool(current == wanted)


_VOLATILE = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp", "selfLink")


def clean(obj: Mapping[str, Any] | None) -> Object | None:
    """The object without what the server alone writes."""
    if obj is None:
        return None
    metadata = {name: value for name, value in obj["metadata"].items() if name not in _VOLATILE}
    annotations = {name: value for name, value in metadata.get("annotations", {}).items() if name != FINGERPRINT}
    metadata.pop("annotations", None)
    if annotations:
        metadata["annotations"] = annotations
    return {**{name: value for name, value in obj.items() if name != "status"}, "metadata": metadata}


def _hide(obj: Mapping[str, Any] | None, mine: Object | None, other: Object | None) -> Object | None:
    """The cleaned object fit for output: of a Secret the keys remain, and which of them differ."""
    if mine is None or obj is None or obj.get("kind") != "Secret":
        return mine
    values, others = mine.get("data") or {}, (other or {}).get("data") or {}
    hidden = {
        name: HIDDEN if other is None or others.get(name) == value else f"{HIDDEN}, differs"
        for name, value in values.items()
    }
    return {**{name: value for name, value in mine.items() if name not in ("data", "stringData")}, "data": hidden}


def _title(obj: Mapping[str, Any]) -> str:
    namespace = obj["metadata"].get("namespace", "")
    return f"{obj['kind']} {namespace + '/' if namespace else ''}{obj['metadata']['name']}"
