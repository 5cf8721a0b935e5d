# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""systemd units: written, loaded, and asked about with as few calls as can be."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..core.errors import KrafError
from . import files
from .run import Result, check, run

UNITS = Path("/etc/systemd/system")
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_.")


def running() -> bool:
    """Whether systemd is the init of this host."""
    return Path("/run/systemd/system").is_dir()


def escape_path(path: str, suffix: str) -> str:
    """Name of the unit of a path, as ``systemd-escape --path`` gives it (systemd.unit(5))."""
    parts = [part for part in path.split("/") if part]
    text = "/".join(parts)
    escaped = "".join(
        "-" if char == "/" else char if char in _PLAIN and not (char == "." and index == 0) else _hex(char)
        for index, char in enumerate(text)
    )
    return (escaped or "-") + suffix


def _hex(char: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in char.encode())


def write(name: str, text: str) -> bool:
    """Write a unit file; True when it was not like that. ``reload_units`` makes it known."""
    return files.write(UNITS / name, text)


def remove(name: str) -> bool:
    """Take a unit file away; False when it was not there."""
    return files.remove(UNITS / name)


def systemctl(*arguments: str, timeout: float = 60.0) -> str:
    """Run systemctl; it must succeed."""
    return check(["systemctl", "--no-ask-password", *arguments], timeout)


def reload_units() -> None:
    """Let systemd read the unit files again."""
    systemctl("daemon-reload")


def enable(name: str, target: str = "multi-user.target") -> bool:
    """Start a unit with a target, by the link that ``systemctl enable`` makes; True when it was not there.

    Without enable's reload: that costs a weak device seconds, and a unit that is not loaded yet is read when it starts.
    """
    return files.link(UNITS / f"{target}.wants" / name, UNITS / name)


def disable(name: str, target: str = "multi-user.target") -> bool:
    """Take that link away; False when it was not there."""
    return files.remove(UNITS / f"{target}.wants" / name)


def enabled(name: str) -> bool:
    """Whether a unit of ours is started at boot."""
    return (UNITS / "multi-user.target.wants" / name).is_symlink()


def start(*names: str, timeout: float = 60.0) -> None:
    """Start units and wait for them.

    Raises:
        KrafError: with the last lines of their journal.
    """
    _act("start", names, timeout)


def restart(*names: str, timeout: float = 60.0) -> None:
    """Restart units and wait for them. Raises like ``start``."""
    _act("restart", names, timeout)


def reload(*names: str, timeout: float = 60.0) -> None:
    """Let units read their configuration again. Raises like ``start``."""
    _act("reload", names, timeout)


def stop(*names: str, timeout: float = 60.0) -> Result:
    """Stop units. The result says whether they did; units that do not exist are stopped."""
    return run(["systemctl", "--no-ask-password", "stop", *names], timeout)


def active(name: str) -> bool:
    """Whether a unit is active, on its way there or reloading."""
    return properties(name, "ActiveState")["ActiveState"] in ("active", "activating", "reloading")


def properties(name: str, *wanted: str) -> dict[str, str]:
    """Properties of a unit, as ``systemctl show`` prints them; "" for those it does not have."""
    result = run(["systemctl", "show", "--no-pager", f"--property={','.join(wanted)}", "--", name], 10)
    found = dict(line.split("=", maxsplit=1) for line in result.stdout.splitlines() if "=" in line)
    return {key: found.get(key, "") for key in wanted}


def journal(name: str, lines: int = 15) -> str:
    """Last lines that a unit wrote."""
    return run(["journalctl", "--no-pager", "--quiet", "-o", "cat", "-n", str(lines), "-u", name], 10).stdout.strip()


def _act(verb: str, names: Sequence[str], timeout: float) -> None:
    result = run(["systemctl", "--no-ask-password", verb, *names], timeout)
    if result.ok:
        return
    said = "\n".join(filter(None, (journal(name) for name in names))) or result.stderr.strip()
    why = f"systemctl {verb} did not end within {timeout:g} s" if result.timed_out else f"systemctl {verb} failed"
    raise KrafError("unit", " ".join(names), f"{why}: {said[-2000:]}", "See journalctl on the device", journal=said)
