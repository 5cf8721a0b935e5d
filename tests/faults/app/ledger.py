# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An app that forgets nothing it has answered: ``POST /NUMBER`` appends a line to a log and answers once it is on the
disk; ``GET /log`` gives the log, whose lines are ``NUMBER INSTANCE``; ``GET /health`` answers ``ok``. It listens on two
ports.

An instance is one start of the app: when two of them run at once, their lines alternate.
"""

from __future__ import annotations

import os
import secrets
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LOG = Path(os.environ.get("DATA_DIR", "/data")) / "log"
INSTANCE = secrets.token_hex(4)
LOCK = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    """HTTP in front of the log."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        with LOCK:
            self.answer(LOG.read_bytes() if self.path == "/log" and LOG.exists() else b"ok\n")

    def do_POST(self) -> None:
        number = int(self.path.strip("/"))
        with LOCK, LOG.open("a") as log:
            log.write(f"{number} {INSTANCE}\n")
            log.flush()
            os.fsync(log.fileno())
        self.answer(f"{number}\n".encode())

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_given: object) -> None:
        """No line per request."""


class Server(ThreadingHTTPServer):
    """Accepts clients that waited while the app moved."""

    request_queue_size = 1024
    daemon_threads = True


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_given: sys.exit(0))
    first = int(os.environ.get("PORT", "8000"))
    threading.Thread(target=Server(("", first + 1), Handler).serve_forever, daemon=True).start()
    Server(("", first), Handler).serve_forever()


if __name__ == "__main__":
    main()
