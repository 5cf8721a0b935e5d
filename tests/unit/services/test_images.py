"""Images by Docker's API, against a stub that listens on a socket as Docker does and answers in its words."""

from __future__ import annotations

import json
import socketserver
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.on_device import docker, images
from ansible_collections.kraf.edge.plugins.module_utils.on_device.reference import Login, Reference

NAME = "10.0.0.10:5000/kraf/edge:1f"
NOBODY = Login("kraf", "s3cret")


class Stub:
    """Answers by the first part of the path, one after the other; remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, list[tuple[int, Any]]] = {}
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []

    def answer(self, what: str, *answers: tuple[int, Any]) -> None:
        self.answers[what] = list(answers)

    def to(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        self.asked.append((method, path, headers, body))
        queue = self.answers.get(urlsplit(path).path.split("/")[2], [(404, {"message": "page not found"})])
        status, content = queue.pop(0) if len(queue) > 1 else queue[0]
        lines = content if isinstance(content, list) else [content]
        return status, "\r\n".join(json.dumps(line) for line in lines).encode()


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    fake = Stub()

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, content = fake.to(self.command, self.path, dict(self.headers), body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = handle_any

        def log_message(self, *_args: Any) -> None:
            pass

        def address_string(self) -> str:
            return "unix"

    path = tmp_path / "docker.sock"
    server = socketserver.UnixStreamServer(str(path), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setattr(docker, "SOCKET", str(path))
    yield fake
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    """How long the image registry wants to be left alone, time after time; at the end it does not say."""
    says: list[float | None] = []

    class Registry:
        def __init__(self, address: str, login: Login, _timeout: float) -> None:
            assert (address, login) == ("10.0.0.10:5000", NOBODY)

        def patience(self, repository: str, reference: str) -> float | None:
            assert (repository, reference) == ("kraf/edge", "1f")
            return says.pop(0) if says else None

    monkeypatch.setattr(images, "Registry", Registry)
    return says


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("debian", ("", "debian", "latest")),
        ("kraf/edge:1f", ("", "kraf/edge", "1f")),
        (NAME, ("10.0.0.10:5000", "kraf/edge", "1f")),
        ("localhost/edge", ("localhost", "edge", "latest")),
        ("docker.io/library/debian:bookworm-slim", ("docker.io", "library/debian", "bookworm-slim")),
    ],
)
def test_name_is_taken_apart_as_docker_does(name: str, parts: tuple[str, str, str]) -> None:
    found = Reference.of(name)
    assert (found.registry, found.repository, found.tag) == parts


def test_pull_sends_credentials_in_a_header_and_not_in_the_address(stub: Stub) -> None:
    stub.answer("images", (200, [{"status": "Pulling"}, {"status": "Downloaded"}]))
    images.pull(NAME, NOBODY, 60)
    method, path, headers, _unused = stub.asked[0]
    assert method == "POST"
    assert parse_qs(urlsplit(path).query) == {"fromImage": ["10.0.0.10:5000/kraf/edge"], "tag": ["1f"]}
    assert "s3cret" not in path
    assert headers["X-Registry-Auth"]


def test_failure_that_comes_with_status_200_is_a_failure(stub: Stub) -> None:
    stub.answer("images", (200, [{"status": "Pushing"}, {"error": "denied: no"}]))
    with pytest.raises(KrafError, match="denied: no"):
        images.push(NAME, NOBODY, 60)


def test_img_06_too_many_requests_are_tried_again_with_growing_delay(stub: Stub) -> None:
    too_many = (500, {"message": "toomanyrequests: You have reached your pull rate limit."})
    stub.answer("images", too_many, (200, [{"error": "unexpected HTTP status: 429 Too Many Requests"}]), (200, {}))
    slept: list[float] = []
    images.pull(NAME, NOBODY, 600, slept.append)
    assert len(stub.asked) == 3
    assert slept == [2.0, 4.0]


@pytest.mark.parametrize(
    "said",
    [
        "received unexpected HTTP status: 500 Internal Server Error",
        "unexpected status from PUT request to https://r:5000/v2/edge/blobs/uploads/7: 500 Internal Server Error",
    ],
    ids=["docker", "containerd"],
)
def test_what_a_registry_answers_with_a_fault_of_its_own_is_asked_again_twice(stub: Stub, said: str) -> None:
    fault = (200, [{"error": said}])
    stub.answer("images", fault, fault, (200, {}))
    slept: list[float] = []
    images.push(NAME, NOBODY, 600, sleep=slept.append)
    assert slept == [2.0, 4.0]
    stub.answer("images", fault)
    with pytest.raises(KrafError, match="500 Internal Server Error"):
        images.push(NAME, NOBODY, 600, sleep=slept.append)
    assert slept == [2.0, 4.0, 2.0, 4.0]


@pytest.mark.parametrize(
    "said", [f"no blob sha256:{'429' * 21}5", "unexpected status from GET request to https://r:500/v2/: 403 Forbidden"]
)
def test_what_does_not_pass_is_not_asked_again(stub: Stub, said: str) -> None:
    stub.answer("images", (200, [{"error": said}]))
    slept: list[float] = []
    with pytest.raises(KrafError):
        images.push(NAME, NOBODY, 600, sleep=slept.append)
    assert slept == []


def test_img_06_it_is_waited_as_long_as_the_registry_wants(stub: Stub, registry: list[float | None]) -> None:
    too_many = (500, {"message": "toomanyrequests: slow down"})
    stub.answer("images", too_many, too_many, too_many, too_many, (200, {}))
    registry += [7.0, None, 0.0]
    slept: list[float] = []
    images.pull(NAME, NOBODY, 600, slept.append)
    assert slept == [7.0, 4.0, 0.0, 16.0]


def test_img_06_a_registry_that_wants_more_time_than_there_is_ends_the_tries(
    stub: Stub, registry: list[float | None]
) -> None:
    stub.answer("images", (500, {"message": "toomanyrequests: slow down"}))
    registry += [30.0]
    slept: list[float] = []
    with pytest.raises(KrafError, match="limits how much"):
        images.pull(NAME, NOBODY, 20, slept.append)
    assert slept == []


def test_img_06_an_image_of_docker_s_own_registry_is_waited_for_by_growing_delay(stub: Stub) -> None:
    stub.answer("images", (500, {"message": "toomanyrequests: slow down"}), (200, {}))
    slept: list[float] = []
    images.pull("debian:bookworm", NOBODY, 60, slept.append)
    assert slept == [2.0]


def test_img_06_a_question_that_came_too_often_is_asked_again(stub: Stub) -> None:
    answer = {"Descriptor": {"digest": "sha256:1f"}}
    stub.answer("distribution", (500, {"message": "toomanyrequests: slow down"}), (200, answer))
    slept: list[float] = []
    assert images.served(NAME, NOBODY, 60, slept.append) == "sha256:1f"
    assert slept == [2.0]


def test_img_06_limit_of_time_ends_the_tries(stub: Stub) -> None:
    stub.answer("images", (500, {"message": "toomanyrequests: slow down"}))
    slept: list[float] = []
    with pytest.raises(KrafError, match="limits how much"):
        images.pull(NAME, NOBODY, 5, slept.append)
    assert slept == [2.0, 4.0]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ('Get "https://10.0.0.10:5000/v2/": http: server gave HTTP response to HTTPS client', "does not answer in TLS"),
        ('Get "https://10.0.0.10:5000/v2/": x509: certificate signed by unknown authority', "certs.d"),
        ('Get "https://10.0.0.10:5000/v2/": dial tcp 10.0.0.10:5000: connect: connection refused', "nothing listens"),
        ("unauthorized: authentication required", "username and password"),
    ],
)
def test_img_04_host_registry_reason_and_cure_are_named(
    stub: Stub, monkeypatch: pytest.MonkeyPatch, message: str, reason: str
) -> None:
    monkeypatch.setattr(images.platform, "node", lambda: "worker2")
    stub.answer("distribution", (500, {"message": message}))
    with pytest.raises(KrafError) as caught:
        images.served(NAME, NOBODY)
    text = str(caught.value)
    assert "worker2" in text
    assert "10.0.0.10:5000" in text
    assert reason in text
    assert "s3cret" not in text


def test_registry_without_the_image_serves_nothing(stub: Stub) -> None:
    stub.answer("distribution", (404, {"message": "errors:\nmanifest unknown: manifest unknown\n"}))
    assert images.served(NAME, NOBODY) == ""


def test_build_failure_carries_the_end_of_its_output(stub: Stub) -> None:
    stub.answer("build", (200, [{"stream": "Step 1/2 : RUN false\n"}, {"error": "returned a non-zero code: 1"}]))
    with pytest.raises(KrafError, match=r"non-zero code: 1.*RUN false"):
        images.build(NAME, images.pack({"Dockerfile": "FROM scratch\n"}), {}, "", 60)


def test_same_context_packs_to_the_same_bytes() -> None:
    one, other = {"Dockerfile": "FROM a\n", "b.sh": "x"}, {"b.sh": "x", "Dockerfile": "FROM a\n"}
    assert images.pack(one) == images.pack(other)
    with tarfile.open(fileobj=BytesIO(images.pack(one))) as tar:
        assert {member.name: oct(member.mode) for member in tar} == {"Dockerfile": "0o644", "b.sh": "0o755"}


def test_docker_that_does_not_run_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker, "SOCKET", str(tmp_path / "none.sock"))
    with pytest.raises(KrafError, match="Check that Docker runs on this host"):
        images.pull(NAME, NOBODY, 5)


def test_a_folder_is_packed_with_what_lies_in_it(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "model").mkdir()
    (tmp_path / "model/weights").write_bytes(b"\x00\xff")
    with tarfile.open(fileobj=BytesIO(images.pack_folder(str(tmp_path)))) as tar:
        assert sorted(tar.getnames()) == ["Dockerfile", "model", "model/weights"]


def test_a_folder_without_a_dockerfile_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KrafError, match="no Dockerfile"):
        images.pack_folder(str(tmp_path))
