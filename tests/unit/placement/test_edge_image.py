# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person reads while an image is brought to the cluster's registry."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.migration.world import EDGE
from ansible_collections.kraf.edge.plugins.module_utils.on_device.images import Layers
from ansible_collections.kraf.edge.plugins.module_utils.placement import edge_image
from ansible_collections.kraf.edge.plugins.module_utils.placement.image import Choice
from ansible_collections.kraf.edge.plugins.module_utils.placement.job import Device, Job, Limits, Site

from .containers import APP, container

MIB = 2**20


def event(layer: str, status: str, current: int = 0, total: int = 0) -> dict[str, Any]:
    return {"id": layer, "status": status, "progressDetail": {"current": current, "total": total} if total else {}}


def heard(*events: dict[str, Any]) -> Layers:
    layers = Layers()
    for one in events:
        layers.hear(one)
    return layers


def test_layers_are_counted_by_what_became_of_them() -> None:
    layers = heard(
        {"status": "The push refers to repository [10.0.0.10:5000/pi1/faces]"},
        event("a", "Preparing"),
        event("b", "Preparing"),
        event("c", "Waiting"),
        event("d", "Waiting"),
        event("a", "Layer already exists"),
        event("b", "Pushing", 3 * MIB, 4 * MIB),
        event("c", "Mounted from pi1/other"),
        {"status": "1: digest: sha256:4 size: 1"},
    )
    assert (set(layers.sent), layers.there, layers.waiting) == ({"b"}, {"a", "c"}, {"d"})
    assert layers.progress() == {"done": 3 * MIB, "total": 4 * MIB, "waiting": 1}


def test_a_layer_that_has_arrived_is_whole_and_never_more() -> None:
    assert heard(event("a", "Pushing", 5, 4)).progress() == {"done": 4, "total": 4, "waiting": 0}
    assert heard(event("a", "Pushing", 1, 4), event("a", "Pushed")).progress() == {"done": 4, "total": 4, "waiting": 0}


def test_what_an_earlier_try_has_sent_counts_as_sent() -> None:
    layers = heard(event("a", "Pushing", 4, 4), event("a", "Pushed"), event("a", "Layer already exists"))
    assert (set(layers.sent), layers.there) == ({"a"}, set())


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ({"done": 0, "total": 0, "waiting": 3}, "push: the image registry is asked for what it has"),
        ({"done": 3 * MIB, "total": 4 * MIB, "waiting": 0}, "push  75 %, 3 MiB of 4 MiB"),
        ({"done": MIB, "total": 2 * MIB, "waiting": 2}, "push  50 %, 1 MiB of 2 MiB, 2 more layers to look at"),
    ],
)
def test_a_push_tells_bytes_and_percent(found: dict[str, int], text: str) -> None:
    assert edge_image.pushing(found) == text


class Nothing:
    """A cluster without the account."""

    def get(self, *_where: str) -> None:
        return None


def pushing(*answers: dict[str, Any], limit: float = 60) -> tuple[Job, list[str]]:
    """A job whose device answers so, the last answer for ever."""
    said: list[str] = []
    left = list(answers)

    def call(step: str, **options: Any) -> dict[str, Any]:
        assert (step, options["fence"], options["repository"]) == ("push", 7, "10.0.0.10:5000/pi1/faces")
        return left.pop(0) if len(left) > 1 else left[0]

    site = Site(("door:1",), "edge:1", "10.0.0.10:5000", ("amd64",))
    job = Job(Nothing(), APP, Device("pi1"), EDGE, "test", site, Limits(copy=limit), call, run=7, say=said.append)  # type: ignore[arg-type]
    job.look = {"container": container()}
    return job, said


def test_what_was_sent_is_in_the_jobs_account() -> None:
    going = {"progress": {"done": MIB, "total": 2 * MIB, "waiting": 0}}
    done = {"reference": "r@sha256:1", "pushed_bytes": MIB, "pushed_layers": {"sent": 1, "there": 4}}
    job, said = pushing(going, going, done)
    assert edge_image.push(job, Choice(("amd64",), own=True)) == "r@sha256:1"
    assert (job.pushed_bytes, job.pushed_layers) == (MIB, {"sent": 1, "there": 4})
    assert said == ["push  50 %, 1 MiB of 2 MiB"] * 2 + ["push: 1 MiB in 1 layers, 4 were there already"]


def test_a_push_that_does_not_end_is_given_up_at_its_limit() -> None:
    job, _said = pushing({"progress": {"done": 0, "total": 0, "waiting": 0}}, limit=0)
    with pytest.raises(KrafError, match=r"did not end within 0 s.*goes on where it was"):
        edge_image.push(job, Choice(("amd64",), own=True))
