"""The door's own configuration, run by a real haproxy on this machine: DNS, services and devices stand beside it."""

from __future__ import annotations

import hashlib
import http.server
import socket
import socketserver
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from ansible_collections.kraf.edge.plugins.module_utils.tls.certificates import Pair, Request, issue, make_ca

ROLE = Path(__file__).resolve().parents[3] / "roles/door"
NOW = datetime.now(timezone.utc)


def rendered(**more: Any) -> str:
    """The role's haproxy.cfg."""
    values = {
        **yaml.safe_load((ROLE / "defaults/main.yml").read_text()),
        **yaml.safe_load((ROLE / "vars/main.yml").read_text()),
        **more,
    }
    templar = Templar(loader=DataLoader(), variables=values)
    return str(templar.template(trust_as_template((ROLE / "templates/haproxy.cfg.j2").read_text())))


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Names(socketserver.BaseRequestHandler):
    """A name server that knows a few names. RFC 1035."""

    known: dict[str, str]

    def handle(self) -> None:
        data, reply = self.request
        labels, place = [], 12
        while data[place]:
            labels.append(data[place + 1 : place + 1 + data[place]].decode())
            place += data[place] + 1
        question = data[12 : place + 5]
        address = self.known.get(".".join(labels).lower())
        answer = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 2, 4) + socket.inet_aton(address) if address else b""
        header = data[:2] + struct.pack(">HHHHH", 0x8580 if address else 0x8583, 1, 1 if address else 0, 0, 0)
        reply.sendto(header + question + answer, self.client_address)


class Service(http.server.BaseHTTPRequestHandler):
    """Says who it is."""

    name: str

    def do_GET(self) -> None:
        body = self.name.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self) -> None:
        digest, left = hashlib.sha256(), int(self.headers["Content-Length"])
        while left:
            part = self.rfile.read(min(left, 2**20))
            digest.update(part)
            left -= len(part)
        body = digest.hexdigest().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: Any) -> None:
        pass


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Door:
    """A running door and what a device needs to come through it."""

    port: int
    ca: Pair
    folder: Path
    service_port: int

    def client(self, name: str, ca: Pair | None = None, request: Request | None = None) -> Path:
        """A certificate with its key, in one file."""
        path = self.folder / f"{name}-{time.monotonic_ns()}.pem"
        pair = issue(ca or self.ca, request or Request(name, usages=("client",)), NOW)
        path.write_bytes(pair.certificate + pair.key)
        return path

    def context(self, certificate: Path | None) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=self.ca.certificate.decode())
        context.check_hostname = False  # the name asked for is a service's, the certificate is the door's
        if certificate:
            context.load_cert_chain(str(certificate))
        return context

    def ask(self, certificate: Path | None, sni: str) -> str:
        """Body of the answer to GET /; empty when the door let nothing through."""
        try:
            with (
                socket.create_connection(("127.0.0.1", self.port), timeout=10) as plain,
                self.context(certificate).wrap_socket(plain, server_hostname=sni) as secure,
            ):
                secure.sendall(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n")
                answer = b""
                while part := secure.recv(4096):
                    answer += part
        except OSError:
            return ""
        return answer.partition(b"\r\n\r\n")[2].decode()


@contextmanager
def running(folder: Path, services: dict[str, str], tls: frozenset[str] = frozenset()) -> Iterator[Door]:
    """A door in front of services.

    Args:
        folder: for files.
        services: address by the name ``service.device``.
        tls: which of them speak TLS, under a certificate of the CA.
    """
    ca = make_ca("kraf service CA", 3650, NOW)
    for name in ("tls", "ca"):
        (folder / name).mkdir()
    own = issue(ca, Request("door", ("door.kraf.internal", "*.door.kraf.internal")), NOW)
    (folder / "tls/tls.crt").write_bytes(own.certificate)
    (folder / "tls/tls.key").write_bytes(own.key)
    (folder / "ca/ca.crt").write_bytes(ca.certificate)
    dns, port = free_port(socket.SOCK_DGRAM), free_port()
    config = rendered(
        door_cluster_domain="cluster.local",
        door_nameserver=f"127.0.0.1:{dns}",
        door_container_port=port,
        door_health_port=free_port(),
        __door_files=str(folder),
        __door_tls_port=8443,
    )
    (folder / "haproxy.cfg").write_text(config)
    with ExitStack() as stack:
        known = {}
        for name, address in services.items():
            service, _unused, device = name.partition(".")
            known[f"{service}.kraf-{device}.svc.cluster.local"] = address
            handler = type("Handler", (Service,), {"name": name})
            server = http.server.ThreadingHTTPServer((address, 8443 if name in tls else 8080), handler)
            if name in tls:
                pair = issue(ca, Request(name, (f"{service}.kraf-{device}.svc",)), NOW)
                file = folder / f"{name}.pem"
                file.write_bytes(pair.certificate + pair.key)
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(str(file))
                server.socket = context.wrap_socket(server.socket, server_side=True)
            stack.enter_context(serving(server))
        names = type("Handler", (Names,), {"known": known})
        stack.enter_context(serving(socketserver.ThreadingUDPServer(("127.0.0.1", dns), names)))
        process = subprocess.Popen(["haproxy", "-db", "-f", str(folder / "haproxy.cfg")])
        try:
            _await(port, process)
            yield Door(port, ca, folder, 8080)
        finally:
            process.terminate()
            process.wait()


def _await(port: int, process: subprocess.Popen[bytes]) -> None:
    for _unused in range(200):
        assert process.poll() is None, "haproxy refused its configuration, see above"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError("haproxy does not listen")
