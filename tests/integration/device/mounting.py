"""A device that mounts: real davfs2 and our files, in namespaces of their own; systemd's part is played here."""

from __future__ import annotations

import base64
import configparser
import contextlib
import ctypes
import http.server
import os
import shlex
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.on_device import mounts, units
from ansible_collections.kraf.edge.plugins.module_utils.on_device.run import Result, run

from . import parts

CLONE_NEWNS = 0x00020000
OVERLAID = ("/etc", "/var/lib", "/usr/local", "/run")
PIDS = Path("/run/mount.davfs")
_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def private_files(folder: Path) -> Iterator[None]:
    """This thread, and what it starts, writes to a copy of the machine's folders, and mounts what nobody else sees.

    It must be the main thread, for /proc/self shows that one's mounts.
    """
    before = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY)
    place = os.getcwd()
    layers, srv = folder / "layers", folder / "srv"
    layers.mkdir()
    srv.mkdir()
    try:
        if _libc.unshare(CLONE_NEWNS):
            raise OSError(ctypes.get_errno(), "unshare")
        mount("--make-rprivate", "/")
        mount("-t", "tmpfs", "tmpfs", str(layers))
        for lower in OVERLAID:
            upper, work = (layers / lower.replace("/", "_") / name for name in ("upper", "work"))
            upper.mkdir(parents=True)
            work.mkdir()
            mount("-t", "overlay", "-o", f"lowerdir={lower},upperdir={upper},workdir={work}", "overlay", lower)
        # No overlay, which may lack the flag that makes a folder immutable.
        mount("--bind", str(srv), "/srv")
        yield
    finally:
        _libc.setns(before, CLONE_NEWNS)
        os.close(before)
        os.chdir(place)
        for point in sorted(srv.glob("**/")):
            mounts.immutable(point, False)


def mount(*argv: str) -> None:
    subprocess.run(["mount", *argv], check=True)


@dataclass
class Init:
    """What systemd does with the units of a mount, in its order: the guard, then the mount; and back."""

    guards: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    said: str = ""

    def systemctl(self, *arguments: str, timeout: float = 60.0) -> str:
        assert arguments == ("daemon-reload",), arguments
        return ""

    def start(self, *names: str, timeout: float = 60.0) -> None:
        for name in names:
            unit = _read(name)
            if not name.endswith(".mount") or mounts.mounted(unit["Mount"]["Where"]):
                continue
            guard, settings = _read(unit["Unit"]["Requires"])["Service"], unit["Mount"]
            before = run(shlex.split(guard["ExecStartPre"]), timeout)
            if before.ok:
                self.guards[name] = subprocess.Popen(shlex.split(guard["ExecStart"]), start_new_session=True)
                argv = ["mount", "-t", settings["Type"], "-o", settings["Options"], settings["What"], settings["Where"]]
                done = run(argv, timeout)
            else:
                done = before
            self.said = done.stdout + done.stderr
            if not done.ok:
                self._end(name, guard)
                why = (
                    f"systemctl start did not end within {timeout:g} s" if done.timed_out else "systemctl start failed"
                )
                raise KrafError("unit", name, f"{why}: {self.said}")

    def stop(self, *names: str, timeout: float = 60.0) -> Result:
        for name in names:
            if not name.endswith(".mount") or not (units.UNITS / name).exists():
                continue
            unit = _read(name)
            if mounts.mounted(unit["Mount"]["Where"]):
                done = run(["umount", unit["Mount"]["Where"]], timeout)
                if not done.ok:
                    return done
            self._end(name, _read(unit["Unit"]["Requires"])["Service"])
        return Result(("systemctl", "stop", *names), 0, "", "")

    def _end(self, name: str, guard: configparser.SectionProxy) -> None:
        watch = self.guards.pop(name, None)
        if watch:
            _kill(watch.pid)
            watch.wait()
        run(shlex.split(guard["ExecStopPost"]), 20)

    def journal(self, name: str, lines: int = 15) -> str:
        return self.said

    def power_off(self) -> None:
        """Nothing is asked to end, nothing is flushed."""
        for watch in self.guards.values():
            _kill(watch.pid)
            watch.wait()
        self.guards.clear()
        killed = daemons()
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        parts.until(lambda: not any(_name(pid) for pid in killed), what="the end of davfs2's daemons")


def _read(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string((units.UNITS / name).read_text())
    return parser


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def daemons() -> list[int]:
    """Process ids of davfs2's daemons of this device."""
    found = [int(path.read_text()) for path in PIDS.glob("*.pid")]
    return [pid for pid in found if _name(pid) == "mount.davfs"]


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except FileNotFoundError:
        return ""


ROOT = b"""<?xml version="1.0"?><D:multistatus xmlns:D="DAV:"><D:response><D:href>/</D:href><D:propstat><D:prop>
<D:resourcetype><D:collection/></D:resourcetype></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>
</D:response></D:multistatus>"""


@dataclass
class Stub:
    """A WebDAV server with one empty folder, which takes any password and remembers it."""

    port: int = 0
    seen: set[str] = field(default_factory=set)

    @contextlib.contextmanager
    def running(self) -> Iterator[Stub]:
        stub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                given = self.headers.get("Authorization", "")
                if not given:
                    return self.end(401, {"WWW-Authenticate": 'Basic realm="stub"'})
                stub.seen.add(base64.b64decode(given.split()[1]).decode(errors="replace"))
                if self.command == "OPTIONS":
                    return self.end(200, {"DAV": "1,2", "Allow": "OPTIONS, GET, PUT, PROPFIND"})
                if self.command == "PROPFIND" and self.path == "/":
                    return self.end(207, {"Content-Type": "application/xml"}, ROOT)
                return self.end(404, {})

            do_OPTIONS = do_PROPFIND = do_GET = do_HEAD = do_PUT = answer

            def end(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
                self.send_response(status)
                for key, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
