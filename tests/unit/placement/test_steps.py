# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every row of the protocol's table has something that does it; room is asked for before anything is made."""

from __future__ import annotations

import dataclasses
import json
from typing import Any
from unittest.mock import Mock

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import App, Data, Device
from ansible_collections.kraf.edge.plugins.module_utils.cluster.errors import WaitTimeout
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.migration import table
from ansible_collections.kraf.edge.plugins.module_utils.placement import edge_image
from ansible_collections.kraf.edge.plugins.module_utils.placement import steps as steps_module
from ansible_collections.kraf.edge.plugins.module_utils.placement.image import Choice
from ansible_collections.kraf.edge.plugins.module_utils.placement.job import Job, Limits, Site
from ansible_collections.kraf.edge.plugins.module_utils.placement.outcome import Outcome
from ansible_collections.kraf.edge.plugins.module_utils.placement.records import Placement
from ansible_collections.kraf.edge.plugins.module_utils.placement.steps import SLACK, Steps, progress

from .containers import APP, container

MIB, GIB = 2**20, 2**30
SITE = Site(("192.0.2.7:8843",), "edge:1", "192.0.2.7:5000", ("amd64",))

PLANS = {
    **{
        f"plan {to} {kind}": table.plan(to, kind == "overlap", kind == "job")
        for to in ("edge", "device")
        for kind in ("service", "overlap", "job")
    },
    **{f"settle {to} {over}": table.settle(to, over) for to in ("edge", "device") for over in (False, True)},
    **{f"give back {to}": table.give_back(to) for to in ("edge", "device")},
}


@pytest.mark.parametrize("name", PLANS)
def test_each_step_of_a_plan_is_done_by_something(name: str) -> None:
    nothing: Any = Mock()
    assert set(PLANS[name]) <= set(Steps(nothing, nothing, nothing).perform)


LAST = Outcome("failed", "Error", 3, 1, "2026-05-04T10:00:00Z", "2026-05-04T10:01:00Z", "no good")


def cronjob(monkeypatch: pytest.MonkeyPatch, last: Outcome | None, kept: Outcome | None) -> tuple[Any, Any, Steps]:
    """Calls to the device, the records and the steps of a cronjob on its way back."""
    device, records, edge = Mock(return_value={}), Mock(), Mock()
    edge.last_run.return_value, records.outcome.return_value = last, kept
    records.begun.return_value = Placement("edge", 4)
    where = Device("pi1", "6a0cbb2e-38a4-4a9f-9d2f-5a1f0f6c9d11")
    app = App("pi1", "report", kind="cronjob", schedule="* * * * *")
    nothing: Any = Mock()
    job = Job(nothing, app, where, "device", "me", SITE, Limits(), device, records.begun(), epoch=4)
    steps = Steps(job, records, edge)
    monkeypatch.setattr(steps, "start_mover", Mock())
    monkeypatch.setattr(steps, "_begin", job.on_device)
    return device, records, steps


def told(device: Mock) -> Any:
    given = device.call_args.kwargs["outcome"]
    return json.loads(given) if given else None


def test_a_cronjob_comes_back_with_how_its_last_run_at_the_edge_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    device, records, steps = cronjob(monkeypatch, LAST, None)
    steps.prepare_device()
    assert told(device) == LAST.as_dict()
    # Before its Jobs are taken away: the next run may have to settle it.
    assert records.note.call_args.args == (5,)
    assert records.note.call_args.kwargs == {"job": LAST.stored()}


def test_a_cronjob_whose_runs_an_earlier_try_has_taken_away_comes_back_with_what_that_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device, records, steps = cronjob(monkeypatch, None, LAST)
    steps.prepare_device()
    assert told(device) == LAST.as_dict()
    assert records.outcome.call_args.args == (5,)


def test_a_cronjob_that_has_not_run_at_the_edge_brings_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    device, records, steps = cronjob(monkeypatch, None, None)
    steps.prepare_device()
    assert told(device) is None
    assert not records.note.called


def test_a_cronjob_that_is_settled_on_its_device_has_what_its_migration_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    device, records, steps = cronjob(monkeypatch, None, LAST)
    steps.settle_device()
    assert told(device) == LAST.as_dict()
    assert records.outcome.call_args.args == (4,)


# -- room --------------------------------------------------------------------------------------------------------------


class Run:
    """The steps of a run whose every word to cluster, edge and device is written down."""

    def __init__(self, to: str, data: dict[str, dict[str, Any]], limit: int = 2 * GIB, tree: int = 0) -> None:
        self.spoken = Mock()
        held = {name: {**container()["data"]["results"], **one} for name, one in data.items()}
        app = dataclasses.replace(APP, data=tuple(Data(name, one["path"]) for name, one in held.items()))
        limits = Limits(wait=7, volume_bytes=limit)
        cluster: Any = self.spoken.cluster
        self.job = Job(cluster, app, Device("pi1"), to, "me", SITE, limits, self.spoken.device)
        self.job.look = {"container": container(data=held, mounts=[])}
        self.job.placement = Placement(tree=tree)
        self.steps = Steps(self.job, self.spoken.records, self.spoken.edge)

    @property
    def words(self) -> list[str]:
        return [name for name, _args, _kwargs in self.spoken.mock_calls]


@pytest.fixture(autouse=True)
def image(monkeypatch: pytest.MonkeyPatch) -> None:
    """The image is no matter here."""
    chosen = Choice(("amd64",), "r/faces@sha256:1")
    monkeypatch.setattr(edge_image, "choose", lambda job, node: chosen)


@pytest.mark.parametrize(
    ("data", "tree", "said"),
    [
        ({"results": {"bytes": 2 * GIB - SLACK + 1}}, 0, r"data take 2 GiB.*volume would have 2 GiB.*such as 4 GiB"),
        ({"results": {"bytes": 3 * GIB}}, 0, r"data take 3 GiB.*volume would have 2 GiB.*such as 6.1 GiB"),
        ({"results": {"bytes": GIB}, "tables": {"bytes": GIB, "path": "/b"}}, 0, r"data take 2 GiB.*have 2 GiB"),
        ({"results": {"bytes": GIB}}, 4, r"data take 2 GiB with the copy before, the volume would have 2 GiB"),
    ],
    ids=["by-a-byte", "by-far", "together", "twice"],
)
def test_data_that_have_no_room_at_the_edge_are_refused_with_both_sizes_before_anything_is_made(
    data: dict[str, dict[str, Any]], tree: int, said: str
) -> None:
    run = Run("edge", data, tree=tree)
    with pytest.raises(KrafError, match=said):
        run.steps.describe()
    assert run.words == []


@pytest.mark.parametrize(("trees", "tree"), [(1, 0), (2, 4)])
def test_data_that_just_fit_go_on(trees: int, tree: int) -> None:
    run = Run("edge", {"results": {"bytes": (2 * GIB - SLACK) // trees}}, tree=tree)
    run.steps.describe()
    assert run.words == ["edge.check"]


def test_an_app_without_data_needs_no_room() -> None:
    run = Run("edge", {}, limit=1)
    run.steps.describe()
    assert run.words == ["edge.check"]


class Mover:
    """A mover beside data of so many bytes."""

    def __init__(self, data_bytes: int) -> None:
        self.data_bytes = data_bytes

    def bytes_of(self, _tree: int) -> int:
        return self.data_bytes


@pytest.mark.parametrize("bytes_", [GIB - SLACK + 1, 3 * GIB])
def test_a_copy_that_has_no_room_on_the_device_is_refused_with_both_sizes_before_it_begins(bytes_: int) -> None:
    run = Run("device", {"results": {"free_bytes": GIB}})
    mover: Any = Mover(bytes_)
    run.steps.mover = mover
    size = "3 GiB" if bytes_ > GIB else "992 MiB"
    with pytest.raises(KrafError, match=rf"results of app.*copy of {size}.*beside /srv/faces, where 1 GiB are free"):
        run.steps.prepare_device()
    assert run.words == []
    assert run.job.background is None


def test_each_data_directory_on_the_device_has_room_of_its_own() -> None:
    run = Run("device", {"results": {"free_bytes": GIB}, "tables": {"path": "/b", "free_bytes": 100 * MIB}})
    run.steps._room_on_device(100 * MIB - SLACK)
    with pytest.raises(KrafError, match=r"data tables of app.*where 100 MiB are free"):
        run.steps._room_on_device(100 * MIB)


def test_of_a_directory_on_a_volume_of_the_device_no_copy_is_made_that_needs_room() -> None:
    run = Run("device", {"results": {"free_bytes": 0, "volume": "photos"}})
    run.steps._room_on_device(GIB)


def claim(has: int) -> dict[str, Any]:
    return {"status": {"capacity": {"storage": str(has)}}}


class Volumes:
    """What is done for the app's volume; its claim is as it was before that."""

    def __init__(self, run: Run, monkeypatch: pytest.MonkeyPatch, found: dict[str, Any] | None, late: bool) -> None:
        self.waited: list[float] = []
        self.late = late
        monkeypatch.setattr(run.steps, "_volume", lambda: (None, found, None))
        monkeypatch.setattr(steps_module.volumes, "execute", self.execute)

    def execute(self, *given: Any) -> None:
        self.waited.append(given[-1])
        if self.late:
            raise WaitTimeout("PersistentVolumeClaim", None, "it was not as wanted after 7 seconds", events=["full"])


@pytest.mark.parametrize(("found", "waits"), [(None, 0), (claim(0), 0), (claim(2 * GIB), 0), (claim(GIB), 7)])
def test_a_volume_that_is_too_small_is_waited_for_until_it_has_grown_and_no_other_is(
    monkeypatch: pytest.MonkeyPatch, found: dict[str, Any] | None, waits: float
) -> None:
    run = Run("edge", {"results": {"bytes": GIB}})
    volumes = Volumes(run, monkeypatch, found, late=False)
    run.steps.volume()
    assert volumes.waited == [waits]


def test_a_volume_that_does_not_grow_is_refused_with_both_sizes_before_anything_is_put_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = Run("edge", {"results": {"bytes": 2 * GIB - SLACK}})
    Volumes(run, monkeypatch, claim(GIB), late=True)
    with pytest.raises(KrafError, match=r"volume of app pi1/faces.*it has 1 GiB, the data need 2 GiB.*not") as caught:
        run.steps.prepare_edge()
    assert caught.value.facts["events"] == ["full"]
    assert run.words == []


# -- how far it is -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0 1.0", "first copy   0 %, 0 B of 4 GiB"),
        (f"{GIB} 30.0", "first copy  25 %, 1 GiB of 4 GiB, about 90 s left"),
        (f"{3 * GIB} 30.4", "first copy  75 %, 3 GiB of 4 GiB, about 10 s left"),
        (f"{4 * GIB - 1} 30.0", "first copy  99 %, 4 GiB of 4 GiB, about 0 s left"),
        (f"{4 * GIB} 30.0", "first copy 100 %, 4 GiB of 4 GiB, about 0 s left"),
        (f"{5 * GIB} 30.0", "first copy 100 %, 4 GiB of 4 GiB, about 0 s left"),
    ],
)
def test_a_first_copy_tells_its_share_its_bytes_and_the_time_that_is_left(text: str, said: str) -> None:
    assert progress(text, 4 * GIB) == said


@pytest.mark.parametrize("text", ["", "7", "7 1.0 9", "x 1.0", "-7 1.0", "7 soon", "\u00b2 1.0"])
def test_what_cannot_be_understood_of_it_ends_no_copy(text: str) -> None:
    assert progress(text, 4 * GIB) == "first copy goes on"


def test_of_no_data_there_is_no_share() -> None:
    assert progress("0 1.0", 0) == "first copy goes on"
