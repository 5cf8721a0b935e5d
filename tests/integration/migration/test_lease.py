"""Who works on an app, against a real API server: REG-05."""

from __future__ import annotations

import time

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.cluster.client import Cluster, connect
from ansible_collections.kraf.edge.plugins.module_utils.cluster.kinds import LEASE
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.manifests import namespace
from ansible_collections.kraf.edge.plugins.module_utils.placement.lease import Lease
from tests.integration.apiserver import ApiServer

UID = "6a0cbb2e-38a4-4a9f-9d2f-5a1f0f6c9d11"


@pytest.fixture
def space(cluster: Cluster, device: str) -> str:
    cluster.apply(namespace.objects(device, UID)[0])
    return f"kraf-{device}"


def lease(api: ApiServer, space: str, holder: str, seconds: int = 15) -> Lease:
    return Lease(connect(api.params()), space, "app-faces", {}, holder, seconds)


def nobody(text: str) -> None:
    raise AssertionError(text)


def test_reg_05_a_second_run_is_told_who_works_on_the_app(api: ApiServer, space: str) -> None:
    first, said = lease(api, space, "ann@one"), []
    first.acquire(5, nobody)
    with pytest.raises(KrafError, match="ann@one works on it, and still did after 2 s"):
        lease(api, space, "bob@two").acquire(2, said.append)
    assert len(said) == 1
    assert "ann@one" in said[0]
    first.release()


def test_reg_05_after_its_end_the_next_run_has_it_at_once_and_a_greater_number(api: ApiServer, space: str) -> None:
    first, second = lease(api, space, "ann@one"), lease(api, space, "bob@two")
    number = first.acquire(5, nobody)
    first.release()
    assert second.acquire(5, nobody) > number
    assert not second.waited
    second.release()


def test_reg_05_a_dead_holder_is_followed_once_its_record_stood_still(api: ApiServer, space: str) -> None:
    dead = lease(api, space, "ann@one", seconds=2)
    number = dead.acquire(5, nobody)
    dead._ended.set()  # as after a SIGKILL: nothing renews it
    said: list[str] = []
    second = lease(api, space, "bob@two")
    assert second.acquire(30, said.append) == number + 1
    assert second.waited
    assert said
    second.release()


def test_a_clock_that_is_wrong_makes_nobody_dead(api: ApiServer, space: str, cluster: Cluster) -> None:
    first = lease(api, space, "ann@one", seconds=6)
    first.acquire(5, nobody)
    found = cluster.get(LEASE, "app-faces", space)
    assert found is not None
    past = {"spec": {"renewTime": "2001-01-01T00:00:00.000000Z"}}
    cluster.patch(LEASE, "app-faces", space, past)
    with pytest.raises(KrafError, match="ann@one"):
        lease(api, space, "bob@two").acquire(3, lambda text: None)
    first.release()


def test_a_holder_that_slept_learns_that_it_was_followed(api: ApiServer, space: str, cluster: Cluster) -> None:
    slept = lease(api, space, "ann@one", seconds=1)
    slept.acquire(5, nobody)
    cluster.patch(LEASE, "app-faces", space, {"spec": {"holderIdentity": "bob@two"}})
    end = time.monotonic() + 15
    while not slept.lost and time.monotonic() < end:
        time.sleep(0.05)
    with pytest.raises(KrafError, match="another run has taken it over"):
        slept.check()
    slept.release()
    found = cluster.get(LEASE, "app-faces", space)
    assert found is not None
    assert found["spec"]["holderIdentity"] == "bob@two"


def test_a_holder_that_wakes_up_asks_before_it_goes_on(api: ApiServer, space: str) -> None:
    sleeper = lease(api, space, "ann@one", seconds=2)
    sleeper.acquire(5, nobody)
    sleeper._ended.set()  # as a process that was stopped: nothing renews it, and nothing has told it yet
    time.sleep(2.5)
    sleeper.check()  # nobody came
    time.sleep(2.5)
    second = lease(api, space, "bob@two")
    second.acquire(30, lambda _text: None)
    with pytest.raises(KrafError, match="another run has taken it over"):
        sleeper.check()
    second.check()
    second.release()
