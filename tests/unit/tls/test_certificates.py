"""The service CA and its certificates, judged by OpenSSL through the ssl module."""

from __future__ import annotations

import ssl
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path
from socket import socketpair

import pytest
from cryptography import x509

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.tls import certificates, renewal
from ansible_collections.kraf.edge.plugins.module_utils.tls.certificates import Pair, Request

NOW = datetime.now(timezone.utc).replace(microsecond=0)
DOOR = Request("door", ("door.kraf.internal",), ("10.0.0.7",), ("server",), 90)
DEVICE = Request("pi1", usages=("client",), days=90)


@pytest.fixture(scope="module")
def ca() -> Pair:
    return certificates.make_ca("kraf service CA", 3650, NOW)


def handshake(tmp_path: Path, ca: Pair, server: Pair, client: Pair | None, name: str) -> str:
    """The client's common name as the server saw it; raises what either side raised."""

    def stored(pair: Pair, file: str) -> str:
        path = tmp_path / file
        path.write_bytes(pair.certificate + pair.key)
        return str(path)

    listening = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    listening.load_cert_chain(stored(server, "server.pem"))
    listening.load_verify_locations(cadata=ca.certificate.decode())
    listening.verify_mode = ssl.CERT_REQUIRED
    calling = ssl.create_default_context(cadata=ca.certificate.decode())
    calling.verify_flags |= ssl.VERIFY_X509_STRICT
    if client:
        calling.load_cert_chain(stored(client, "client.pem"))
    ours, theirs = socketpair()
    seen: list[str] = []
    failed: list[Exception] = []

    def serve() -> None:
        try:
            with listening.wrap_socket(theirs, server_side=True) as connection:
                subject = dict(part[0] for part in connection.getpeercert()["subject"])
                seen.append(subject["commonName"])
                connection.sendall(b"x")
        except (ssl.SSLError, OSError) as error:
            failed.append(error)
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with calling.wrap_socket(ours, server_hostname=name) as connection:
            connection.recv(1)
    finally:
        ours.close()
        thread.join()
    if failed:
        raise failed[0]
    return seen[0]


def test_server_and_client_accept_each_other_by_the_ca_alone(tmp_path: Path, ca: Pair) -> None:
    server, client = certificates.issue(ca, DOOR, NOW), certificates.issue(ca, DEVICE, NOW)
    assert handshake(tmp_path, ca, server, client, "door.kraf.internal") == "pi1"
    assert handshake(tmp_path, ca, server, client, "10.0.0.7") == "pi1"


def test_server_certificate_is_refused_as_a_client(tmp_path: Path, ca: Pair) -> None:
    server = certificates.issue(ca, DOOR, NOW)
    with pytest.raises((ssl.SSLError, OSError)):
        handshake(tmp_path, ca, server, server, "door.kraf.internal")


def test_client_of_another_ca_with_the_same_name_is_refused(tmp_path: Path, ca: Pair) -> None:
    forged = certificates.issue(certificates.make_ca("kraf service CA", 3650, NOW), DEVICE, NOW)
    with pytest.raises((ssl.SSLError, OSError)):
        handshake(tmp_path, ca, certificates.issue(ca, DOOR, NOW), forged, "door.kraf.internal")


def test_server_under_another_name_is_refused(tmp_path: Path, ca: Pair) -> None:
    server, client = certificates.issue(ca, DOOR, NOW), certificates.issue(ca, DEVICE, NOW)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(tmp_path, ca, server, client, "registry.kraf.internal")


def test_signed_certificate_cannot_sign(ca: Pair) -> None:
    leaf = x509.load_pem_x509_certificate(certificates.issue(ca, DOOR, NOW).certificate)
    assert leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert leaf.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign is False


def test_certificate_does_not_outlive_its_ca() -> None:
    short = certificates.make_ca("short", 10, NOW)
    pair = certificates.issue(short, DOOR, NOW)
    assert renewal.describe(pair.certificate).not_after == NOW + timedelta(days=10)
    # It would be made anew on every run otherwise.
    assert renewal.needs_renewal(pair, short, DOOR, 30, NOW) == ""


def test_clock_behind_the_ca_signs_nothing(ca: Pair) -> None:
    with pytest.raises(KrafError, match="Synchronise the controller's clock"):
        certificates.issue(ca, DOOR, NOW - timedelta(days=2))


def test_ca_signed_again_with_its_key_keeps_what_it_signed(ca: Pair) -> None:
    later = NOW + timedelta(days=3000)
    again = certificates.make_ca("kraf service CA", 3650, later, ca.key)
    assert again.key == ca.key
    assert again.certificate != ca.certificate
    pair = certificates.issue(ca, Request("pi1", usages=("client",), days=3600), NOW)
    assert renewal.signed_by(pair.certificate, again.certificate)


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (Request("pi1", ip_addresses=("10.0.0.300",)), "no IP address"),
        (Request("pi1", usages=("signer",)), "server and client"),
        (Request("pi1", usages=()), "server and client"),
        (Request("p" * 65), "1 to 64"),
        (Request("pi1", days=0), "never be valid"),
    ],
)
def test_request_that_no_certificate_can_meet_is_refused(ca: Pair, request_: Request, why: str) -> None:
    with pytest.raises(KrafError, match=why):
        certificates.issue(ca, request_, NOW)


@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        (DOOR, ""),
        (Request("door", ("door.kraf.internal", "b"), ("10.0.0.7",), ("server",), 90), "names"),
        (Request("door", ("door.kraf.internal",), ("10.0.0.8",), ("server",), 90), "names"),
        (Request("door", ("door.kraf.internal",), ("10.0.0.7",), ("server", "client"), 90), "names"),
        (Request("gate", ("door.kraf.internal",), ("10.0.0.7",), ("server",), 90), "subject is door"),
    ],
)
def test_certificate_is_renewed_when_what_it_says_changes(ca: Pair, wanted: Request, why: str) -> None:
    pair = certificates.issue(ca, DOOR, NOW)
    reason = renewal.needs_renewal(pair, ca, wanted, 30, NOW)
    assert (why in reason) if why else reason == ""


@pytest.mark.parametrize(("age", "renewed"), [(0, False), (59, False), (61, True), (91, True)])
def test_ins_19_certificate_is_renewed_before_it_ends(ca: Pair, age: int, renewed: bool) -> None:
    pair = certificates.issue(ca, DOOR, NOW)
    assert bool(renewal.needs_renewal(pair, ca, DOOR, 30, NOW + timedelta(days=age))) is renewed


@pytest.mark.parametrize(("age", "left"), [(0, 90), (89, 1), (91, -1)])
def test_ins_19_days_left_are_reported(ca: Pair, age: int, left: int) -> None:
    facts = renewal.describe(certificates.issue(ca, DOOR, NOW).certificate)
    assert facts.public(NOW + timedelta(days=age))["days_left"] == left


def test_certificate_of_a_replaced_ca_is_renewed(ca: Pair) -> None:
    other = certificates.make_ca("kraf service CA", 3650, NOW)
    assert renewal.needs_renewal(certificates.issue(ca, DOOR, NOW), other, DOOR, 30, NOW) == "the service CA changed"


def test_certificate_of_a_controller_whose_clock_ran_ahead_is_renewed(ca: Pair) -> None:
    pair = certificates.issue(ca, DOOR, NOW + timedelta(days=20))
    assert "not valid before" in renewal.needs_renewal(pair, ca, DOOR, 30, NOW)


@pytest.mark.parametrize("broken", [Pair(b"", b""), Pair(b"x", b"y")])
def test_unreadable_certificate_is_renewed(ca: Pair, broken: Pair) -> None:
    assert renewal.needs_renewal(broken, ca, DOOR, 30, NOW) == "it cannot be read"


def test_certificate_with_a_foreign_key_is_renewed(ca: Pair) -> None:
    one, other = certificates.issue(ca, DOOR, NOW), certificates.issue(ca, DOOR, NOW)
    assert "belong together" in renewal.needs_renewal(Pair(one.certificate, other.key), ca, DOOR, 30, NOW)


def test_what_is_public_holds_no_key(ca: Pair) -> None:
    pair = certificates.issue(ca, DOOR, NOW)
    text = str(renewal.describe(pair.certificate).public(NOW))
    assert "PRIVATE" not in text
    assert pair.key.decode().splitlines()[1] not in text
