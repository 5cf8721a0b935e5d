# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""UDP forwards over real sockets: the device's process, the sidecar's program, and clients that ask."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.on_device import conntrack, haproxy, udp, udp_forwarder
from ansible_collections.kraf.edge.plugins.module_utils.on_device.forward_store import Forward
from ansible_collections.kraf.edge.plugins.module_utils.on_device.udp_frames import (
    GREETING,
    Decoder,
    Queue,
    Room,
    encode,
)

from . import udp_parts as parts
from .udp_parts import Client

SIZES = (b"", b"x", bytes(range(256)), b"", os.urandom(1472), os.urandom(9000), os.urandom(65507 - 6))


class Installed:
    """A device that has the unit, and whose process is the one of the test."""

    def there(self) -> bool:
        return True

    def installed(self) -> bool:
        return True

    def install(self) -> bool:
        return False


@pytest.fixture(autouse=True)
def run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(haproxy, "RUN", tmp_path)
    monkeypatch.setattr(udp, "SERVICE", Installed())


def switch(wanted: list[Forward], target: str) -> None:
    wanted[:] = [dataclasses.replace(one, target=target) for one in wanted]
    answer = udp.ask("apply")
    assert answer is not None
    assert not answer["error"]


@dataclasses.dataclass
class Both:
    """A forward that can lead to either side."""

    device: parts.App
    edge: parts.App
    wanted: list[Forward]
    port: int

    def switch(self, target: str) -> None:
        switch(self.wanted, target)

    @property
    def state(self) -> dict[str, int]:
        return udp.states()["app"]


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    with contextlib.ExitStack() as stack:
        device, edge = (stack.enter_context(parts.app(name)) for name in (b"device", b"at-edge"))
        streams = stack.enter_context(parts.sidecar(edge.port))
        port = parts.free()
        forward = Forward(
            "app",
            port,
            "*",
            "device",
            f"127.0.0.1:{device.port}",
            ("127.0.0.1:8843",),
            "s",
            relay=streams,
            protocol="udp",
        )
        yield Both(device, edge, stack.enter_context(parts.forwarder(tmp_path, forward)), port)


# -- streams ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_datagrams_come_out_of_a_stream_as_they_went_in_however_it_is_cut(seed: int) -> None:
    chance = random.Random(seed)
    datagrams = [chance.randbytes(chance.choice([0, 0, 1, 2, 255, 256, 1472, 65507])) for _unused in range(50)]
    stream, decoder, found = GREETING + b"".join(map(encode, datagrams)), Decoder(), []
    while stream:
        length = chance.choice([1, 2, 3, 100, 5000, 70000])
        found += decoder.feed(stream[:length])
        stream = stream[length:]
    assert found == datagrams


def test_who_does_not_greet_is_not_spoken_to() -> None:
    with pytest.raises(ValueError, match="HTTP"):
        Decoder().feed(b"HTTP/1.1 400 Bad Request")


@pytest.mark.parametrize(
    ("bytes_left", "count_left", "kept"), [(100, 3, [3, 4, 5]), (10, 100, [4, 5]), (9, 100, [5]), (4, 100, [])]
)
def test_of_more_than_there_is_room_for_the_oldest_goes_and_is_counted(
    bytes_left: int, count_left: int, kept: list[int]
) -> None:
    room = Room(bytes_left, count_left)
    queue = Queue(room)
    for number in range(1, 6):
        queue.push(number, b"12345")
    assert room.dropped == 5 - len(kept)
    assert [sender for sender, _data in queue.clear()] == kept
    assert (room.bytes_left, room.count_left) == (bytes_left, count_left)


# -- the way there ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["device", "edge"])
def test_datagrams_keep_their_boundaries_from_nothing_to_the_longest(both: Both, target: str) -> None:
    both.switch(target)
    name = b"device" if target == "device" else b"at-edge"
    with Client(both.port) as client:
        for data in SIZES:
            assert client.ask(data) == name + data[: 65507 - len(name)]
    assert (both.device if target == "device" else both.edge).got == list(SIZES)


@pytest.mark.parametrize("target", ["device", "edge"])
def test_each_client_has_its_own_way_and_its_own_answers(both: Both, target: str) -> None:
    both.switch(target)
    app = both.device if target == "device" else both.edge
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(both.port)) for _unused in range(20)]
        for number, client in enumerate(clients):
            client.send(b"%d" % number)
        assert [client.recv(100) for client in clients] == [app.name + b"%d" % number for number in range(20)]
        assert len(app.clients) == 20, "the app must be able to tell them apart"


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.7", "::1"])
def test_an_answer_comes_from_the_address_that_was_asked(both: Both, address: str) -> None:
    """The client is connected: the kernel gives it nothing that comes from elsewhere."""
    with Client(both.port, address) as client:
        assert client.ask(b"x") == b"devicex"


def test_the_app_may_answer_later_and_more_than_once(both: Both) -> None:
    both.switch("edge")
    with Client(both.port) as client:
        assert client.ask(b"1") == b"at-edge1"
        client.send(b"2")
        client.send(b"3")
        assert {client.recv(100), client.recv(100)} == {b"at-edge2", b"at-edge3"}
    parts.until(lambda: both.state["answered"] == 3)


def test_a_stream_that_comes_at_once_does_not_run_over_an_app() -> None:
    """Its socket holds less than 300 small datagrams, as is usual, and it takes its time for each."""
    got = []

    def work() -> None:
        while len(got) < 3000:
            got.append(app.recv(100))
            if not len(got) % 10:
                time.sleep(0.001)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as app:
        app.bind(("127.0.0.1", 0))
        app.settimeout(5)
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        with parts.sidecar(app.getsockname()[1]) as streams, socket.create_connection(("127.0.0.1", streams)) as stream:
            stream.sendall(b"".join(encode(b"%d" % number) for number in range(3000)))
            thread.join(parts.PATIENCE)
    assert got == [b"%d" % number for number in range(3000)]


@pytest.mark.parametrize("address", ["0.0.0.0", "127.0.0.1", "127.0.0.5"])
def test_an_app_at_the_edge_is_found_at_whatever_address_it_listens_on(tmp_path: Path, address: str) -> None:
    port = parts.free()
    with parts.app(b"edge", 0, address) as app, parts.sidecar(app.port) as streams, Client(port) as client:
        forward = Forward("app", port, "*", "edge", "", ("127.0.0.1:1",), "s", relay=streams, protocol="udp")
        with parts.forwarder(tmp_path, forward):
            assert client.ask(b"1") == b"edge1"


# -- hold and release ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["device", "edge"])
def test_what_comes_while_clients_are_held_is_delivered_in_its_order_at_the_release(both: Both, target: str) -> None:
    app = both.device if target == "device" else both.edge
    both.switch("held")
    with Client(both.port) as one, Client(both.port) as other:
        sent = [b"%d" % number for number in range(3000)]
        for number, data in enumerate(sent):
            (one if number % 2 else other).send(data)
            if not number % 100:
                time.sleep(0.002)
        parts.until(lambda: both.state["held"] == len(sent))
        time.sleep(0.1)
        assert not both.device.got
        assert not both.edge.got
        both.switch(target)
        one.send(b"last")
        parts.until(lambda: len(app.got) == len(sent) + 1)
        odd = [data for data in app.got if data == b"last" or int(data) % 2]
        assert odd == [*sent[1::2], b"last"]
        assert [data for data in app.got if data != b"last" and not int(data) % 2] == sent[::2]
    assert both.state["dropped"] == 0


@pytest.fixture
def little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp_forwarder, "HELD_COUNT", 200)


def test_of_what_is_held_the_oldest_goes(little_room: None, both: Both) -> None:
    both.switch("held")
    with Client(both.port) as client:
        for number in range(udp_forwarder.HELD_COUNT + 20):
            client.send(b"%d" % number)
            if not number % 100:
                time.sleep(0.002)
        parts.until(lambda: both.state["received"] == udp_forwarder.HELD_COUNT + 20)
    assert both.state["held"] == udp_forwarder.HELD_COUNT
    assert both.state["dropped"] == 20
    both.device.mute = True
    both.switch("device")
    parts.until(lambda: len(both.device.got) == udp_forwarder.HELD_COUNT)
    assert both.device.got[0] == b"20"
    assert both.state["last"] == {"waited": udp_forwarder.HELD_COUNT, "dropped": 20}


def test_there_and_back_with_a_client_that_never_stops(both: Both) -> None:
    """Every datagram is answered once, by one of the sides."""
    sent = 0
    with Client(both.port) as client:
        client.settimeout(0.005)
        answers: list[bytes] = []

        def speak(seconds: float) -> None:
            nonlocal sent
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                client.send(b"%d" % sent)
                sent += 1
                with contextlib.suppress(socket.timeout):
                    answers.append(client.recv(100))

        for target in ("device", "held", "edge", "held", "device", "held", "device"):
            both.switch(target)
            if target == "held":
                parts.until(lambda: speak(0.05) or udp.stale(["app"]) == 0)
            speak(0.3)
        end = time.monotonic() + parts.PATIENCE
        while len(answers) < sent and time.monotonic() < end:
            with contextlib.suppress(socket.timeout):
                answers.append(client.recv(100))
    numbers = sorted(int(answer.removeprefix(b"device").removeprefix(b"at-edge")) for answer in answers)
    assert numbers == list(range(sent))
    assert both.device.got
    assert both.edge.got


def test_what_could_not_be_sent_to_an_edge_that_is_not_there_goes_back_with_the_clients(tmp_path: Path) -> None:
    with parts.app(b"device") as device:
        port, nobody = parts.free(), parts.free(socket.SOCK_STREAM)
        forward = Forward(
            "app", port, "*", "edge", f"127.0.0.1:{device.port}", ("127.0.0.1:1",), "s", relay=nobody, protocol="udp"
        )
        with parts.forwarder(tmp_path, forward) as wanted, Client(port) as client:
            for number in range(10):
                client.send(b"%d" % number)
            parts.until(lambda: udp.states()["app"]["received"] == 10)
            switch(wanted, "held")
            client.send(b"10")
            switch(wanted, "device")
            assert [client.recv(100) for _unused in range(11)] == [b"device%d" % number for number in range(11)]


def test_a_sidecar_that_comes_late_gets_what_was_sent(tmp_path: Path) -> None:
    """Also one whose app has not opened its port yet: it closes connections at once, as a closed port does."""
    udp_port, tcp_port = parts.free(), parts.free(socket.SOCK_STREAM)
    port = parts.free()
    forward = Forward("app", port, "*", "edge", "", ("127.0.0.1:1",), "s", relay=tcp_port, protocol="udp")
    with parts.forwarder(tmp_path, forward), Client(port) as client:
        client.send(b"early")
        time.sleep(0.3)
        with parts.sidecar(udp_port, tcp_port):
            time.sleep(1.2)
            with parts.app(b"edge", udp_port):
                assert client.recv(100) == b"edgeearly"


def test_a_sidecar_that_was_lost_is_met_again(both: Both) -> None:
    both.switch("edge")
    relay = both.wanted[0].relay
    with parts.app(b"other") as other, Client(both.port) as client:
        assert client.ask(b"1") == b"at-edge1"
        # The streams of the next datagrams end elsewhere: as when the pod was made anew.
        with parts.sidecar(other.port) as streams:
            both.wanted[:] = [dataclasses.replace(both.wanted[0], relay=streams)]
            switch(both.wanted, "edge")
            assert client.ask(b"2") == b"other2"
        both.wanted[:] = [dataclasses.replace(both.wanted[0], relay=relay)]
        switch(both.wanted, "edge")
        assert client.ask(b"3") == b"at-edge3"


def test_an_answer_that_is_still_owed_is_waited_for_and_can_be_cut(both: Both) -> None:
    with Client(both.port) as client:
        assert client.ask(b"1") == b"device1"
        both.device.mute = True
        client.send(b"2")
        parts.until(lambda: both.device.got[-1] == b"2")
        both.switch("held")
        time.sleep(udp_forwarder.QUIET * 3)
        assert udp.stale(["app"]) == 1
        assert udp.cut(["app"]) == 1
        assert udp.stale(["app"]) == 0


def test_a_client_that_never_got_an_answer_is_not_waited_for(both: Both) -> None:
    both.device.mute = True
    with Client(both.port) as client:
        client.send(b"1")
        parts.until(lambda: both.device.got)
        both.switch("held")
        parts.until(lambda: udp.stale(["app"]) == 0, udp_forwarder.QUIET * 10)


# -- bounds ----------------------------------------------------------------------------------------------------------


def test_idle_clients_are_forgotten(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(udp_forwarder, "IDLE", 0.3)
    both.switch("edge")
    with Client(both.port) as client:
        client.ask(b"1")
        assert both.state["flows"] == 1
        parts.until(lambda: both.state["flows"] == 0)
        assert client.ask(b"2") == b"at-edge2"
        assert len(both.edge.clients) == 2


def test_more_clients_than_there_may_be_take_the_place_of_the_one_idle_longest(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(udp_forwarder, "MAX_FLOWS", 3)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(both.port)) for _unused in range(5)]
        for client in clients:
            assert client.ask(b"1") == b"device1"
        assert both.state["flows"] == 3
        assert both.state["forgotten"] == 2
        assert clients[0].ask(b"2") == b"device2"


# -- the process -----------------------------------------------------------------------------------------------------


def test_a_port_that_another_has_is_named_and_all_others_work(both: Both, tmp_path: Path) -> None:
    with parts.app(b"squatter") as squatter:
        both.wanted.append(dataclasses.replace(both.wanted[0], name="other", port=squatter.port, address="127.0.0.1"))
        answer = udp.ask("apply")
        assert answer is not None
        assert f"forward other, port: {squatter.port}" in answer["error"]
        with Client(both.port) as client:
            assert client.ask(b"x") == b"devicex"
        with pytest.raises(KrafError, match="it cannot be listened on: Address already in use"):
            udp.apply(both.wanted)


def test_a_forward_that_went_frees_its_port(both: Both) -> None:
    both.wanted.clear()
    udp.ask("apply")
    assert udp.states() == {}
    with parts.app(b"next", both.port):
        pass


def test_nobody_but_root_may_ask_it(both: Both) -> None:
    assert (haproxy.RUN / udp_forwarder.SOCKET).stat().st_mode & 0o777 == 0o600


def test_a_kernel_that_does_not_tell_of_flows_is_named_with_its_module(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_given: object) -> None:
        raise OSError(93, "Protocol not supported")

    monkeypatch.setattr(conntrack.socket, "socket", refuse)
    with pytest.raises(KrafError, match=r"UDP flows on the device: '53'.*Protocol not supported.*nf_conntrack_netlink"):
        udp.forget({53})
    udp.forget(set())
