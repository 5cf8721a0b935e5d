"""A container with a UDP port, published by a real Docker Engine, led away and back without being made anew."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.on_device import (
    deadman,
    docker,
    door,
    forward,
    handover,
    library,
    placement,
    redirect,
    udp,
    ways,
)
from ansible_collections.kraf.edge.plugins.module_utils.on_device.placement import DEVICE, EDGE, MOVING, READY
from ansible_collections.kraf.edge.plugins.module_utils.on_device.ways import Way
from tests.unit.on_device import udp_parts
from tests.unit.on_device.udp_parts import Client

from . import engine as engines
from . import parts
from .conftest import Direct, home
from .engine import Create, Engine
from .test_udp_forward import DOOR, SNI, STREAMS, Process

ECHO = r"""
use strict; use Socket; $| = 1;
my ($name, $wait, $delay) = @ARGV;
$SIG{TERM} = sub { exit 0 };
sleep $wait;
socket(my $s, PF_INET, SOCK_DGRAM, 0) or die; bind($s, sockaddr_in(53, INADDR_ANY)) or die;
while (1) {
  my $from = recv($s, my $data, 65535, 0) or next;
  select(undef, undef, undef, $delay);
  send($s, $name . $data, 0, $from);
}
"""
PORT = 5353
DOORS = (f"127.0.0.1:{DOOR}",)
WAYS = [Way(PORT, 53, SNI, protocol="udp")]


@pytest.fixture(scope="module")
def image(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> str:
    """An image that has what a program in Perl needs, as any Debian."""
    folder = engines.root(tmp_path_factory.mktemp("layer"))
    engines._copy(Path("/usr/bin/perl"), folder / "bin/perl", folder)
    base = Path("/usr/lib/x86_64-linux-gnu/perl-base")
    shutil.copytree(base, folder / str(base).lstrip("/"))
    engine.make_image("kraf-perl", folder)
    return "kraf-perl:1"


@pytest.fixture
def network(root: None, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Direct]:
    """The device's forwards in the network of its Docker Engine."""
    process = Process()
    (tmp_path / "library").mkdir()
    monkeypatch.setattr(library, "FOLDER", tmp_path / "library")
    monkeypatch.setattr(udp, "SERVICE", process)
    with parts.network_of(engine.pid):
        yield from home(tmp_path, monkeypatch)
        process.remove()
        subprocess.run(["nft", "delete", "table", *redirect.TABLE.split()], check=False, stderr=subprocess.DEVNULL)


@pytest.fixture
def container(create: Create, image: str) -> str:
    command = ["/bin/perl", "-e", ECHO, "device", "0", "0"]
    bindings = {"PortBindings": {"53/udp": [{"HostPort": str(PORT)}]}, "RestartPolicy": {"Name": "always"}}
    return create(start=True, Image=image, Cmd=command, ExposedPorts={"53/udp": {}}, HostConfig=bindings)


@pytest.fixture
def outside(engine: Engine, network: Direct) -> Iterator[str]:
    """Another machine on the device's network: the device's address as that machine knows it."""
    pid = subprocess.Popen(["unshare", "--net", "sleep", "600"])
    try:
        parts.until(lambda: Path(f"/proc/{pid.pid}/ns/net").stat().st_ino != Path("/proc/self/ns/net").stat().st_ino)
        for argv in (
            f"ip link add kraf-dev type veth peer name kraf-cli netns {pid.pid}",
            "ip address add 10.99.0.1/24 dev kraf-dev",
            "ip link set kraf-dev up",
        ):
            subprocess.run(argv.split(), check=True)
        with parts.network_of(pid.pid):
            for argv in ("ip address add 10.99.0.2/24 dev kraf-cli", "ip link set kraf-cli up"):
                subprocess.run(argv.split(), check=True)
        yield str(pid.pid)
    finally:
        pid.kill()
        pid.wait()


@contextlib.contextmanager
def edge(tmp_path: Path) -> Iterator[udp_parts.App]:
    with (
        udp_parts.app(b"at-edge", 5454) as found,
        udp_parts.sidecar(found.port, STREAMS),
        parts.door(tmp_path, DOOR, STREAMS),
    ):
        yield found


def test_a_published_udp_port_is_led_away_and_back(
    network: Direct, container: str, outside: str, tmp_path: Path
) -> None:
    before = docker.describe(container).id
    with contextlib.ExitStack() as stack:
        at_edge = stack.enter_context(edge(tmp_path))
        clients = [stack.enter_context(Client(PORT, address)) for address in ("127.0.0.1", "10.99.0.1")]
        with parts.network_of(int(outside)):
            clients += [stack.enter_context(Client(PORT, "10.99.0.1")) for _unused in range(2)]
        parts.until(lambda: ways.has_open(docker.pid(container), 53), what="the container")
        for client in clients:
            # Clients that spoke to the container before anything of ours was there.
            assert client.ask(b"0") == b"device0"
        ways.ensure("dns", container, WAYS, DOORS)
        for client in clients:
            assert client.ask(b"1") == b"device1"
        assert udp.states()["dns"]["flows"] == len(clients), "clients passed the forward by"

        ways.hold("dns")
        assert forward.drain("dns", 5).cut == 0
        docker.set_restart_policy(container, "no")
        docker.stop(container, 5)
        for client in clients:
            for number in range(20):
                client.send(b"%d" % number)
        parts.until(lambda: udp.states()["dns"]["held"] == 20 * len(clients))
        ways.release("dns", "edge")
        assert ways.datagrams("dns") == {"waited": 20 * len(clients), "dropped": 0}
        for client in clients:
            assert [client.recv(100) for _unused in range(20)] == [b"at-edge%d" % number for number in range(20)]

        ways.hold("dns")
        assert forward.drain("dns", 5).cut == 0
        seen = len(at_edge.got)
        for client in clients:
            client.send(b"back")
        docker.start(container)
        ways.probe_device("dns", WAYS, 20, container=container)
        ways.release("dns", "device")
        for number, client in enumerate(clients):
            assert client.recv(100) == b"deviceback"
            assert client.ask(b"x" * 60000) == b"device" + b"x" * 60000
            if number >= 2:
                # Docker's proxy, which has clients on the device itself, loses empty ones.
                assert client.ask(b"") == b"device"
        assert len(at_edge.got) == seen
        assert docker.describe(container).id == before


def test_clients_wait_until_the_app_on_the_device_has_its_port_open(
    network: Direct, create: Create, image: str, tmp_path: Path
) -> None:
    """An app that needs a while to start loses nothing of what was held."""
    bindings = {"PortBindings": {"53/udp": [{"HostPort": str(PORT)}]}}
    command = ["/bin/perl", "-e", ECHO, "slow", "2", "0"]
    name = create(start=True, Image=image, Cmd=command, ExposedPorts={"53/udp": {}}, HostConfig=bindings)
    ways.ensure("dns", name, WAYS, DOORS)
    ways.hold("dns")
    docker.stop(name, 5)
    with Client(PORT) as client:
        client.send(b"1")
        docker.start(name)
        assert not ways.has_open(docker.pid(name), 53)
        ways.probe_device("dns", WAYS, 20, container=name)
        ways.release("dns", "device")
        assert client.recv(100) == b"slow1"


def test_an_answer_that_is_owed_when_clients_are_held_still_comes(
    network: Direct, create: Create, image: str, outside: str
) -> None:
    """Also by Docker's own NAT, of which the kernel then still knows, though it forgets clients' flows."""
    bindings = {"PortBindings": {"53/udp": [{"HostPort": str(PORT)}]}}
    command = ["/bin/perl", "-e", ECHO, "late", "0", "0.7"]
    name = create(start=True, Image=image, Cmd=command, ExposedPorts={"53/udp": {}}, HostConfig=bindings)
    parts.until(lambda: ways.has_open(docker.pid(name), 53), what="the container")
    ways.ensure("dns", name, WAYS, DOORS)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(PORT))]
        with parts.network_of(int(outside)):
            clients.append(stack.enter_context(Client(PORT, "10.99.0.1")))
        for client in clients:
            assert client.ask(b"1") == b"late1"
            client.send(b"2")
            parts.until(lambda: udp.states()["dns"]["received"] % 2 == 0)
            ways.hold("dns")
            client.send(b"3")
            drained = forward.drain("dns", 5)
            assert drained.ended >= 1
            assert drained.cut == 0
            assert client.recv(100) == b"late2"
            ways.release("dns", "device")
            assert client.recv(100) == b"late3"
            client.send(b"4")
            assert client.recv(100) == b"late4"


def test_what_runs_that_were_cut_off_left_is_settled_with_the_udp_port(
    network: Direct, container: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each owner's last word was written, and then nothing: what is held goes to the owner."""
    monkeypatch.setattr(placement, "ROOT", tmp_path / "lib")
    monkeypatch.setattr(placement, "LOCKS", tmp_path / "locks")
    monkeypatch.setattr(deadman, "clear", lambda app: None)
    monkeypatch.setattr(door, "CA", tmp_path / "tls/ca.crt")
    monkeypatch.setattr(door, "PAIR", tmp_path / "tls/device.pem")
    task = handover.Task("dns", 1, 1, container=container, ways=tuple(WAYS), doors=DOORS, owner=DEVICE, limit=30)
    with edge(tmp_path), Client(PORT) as client:
        handover.settle(task)
        assert client.ask(b"1") == b"device1"

        ways.hold("dns")
        client.send(b"2")
        record = placement.load("dns")
        assert record
        placement.save(replace(record, phase=READY, to=EDGE))
        done = handover.settle(replace(task, owner=EDGE, epoch=2))
        assert done["record"]["owner"] == EDGE
        assert client.recv(100) == b"at-edge2"
        assert not docker.describe(container).running

        ways.hold("dns")
        client.send(b"3")
        record = placement.load("dns")
        assert record
        deadman.restore(placement.save(replace(record, phase=MOVING, to=DEVICE)))
        assert client.recv(100) == b"at-edge3"

        ways.hold("dns")
        client.send(b"4")
        record = placement.load("dns")
        assert record
        placement.save(replace(record, phase=READY, to=DEVICE))
        handover.settle(replace(task, owner=DEVICE, epoch=3))
        assert client.recv(100) == b"device4"
        assert docker.describe(container).restart_policy == "always"


class Agreeing:
    """A controller that always says what is waited for, and what is done when the device says something."""

    def __init__(self) -> None:
        self.when: dict[str, Callable[[], None]] = {}

    def put(self, name: str, _text: str = "") -> None:
        self.when.get(name, lambda: None)()

    def wait(self, names: Sequence[str], _limit: float) -> tuple[str, str]:
        return names[0], ""


def test_both_moves_with_a_client_that_sends_all_along(
    network: Direct, container: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The device's whole part of a move, but for data; the cluster's is said to go well."""
    box = Agreeing()
    monkeypatch.setattr(placement, "ROOT", tmp_path / "lib")
    monkeypatch.setattr(placement, "LOCKS", tmp_path / "locks")
    for name in ("install", "arm", "clear"):
        monkeypatch.setattr(deadman, name, lambda *_given: None)
    monkeypatch.setattr(door, "CA", tmp_path / "tls/ca.crt")
    monkeypatch.setattr(door, "PAIR", tmp_path / "tls/device.pem")
    monkeypatch.setattr(door, "box", lambda *_given: contextlib.nullcontext(box))
    task = handover.Task("dns", 1, 1, container=container, ways=tuple(WAYS), doors=DOORS, limit=30)
    parts.until(lambda: ways.has_open(docker.pid(container), 53), what="the container")
    with edge(tmp_path) as at_edge, Client(PORT) as client:

        def send(*numbers: int) -> None:
            for number in numbers:
                client.send(b"%d" % number)

        assert client.ask(b"0") == b"device0"
        box.when = {"held": lambda: send(1, 2), "ready": lambda: send(3)}
        done = handover.move_to_edge(task)
        assert done["datagrams"] == {"waited": 3, "dropped": 0}
        assert [client.recv(100) for _unused in range(3)] == [b"at-edge1", b"at-edge2", b"at-edge3"]
        assert not docker.describe(container).running
        assert client.ask(b"4") == b"at-edge4"

        seen = len(at_edge.got)
        box.when = {"held": lambda: send(5), "ready": lambda: send(6)}
        done = handover.move_to_device(replace(task, epoch=2))
        assert done["datagrams"] == {"waited": 2, "dropped": 0}
        assert [client.recv(100), client.recv(100)] == [b"device5", b"device6"]
        assert len(at_edge.got) == seen
        assert docker.describe(container).running


def test_a_port_that_the_container_does_not_publish_is_named(network: Direct, container: str) -> None:
    with pytest.raises(KrafError, match="publishes no port 54/udp"):
        ways.ensure("dns", container, [Way(54, 54, SNI, protocol="udp")], DOORS)
    with pytest.raises(KrafError, match="publishes no port 53"):
        ways.ensure("dns", container, [Way(PORT, 53, SNI)], DOORS)
