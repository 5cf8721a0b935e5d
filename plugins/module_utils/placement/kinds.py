# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an app is at the edge, whatever runs it on the device: a container, a systemd unit, or a group of containers.

The device's side of the same is ``on_device/runner``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Callable

from ..catalog.records import App
from ..manifests.workload import Companion, Process
from . import edge_image, group, portability, portable_unit
from .image import Choice
from .job import Job
from .verdicts import Row

Found = Mapping[str, Any]


@dataclass(frozen=True)
class Kind:
    """How an app is judged and made.

    Attributes:
        examine: the portability report; of the app, as the device describes it, and what is accepted.
        process: what the app's own container runs.
        choose: the image of each container, the app's own first; of the job and the node of its data, if that is known.
        bring: the same by digest; what only the device has is pushed.
        companions: further containers, of the app, as the device describes it, and all images by digest.
        names: by which its containers call each other.
    """

    examine: Callable[[App, Found, Sequence[str]], list[Row]]
    process: Callable[[App, Found], Process]
    choose: Callable[[Job, str], list[Choice]]
    bring: Callable[[Job, Sequence[Choice]], list[str]]
    companions: Callable[[App, Found, Sequence[str]], tuple[Companion, ...]]
    names: Callable[[App, Found], tuple[str, ...]]


def of(app: App) -> Kind:
    """The kind of an app."""
    return _UNIT if app.unit else _GROUP if app.members else _CONTAINER


def _process(_app: App, found: Found) -> Process:
    return portability.process(found)


def _choose(job: Job, node: str) -> list[Choice]:
    return [edge_image.choose(job, node)]


def _bring(job: Job, choices: Sequence[Choice]) -> list[str]:
    return [one.reference or edge_image.push(job, one) for one in choices]


def _alone(*_given: Any) -> tuple[()]:
    return ()


_CONTAINER = Kind(portability.examine, _process, _choose, _bring, _alone, _alone)
_UNIT = replace(_CONTAINER, examine=portable_unit.examine, process=portable_unit.process)
_GROUP = Kind(group.examine, group.process, group.choose, group.bring, group.companions, group.names)
