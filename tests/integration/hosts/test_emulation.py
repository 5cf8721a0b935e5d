"""Emulation on this machine's own kernel, in a user namespace that has registrations of its own (Linux 6.7)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration import emulator

# $1: what registers the emulator, $2: root of a container, $3: Python, $4: what it is to print.
INSIDE = """\
set -e
mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
[ -z "$1" ] || printf %s "$1" >/proc/sys/fs/binfmt_misc/register
"$3" -c "$4"
chroot "$2" /hello || echo "no: $?"
"""
LOOK = """\
import json
from ansible_collections.kraf.edge.plugins.module_utils.hosts import emulation, reading
print(json.dumps(emulation.emulated(reading.Root())))
"""


@pytest.mark.parametrize(("flags", "found"), [("F", ["arm64"]), ("", []), (None, [])])
def test_img_01_a_host_that_says_so_runs_them_in_containers_and_no_other_does(
    tmp_path: Path, flags: str | None, found: list[str]
) -> None:
    (tmp_path / "hello").write_bytes(emulator.program())
    (tmp_path / "hello").chmod(0o755)
    line = "" if flags is None else emulator.line(flags)
    argv = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", INSIDE, "sh"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    argv += [line, str(tmp_path), sys.executable, LOOK]
    said = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)
    if "mount:" in said.stderr:
        pytest.skip("the kernel has no registrations of a user namespace's own: Linux 6.7 or later, with binfmt_misc")
    first, *rest = said.stdout.splitlines()
    assert json.loads(first) == found, said.stderr
    really = rest == [emulator.SAYS.decode().strip()]
    assert really == bool(found), said.stdout + said.stderr
