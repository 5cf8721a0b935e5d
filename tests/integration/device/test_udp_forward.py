"""UDP forwards of a device: its own process, haproxy, the kernel's rules, a door with TLS, and the sidecar."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.on_device import (
    conntrack,
    door,
    forward,
    forward_store,
    haproxy,
    library,
    redirect,
    udp,
    units,
)
from ansible_collections.kraf.edge.plugins.module_utils.on_device.forward import Forward
from ansible_collections.kraf.edge.plugins.modules import forward as module
from tests.integration.modules import run
from tests.unit.on_device import udp_parts
from tests.unit.on_device.udp_parts import App, Client

from . import parts
from .conftest import Direct

PORT, STREAMS, DOOR = 5300, 61000, 8843
SNI = "61000.app-dns.pi1.door.kraf.internal"
FORWARD = Forward(
    "dns", PORT, "*", "device", f"127.0.0.1:{PORT}", (f"127.0.0.1:{DOOR}",), SNI, redirect=True, protocol="udp"
)


OTHERS = "table inet others { chain c { type nat hook output priority -100; udp dport 1 redirect to :2; }; }"


class Process:
    """The device's process as its unit would run it: from the copy of the code, by Python's own library alone."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None

    def there(self) -> bool:
        return self.process is not None

    def installed(self) -> bool:
        return self.there()

    def install(self) -> bool:
        return False

    def start(self) -> None:
        script = udp.install_program()
        with (haproxy.RUN / "udp.log").open("ab") as log:
            argv = [sys.executable, "-I", "-S", str(script), str(forward_store.ETC), str(haproxy.RUN)]
            self.process = subprocess.Popen(argv, stdout=log, stderr=log, cwd="/")

    def remove(self) -> bool:
        if self.process is None:
            return False
        self.process.terminate()
        assert self.process.wait(10) == 0, self.log()
        self.process = None
        return True

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    def log(self) -> str:
        return (haproxy.RUN / "udp.log").read_text()


@pytest.fixture
def process(device: Direct, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Process]:
    found = Process()
    (tmp_path / "library").mkdir()
    monkeypatch.setattr(library, "FOLDER", tmp_path / "library")
    monkeypatch.setattr(udp, "SERVICE", found)
    yield found
    found.remove()


@dataclasses.dataclass
class Sides:
    device: App
    edge: App


@pytest.fixture
def sides(process: Process, tmp_path: Path) -> Iterator[Sides]:
    """The app on the device, under the very port that its clients use, as Docker publishes it; and at the edge."""
    with contextlib.ExitStack() as stack:
        device = stack.enter_context(udp_parts.app(b"device", PORT, "0.0.0.0"))
        edge = stack.enter_context(udp_parts.app(b"at-edge", 5353))
        stack.enter_context(udp_parts.sidecar(edge.port, STREAMS))
        stack.enter_context(parts.door(tmp_path, DOOR, STREAMS))
        yield Sides(device, edge)


def bring_up(*wanted: Forward) -> None:
    for one in wanted:
        forward.save(one)
    forward.apply_config()


def test_there_and_back_through_haproxy_and_the_door(sides: Sides) -> None:
    with Client(PORT) as early, Client(PORT) as idle:
        assert early.ask(b"0") == b"device0"
        assert idle.ask(b"0") == b"device0"
        bring_up(FORWARD)
        # Clients that have been speaking all along are led, too: the kernel has forgotten their flows.
        assert early.ask(b"1") == b"device1"
        assert udp.states()["dns"]["received"] == 1
        with Client(PORT) as late:
            assert late.ask(b"1") == b"device1"
            forward.hold("dns")
            assert forward.drain("dns", 5).cut == 0
            for number in range(50):
                early.send(b"%d" % number)
            idle.send(b"held")
            time.sleep(0.5)
            assert b"held" not in sides.device.got
            assert not sides.edge.got
            forward.release("dns", "edge")
            assert [early.recv(100) for _unused in range(50)] == [b"at-edge%d" % number for number in range(50)]
            assert idle.recv(100) == b"at-edgeheld"
            assert late.ask(b"x" * 65000) == b"at-edge" + b"x" * 65000
            assert late.ask(b"") == b"at-edge"
            forward.hold("dns")
            drained = forward.drain("dns", 5)
            assert (drained.cut, drained.ended) == (0, 3)
            late.send(b"back")
            forward.release("dns", "device")
            assert late.recv(100) == b"deviceback"


def test_an_answer_after_the_kernel_forgot_its_question_still_comes_from_the_port(sides: Sides) -> None:
    """A hold may be longer than the 30 s for which the kernel remembers what was not answered."""
    subprocess.run(["sysctl", "-qw", "net.netfilter.nf_conntrack_udp_timeout=1"], check=True)
    bring_up(FORWARD)
    forward.hold("dns")
    with Client(PORT) as client:
        client.send(b"1")
        time.sleep(4)
        forward.release("dns", "edge")
        assert client.recv(100) == b"at-edge1"
        assert client.ask(b"2") == b"at-edge2"


@pytest.mark.parametrize("address", ["::1", "127.0.0.2"])
def test_clients_of_any_address_are_led(sides: Sides, address: str) -> None:
    bring_up(FORWARD)
    with Client(PORT, address) as client:
        assert client.ask(b"1") == b"device1"
        forward.hold("dns")
        client.send(b"2")
        forward.release("dns", "edge")
        assert client.recv(100) == b"at-edge2"


def test_a_restart_of_either_process_changes_nothing(device: Direct, process: Process, sides: Sides) -> None:
    bring_up(FORWARD)
    forward.release("dns", "edge")
    with Client(PORT) as client:
        assert client.ask(b"1") == b"at-edge1"
        process.kill()
        device.stop()
        process.start()
        device.start()
        parts.until(lambda: "dns" in udp.states())
        assert client.ask(b"2") == b"at-edge2"
        assert forward.settled(forward.load_all())
        assert not forward.apply_config()


def test_a_client_that_sent_while_there_were_no_rules_is_led_again(
    process: Process, sides: Sides, tmp_path: Path
) -> None:
    """As while haproxy's unit starts again; its drop-in runs the script so."""
    bring_up(FORWARD)
    forward.release("dns", "edge")
    subprocess.run(["nft", "delete", "table", *redirect.TABLE.split()], check=True)
    # Rules of somebody else's, so that the kernel goes on to remember flows: Docker's.
    subprocess.run(["nft", "-f", "-"], input=OTHERS, text=True, check=True)
    with Client(PORT) as client:
        assert client.ask(b"1") == b"device1"
        subprocess.run(["nft", "-f", str(tmp_path / "forward.nft")], check=True)
        assert client.ask(b"2") == b"device2", "nothing would have to be forgotten"
        script = [sys.executable, "-I", "-S", str(library.FOLDER / "udp"), str(forward_store.ETC)]
        subprocess.run(script, check=True)
        assert client.ask(b"3") == b"at-edge3"


def test_the_unit_and_what_it_adds_to_haproxys_are_written_and_taken_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(units, "UNITS", tmp_path / "units")
    monkeypatch.setattr(library, "FOLDER", tmp_path / "library")
    monkeypatch.setattr(units, "systemctl", lambda *words, **_more: asked.append(" ".join(words)))
    monkeypatch.setattr(units, "active", lambda _name: True)
    monkeypatch.setattr(units, "restart", lambda name: asked.append(f"restart {name}"))
    monkeypatch.setattr(units, "stop", lambda name: asked.append(f"stop {name}"))
    service = udp.Systemd()
    assert not service.there()
    assert service.install()
    assert service.installed()
    assert not service.install()
    assert asked == ["daemon-reload", "restart kraf-udp.service"]
    text = (tmp_path / "units" / udp.UNIT).read_text()
    assert f"ExecStart=/usr/bin/python3 -B {tmp_path}/library/udp /etc/kraf /run/kraf\n" in text
    assert "Before=kraf-forward.service docker.service" in text
    more = (tmp_path / "units/kraf-forward.service.d/udp.conf").read_text()
    assert more.endswith(f"ExecStartPost=-/usr/bin/python3 -B {tmp_path}/library/udp /etc/kraf\n")
    assert service.remove()
    assert not service.remove()
    assert not [path for path in (tmp_path / "units").rglob("*") if not path.is_dir()]


def test_a_process_that_died_is_started_by_the_next_call(process: Process, sides: Sides) -> None:
    bring_up(FORWARD)
    process.kill()
    assert not forward.settled(forward.load_all())
    assert not forward.loaded("dns")
    forward.hold("dns")
    with Client(PORT) as client:
        client.send(b"1")
        forward.release("dns", "edge")
        assert client.recv(100) == b"at-edge1"


def test_tcp_and_udp_of_one_number_are_held_and_released_together(sides: Sides, tmp_path: Path) -> None:
    tcp = Forward("dns", PORT, "*", "device", "127.0.0.1:8001", (f"127.0.0.1:{DOOR}",), SNI)
    other = dataclasses.replace(FORWARD, name="dns--5300-udp", group="dns")
    with parts.web(8001, "device"):
        bring_up(tcp, other)
        assert parts.get(PORT) == "device"
        with Client(PORT) as client:
            assert client.ask(b"1") == b"device1"
            forward.hold("dns")
            assert {one.target for one in forward.members("dns")} == {"held"}
            client.send(b"2")
            time.sleep(0.3)
            assert b"2" not in sides.device.got
            forward.release("dns", "device")
            assert client.recv(100) == b"device2"
            assert parts.get(PORT) == "device"


def test_another_apps_new_forward_does_not_disturb_one_that_holds(sides: Sides) -> None:
    bring_up(FORWARD)
    forward.hold("dns")
    with Client(PORT) as client, udp_parts.app(b"other", 5400, "0.0.0.0"):
        client.send(b"1")
        parts.until(lambda: udp.states()["dns"]["held"] == 1)
        other = dataclasses.replace(FORWARD, name="other", port=5400, device_address="127.0.0.1:5400")
        bring_up(other)
        client.send(b"2")
        parts.until(lambda: udp.states()["dns"]["held"] == 2)
        with Client(5400) as second:
            assert second.ask(b"1") == b"other1"
        forward.release("dns", "edge")
        assert [client.recv(100), client.recv(100)] == [b"at-edge1", b"at-edge2"]


def test_a_forward_that_is_taken_away_gives_clients_back_to_the_container(process: Process, sides: Sides) -> None:
    bring_up(FORWARD)
    with Client(PORT) as client:
        assert client.ask(b"1") == b"device1"
        forward.remove("dns")
        forward.apply_config()
        assert process.process is None, "without a UDP forward there is no process"
        assert client.ask(b"2") == b"device2"


def test_the_module_makes_it_once(
    process: Process, sides: Sides, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {
        "forwards": [
            {
                "name": "dns",
                "port": PORT,
                "address": "*",
                "device_address": f"127.0.0.1:{PORT}",
                "edge": [f"127.0.0.1:{DOOR}"],
                "sni": SNI,
                "redirect": True,
                "protocol": "udp",
            }
        ]
    }
    changed = [run(module, options, check, monkeypatch, capsys)["changed"] for check in (True, False, False, True)]
    assert changed == [True, True, False, False]
    with Client(PORT) as client:
        assert client.ask(b"1") == b"device1"
    gone = {**options, "state": "absent"}
    changed = [run(module, gone, check, monkeypatch, capsys)["changed"] for check in (True, False, False)]
    assert changed == [True, True, False]
    assert process.process is None


def test_the_door_tells_whether_the_app_at_the_edge_has_its_port_open(
    process: Process, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "CA", tmp_path / "tls/ca.crt")
    monkeypatch.setattr(door, "PAIR", tmp_path / "tls/device.pem")
    with udp_parts.sidecar(5353, STREAMS), parts.door(tmp_path, DOOR, STREAMS):
        with pytest.raises(KrafError, match="closes the connection"):
            door.probe_edge([f"127.0.0.1:{DOOR}"], SNI, "", 1.0)
        with udp_parts.app(b"edge", 5353):
            begin = time.monotonic()
            door.probe_edge([f"127.0.0.1:{DOOR}"], SNI, "", 10.0)
            assert time.monotonic() - begin < door.STAYS_OPEN / 2, "the greeting tells it at once"


def test_flows_of_other_ports_are_remembered(device: Direct) -> None:
    with contextlib.ExitStack() as stack:
        # Rules, so that the kernel remembers flows at all.
        redirect.apply(redirect.render([FORWARD], "haproxy"))
        for port in (5301, 5302):
            client = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            client.sendto(b"x", ("127.0.0.1", port))
        six = stack.enter_context(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
        six.sendto(b"x", ("::1", 5301))
        assert conntrack.forget({5301}) == 2
        assert conntrack.forget({5301}) == 0
        assert conntrack.forget({5302}) == 1
