"""No file names a package registry."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.checks import addresses


def test_a_registry_is_reported_with_file_and_line(tmp_path: Path) -> None:
    host = ".".join(addresses.HOSTS[0])
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / "a.yml").write_text(f"# none\nurl: https://{host}/x\n")
    (tmp_path / "b.bin").write_bytes(b"\xff\xfe")
    assert addresses.complaints(tmp_path) == [f"a.yml:2: names the registry {host}"]
