"""The image for the edge as a run brings it about: real modules on a device with a real engine, a real registry."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import App, Device
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.migration.world import EDGE
from ansible_collections.kraf.edge.plugins.module_utils.on_device import adopt, docker, images
from ansible_collections.kraf.edge.plugins.module_utils.placement import edge_image
from ansible_collections.kraf.edge.plugins.module_utils.placement.job import Job, Limits, Site
from ansible_collections.kraf.edge.plugins.modules import app_handover
from tests.integration.device.engine import Engine
from tests.integration.device.registry import LOGIN, Served
from tests.integration.modules import run

MIB = 2**20
Make = Callable[..., Job]


def node(name: str, emulates: bool = False, **spec: Any) -> dict[str, Any]:
    labels = {"kubernetes.io/arch": "amd64", **({"kraf.io/emulates-arm64": "true"} if emulates else {})}
    return {"metadata": {"name": name, "labels": labels}, "spec": spec}


class Account:
    """Of the cluster, the Secret with the image registry's account, and its nodes."""

    def __init__(self, *nodes: dict[str, Any]) -> None:
        self.nodes = nodes

    def list(self, kind: Any) -> list[dict[str, Any]]:
        return [*self.nodes]

    def get(self, kind: Any, name: str, namespace: str = "") -> dict[str, Any]:
        if kind.kind == "Node":
            return next(one for one in self.nodes if one["metadata"]["name"] == name)
        words = {"username": LOGIN.username, "password": LOGIN.password}
        return {"data": {key: base64.b64encode(word.encode()).decode() for key, word in words.items()}}


@pytest.fixture
def engine(pushing_device: tuple[Engine, Served]) -> Engine:
    return pushing_device[0]


@pytest.fixture
def served(pushing_device: tuple[Engine, Served]) -> Served:
    return pushing_device[1]


@pytest.fixture
def make(
    engine: Engine, served: Served, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Make]:
    """Makes a run for an app whose container is made of an image."""
    names: list[str] = []

    def call(step: str, **options: Any) -> dict[str, Any]:
        given = {"step": step, **{key: value for key, value in options.items() if value is not None}}
        found = run(app_handover, given, False, monkeypatch, capsys)
        if found["failed"]:
            error = found["error"]
            raise KrafError(error["what"], error["value"], error["why"], error["fix"])
        assert LOGIN.password not in str({key: value for key, value in found.items() if key != "invocation"})
        return found

    def job(name: str, image: str, architectures: tuple[str, ...] = ("amd64",), **more: Any) -> Job:
        emulated = more.pop("emulated", ())
        if docker.inspect(name) is None:
            engine.create(name, image, Cmd=["/whoami"])
            names.append(name)
        site = Site(("127.0.0.1:1",), "edge:1", served.address, architectures, emulated)
        nodes = more.pop("nodes", ())
        made = Job(Account(*nodes), App("pi1", name, **more), Device("pi1"), EDGE, "test", site, Limits(), call, run=1)  # type: ignore[arg-type]
        made.look = {"container": adopt.report(name)}
        return made

    yield job
    for name in names:
        engine.remove(name)


def image_of(engine: Engine, folder: Path, name: str, size: int = 1024) -> str:
    folder.mkdir()
    (folder / "whoami").write_bytes(os.urandom(size))
    engine.make_image(name, folder)
    return f"{name}:1"


def there(served: Served, reference: str) -> dict[str, str]:
    """Digest of the image by architecture under an index; nothing for what is none."""
    repository, _at, digest = reference.partition("/")[2].partition("@")
    found = served.client.manifest(repository, digest)
    assert found is not None
    return {one["platform"]["architecture"]: one["digest"] for one in found.parsed.get("manifests") or []}


def test_a_second_move_pushes_nothing_and_runs_from_the_same_digest(
    make: Make, engine: Engine, served: Served, tmp_path: Path
) -> None:
    image, said = image_of(engine, tmp_path / "a", "second", 8 * MIB), []
    first = make("second", image)
    first.say = said.append
    choice = edge_image.choose(first)
    reference = edge_image.push(first, choice)
    assert first.pushed_bytes >= 8 * MIB
    assert said[-1].startswith("push: 8 MiB in 1 layers, 0 were there already")
    again = make("second", image)
    again.run = 2
    assert edge_image.push(again, edge_image.choose(again)) == reference
    assert (again.pushed_bytes, again.pushed_layers) == (0, {"sent": 0, "there": 1})


def test_img_01_the_device_pushes_its_own_and_what_was_built_stands_beside_it(
    make: Make, engine: Engine, served: Served, tmp_path: Path
) -> None:
    built = served.image("pi1/beside", "built", "arm64")
    named = {"arm64": f"{served.address}/pi1/beside@{built.digest}"}
    job = make("beside", image_of(engine, tmp_path / "a", "beside"), ("amd64", "arm64"), images=named)
    choice = edge_image.choose(job)
    assert choice.architectures == ("amd64", "arm64")
    found = there(served, edge_image.push(job, choice))
    assert sorted(found) == ["amd64", "arm64"]
    assert found["arm64"] == built.digest


def test_img_01_an_image_that_is_not_for_what_it_is_named_is_refused_before_anything_is_changed(
    make: Make, served: Served
) -> None:
    served.image("pi1/wrong-name", "1", "arm64")
    images.pull(f"{served.address}/pi1/wrong-name:1", LOGIN, 60)
    reference = f"{served.address}/pi1/wrong-name:1"
    job = make("wrong-name", reference, images={"amd64": reference})
    before = len(served.asked('"PUT')) + len(served.asked('"POST'))
    with pytest.raises(KrafError, match=r"is for arm64.*Name one.*image_build.*emulation"):
        edge_image.choose(job)
    assert len(served.asked('"PUT')) + len(served.asked('"POST')) == before


def test_img_01_an_arm64_image_alone_is_pushed_as_it_is_where_nodes_emulate_it(make: Make, served: Served) -> None:
    made = served.image("up/alone", "1", "arm64")
    images.pull(f"{served.address}/up/alone:1", LOGIN, 60)
    reference = f"{served.address}/up/alone:1"
    job = make(
        "alone", reference, images={"arm64": reference}, emulation=True, emulated=("arm64",), nodes=[node("one", True)]
    )
    choice = edge_image.choose(job)
    assert (choice.architectures, choice.emulated) == ((), "arm64")
    brought = edge_image.push(job, choice)
    assert there(served, brought) == {}
    found = served.client.manifest("pi1/alone", brought.partition("@")[2])
    assert found is not None
    assert found.parsed["config"]["digest"] == made.parsed["config"]["digest"]


@pytest.mark.parametrize("where", ["", "server2"])
@pytest.mark.parametrize(
    ("nodes", "can"),
    [
        ([node("server1", True), node("server2")], "anywhere"),
        ([node("server1"), node("server2", True)], "server2"),
        ([node("server1"), node("server2", True, taints=[{"key": "x", "effect": "NoSchedule"}])], ""),
        ([node("server1"), node("server2", True, unschedulable=True)], ""),
        ([node("server1"), node("server2")], ""),
    ],
)
def test_img_01_what_counts_is_a_node_that_takes_the_pod_and_where_its_data_lie(
    make: Make, served: Served, where: str, nodes: list[dict[str, Any]], can: str
) -> None:
    served.image("up/lies", "1", "arm64")
    images.pull(f"{served.address}/up/lies:1", LOGIN, 60)
    job = make("lies", f"{served.address}/up/lies:1", emulation=True, emulated=("arm64",), nodes=nodes)
    if can == "server2" or (can and not where):
        assert edge_image.choose(job, where).emulated == "arm64"
        return
    told = "node server2, where its data lie, is amd64.*it does not emulate" if where else "no node emulates arm64"
    with pytest.raises(KrafError, match=told):
        edge_image.choose(job, where)
