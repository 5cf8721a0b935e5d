# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs an app of several containers: all of them or none.

Each is run as it would be alone; the record holds what all are put back to, in one text each. What is repeated does
no harm, so that a group that was left halfway is brought to its end by whoever comes next.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import KrafError
from . import group
from .container import Container
from .placement import Record

if TYPE_CHECKING:
    from .runner import Runner


@dataclass(frozen=True)
class Grouped:
    """A group: its containers by their names, and what runs each; the app's own first."""

    names: tuple[str, ...]
    runners: Sequence[Runner]

    def _each(self, record: Record) -> list[tuple[Runner, Record]]:
        """Each container with its part of the record, in the order in which they start."""
        number = len(self.names)
        ids = group.split(record.container_id, number)
        policies = group.split(record.restart_policy, number)
        found = []
        for name, runs, identity, policy in zip(self.names, self.runners, ids, policies):
            kind, _colon, maximum = policy.partition(":")
            part = replace(
                record,
                container=name,
                container_id=identity,
                restart_policy=kind,
                restart_maximum=int(maximum or 0),
            )
            found.append((runs, part))
        return [*found[1:], found[0]]

    def describe(self) -> Container:
        return group.summary(group.PREFIX + group.BETWEEN.join(self.names), [one.describe() for one in self.runners])

    def prepare(self) -> None:
        for runs in self.runners:
            runs.prepare()

    def tidy(self, record: Record) -> None:
        for runs, part in self._each(record):
            runs.tidy(part)

    def start(self, record: Record) -> bool:
        started, errors = [], list[KrafError]()
        for runs, part in self._each(record):
            # One that does not start keeps none of the others down: the device is left as it was as far as can be.
            try:
                started.append(runs.start(part))
            except KrafError as error:
                errors.append(error)
        if errors:
            raise errors[0]
        return any(started)

    def stop(self, record: Record) -> None:
        for runs, part in reversed(self._each(record)):
            runs.stop(part)

    def running(self, record: Record) -> bool:
        return any(runs.running(part) for runs, part in self._each(record))

    def pause(self, record: Record) -> None:
        # The app's own first: what it has asked of the others is answered, and nothing new is asked.
        with self._all_or_none(record):
            for runs, part in reversed(self._each(record)):
                if runs.running(part):
                    runs.pause(part)

    @contextlib.contextmanager
    def _all_or_none(self, record: Record) -> Iterator[None]:
        try:
            yield
        except KrafError:
            self.resume(record)
            raise

    def resume(self, record: Record) -> None:
        for runs, part in self._each(record):
            runs.resume(part)

    def keep_down(self, record: Record, docker_root: Path) -> bool:
        changed = False
        for runs, part in self._each(record):
            changed |= runs.keep_down(part, docker_root)
        return changed

    def process(self) -> int:
        return self.runners[0].process()

    def address(self, port: int, protocol: str) -> tuple[str, str]:
        refused: KrafError | None = None
        for runs in self.runners:
            try:
                return runs.address(port, protocol)
            except KrafError as error:
                refused = refused or error
        why = f"none of {', '.join(self.names)} publishes it"
        raise KrafError("group", port, why, "Correct the app's ports in the catalog") from refused
