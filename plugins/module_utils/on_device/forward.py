# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Forwards: ports on the device that lead to an app or an export wherever that is.

The truth is one file per forward. Then comes the configuration that haproxy starts from, then the running haproxy: a
crash between any two of them is put right by the next call, and a restart changes nothing.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import functools
import os
import re
import time
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import KrafError
from . import files, haproxy, redirect, udp, units
from . import forward_store as store
from .forward_store import (
    DEVICE,
    EDGE,
    HELD,
    TARGETS,
    TCP,
    UDP,
    Forward,
    load,
    load_all,
    members,
    remove,
)
from .run import run

UNIT = "kraf-forward.service"
RELOAD_LIMIT = 20.0
HOLD_LIMIT = 120.0
"""Seconds to wait for other apps' holds to end before haproxy may be reloaded."""

__all__ = [
    "DEVICE",
    "EDGE",
    "HELD",
    "TARGETS",
    "TCP",
    "UDP",
    "Drained",
    "Forward",
    "complete",
    "load",
    "load_all",
    "members",
    "remove",
    "save",
]

UNIT_TEXT = """\
[Unit]
Description=kraf.edge: forwards to apps and exports
After=network.target nftables.service
Before=docker.service

[Service]
Type=notify
# Clients wait for it: on a weak device it comes before the plays and the checks that run beside it.
CPUWeight=1000
Nice=-10
RuntimeDirectory=kraf
RuntimeDirectoryPreserve=yes
ExecStartPre=/bin/cp {etc}/haproxy.cfg {run}/haproxy.loaded
ExecStart=/usr/sbin/haproxy -Ws -f {etc}/haproxy.cfg -p {run}/haproxy.pid -S {run}/master.sock
# Once it listens: clients of a port that an app has open already would be turned away meanwhile.
ExecStartPost=/usr/sbin/nft -f {etc}/forward.nft
ExecReload=/bin/cp {etc}/haproxy.cfg {run}/haproxy.loaded
ExecReload=/bin/kill -USR2 $MAINPID
ExecStopPost=-/usr/sbin/nft delete table inet kraf_forward
KillMode=mixed
Restart=always
RestartSec=1
LimitNOFILE=32768

[Install]
WantedBy=multi-user.target
"""


@dataclass(frozen=True)
class Drained:
    """What became of the connections that were open: ended by themselves, or cut at the limit."""

    ended: int
    cut: int
    seconds: float


def complete(forward: Forward) -> Forward:
    """The forward with its own ports (``forward_store.complete``), which it can have.

    With one port that it cannot have haproxy would not start any more, for none of the forwards.

    Raises:
        KrafError: when another forward, or a program, has its port.
    """
    chosen = store.complete(forward)
    loaded = (files.read(haproxy.RUN / "haproxy.loaded") or "") if haproxy.servers() is not None else ""
    if chosen.protocol == UDP or re.search(rf"^ *bind \S*:{chosen.bound} ", loaded, re.MULTILINE):
        return chosen
    why = store.refusal(chosen)
    if why:
        what = f"forward {chosen.name}, port"
        fix = f"`ss -ltnp sport = :{chosen.bound}` on the device says who has it: stop that, or choose another port"
        raise KrafError(what, f"{chosen.address}:{chosen.bound}", f"nothing can listen there: {why}", fix)
    return chosen


def save(forward: Forward) -> bool:
    """Write a forward's file; True when it was not like that. ``apply_config`` makes it so.

    Raises:
        KrafError: when it cannot be, or its port is another's.
    """
    store.validate(forward)
    chosen = complete(forward)
    return files.save_json(store.path(chosen.name), chosen.as_json())


def apply_config(hold_limit: float = HOLD_LIMIT, own: str = "") -> bool:
    """Bring configuration, rules and the running haproxy to what the files say; True when anything differed.

    Only a forward that came, went or changed its addresses reloads haproxy; open connections stay. That has to wait
    for holds: clients that are held in a worker of before a reload can no longer be released.

    Args:
        hold_limit: seconds to wait for holds.
        own: name of a forward whose own hold is not waited for: who asks is about to end it.

    Raises:
        KrafError: when haproxy refuses the configuration, or a hold lasts longer than ``hold_limit`` seconds.
    """
    with _locked():
        forwards = load_all()
        config, rules = _config(forwards), redirect.render(forwards, haproxy.USER)
        changed = files.differs(store.ETC / "haproxy.cfg", config) or files.differs(store.ETC / "forward.nft", rules)
        states = haproxy.servers()
        loaded = files.read(haproxy.RUN / "haproxy.loaded") or ""
        reload = states is not None and haproxy.structure(loaded) != haproxy.structure(config)
        if reload or states is None:
            _check(config)
        if reload:
            _wait_for_holds(hold_limit, {one.name for one in members(own)})
            # A rule must not lead to a port that nobody listens on yet, or any more.
            there = udp.states()
            kept = [
                one for one in forwards if (one.name in there if one.protocol == UDP else f":{one.bound} " in loaded)
            ]
            redirect.apply(redirect.render(kept, haproxy.USER))
        before = files.read(store.ETC / "forward.nft") or ""
        changed |= udp.apply(forwards)
        files.write(store.ETC / "forward.nft", rules)
        files.write(store.ETC / "haproxy.cfg", config)
        if states is None:
            SERVICE.start()
            udp.forget(udp.changed(before, rules))
            return True
        changed |= SERVICE.install()
        if reload:
            SERVICE.reload()
            _wait_loaded(config)
        changed |= redirect.apply(rules)
        udp.forget(udp.changed(before, rules))
        pushed = [_push(forward) for forward in forwards]
        return any(pushed) or changed or reload


def settled(forwards: Sequence[Forward]) -> bool:
    """Whether files, rules and the running haproxy are as these forwards want them: what ``apply_config`` would not
    have to change if they were saved."""
    states = haproxy.servers()
    config, rules = _config(forwards), redirect.render(forwards, haproxy.USER)
    loaded = files.read(haproxy.RUN / "haproxy.loaded") or ""
    return (
        states is not None
        and SERVICE.installed()
        and not files.differs(store.ETC / "haproxy.cfg", config)
        and haproxy.structure(loaded) == haproxy.structure(config)
        and redirect.loaded(rules)
        and all(
            one.target == _running_target(states.get(one.name, {}))
            for one in forwards
            if one.device_address and one.protocol == TCP
        )
        and udp.as_wanted(forwards)
    )


def _running_target(states: Mapping[str, haproxy.Server]) -> str:
    usable = [target for target, server in _SERVERS.items() if server in states and states[server].usable]
    return usable[0] if len(usable) == 1 else ""


def loaded(name: str) -> bool:
    """Whether the running haproxy has a forward and its group, wherever they lead. Others' changes do not count: what
    they wait for must not keep this one from being released."""
    config, wanted = files.read(haproxy.RUN / "haproxy.loaded") or "", members(name)
    if {one.name for one in udp.ours(wanted)} - set(udp.states() if udp.ours(wanted) else ()):
        return False
    return (
        bool(wanted)
        and haproxy.servers() is not None
        and all(haproxy.structure(haproxy.section(one, _ipv6())) in haproxy.structure(config) for one in wanted)
    )


def set_target(name: str, target: str) -> None:
    """Lead a forward, and those of its group, elsewhere: files, configuration, then the running haproxy. No reload.

    Raises:
        KrafError: when there is no such forward, or one has no address for that target.
    """
    with _locked():
        found = members(name)
        if not found:
            raise KrafError("forward", name, "this device has none of this name", "Create it first")
        wanted = [dataclasses.replace(one, target=target) for one in found]
        for one in wanted:
            store.validate(one)
        for one in wanted:
            files.save_json(store.path(one.name), one.as_json())
        files.write(store.ETC / "haproxy.cfg", _config(load_all()))
        if haproxy.servers() is None:
            SERVICE.start()
        if udp.ours(wanted):
            udp.apply(load_all())
            if target == HELD:
                # A run that was cut off may have left flows that no rule has seen.
                udp.forget(udp.redirected(wanted))
        for one in wanted:
            _push(one)


def hold(name: str) -> None:
    """Let new clients of a forward and its group wait."""
    set_target(name, HELD)


def release(name: str, target: str) -> None:
    """Let the clients of a held forward and its group go on, to ``device`` or ``edge``."""
    set_target(name, target)


def drain(name: str, limit: float) -> Drained:
    """Wait until the connections to where the forward does not lead any more have ended; cut the rest at the limit.

    A client of a UDP port is done when nothing is on its way to or from it, as far as that can be known.

    Args:
        name: of the forward, whose group is meant, too.
        limit: seconds.
    """
    found = members(name)
    stale = {
        one.name: [server for target, server in _SERVERS.items() if target not in (one.target, HELD)]
        for one in found
        if one.protocol == TCP
    }
    datagrams = [one.name for one in udp.ours(found)]
    clients = udp.stale(datagrams) if datagrams else 0
    begin = time.monotonic()
    seen: set[tuple[int, str]] = set()
    while True:
        left = [session for one, servers in stale.items() for session in haproxy.sessions(one, servers)]
        seen.update(left)
        more = udp.stale(datagrams) if datagrams else 0
        if (not left and not more) or time.monotonic() - begin >= limit:
            break
        time.sleep(0.1)
    for worker, session in left:
        haproxy.shutdown(worker, session)
    cut = udp.cut(datagrams)
    ended = len(seen) - len(left) + clients - cut
    return Drained(ended, len(left) + cut, round(time.monotonic() - begin, 3))


def health(name: str) -> dict[str, bool]:
    """Which doors of a forward answer, by address."""
    found = load(name)
    states = (haproxy.servers() or {}).get(store.DOORS, {})
    doors = found.edge if found else ()
    return {one: one.replace(":", "_") in states and states[one.replace(":", "_")].up for one in doors}


_SERVERS = {DEVICE: "local", HELD: "hold", EDGE: "edge"}


def _push(forward: Forward) -> bool:
    """Set the servers of a running backend as the target wants them; the wanted one first, so that there always is
    one: with none, haproxy turns clients away."""
    if not forward.device_address or forward.protocol == UDP:
        return False
    states = (haproxy.servers() or {}).get(forward.name, {})
    changed = False
    for target in sorted(TARGETS, key=lambda one: one != forward.target):
        server, usable = _SERVERS[target], target == forward.target
        if server not in states:
            why = "the running haproxy does not know it"
            raise KrafError(f"forward {forward.name}", server, why, f"See journalctl -u {UNIT}")
        if states[server].usable != usable:
            haproxy.set_server(forward.name, server, "ready" if usable else "maint")
            changed = True
    return changed


def _check(config: str) -> None:
    candidate = store.ETC / "haproxy.cfg.new"
    files.write(candidate, config)
    result = run(["haproxy", "-c", "-q", "-f", str(candidate)], 30)
    if not result.ok:
        said = (result.stderr or result.stdout).strip()[-2000:]
        raise KrafError("configuration of haproxy", str(candidate), said or "haproxy refuses it", "See the file")
    files.remove(candidate)


def _wait_for_holds(limit: float, own: Container[str]) -> None:
    end = time.monotonic() + limit
    while True:
        held = [
            name
            for name, servers in (haproxy.servers() or {}).items()
            if servers.get("hold", haproxy.Server(False, False)).usable and name not in own
        ]
        if not held:
            return
        if time.monotonic() >= end:
            why = "clients wait there, and a reload of haproxy would strand them"
            raise KrafError("forward", ", ".join(held), why, "Let its migration end, then run again", held=held)
        time.sleep(0.2)


def _wait_loaded(config: str) -> None:
    names = {line.split()[1] for line in config.splitlines() if line.startswith("backend ")}
    names = {name for name in names if f"backend {name}\n" in config}
    end = time.monotonic() + RELOAD_LIMIT
    while time.monotonic() < end:
        states = haproxy.servers()
        if states is not None and set(states) == names:
            return
        time.sleep(0.05)
    why = f"the reload did not take effect within {RELOAD_LIMIT:g} s: {SERVICE.log()}"
    raise KrafError("haproxy on the device", UNIT, why, f"See journalctl -u {UNIT}")


class Systemd:
    """How haproxy is started and reloaded: as a unit."""

    def installed(self) -> bool:
        """Whether the unit is there as it is to be."""
        return not files.differs(units.UNITS / UNIT, self._text()) and units.enabled(UNIT)

    def install(self) -> bool:
        """Write and enable the unit; True when it was not so. One that runs keeps running as it was started."""
        changed = units.write(UNIT, self._text())
        if changed:
            units.reload_units()
        return units.enable(UNIT) or changed

    def start(self) -> None:
        """Start what is installed; wait until it answers."""
        self.install()
        units.start(UNIT)

    @staticmethod
    def _text() -> str:
        return UNIT_TEXT.format(etc=store.ETC, run=haproxy.RUN)

    def reload(self) -> None:
        """Let haproxy read its configuration again; connections stay."""
        units.reload(UNIT)

    def log(self) -> str:
        """Its last lines."""
        return units.journal(UNIT)


SERVICE = Systemd()


def _config(forwards: Sequence[Forward]) -> str:
    return haproxy.render(forwards, _ipv6(), _aes())


def _ipv6() -> bool:
    try:
        return Path("/proc/sys/net/ipv6/conf/all/disable_ipv6").read_text().strip() == "0"
    except OSError:
        return False


@functools.cache
def _aes() -> bool:
    """Whether the processor has instructions for AES. The kernel takes its time to tell, and clients may be held."""
    # "flags" of x86, "Features" of ARM; older Raspberry Pis have no such instructions.
    return bool(re.search(r"^(flags|Features)\s*:.*\baes\b", Path("/proc/cpuinfo").read_text(), re.MULTILINE))


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    files.make_directory(store.ETC)
    descriptor = os.open(store.ETC / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
