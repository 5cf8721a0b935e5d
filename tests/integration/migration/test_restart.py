"""What a restart of a real Docker brings up: nothing that the edge owns, and after the way back all as before."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Callable

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.on_device import docker, handover
from tests.integration.device import engine as engines
from tests.integration.device import parts
from tests.integration.device.engine import SLEEP, Create, Engine

from . import devices
from .devices import Device
from .movers import Running

Make = Callable[..., Device]
CRASH = ["sh", "-c", "exit 3"]
POLICIES = {
    "always": {"Name": "always", "MaximumRetryCount": 0},
    "unless-stopped": {"Name": "unless-stopped", "MaximumRetryCount": 0},
    "on-failure": {"Name": "on-failure", "MaximumRetryCount": 40},
}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """One that is restarted here, and not under other tests."""
    with tempfile.TemporaryDirectory(prefix="kraf-engine-") as folder, engines.running(Path(folder)) as found:
        (Path(folder) / "root").mkdir()
        found.make_image(engines.IMAGE, engines.root(Path(folder) / "root"))
        yield found


@pytest.fixture
def make(mover: Running, create: Create, tmp_path: Path) -> Iterator[Make]:
    """A device with an app of this command, under this policy."""
    with ExitStack() as stack:

        def call(policy: str, command: list[str]) -> Device:
            folder = tmp_path / "results"
            folder.mkdir()
            (folder / "input").write_text("of the device")
            host = {"Binds": [f"{folder}:/data"], "PortBindings": {}, "RestartPolicy": POLICIES[policy]}
            name = create(start=True, Cmd=command, StopTimeout=1, HostConfig=host)
            return stack.enter_context(devices.playing(mover, tmp_path, name))

        yield call


@pytest.fixture
def witness(create: Create) -> str:
    """A container that comes back with Docker, as the app's would."""
    host = {"PortBindings": {}, "RestartPolicy": {"Name": "always"}}
    return create(start=True, StopTimeout=1, HostConfig=host)


def inspect(name: str) -> dict[str, Any]:
    found = docker.inspect(name)
    assert found is not None
    return found


def policy(name: str) -> dict[str, Any]:
    found: dict[str, Any] = inspect(name)["HostConfig"]["RestartPolicy"]
    return found


def begun(name: str) -> tuple[str, int]:
    """When it was started last, and how often by Docker itself."""
    found = inspect(name)
    return found["State"]["StartedAt"], found["RestartCount"]


def restart(engine: Engine, witness: str) -> None:
    before = begun(witness)
    engine.restart()
    parts.until(lambda: docker.running(witness) and begun(witness) != before, what="the witness")


@pytest.mark.parametrize("name", POLICIES)
def test_mig_02_an_app_that_was_handed_over_stays_down_when_docker_restarts_and_comes_back_as_it_was(
    make: Make, engine: Engine, witness: str, name: str
) -> None:
    device = make(name, SLEEP)
    device.to_edge().result(30)
    assert not docker.running(device.name)
    before = begun(device.name)
    restart(engine, witness)
    assert begun(device.name) == before
    assert not docker.running(device.name)
    assert policy(device.name)["Name"] == "no"

    device.to_device().result(30)
    assert docker.running(device.name)
    assert policy(device.name) == POLICIES[name]
    restart(engine, witness)
    assert docker.running(device.name)


def waits_to_be_restarted(name: str) -> bool:
    """Whether Docker will start it again by itself, in more than three seconds (100 ms, doubled each time)."""
    found = inspect(name)
    return bool(found["State"]["Restarting"]) and found["RestartCount"] >= 6


@pytest.mark.parametrize("name", POLICIES)
def test_mig_02_an_app_that_crashes_again_and_again_is_handed_over_between_two_tries_and_tried_no_more(
    make: Make, engine: Engine, witness: str, name: str
) -> None:
    device = make(name, CRASH)
    moving = device.begin(handover.move_to_edge, device.task(1, 7, 0))
    device.hear("prepared")
    parts.until(lambda: waits_to_be_restarted(device.name), what="a container that crashes")
    before = begun(device.name)
    device.say("go")
    device.hear("verified")
    device.say("disarm")
    device.hear("ready")
    device.say("committed")
    device.say("running")
    moving.result(30)
    assert begun(device.name) == before, "it was not caught between two tries"
    assert not docker.running(device.name)
    restart(engine, witness)
    state = inspect(device.name)["State"]
    assert (begun(device.name), state["Running"], state["Restarting"]) == (before, False, False)
    assert policy(device.name)["Name"] == "no"

    device.to_device().result(30)
    assert policy(device.name) == POLICIES[name]
    assert begun(device.name)[0] != before[0]
