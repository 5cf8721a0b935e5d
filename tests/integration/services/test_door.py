"""Who comes through the door, and where to. Some of these pairs are tried on the real cluster by molecule."""

from __future__ import annotations

import hashlib
import socket
import ssl
import subprocess
from collections.abc import Iterator

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.names import door_name
from ansible_collections.kraf.edge.plugins.module_utils.tls.certificates import Request, make_ca
from tests.integration.services import door as lab
from tests.integration.services.door import NOW, Door

SERVICES = {
    "app-faces.pi1": "127.0.1.1",
    "app-faces.pi2": "127.0.1.2",
    "export-photos.pi1": "127.0.1.3",
    "export-photos.pi2": "127.0.1.4",
    "export-sealed.pi1": "127.0.1.5",
    "door-health.system": "127.0.1.6",
}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with lab.running(tmp_path_factory.mktemp("door"), SERVICES, frozenset({"export-sealed.pi1"})) as running:
        yield running


def test_device_reaches_its_own_service(door: Door) -> None:
    assert door.ask(door.client("pi1"), door_name(8080, "app-faces", "pi1")) == "app-faces.pi1"


@pytest.mark.parametrize("service", ["app-faces", "export-photos"])
@pytest.mark.parametrize(("owner", "caller"), [(a, b) for a in ("pi1", "pi2") for b in ("pi1", "pi2", "pi", "pi11")])
def test_sec_04_only_the_owner_reaches_a_service(door: Door, service: str, owner: str, caller: str) -> None:
    answer = door.ask(door.client(caller), door_name(8080, service, owner))
    assert answer == (f"{service}.{owner}" if caller == owner else "")


@pytest.mark.parametrize(
    ("caller", "answer"), [("pi1", "app-faces.pi1"), ("pi2", "app-faces.pi2"), ("system", ""), ("pi3", "")]
)
def test_sec_04_short_name_leads_to_the_callers_own_service(door: Door, caller: str, answer: str) -> None:
    assert door.ask(door.client(caller), "8080-app-faces.door.kraf.internal") == answer


def test_sec_04_no_device_reaches_the_system(door: Door) -> None:
    assert door.ask(door.client("pi1"), door_name(8080, "door-health", "system")) == ""


def test_sec_04_device_cannot_name_another_by_a_dot_in_the_service(door: Door) -> None:
    assert door.ask(door.client("pi1"), "8080.app-faces.kraf-pi2.svc.pi1.door.kraf.internal") == ""


def test_client_without_certificate_is_refused(door: Door) -> None:
    assert door.ask(None, door_name(8080, "app-faces", "pi1")) == ""


def test_client_of_another_authority_is_refused(door: Door) -> None:
    other = make_ca("kraf service CA", 3650, NOW)
    assert door.ask(door.client("pi1", other), door_name(8080, "app-faces", "pi1")) == ""


def test_server_certificate_opens_nothing(door: Door) -> None:
    registry = door.client("pi1", request=Request("pi1", usages=("server",)))
    assert door.ask(registry, door_name(8080, "app-faces", "pi1")) == ""


@pytest.mark.parametrize(
    "sni",
    [
        door_name(8080, "app-unknown", "pi1"),
        door_name(9, "app-faces", "pi1"),
        "door.kraf.internal",
        "app-faces.pi1.door.kraf.internal",
        "8080.app-faces.pi1.door.kraf.internal.example",
        "8080.app-faces.pi1.doorxkrafxinternal",
        "x.app-faces.pi1.door.kraf.internal",
        "0.app-faces.pi1.door.kraf.internal",
    ],
)
def test_what_names_no_service_is_refused(door: Door, sni: str) -> None:
    assert door.ask(door.client("pi1"), sni) == ""


def test_name_in_capitals_is_the_same_name(door: Door) -> None:
    assert door.ask(door.client("pi1"), "8080.App-Faces.PI1.door.kraf.internal") == "app-faces.pi1"


def test_door_proves_itself_by_the_service_ca(door: Door) -> None:
    context = door.context(door.client("pi1"))
    with (
        socket.create_connection(("127.0.0.1", door.port)) as plain,
        context.wrap_socket(plain, server_hostname=door_name(8080, "app-faces", "pi1")) as secure,
    ):
        names = secure.getpeercert()["subjectAltName"]
        assert secure.version() == "TLSv1.3"
    assert ("DNS", "door.kraf.internal") in names


def test_tls_1_2_is_refused(door: Door) -> None:
    context = door.context(door.client("pi1"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection(("127.0.0.1", door.port)) as plain,
        pytest.raises((ssl.SSLError, OSError)),
    ):
        context.wrap_socket(plain, server_hostname="door.kraf.internal")


def test_resumed_session_leads_to_the_service_asked_for_now(door: Door) -> None:
    context, session, resumed = door.context(door.client("pi1")), None, []
    for wanted in ("app-faces", "export-photos", "app-faces"):
        with (
            socket.create_connection(("127.0.0.1", door.port)) as plain,
            context.wrap_socket(plain, server_hostname=door_name(8080, wanted, "pi1"), session=session) as secure,
        ):
            secure.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = b""
            while part := secure.recv(4096):
                answer += part
            assert answer.endswith(f"{wanted}.pi1".encode())
            session = secure.session
            resumed.append(secure.session_reused)
    assert resumed == [False, True, True]


def test_sec_04_resumed_session_is_still_the_same_device(door: Door) -> None:
    context = door.context(door.client("pi1"))
    with (
        socket.create_connection(("127.0.0.1", door.port)) as plain,
        context.wrap_socket(plain, server_hostname=door_name(8080, "app-faces", "pi1")) as secure,
    ):
        secure.sendall(b"GET / HTTP/1.0\r\n\r\n")
        secure.recv(4096)
        session = secure.session
    with (
        socket.create_connection(("127.0.0.1", door.port)) as plain,
        context.wrap_socket(plain, server_hostname=door_name(8080, "app-faces", "pi2"), session=session) as secure,
    ):
        secure.sendall(b"GET / HTTP/1.0\r\n\r\n")
        try:
            answer = secure.recv(4096)
        except OSError:
            answer = b""
    assert answer == b""


def test_export_in_tls_is_reached_in_tls_and_proven(door: Door) -> None:
    assert door.ask(door.client("pi1"), door_name(8443, "export-sealed", "pi1")) == "export-sealed.pi1"


@pytest.mark.parametrize("mebibytes", [2, 200])
def test_wds_01_a_large_upload_comes_through_whole(door: Door, mebibytes: int) -> None:
    digest = hashlib.sha256()
    with (
        socket.create_connection(("127.0.0.1", door.port)) as plain,
        door.context(door.client("pi1")).wrap_socket(
            plain, server_hostname=door_name(8443, "export-sealed", "pi1")
        ) as secure,
    ):
        secure.sendall(f"PUT /large HTTP/1.0\r\nHost: x\r\nContent-Length: {mebibytes * 2**20}\r\n\r\n".encode())
        for number in range(mebibytes):
            part = number.to_bytes(4, "big") * 2**18
            digest.update(part)
            secure.sendall(part)
        answer = b""
        while part := secure.recv(4096):
            answer += part
    assert answer.endswith(b"\r\n\r\n" + digest.hexdigest().encode())


@pytest.mark.parametrize("wanted", ["TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"])
def test_the_device_chooses_the_cipher_that_its_processor_is_good_at(door: Door, wanted: str) -> None:
    certificate, others = str(door.client("pi1")), "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
    argv = ["openssl", "s_client", "-connect", f"127.0.0.1:{door.port}", "-cert", certificate, "-key", certificate]
    argv += ["-servername", door_name(8080, "app-faces", "pi1"), "-ciphersuites", f"{wanted}:{others}"]
    found = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
    assert f"Cipher is {wanted}" in found.stdout.decode()
