"""python3 -m tests.lab.interrupt: kills `up` and `down` of a lab of its own at many moments, and compares the machine.

After each kill the same command is repeated. It passes when `up` ends with reachable hosts, and when after `down`
nothing of the lab is left on the machine. It has an engine of its own; another lab's hosts are not touched.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from .steps import run, say

MOMENTS = (0.2, 0.5, 0.9, 1.4, 2.0, 3.0, 4.5, 7.0, 11.0)
SIGNALS = (signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
ENGINE = "kraf-labx"
SYSCTLS = ("net/ipv4/ip_forward", "fs/inotify/max_user_instances", "fs/inotify/max_user_watches")


def traces(root: str) -> list[str]:
    """What of the lab can be seen on the machine."""
    commands = (
        ["ip", "route"],
        ["ip", "-brief", "link"],
        ["ip", "netns"],
        ["iptables-save"],
        ["cat", "/proc/self/mounts"],
        ["losetup", "--list"],
        ["ps", "ax", "-o", "args"],
    )
    lines = [line for command in commands for line in run(command, check=False).stdout.splitlines()]
    seen = [line for line in lines if (ENGINE in line or root in line) and "tests.lab.interrupt" not in line]
    values = [f"{name} {Path('/proc/sys', name).read_text(encoding='utf-8').strip()}" for name in SYSCTLS]
    return [*seen, *values, *([root] if Path(root).exists() else [])]


def lab(command: str, environment: dict[str, str], moment: float = 0, number: int = 0) -> int:
    """Runs a command of the lab; with a moment, ends it then, as ^C does or by SIGKILL of the command alone."""
    argv = [sys.executable, "-m", "tests.lab", command]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(argv, env=environment, stdout=log, stderr=log, start_new_session=True)
        if moment:
            time.sleep(moment)
            if process.poll() is None:
                (os.killpg if number == signal.SIGINT else os.kill)(process.pid, number)
        code = process.wait()
        log.seek(0)
        last = log.read().strip().splitlines()[-1:] or [""]
    say(f"{command} {signal.Signals(number).name if moment else 'to its end'} {moment or ''}: {code}, {last[0]}")
    return code


def main() -> int:
    # A shell may start its children in the background with SIGINT ignored; they would pass that on.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="kraf-labx-") as folder:
        root = f"{folder}/root"
        environment = {
            "KRAF_LAB_PREFIX": "10.213.99",
            "KRAF_LAB_ENGINE_PREFIX": "10.213.253",
            "KRAF_LAB_HOSTS": "worker1,pi1",
            **os.environ,
            "KRAF_LAB_NAME": "interrupt",
            "KRAF_LAB_ENGINE": ENGINE,
            "KRAF_LAB_ROOT": root,
        }
        before = traces(root)
        moments = [(moment, SIGNALS[index % len(SIGNALS)]) for index, moment in enumerate(MOMENTS)]
        failures = []
        for command in ("up", "down", "up", "down"):
            for moment, number in moments:
                lab(command, environment, moment, number)
            if lab(command, environment):
                failures.append(f"{command} fails after it was interrupted")
            moments = [(moment, SIGNALS[(SIGNALS.index(number) + 1) % len(SIGNALS)]) for moment, number in moments]
        left = set(traces(root)) ^ set(before)
        failures += [f"left or changed: {line}" for line in sorted(left)]
    print("\n".join(failures) or "interrupted and repeated: nothing is left")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
