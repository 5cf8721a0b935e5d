# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Room is asked for, on both sides, before anything is made."""

from __future__ import annotations

import dataclasses
from typing import Any
from unittest.mock import Mock

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import Data, Device
from ansible_collections.kraf.edge.plugins.module_utils.cluster.errors import WaitTimeout
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.placement import edge_image, room
from ansible_collections.kraf.edge.plugins.module_utils.placement import wanted as wanted_module
from ansible_collections.kraf.edge.plugins.module_utils.placement.image import Choice
from ansible_collections.kraf.edge.plugins.module_utils.placement.job import Job, Limits, Site
from ansible_collections.kraf.edge.plugins.module_utils.placement.records import Placement
from ansible_collections.kraf.edge.plugins.module_utils.placement.room import SLACK
from ansible_collections.kraf.edge.plugins.module_utils.placement.steps import Steps

from .containers import APP, container

MIB, GIB = 2**20, 2**30
SITE = Site(("192.0.2.7:8843",), "edge:1", "192.0.2.7:5000", ("amd64",))


class Run:
    """The steps of a run whose every word to cluster, edge and device is written down."""

    def __init__(self, to: str, data: dict[str, dict[str, Any]], limit: int = 2 * GIB, tree: int = 0) -> None:
        self.spoken = Mock()
        self.spoken.cluster.get.return_value = None
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
    assert set(run.words) <= {"cluster.get"}


@pytest.mark.parametrize(("trees", "tree"), [(1, 0), (2, 4)])
def test_data_that_just_fit_go_on(trees: int, tree: int) -> None:
    run = Run("edge", {"results": {"bytes": (2 * GIB - SLACK) // trees}}, tree=tree)
    run.steps.describe()
    assert run.words == ["edge.check"]


def test_a_volume_that_is_larger_than_what_is_asked_for_now_holds_what_fits_it() -> None:
    run = Run("edge", {"results": {"bytes": 2 * GIB}}, tree=4)
    run.spoken.cluster.get.return_value = asked(5 * GIB)
    run.steps.describe()
    assert run.spoken.cluster.get.call_args.args[1:] == ("app-faces", "kraf-pi1")


def test_data_that_have_no_room_on_a_volume_that_is_there_are_refused_with_its_size() -> None:
    run = Run("edge", {"results": {"bytes": 2 * GIB}}, tree=4)
    run.spoken.cluster.get.return_value = asked(3 * GIB)
    with pytest.raises(KrafError, match=r"data take 4 GiB with the copy before, the volume would have 3 GiB"):
        run.steps.describe()


def test_an_app_without_data_needs_no_room() -> None:
    run = Run("edge", {}, limit=1)
    run.steps.describe()
    assert run.words == ["edge.check"]


def asked(size: int) -> dict[str, Any]:
    return {"spec": {"resources": {"requests": {"storage": str(size)}}}}


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
    room.check_on_device(run.job, 100 * MIB - SLACK)
    with pytest.raises(KrafError, match=r"data tables of app.*where 100 MiB are free"):
        room.check_on_device(run.job, 100 * MIB)


def test_of_a_directory_on_a_volume_of_the_device_no_copy_is_made_that_needs_room() -> None:
    run = Run("device", {"results": {"free_bytes": 0, "volume": "photos"}})
    room.check_on_device(run.job, GIB)


def claim(has: int) -> dict[str, Any]:
    return {"status": {"capacity": {"storage": str(has)}}}


class Volumes:
    """What is done for the app's volume; its claim is as it was before that."""

    def __init__(self, run: Run, monkeypatch: pytest.MonkeyPatch, found: dict[str, Any] | None, late: bool) -> None:
        self.waited: list[float] = []
        self.late = late
        monkeypatch.setattr(run.steps.wanted, "_volume", lambda: (None, found, None))
        monkeypatch.setattr(wanted_module.volumes, "execute", self.execute)

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
    run.steps.wanted.volume()
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
