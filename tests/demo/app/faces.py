# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An app as a device runs them: finds faces in photographs over HTTP and keeps what it found in SQLite.

``GET /health`` answers ``ok``; ``POST /detect?name=NAME`` takes an image and answers with the faces in it, as
``{"name": str, "faces": [[x, y, width, height], ...]}`` in pixels, after the row is on the disk; ``GET /results`` gives
all rows.
The data directory is DATA_DIR (default /data), the port PORT (default 8000).
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import cv2
import numpy

CASCADE = "/usr/share/opencv4/haarcascades/haarcascade_frontalface_default.xml"
LARGEST_BODY = 32 * 2**20


class Faces:
    """The detector and its table of results."""

    def __init__(self, database: Path) -> None:
        self.cascade = cv2.CascadeClassifier(CASCADE)
        self.lock = threading.Lock()
        self.db = sqlite3.connect(database, check_same_thread=False, isolation_level=None)
        self.db.execute("PRAGMA synchronous = FULL")
        self.db.execute(
            "CREATE TABLE IF NOT EXISTS result (id INTEGER PRIMARY KEY, name TEXT NOT NULL, faces TEXT NOT NULL)"
        )

    def detect(self, name: str, image: bytes) -> dict[str, object]:
        """Find faces and store them; raises ValueError for bytes that are no image."""
        gray = cv2.imdecode(numpy.frombuffer(image, numpy.uint8), cv2.IMREAD_GRAYSCALE) if image else None
        if gray is None:
            raise ValueError("not an image that OpenCV reads")
        with self.lock:
            found = self.cascade.detectMultiScale(gray, scaleFactor=1.1, minNeighbors=6)
            faces = sorted([int(value) for value in box] for box in found)
            self.db.execute("INSERT INTO result (name, faces) VALUES (?, ?)", (name, json.dumps(faces)))
        return {"name": name, "faces": faces}

    def results(self) -> list[dict[str, object]]:
        """All rows, oldest first."""
        with self.lock:
            rows = self.db.execute("SELECT name, faces FROM result ORDER BY id").fetchall()
        return [{"name": name, "faces": json.loads(faces)} for name, faces in rows]


class Handler(BaseHTTPRequestHandler):
    """HTTP in front of Faces."""

    protocol_version = "HTTP/1.1"
    faces: Faces

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/health":
            self.answer(200, b"ok\n", "text/plain")
        elif path == "/results":
            self.answer(200, json.dumps(self.faces.results()).encode())
        else:
            self.answer(404, b'{"error": "no such path"}')

    def do_POST(self) -> None:
        url = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        if url.path != "/detect" or length > LARGEST_BODY:
            self.close_connection = True
            self.answer(
                404 if url.path != "/detect" else 413, b'{"error": "POST an image of at most 32 MiB to /detect"}'
            )
            return
        body = self.rfile.read(length)
        try:
            found = self.faces.detect(parse_qs(url.query).get("name", ["unnamed"])[0], body)
        except ValueError as error:
            self.answer(400, json.dumps({"error": str(error)}).encode())
        else:
            self.answer(200, json.dumps(found).encode())

    def answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """No line per request: clients poll a hundred times a second."""


class Server(ThreadingHTTPServer):
    """Accepts a burst of clients that waited while the app moved."""

    request_queue_size = 4096
    daemon_threads = True


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    data = Path(os.environ.get("DATA_DIR", "/data"))
    Handler.faces = Faces(data / "faces.sqlite")
    Server(("", int(os.environ.get("PORT", "8000"))), Handler).serve_forever()


if __name__ == "__main__":
    main()
