"""The module image with a real engine and a real image registry: indexes, trust, and registries that want patience."""

from __future__ import annotations

import http.server
import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.on_device import docker, images, registry
from ansible_collections.kraf.edge.plugins.modules import image
from tests.integration.device import registry as registries
from tests.integration.device.engine import Engine
from tests.integration.device.registry import LOGIN, Served
from tests.integration.modules import run

DOCKERFILE = 'FROM scratch\nCOPY whoami /\nCMD ["/whoami"]\n'


@pytest.fixture
def engine(pushing_device: tuple[Engine, Served]) -> Engine:
    return pushing_device[0]


@pytest.fixture
def served(pushing_device: tuple[Engine, Served]) -> Served:
    return pushing_device[1]


@pytest.fixture
def call(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., dict[str, Any]]:
    def ask(check: bool = False, **options: Any) -> dict[str, Any]:
        account = {"username": LOGIN.username, "password": LOGIN.password, "timeout": 60}
        return run(image, {**account, **options}, check, monkeypatch, capsys)

    return ask


# -- images of several architectures ----------------------------------------------------------------------------------


def test_img_01_a_host_adds_its_own_architecture_to_what_others_have_built(
    call: Callable[..., dict[str, Any]], served: Served
) -> None:
    theirs = served.image("kraf/edge", "1", "arm64")
    wanted = {
        "name": f"{served.address}/kraf/edge:1",
        "state": "pushed",
        "joined": True,
        "context": {"Dockerfile": DOCKERFILE, "whoami": "amd64"},
    }
    before = call(check=True, **wanted)
    assert (before["changed"], before["digest"]) == (True, theirs.digest)
    made = call(**wanted)
    assert made["changed"], made
    assert registry.architectures(served.client, "kraf/edge", "1") == ["amd64", "arm64"]
    assert not call(**wanted)["changed"]
    # As the role image_registry goes on: each host pulls it, and pushes what it has under another name.
    name = wanted["name"]
    pulled = call(name=name)
    assert (pulled["changed"], pulled["digest"]) == (True, made["digest"])
    assert not call(name=name)["changed"]
    proof = {"name": f"{served.address}/kraf/proof:worker1", "state": "pushed", "source": name}
    assert [call(**proof)["changed"] for _run in range(2)] == [True, False]


def test_img_01_the_first_architecture_needs_no_index(call: Callable[..., dict[str, Any]], served: Served) -> None:
    context = {"Dockerfile": DOCKERFILE, "whoami": "first"}
    name = f"{served.address}/kraf/alone:1"
    assert call(name=name, state="pushed", joined=True, context=context)["changed"]
    assert not call(name=name, state="pushed", joined=True, context=context)["changed"]
    found = served.client.manifest("kraf/alone", "1")
    assert found is not None
    assert found.media_type == registry.DOCKER_MANIFEST


def test_img_01_an_image_of_another_architecture_is_not_left_on_a_host(
    call: Callable[..., dict[str, Any]], served: Served
) -> None:
    served.image("kraf/foreign", "1", "arm64")
    found = call(name=f"{served.address}/kraf/foreign:1")
    assert "it was built for arm64, this host is amd64" in found["msg"]
    assert docker.inspect_image(f"{served.address}/kraf/foreign:1") is None


# -- registries that want patience ------------------------------------------------------------------------------------


@pytest.fixture
def busy(served: Served) -> Iterator[tuple[str, list[int]]]:
    """An address at which the image registry stands, and answers 429 as often as the list has numbers left."""
    refusals: list[int] = []

    class Front(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if refusals and "/manifests/" in self.path:
                refusals.pop()
                body = json.dumps({"errors": [{"code": "TOOMANYREQUESTS", "message": "slow down"}]}).encode()
                status, headers = 429, {"Content-Type": "application/json"}
            else:
                accept = {"Accept": ", ".join(self.headers.get_all("Accept") or ["*/*"])}
                status, given, body = served.client.ask(self.command, self.path, headers=accept)
                headers = {key: value for key, value in given.items() if key not in ("Content-Length", "Date")}
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *_args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Front)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"127.0.0.1:{server.server_port}", refusals
    server.shutdown()
    thread.join()
    server.server_close()


def test_img_06_a_pull_that_is_refused_twice_for_its_number_succeeds_in_the_end(
    engine: Engine, served: Served, busy: tuple[str, list[int]]
) -> None:
    served.image("up/busy", "1", "amd64")
    address, refusals = busy
    refusals += [1, 1]
    slept: list[float] = []
    images.pull(f"{address}/up/busy:1", images.Login(), 60, slept.append)
    assert docker.inspect_image(f"{address}/up/busy:1") is not None
    assert refusals == []
    assert slept in ([2.0], [2.0, 4.0]), slept


# -- trust ------------------------------------------------------------------------------------------------------------


def test_img_04_a_host_that_does_not_trust_the_image_registry_is_named_before_anything_is_pushed(
    engine: Engine, tmp_path: Path
) -> None:
    # Docker asks nothing of registries on the loopback's own addresses.
    subprocess.run(["ip", "address", "add", "10.77.0.1/32", "dev", "lo"], check=True)
    with registries.running(tmp_path / "registry", tmp_path / "certs.d", "10.77.0.1") as strange:
        strange.image("pi1/strange", "1", "amd64")
        with pytest.raises(KrafError, match=r"host .* cannot ask for it at 10.77.0.1:5000: .*does not trust.*certs.d"):
            images.served(f"{strange.address}/pi1/strange:1", LOGIN)
        other = registry.Registry(strange.address, LOGIN)
        with pytest.raises(KrafError, match=r"cannot speak with it: .*certificate.*ca.crt"):
            other.manifest("pi1/strange", "1")
