"""The module image with a real engine and a real image registry: indexes, trust, and registries that want patience."""

from __future__ import annotations

import http.server
import json
import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.on_device import docker, images, registry
from ansible_collections.kraf.edge.plugins.module_utils.on_device.reference import Login
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


def test_a_layer_whose_link_another_push_just_writes_is_asked_for_again(engine: Engine, served: Served) -> None:
    """As several hosts that push to one repository meet it, by hand: the file of the link is empty for a moment."""
    served.image("up/half", "1", "amd64")
    pulled, name = f"{served.address}/up/half:1", f"{served.address}/up/half-link:1"
    images.pull(pulled, LOGIN, 60)
    images.tag(pulled, name)
    images.push(name, LOGIN, 60)
    links = list((served.folder / "data/docker/registry/v2/repositories/up/half-link/_layers").rglob("*/link"))
    slept: list[float] = []

    def written(seconds: float) -> None:
        slept.append(seconds)
        for link, text in texts.items():
            link.write_text(text)

    texts = {link: link.read_text() for link in links}
    assert texts
    for link in texts:
        link.write_text("")
    images.push(name, LOGIN, 60, sleep=written)
    assert slept == [2.0]


# -- registries that want patience ------------------------------------------------------------------------------------


class Busy:
    """An address at which the image registry stands, and refuses to show manifests as long as it is told to."""

    def __init__(self, served: Served, says: str) -> None:
        self.served, self.says = served, says
        self.refuses = False
        self.slept: list[float] = []
        self.server = self._serve()
        self.address = f"127.0.0.1:{self.server.server_port}"
        shutil.copytree(Path(registry.CERTIFICATES) / served.address, Path(registry.CERTIFICATES) / self.address)

    def sleep(self, seconds: float) -> None:
        """What is waited; it refuses until the second time."""
        self.slept.append(seconds)
        self.refuses = len(self.slept) < 2

    def answer(self, method: str, path: str, accept: str) -> tuple[int, dict[str, str], bytes]:
        if self.refuses and "/manifests/" in path:
            body = json.dumps({"errors": [{"code": "TOOMANYREQUESTS", "message": "slow down"}]}).encode()
            return 429, {"Content-Type": "application/json", **({"retry-after": self.says} if self.says else {})}, body
        status, given, body = self.served.client.ask(method, path, headers={"Accept": accept})
        return status, {key: value for key, value in given.items() if key not in ("Content-Length", "Date")}, body

    def _serve(self) -> http.server.ThreadingHTTPServer:
        busy = self

        class Front(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                accept = ", ".join(self.headers.get_all("Accept") or ["*/*"])
                status, headers, body = busy.answer(self.command, self.path, accept)
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
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.served.folder / "tls.crt", self.served.folder / "tls.key")
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        return server


@pytest.fixture
def busy(served: Served, request: pytest.FixtureRequest) -> Iterator[Busy]:
    """It wants what the test says."""
    found = Busy(served, getattr(request, "param", ""))
    thread = threading.Thread(target=found.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


@pytest.mark.parametrize(
    ("busy", "waited"),
    [("7", [7.0, 7.0]), ("0", [0.0, 0.0]), ("86400", [60.0, 60.0]), ("soon", [2.0, 4.0]), ("", [2.0, 4.0])],
    indirect=["busy"],
)
def test_img_06_a_pull_that_is_refused_twice_is_asked_again_when_the_registry_wants_it(
    engine: Engine, served: Served, busy: Busy, waited: list[float]
) -> None:
    served.image("up/busy", "1", "amd64")
    busy.refuses = True
    images.pull(f"{busy.address}/up/busy:1", Login(), 600, busy.sleep)
    assert docker.inspect_image(f"{busy.address}/up/busy:1") is not None
    assert busy.slept == waited


@pytest.mark.parametrize(
    ("busy", "waited"),
    [("7", [7.0, 7.0]), ("86400", [60.0, 60.0]), ("Fri, 01 Jan 2100 00:00:00 GMT", [60.0, 60.0])],
    indirect=["busy"],
)
def test_img_06_what_is_asked_without_docker_waits_as_the_registry_wants(
    served: Served, busy: Busy, waited: list[float]
) -> None:
    made = served.image("up/patient", "1", "amd64")
    busy.refuses = True
    found = registry.Registry(busy.address, LOGIN, sleep=busy.sleep).manifest("up/patient", "1")
    assert found is not None
    assert (found.digest, busy.slept) == (made.digest, waited)


@pytest.mark.parametrize("busy", ["1"], indirect=True)
def test_img_06_a_registry_that_is_busy_for_good_is_not_asked_for_ever(served: Served, busy: Busy) -> None:
    busy.refuses = True
    slept: list[float] = []
    with pytest.raises(KrafError, match=r"it answered 429.*slow down"):
        registry.Registry(busy.address, LOGIN, sleep=slept.append).manifest("up/patient", "1")
    assert slept == [1.0] * (registry.ATTEMPTS - 1)


def test_img_06_a_registry_that_says_nothing_is_not_asked_again_by_itself(served: Served, busy: Busy) -> None:
    busy.refuses = True
    with pytest.raises(KrafError, match="it answered 429"):
        registry.Registry(busy.address, LOGIN, sleep=busy.sleep).manifest("up/patient", "1")
    assert busy.slept == []


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
