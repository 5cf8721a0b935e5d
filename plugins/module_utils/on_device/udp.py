# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""UDP forwards as the rest of the device's code knows them: the unit of their process, and what it says and does."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..core.errors import KrafError
from . import conntrack, files, forward_store, haproxy, library, redirect, udp_flows, udp_forwarder, udp_frames, units
from .forward_store import HELD, UDP, Forward

UNIT = "kraf-udp.service"
START_LIMIT = 20.0
_POLL = 0.05
_PORT = re.compile(r"\budp dport ([0-9]+)")
_MODULES = (udp_forwarder, udp_flows, udp_frames)

_SAYS = """\
the device's UDP forwards. Arguments: where forwards/ is, and where the control socket,
without which only flows are forgotten that the rules have not seen."""

# The rules come and go with haproxy's unit. A client that sends meanwhile would pass the forward by for ever.
DROP_IN = "kraf-forward.service.d/udp.conf"
_DROP_IN_TEXT = """\
[Service]
ExecStartPost=-/usr/bin/python3 -B {script} {etc}
"""

UNIT_TEXT = """\
[Unit]
Description=kraf.edge: UDP forwards to apps, code {code}
After=network.target
Before=kraf-forward.service docker.service

[Service]
# Clients wait for it, as for haproxy.
CPUWeight=1000
Nice=-10
RuntimeDirectory=kraf
RuntimeDirectoryPreserve=yes
ExecStart=/usr/bin/python3 -B {script} {etc} {run}
Restart=always
RestartSec=1
LimitNOFILE=32768
CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_BIND_SERVICE
NoNewPrivileges=yes

[Install]
WantedBy=multi-user.target
"""


def ask(what: str, **more: Any) -> dict[str, Any] | None:
    """One request to the process, with its answer; None when none runs."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(10.0)
            connection.connect(str(haproxy.RUN / udp_forwarder.SOCKET))
            connection.sendall(json.dumps({"do": what, **more}).encode() + b"\n")
            return dict(json.loads(udp_forwarder.line(connection)))
    except (OSError, ValueError):
        return None


def ours(forwards: Sequence[Forward]) -> list[Forward]:
    """Those that are of UDP."""
    return [one for one in forwards if one.protocol == UDP]


def states() -> dict[str, dict[str, Any]]:
    """What the process says of each forward: ``target``, ``held``, ``flows``, ``stale``, ``dropped`` and more."""
    return dict((ask("status") or {}).get("forwards") or {})


def as_wanted(forwards: Sequence[Forward]) -> bool:
    """Whether the process has these forwards, no other, each where it is to lead."""
    wanted = {one.name: (one.target, one.bound) for one in ours(forwards)}
    found = {name: (one["target"], one["bound"]) for name, one in states().items()}
    return wanted == found and (SERVICE.installed() if wanted else not SERVICE.there())


def apply(forwards: Sequence[Forward]) -> bool:
    """Bring the process to what the files say; True when anything differed. Without any UDP forward there is none.

    Raises:
        KrafError: when it cannot be started, or a port cannot be had.
    """
    if not ours(forwards):
        return SERVICE.remove()
    changed = not as_wanted(forwards)
    # Other code is a restart, which would lose what is held: it waits for the next call.
    if not any(one["target"] == HELD for one in states().values()):
        changed |= SERVICE.install()
    answer = ask("apply")
    if answer is None:
        SERVICE.start()
        changed, answer = True, _await()
    if answer["error"]:
        raise KrafError("UDP forwards of the device", None, str(answer["error"]), f"See journalctl -u {UNIT}")
    return changed


def _await() -> dict[str, Any]:
    end = time.monotonic() + START_LIMIT
    while True:
        answer = ask("apply")
        if answer is not None:
            return answer
        if time.monotonic() >= end:
            why = f"it does not answer within {START_LIMIT:g} s: {SERVICE.log()}"
            raise KrafError("UDP forwards of the device", UNIT, why, f"See journalctl -u {UNIT}")
        time.sleep(_POLL)


def stale(names: Sequence[str]) -> int:
    """Clients of these forwards that still have to do with the side before."""
    found = states()
    return sum(int(found[name]["stale"]) for name in names if name in found)


def cut(names: Sequence[str]) -> int:
    """End those; how many."""
    return int((ask("cut", names=list(names)) or {}).get("cut") or 0) if names else 0


def changed(before: str, after: str) -> set[int]:
    """Ports whose rules differ in two rulesets."""
    lines = set(before.splitlines()) ^ set(after.splitlines())
    return {int(found[1]) for line in lines for found in [_PORT.search(line)] if found}


def redirected(forwards: Sequence[Forward]) -> set[int]:
    """Ports of a container that these forwards take over."""
    return redirect.ports(forwards)


def forget(ports: set[int]) -> None:
    """Let the kernel forget clients' flows to these ports: a rule is for a flow's first packet only."""
    if ports:
        conntrack.forget(ports, redirect.MARK)


def install_program() -> Path:
    """Put the process's code and its program on the device; where the program lies."""
    library.install()
    return library.install_script("udp", _SAYS, "udp_forwarder.main(*sys.argv[1:])")


class Systemd:
    """How the process is started: as a unit."""

    def there(self) -> bool:
        """Whether there is a unit at all."""
        return (units.UNITS / UNIT).exists()

    def installed(self) -> bool:
        """Whether the unit is there as it is to be."""
        texts = ((UNIT, self._text()), (DROP_IN, self._drop_in()))
        return units.enabled(UNIT) and not any(files.differs(units.UNITS / name, text) for name, text in texts)

    def install(self) -> bool:
        """Code, unit and its link; one that runs other code is started again. True when anything was not so."""
        if self.installed():
            return False
        install_program()
        if units.write(UNIT, self._text()) | units.write(DROP_IN, self._drop_in()):
            units.reload_units()
        units.enable(UNIT)
        if units.active(UNIT):
            units.restart(UNIT)
        return True

    def start(self) -> None:
        """Start it; ``apply`` waits until it answers."""
        self.install()
        units.start(UNIT)

    def remove(self) -> bool:
        """Stop it and take its unit away; False when there was none."""
        if not self.there():
            return False
        units.stop(UNIT)
        units.disable(UNIT)
        units.remove(UNIT)
        units.remove(DROP_IN)
        units.reload_units()
        return True

    def log(self) -> str:
        """Its last lines."""
        return units.journal(UNIT)

    @staticmethod
    def _drop_in() -> str:
        return _DROP_IN_TEXT.format(script=library.FOLDER / "udp", etc=forward_store.ETC)

    @staticmethod
    def _text() -> str:
        code = hashlib.sha256("".join(_source(one) for one in _MODULES).encode()).hexdigest()[:12]
        return UNIT_TEXT.format(code=code, script=library.FOLDER / "udp", etc=forward_store.ETC, run=haproxy.RUN)


def _source(module: Any) -> str:
    return str(module.__loader__.get_source(module.__name__) or "")


SERVICE = Systemd()
