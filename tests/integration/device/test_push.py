"""What a device brings to the image registry: a real Docker Engine, and a real image registry."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.on_device import docker, images, pushing, registry
from ansible_collections.kraf.edge.plugins.module_utils.on_device.pushing import Wanted
from ansible_collections.kraf.edge.plugins.module_utils.on_device.reference import Login
from tests.integration import emulator
from tests.integration.device.engine import Engine
from tests.integration.device.registry import LOGIN, Served

MIB = 2**20


@pytest.fixture
def engine(pushing_device: tuple[Engine, Served]) -> Engine:
    return pushing_device[0]


@pytest.fixture
def served(pushing_device: tuple[Engine, Served]) -> Served:
    return pushing_device[1]


def make(engine: Engine, folder: Path, name: str, size: int) -> str:
    """An image of one layer of that many bytes, which do not compress; its id."""
    folder.mkdir()
    (folder / "data").write_bytes(os.urandom(size))
    engine.make_image(name, folder)
    return str((docker.inspect_image(f"{name}:1") or {})["Id"])


def wanted(served: Served, name: str, image: str = "", **more: Any) -> Wanted:
    return Wanted(f"{served.address}/{name}", image, "amd64" if image else "", **{"login": LOGIN, "limit": 60, **more})


def brought(wanted_: Wanted, app: str = "faces", fence: int = 1) -> dict[str, Any]:
    return pushing.push(app, fence, wanted_, 60)


def test_a_second_push_sends_nothing(engine: Engine, served: Served, tmp_path: Path) -> None:
    image = make(engine, tmp_path / "a", "twice", MIB)
    first = brought(wanted(served, "pi1/twice", image))
    assert MIB <= first["pushed_bytes"] < 1.1 * MIB
    assert first["pushed_layers"] == {"sent": 1, "there": 0}
    before = len(served.asked("PATCH"))
    second = brought(wanted(served, "pi1/twice", image), fence=2)
    assert (second["pushed_bytes"], second["pushed_layers"]) == (0, {"sent": 0, "there": 1})
    assert second["reference"] == first["reference"]
    assert len(served.asked("PATCH")) == before
    repository, _at, digest = str(first["reference"]).partition("/")[2].partition("@")
    found = served.client.manifest(repository, digest)
    assert found is not None
    assert found.digest == digest


def test_layers_of_another_app_are_not_sent_again(engine: Engine, served: Served, tmp_path: Path) -> None:
    image = make(engine, tmp_path / "a", "shared", MIB)
    brought(wanted(served, "pi1/one", image))
    found = brought(wanted(served, "pi1/other", image), "other")
    assert (found["pushed_bytes"], found["pushed_layers"]) == (0, {"sent": 0, "there": 1})


def test_a_push_tells_how_far_it_is_and_ends_in_a_later_call(engine: Engine, served: Served, tmp_path: Path) -> None:
    image = make(engine, tmp_path / "a", "slow", 48 * MIB)
    told, found = [], {}
    end = time.monotonic() + 60
    while "reference" not in found and time.monotonic() < end:
        found = pushing.push("slow", 1, wanted(served, "pi1/slow", image), 0.2)
        told.append(found.get("progress"))
    assert "reference" in found
    seen = [one for one in told if one and one["total"]]
    assert seen, told
    assert all(0 <= one["done"] <= one["total"] for one in seen)
    assert any(one["done"] >= MIB for one in seen)
    assert found["pushed_bytes"] >= 48 * MIB


def test_a_later_run_waits_for_the_push_of_an_earlier_one_and_sends_nothing_of_it_again(
    engine: Engine, served: Served, tmp_path: Path
) -> None:
    image = make(engine, tmp_path / "a", "overtaken", 32 * MIB)
    assert "progress" in pushing.push("overtaken", 1, wanted(served, "pi1/overtaken", image), 0)
    found = brought(wanted(served, "pi1/overtaken", image), "overtaken", fence=2)
    assert found["pushed_bytes"] == 0


def test_what_the_image_registry_refuses_comes_back_with_its_reason(
    engine: Engine, served: Served, tmp_path: Path
) -> None:
    image = make(engine, tmp_path / "a", "refused", 1024)
    with pytest.raises(KrafError, match=r"refuses these credentials|wants credentials|basic auth"):
        brought(wanted(served, "pi1/refused", image, login=Login("kraf", "wrong")), "refused")
    assert served.client.manifest("pi1/refused", "latest") is None


# -- images of several architectures ----------------------------------------------------------------------------------


def test_img_01_what_is_pushed_and_what_is_named_become_one_index(
    engine: Engine, served: Served, tmp_path: Path
) -> None:
    named = served.image("pi1/both", "built", "arm64")
    image = make(engine, tmp_path / "a", "both", 1024)
    others = {"arm64": f"{served.address}/pi1/both@{named.digest}"}
    found = brought(wanted(served, "pi1/both", image, others=others), "both")
    index = served.client.manifest("pi1/both", found["reference"].partition("@")[2])
    assert index is not None
    assert index.media_type == registry.DOCKER_INDEX
    platforms = {one["platform"]["architecture"]: one["digest"] for one in index.parsed["manifests"]}
    assert sorted(platforms) == ["amd64", "arm64"]
    assert platforms["arm64"] == named.digest
    # What a node does with it: its own architecture's image, and no other.
    images.pull(f"{served.address}/pi1/both:index-{index.digest.partition(':')[2][:16]}", LOGIN, 60)
    pulled = docker.inspect_image(found["reference"]) or {}
    assert (pulled["Architecture"], pulled["Id"]) == ("amd64", image)
    before = len(served.asked("PUT"))
    assert brought(wanted(served, "pi1/both", image, others=others), "both", 2)["reference"] == found["reference"]
    assert served.asked("PUT", "index-")
    assert [line for line in served.asked("PUT")[before:] if "/manifests/index-" in line] == []


@pytest.mark.parametrize("media_type", [registry.DOCKER_MANIFEST, registry.OCI_MANIFEST])
def test_img_01_images_of_two_repositories_become_an_index_and_no_layer_is_sent(
    served: Served, media_type: str
) -> None:
    word = "oci" if media_type == registry.OCI_MANIFEST else "docker"
    parts_ = {one: served.image(f"{word}/{one}", "1", one, media_type) for one in ("amd64", "arm64", "arm")}
    others = {one: f"{served.address}/{word}/{one}:1" for one in parts_}
    before = len(served.asked("PATCH"))
    found = brought(wanted(served, f"pi1/{word}", others=others), word)
    assert (found["pushed_bytes"], len(served.asked("PATCH"))) == (0, before)
    index = served.client.manifest(f"pi1/{word}", found["reference"].partition("@")[2])
    assert index is not None
    assert index.media_type == (registry.OCI_INDEX if word == "oci" else registry.DOCKER_INDEX)
    said = {one["platform"]["architecture"]: one for one in index.parsed["manifests"]}
    assert {name: one["digest"] for name, one in said.items()} == {name: one.digest for name, one in parts_.items()}
    assert said["arm"]["platform"]["variant"] == "v7"


def test_img_01_an_index_that_is_named_gives_its_own_image_of_the_architecture(served: Served) -> None:
    for one in ("amd64", "arm64"):
        served.image("up/multi", one, one, text="multi")
    references = {one: f"{served.address}/up/multi:{one}" for one in ("amd64", "arm64")}
    upstream = registry.join(served.client, "up/multi", references)
    newer = served.image("up/newer", "1", "amd64", text="newer")
    others = {"arm64": f"{served.address}/up/multi@{upstream}", "amd64": f"{served.address}/up/newer:1"}
    found = brought(wanted(served, "pi1/mixed", others=others), "mixed")
    index = served.client.manifest("pi1/mixed", found["reference"].partition("@")[2])
    assert index is not None
    assert [one["platform"]["architecture"] for one in index.parsed["manifests"]] == ["amd64", "arm64"]
    assert index.parsed["manifests"][0]["digest"] == newer.digest


def test_img_01_an_image_of_another_architecture_than_it_is_named_for_is_refused(served: Served) -> None:
    served.image("pi1/wrong", "1", "arm64")
    others = {"amd64": f"{served.address}/pi1/wrong:1", "arm64": f"{served.address}/pi1/wrong:1"}
    with pytest.raises(KrafError, match="named as the image for amd64, and it is for arm64"):
        brought(wanted(served, "pi1/wrong", others=others), "wrong")


def test_img_01_the_device_asks_which_architectures_there_are(engine: Engine, served: Served) -> None:
    one = served.image("pi1/asked", "1", "arm64")
    for name in ("1", one.digest):
        word = "@" if ":" in name else ":"
        found = images.offered(f"{served.address}/pi1/asked{word}{name}", served.address, LOGIN)
        assert found == {"digest": one.digest, "architectures": ["arm64"], "absent": False, "why": ""}
    assert images.offered(f"{served.address}/pi1/none:1", served.address, LOGIN)["absent"]
    nobody = images.offered(f"{served.address}/pi1/asked:1", "elsewhere:5000", LOGIN)
    assert not nobody["absent"], "credentials are for the image registry alone"
    assert "no basic auth" in nobody["why"] or "unauthorized" in nobody["why"]


def test_a_registry_that_never_answers_is_no_reason_to_stop(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "ASK", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        name = f"127.0.0.1:{deaf.getsockname()[1]}/pi1/faces:1"
        found = images.offered(name, "elsewhere:5000", LOGIN)
    assert (found["architectures"], found["absent"]) == ([], False)
    assert found["why"]


def test_img_03_a_pushed_image_keeps_its_own_architecture(engine: Engine, served: Served) -> None:
    made = served.image("pi1/kept", "1", "arm64")
    images.pull(f"{served.address}/pi1/kept:1", LOGIN, 60)
    image = docker.inspect_image(f"{served.address}/pi1/kept:1") or {}
    assert image["Architecture"] == "arm64"
    found = brought(wanted(served, "pi1/again", image["Id"]), "again")
    again = served.client.manifest("pi1/again", found["reference"].partition("@")[2])
    assert again is not None
    assert again.parsed["config"]["digest"] == made.parsed["config"]["digest"]


# -- emulation --------------------------------------------------------------------------------------------------------


def test_img_01_an_image_of_another_architecture_runs_by_emulation_where_a_host_has_it_and_nowhere_else(
    engine: Engine, served: Served
) -> None:
    served.image("pi1/speaks", "1", "arm64", files={"hello": emulator.program()}, command=["/hello"])
    images.pull(f"{served.address}/pi1/speaks:1", LOGIN, 60)
    on_device = docker.inspect_image(f"{served.address}/pi1/speaks:1") or {}
    found = brought(Wanted(f"{served.address}/pi1/emulated", on_device["Id"], "arm64", {}, LOGIN, 60), "emulated")
    # As a node does it: by the digest of what was pushed, which is no index.
    repository, digest = found["reference"].split("@")
    images.pull(f"{repository}:{on_device['Id'].rpartition(':')[2][:16]}", LOGIN, 60)
    assert (docker.inspect_image(f"{repository}@{digest}") or {})["Architecture"] == "arm64"
    assert "exec format error" in ran(engine, f"{repository}@{digest}")
    with emulator.registered():
        assert ran(engine, f"{repository}@{digest}") == emulator.SAYS.decode()


def ran(engine: Engine, image: str) -> str:
    """What a container of this image says, or why it says nothing."""
    network = {"HostConfig": {"NetworkMode": "none"}}
    made = engine.create("speaks", image, **network)
    try:
        said = str(engine.ask("POST", f"/containers/{made}/start", expected=(204, 400, 500)))
        code = engine.ask("POST", f"/containers/{made}/wait")["StatusCode"]
        log = str(engine.ask("GET", f"/containers/{made}/logs?stdout=1&stderr=1"))
        # Each piece of the log comes behind eight bytes that say whose it is and how long.
        return log[8:] if code == 0 else f"{code} {said} {log}"
    finally:
        engine.remove(made)


# -- as Ansible runs it -----------------------------------------------------------------------------------------------

# $1: Docker's socket, $2: what stands for /etc/docker/certs.d, $3: a folder; then the command, for both calls the same.
TWICE = """\
set -e
mount -t tmpfs none /run
ln -s "$1" /run/docker.sock
mount -t tmpfs none "$3"
mkdir "$3/upper" "$3/work"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$3/upper,workdir=$3/work" /etc
mkdir -p /etc/docker
cp -r "$2" /etc/docker/certs.d
shift 3
# While the image registry stands still, nothing can end.
kill -STOP "$REGISTRY"
"$@" "$FIRST" || echo failed
kill -CONT "$REGISTRY"
"$@" "$SECOND"
"""


def test_a_push_outlives_the_call_that_began_it_as_ansible_runs_it(
    engine: Engine, served: Served, tmp_path: Path
) -> None:
    make(engine, tmp_path / "a", "outlives", MIB)
    engine.create("outlives", "outlives:1", Cmd=["/data"])
    given = {
        "step": "push",
        "app": "outlives",
        "container": "outlives",
        "fence": 1,
        "repository": f"{served.address}/pi1/outlives",
        "username": LOGIN.username,
        "password": LOGIN.password,
    }
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(Path(__file__).parents[3] / "build/collections"),
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "ANSIBLE_PYTHON_INTERPRETER": sys.executable,
        "REGISTRY": str(served.pid),
        "FIRST": json.dumps({**given, "push_wait": 1}),
        "SECOND": json.dumps({**given, "push_wait": 60}),
    }
    (tmp_path / "etc").mkdir()
    argv = [
        "unshare",
        "--mount",
        "sh",
        "-c",
        TWICE,
        "sh",
        str(engine.socket),
        registry.CERTIFICATES,
        str(tmp_path / "etc"),
    ]
    argv += [str(Path(sys.executable).parent / "ansible"), "localhost", "-m", "kraf.edge.app_handover", "-a"]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=200, check=False)
    os.kill(served.pid, signal.SIGCONT)
    assert done.returncode == 0, done.stdout + done.stderr
    first, second = (json.loads(one[one.index("{") :]) for one in done.stdout.split("localhost | CHANGED =>")[1:])
    assert set(first["progress"]) == {"done", "total", "waiting"}
    assert second["pushed_bytes"] >= MIB
    assert served.client.manifest("pi1/outlives", second["reference"].partition("@")[2]) is not None
