# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An app that knows nothing itself: it asks another by the name in ``BACKEND``, and answers what that one says."""

from __future__ import annotations

import os
import signal
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """HTTP in front of the other's HTTP."""

    protocol_version = "HTTP/1.1"

    def ask(self) -> None:
        wanted = urllib.request.Request(os.environ["BACKEND"] + self.path, method=self.command)
        try:
            with urllib.request.urlopen(wanted, timeout=10) as answer:
                status, body = answer.status, answer.read()
        except OSError as error:
            status, body = 503, f"{error}\n".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = ask

    def log_message(self, *_given: object) -> None:
        """No line per request."""


class Server(ThreadingHTTPServer):
    """Accepts clients that waited while the app moved."""

    request_queue_size = 1024
    daemon_threads = True


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_given: sys.exit(0))
    Server(("", int(os.environ["PORT"])), Handler).serve_forever()
