"""The mover's box: device and controller meet there, by a real web server behind a real door."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.manifests import mover as manifests
from ansible_collections.kraf.edge.plugins.module_utils.on_device import door
from ansible_collections.kraf.edge.plugins.module_utils.on_device.door import Box

from . import movers
from .movers import Running


@pytest.fixture
def box(mover: Running) -> Iterator[Box]:
    with door.box(mover.doors, mover.sni(manifests.BOX_PORT), movers.TOKEN) as found:
        yield found


def test_what_was_put_is_there_and_what_was_not_is_not(box: Box) -> None:
    assert box.get("held") is None
    box.put("held")
    box.put("failed", "späte Meldung\n")
    assert box.get("held") == ""
    assert box.get("failed") == "späte Meldung\n"
    assert box.get("go") is None


def test_putting_again_replaces(box: Box) -> None:
    for text in ("a long first text", "short"):
        box.put("held", text)
    assert box.get("held") == "short"


def test_thousands_of_questions_go_over_one_connection(box: Box) -> None:
    box.get("go")
    first = box._connection
    for _unused in range(2000):
        box.get("go")
    assert box._connection is first


def test_waiting_ends_with_what_comes_first(mover: Running, box: Box) -> None:
    def speak() -> None:
        time.sleep(0.2)
        (mover.folder / "box/files" / movers.TOKEN / "aborted").write_text("no such image")

    thread = threading.Thread(target=speak)
    thread.start()
    assert box.wait(["go", "aborted"], 20) == ("aborted", "no such image")
    thread.join()


def test_silence_of_the_controller_is_said(box: Box) -> None:
    with pytest.raises(KrafError, match=r"said nothing within 0.2 s"):
        box.wait(["go", "aborted"], 0.2)


def test_wrong_token_reads_and_writes_nothing(mover: Running, box: Box) -> None:
    box.put("go")
    with door.box(mover.doors, mover.sni(manifests.BOX_PORT), "wrong") as other:
        assert other.get("go") is None
        with pytest.raises(KrafError, match="it answered"):
            other.put("held")
    assert box.get("held") is None
    assert os.listdir(mover.folder / "box/files") == [movers.TOKEN]


@pytest.mark.parametrize("path", ["", "..", "../../secrets", "..%2f..%2fsecrets", "../../../secret/token"])
def test_nothing_but_the_box_is_served(mover: Running, path: str) -> None:
    with door.box(mover.doors, mover.sni(manifests.BOX_PORT), "") as other:
        try:
            found = other.get(path)
        except KrafError as error:
            found = str(error)
    assert movers.TOKEN not in str(found)


def test_reader_never_sees_half_a_file(mover: Running, box: Box) -> None:
    """What is put appears whole: the controller reads it by other means."""
    path, done, seen = mover.folder / "box/files" / movers.TOKEN / "failed", threading.Event(), set()

    def read() -> None:
        while not done.is_set():
            if path.exists():
                seen.add(len(path.read_bytes()))

    thread = threading.Thread(target=read)
    thread.start()
    for _unused in range(30):
        box.put("failed", "x" * 300_000)
    done.set()
    thread.join()
    assert seen == {300_000}


def test_death_of_the_mover_is_said(mover: Running, box: Box) -> None:
    box.put("held")
    os.killpg(mover.process.pid, 9)
    with pytest.raises(KrafError, match="it does not answer"):
        box.get("go")


def test_waiting_on_a_dead_mover_ends_before_its_limit(mover: Running, box: Box) -> None:
    os.killpg(mover.process.pid, 9)
    with pytest.raises(KrafError, match="it does not answer"):
        box.wait(["go"], 10_000)


def test_connection_that_was_cut_is_made_again(box: Box) -> None:
    box.put("held")
    assert box._connection
    assert box._connection.sock
    box._connection.sock.close()
    assert box.get("held") == ""
