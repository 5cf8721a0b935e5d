# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""haproxy on the device: its configuration as text, and what its sockets say.

How a hold works: while an app moves, its backend's only usable server is ``hold``, a closed port. haproxy accepts
clients as ever and tries again every 500 ms until another server becomes usable, for hours (20000 times). Two ways
that look better abort haproxy 2.6.12: ``set maxconn frontend 0``, and many more retries or a Unix socket as server,
where a connect that fails at once is tried again at once until the watchdog ends the process.
https://www.haproxy.com/documentation/haproxy-configuration-manual/2-6r1/

How it ends: who has waited longest goes first. The server that becomes usable takes few connections at once and then
more and more (``slowstart``); the rest wait in haproxy's queue, which is ordered by when they came. All at once would
share a weak device's time, so that nobody has an answer before nearly everybody has one.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import KrafError
from ..core.names import DOOR_DOMAIN
from .forward_store import DEVICE, DOORS, EDGE, HELD, TARGETS, UDP, Forward

CLOSED_PORT = "127.0.0.1:9"
TLS = Path("/etc/kraf/tls")
RUN = Path("/run/kraf")
USER = "haproxy"


_SUITES = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")

_HEAD = """\
# Written by kraf.edge from the files in forwards/; changes made here are lost.
global
    log stdout format raw daemon notice
    stats socket {run}/haproxy.sock mode 600 level admin expose-fd listeners
    user {user}
    group {user}
    maxconn 8000
    nbthread 1
    # Four times the usual: a quarter less of the device's time for a disk's data, and at most 64 KiB for a client.
    tune.bufsize 65536
    hard-stop-after 12h
    ssl-default-server-options ssl-min-ver TLSv1.2
    ssl-default-server-ciphersuites {suites}

defaults
    mode tcp
    log global
    maxconn 4000
    option redispatch 1
    option abortonclose
    option clitcpka
    option srvtcpka
    timeout client 24h
    timeout server 24h
    timeout client-fin 30s
    timeout server-fin 30s
    timeout queue 1h
"""

_DOORS = """
backend {doors}
    timeout connect 5s
    timeout check 5s
"""

# The order of the queue: quarters of a second, which begin anew after 17 minutes.
_AGE = "date(0,ms),div(250),mod(4095),sub(2047)"
_QUEUED = "maxconn 4000 slowstart 60s"

# A refused connection is tried again every 500 ms ("timeout connect"), for as long as the client waits; oftener would
# take a weak device with hundreds of held clients the time that the move itself needs. The check ends that for an app
# that stays away for 12 s. The TLS of the way to the edge has a backend of its own, behind the relay, since a weak
# device needs longer than that for many handshakes at once.
_APP = """
frontend in-{name}
{binds}
    tcp-request content set-priority-class {age}
    default_backend {name}
backend {name}
    timeout connect 500ms
    timeout check 2s
    retries 20000
    server local {local} check inter 2s fall 6 rise 1 downinter 500ms {queued}{on_device}
    server hold {closed}{on_held}
    server edge 127.0.0.1:{relay} {queued}{on_edge}
frontend out-{name}
    bind 127.0.0.1:{relay} backlog 4096
    default_backend {name}-edge
"""

# A flow of datagrams is a connection of udp_forwarder to the relay.
_UDP = """
frontend out-{name}
    bind 127.0.0.1:{relay} backlog 4096
    default_backend {name}-edge
"""

# The checks choose between doors, they turn nobody away: a device that is too busy for its own checks would otherwise
# close every connection. With no door left that passes them, all are tried.
_EDGE = """\
backend {name}{suffix}
    timeout connect 5s
    retries 20
    option allbackups
"""


def render(forwards: Sequence[Forward], ipv6: bool = False, aes: bool = True) -> str:
    """The whole configuration. A server that its target does not use is written ``disabled``, so that haproxy starts
    in the state in which it was stopped.

    Args:
        forwards: all of the device.
        ipv6: whether the device has it.
        aes: whether its processor has instructions for AES; without them ChaCha20 is several times as fast.
    """
    suites = _SUITES if aes else _SUITES[::-1]
    text = _HEAD.format(run=RUN, user=USER, suites=":".join(suites))
    doors = sorted({address for forward in forwards for address in forward.edge})
    if doors:
        text += _DOORS.format(doors=DOORS)
        check = f"{_tls('check.' + DOOR_DOMAIN)} check check-ssl check-sni check.{DOOR_DOMAIN}"
        for address in doors:
            text += (
                # A check may take as long as its interval: a weak device under load needs seconds for a handshake.
                f"    server {_server(address)} {address} {check} inter 5s fastinter 3s downinter 2s fall 3 rise 1\n"
            )
    for forward in sorted(forwards, key=lambda one: one.name):
        text += section(forward, ipv6)
    return text


def section(forward: Forward, ipv6: bool) -> str:
    """A forward's part of the configuration; of one of UDP, its streams' way to the edge."""
    if forward.protocol == UDP:
        return _UDP.format(name=forward.name, relay=forward.relay) + _edge_backend(forward, "-edge")
    binds = f"    bind {forward.address}:{forward.bound} backlog 4096"
    if forward.address == "*":
        binds = f"    bind {':::' if ipv6 else '0.0.0.0:'}{forward.bound}{' v4v6' if ipv6 else ''} backlog 4096"
    if not forward.device_address:
        text = f"\nfrontend in-{forward.name}\n{binds}\n    default_backend {forward.name}\n"
        return text + _edge_backend(forward, "")
    off = {target: "" if forward.target == target else " disabled" for target in TARGETS}
    text = _APP.format(
        name=forward.name,
        binds=binds,
        local=forward.device_address,
        closed=CLOSED_PORT,
        relay=forward.relay,
        on_device=off[DEVICE],
        on_held=off[HELD],
        on_edge=off[EDGE],
        age=_AGE,
        queued=_QUEUED,
    )
    return text + _edge_backend(forward, "-edge")


def _edge_backend(forward: Forward, suffix: str) -> str:
    text = _EDGE.format(name=forward.name, suffix=suffix)
    for address in forward.edge:
        options = f"{_tls(forward.sni)} track {DOORS}/{_server(address)} tcp-ut 30s on-marked-down shutdown-sessions"
        text += f"    server {_server(address)} {address} {options}\n"
    for address in forward.edge:
        text += f"    server any_{_server(address)} {address} {_tls(forward.sni)} tcp-ut 30s backup\n"
    return text


def _tls(sni: str) -> str:
    files = f"crt {TLS}/device.pem ca-file {TLS}/ca.crt"
    return f"ssl {files} verify required verifyhost {DOOR_DOMAIN} sni str({short_name(sni)})"


def short_name(sni: str) -> str:
    """The form of a door's name that haproxy can verify: PORT-SERVICE, under the one wildcard of its certificate.

    haproxy checks a server's certificate against the SNI, not against ``verifyhost``, whenever there is an SNI.
    """
    parts = sni.removesuffix(f".{DOOR_DOMAIN}").split(".")
    return f"{parts[0]}-{parts[1]}.{DOOR_DOMAIN}" if len(parts) == 3 else sni


def _server(address: str) -> str:
    return address.replace(":", "_")


def structure(config: str) -> str:
    """What of a configuration only a reload can change: all but the state of its servers."""
    return config.replace(" disabled\n", "\n")


def command(text: str, path: Path | None = None, timeout: float = 10.0) -> str:
    """One command to a socket of haproxy; its answer.

    Args:
        text: the command.
        path: the socket: of the present worker if None, or of the master (``@!PID command`` reaches any worker).
        timeout: seconds for the whole exchange.

    Raises:
        OSError: when nothing listens there.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        connection.connect(str(path or RUN / "haproxy.sock"))
        connection.sendall(text.encode() + b"\n")
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while True:
            part = connection.recv(65536)
            if not part:
                return answer.decode(errors="replace").strip()
            answer += part


@dataclass(frozen=True)
class Server:
    """State of one server of a backend."""

    up: bool
    usable: bool


def servers() -> dict[str, dict[str, Server]] | None:
    """Servers of every backend as the running haproxy sees them; None when none runs.

    Fields: https://docs.haproxy.org/2.6/management.html#9.3 ("show servers state").
    """
    try:
        answer = command("show servers state")
    except OSError:
        return None
    found: dict[str, dict[str, Server]] = {}
    for line in answer.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 8 or fields[0].startswith("#"):
            continue
        backend, name, operation, admin = fields[1], fields[3], int(fields[5]), int(fields[6])
        # Forced maintenance is bit 1, forced drain bit 8: both take no new connection.
        found.setdefault(backend, {})[name] = Server(up=operation == 2, usable=not admin & 0b1001)
    return found


def set_server(backend: str, server: str, state: str) -> None:
    """Put a server into ``ready``, ``drain`` or ``maint``.

    Raises:
        KrafError: when haproxy refuses.
    """
    said = command(f"set server {backend}/{server} state {state}")
    if said:
        raise KrafError("haproxy on the device", f"{backend}/{server} {state}", said)


def workers() -> list[int]:
    """Process ids of all workers; those of before a reload live on until their connections end."""
    pids = []
    for line in command("show proc", RUN / "master.sock").splitlines():
        fields = line.split()
        if len(fields) > 1 and fields[1] == "worker" and fields[0].isdigit():
            pids.append(int(fields[0]))
    return pids


def sessions(backend: str, server_names: Sequence[str]) -> list[tuple[int, str]]:
    """Connections of a backend to one of these servers, as (worker, id), in every worker."""
    wanted = re.compile(rf"(0x[0-9a-f]+): .* be={re.escape(backend)} srv=(\S+) ")
    found = []
    for worker in workers():
        for line in command(f"@!{worker} show sess", RUN / "master.sock").splitlines():
            match = wanted.match(line)
            if match and match.group(2) in server_names:
                found.append((worker, match.group(1)))
    return found


def shutdown(worker: int, session: str) -> None:
    """Cut one connection."""
    command(f"@!{worker} shutdown session {session}", RUN / "master.sock")
