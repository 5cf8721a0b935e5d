"""The modules of the hosts: predicted, done, and nothing left to do."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.modules import docker_daemon_config, host_files, host_info
from tests.integration.modules import run

Call = Callable[..., dict[str, Any]]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs a module with options as a play gives them, and returns its result."""

    def run_it(module: Any, *, check: bool = False, **options: Any) -> dict[str, Any]:
        return run(module, options, check, monkeypatch, capsys)

    return run_it


def test_files_are_predicted_written_and_then_left_alone(call: Call, tmp_path: Path) -> None:
    new, old = tmp_path / "folder/new.conf", tmp_path / "old.conf"
    old.write_text("old\n")
    options = {
        "files": [
            {"path": str(new), "content": "one\n", "mode": "0640"},
            {"path": str(old), "state": "absent"},
        ]
    }
    predicted = call(host_files, check=True, **options)
    assert predicted["changed"]
    assert predicted["paths"] == [str(new), str(old)]
    assert old.exists()
    assert not new.parent.exists()

    done = call(host_files, **options)
    assert done["paths"] == predicted["paths"]
    assert new.read_text() == "one\n"
    assert new.stat().st_mode & 0o777 == 0o640
    assert not old.exists()

    before = new.stat()
    again = call(host_files, **options)
    assert (again["changed"], again["paths"]) == (False, [])
    assert new.stat().st_ino == before.st_ino


def test_a_file_with_the_right_text_and_the_wrong_mode_is_corrected(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("secret\n")
    path.chmod(0o644)
    assert call(host_files, files=[{"path": str(path), "content": "secret\n", "mode": "0600"}])["changed"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_lines_that_are_there_stay_and_missing_ones_are_added(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "folder/record"
    entry = {"path": str(path), "content": "runc\ntini", "keep_lines": True}
    assert call(host_files, check=True, files=[entry])["changed"]
    assert not path.exists()
    assert call(host_files, files=[entry])["changed"]
    assert not call(host_files, files=[entry])["changed"]
    path.write_text("runc\nmine")
    assert call(host_files, files=[{**entry, "content": "tini\nrunc\n"}])["changed"]
    assert path.read_text() == "runc\nmine\ntini\n"


def test_the_text_of_a_file_kept_from_others_is_not_in_the_difference(call: Call, tmp_path: Path) -> None:
    shown = call(host_files, files=[{"path": str(tmp_path / "key"), "content": "secret\n", "mode": "0600"}])
    assert shown["changed"]
    assert "secret" not in json.dumps(shown["diff"])


@pytest.mark.parametrize(
    ("entry", "words"), [({"content": "x", "mode": "rw"}, "octal"), ({}, "Give content"), ({"state": "gone"}, "gone")]
)
def test_a_bad_file_fails_before_any_is_written(call: Call, tmp_path: Path, entry: dict[str, str], words: str) -> None:
    good = tmp_path / "good"
    result = call(host_files, files=[{"path": str(good), "content": "x"}, {"path": str(tmp_path / "bad"), **entry}])
    assert result["failed"]
    assert words in result["msg"]
    assert not good.exists()


def test_dkr_05_daemon_json_is_predicted_merged_and_then_left_alone(call: Call, tmp_path: Path) -> None:
    path, original = tmp_path / "docker/daemon.json", tmp_path / "kept/daemon.json"
    path.parent.mkdir()
    path.write_text('{"dns": ["9.9.9.9"]}')
    options = {"path": str(path), "original": str(original), "config": {"exec-opts": ["native.cgroupdriver=systemd"]}}
    predicted = call(docker_daemon_config, check=True, **options)
    assert predicted["keys"] == ["exec-opts"]
    assert json.loads(path.read_text()) == {"dns": ["9.9.9.9"]}
    assert not original.exists()

    done = call(docker_daemon_config, **options)
    assert done["config"] == predicted["config"] == json.loads(path.read_text())
    assert done["config"]["dns"] == ["9.9.9.9"]
    assert original.read_text() == '{"dns": ["9.9.9.9"]}'

    again = call(docker_daemon_config, **options)
    assert again["keys"] == []
    later = call(docker_daemon_config, **{**options, "config": {"debug": True}})
    assert later["keys"] == ["debug"]
    assert original.read_text() == '{"dns": ["9.9.9.9"]}'


def test_dkr_05_invalid_json_fails_and_stays_as_it_is(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "daemon.json"
    path.write_text('{\n  "debug": true,\n}')
    result = call(docker_daemon_config, path=str(path), config={"debug": False})
    assert result["failed"]
    assert "line 3" in result["msg"]
    assert path.read_text() == '{\n  "debug": true,\n}'


def test_cni_06_what_cannot_be_reached_is_named_with_its_port(call: Call) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as closed:
        port, gone = server.getsockname()[1], closed.getsockname()[1]
        closed.close()
        places = [
            {"name": "worker1", "address": "127.0.0.1", "port": port},
            {"name": "worker2", "address": "127.0.0.1", "port": gone},
        ]
        assert not call(host_info, connect=places[:1])["failed"]
        result = call(host_info, connect=places, connect_limit=0, connect_hint="Nodes need UDP port 8472")
    assert result["failed"]
    assert f"worker2 (127.0.0.1:{gone})" in result["msg"]
    assert "worker1" not in result["msg"]
    assert "UDP port 8472" in result["msg"]
