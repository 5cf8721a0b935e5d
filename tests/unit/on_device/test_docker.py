"""Docker's socket, and who may not use it."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.hosts import kubernetes
from ansible_collections.kraf.edge.plugins.module_utils.on_device import docker, images
from ansible_collections.kraf.edge.plugins.module_utils.on_device.reference import Login

NOBODY = 65534


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A socket with the owner and mode that Docker gives it, in a folder that all may enter."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become somebody else")
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        Path(folder).chmod(0o755)
        path = Path(folder) / "docker.sock"
        listener.bind(str(path))
        listener.listen()
        path.chmod(0o660)
        monkeypatch.setattr(docker, "SOCKET", str(path))
        yield path


def as_nobody(work: Callable[[], object]) -> str:
    """What a user without rights is told."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            work()
        except KrafError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader) as stream:
        return stream.read()


@pytest.mark.parametrize(
    "ask",
    [
        lambda: docker.describe("faces"),
        lambda: images.served("kraf/edge:1", Login()),
        lambda: kubernetes.ask_docker("/info", docker.SOCKET),
    ],
    ids=["container", "image", "host"],
)
def test_dkr_06_a_user_without_rights_is_told_to_become_root_or_to_log_in_again(
    closed: Path, ask: Callable[[], object]
) -> None:
    before = closed.stat()
    said = as_nobody(ask)
    assert f"user {NOBODY} may not use it" in said
    assert "become: true" in said
    assert "log in again" in said
    after = closed.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
