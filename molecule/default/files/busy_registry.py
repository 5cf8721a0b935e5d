"""An image registry with one image, kraf/busy:1, that refuses it with 429 at first: `busy_registry.py PORT`."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import io
import json
import platform
import sys
import tarfile

# Docker asks twice, by HEAD and by GET, before it gives up.
REFUSALS = 4


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def image() -> tuple[bytes, dict[str, bytes]]:
    """Manifest and blobs of an image with one small file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo("busy")
        member.size = 5
        tar.addfile(member, io.BytesIO(b"busy\n"))
    layer = gzip.compress(buffer.getvalue(), mtime=0)
    content = {
        "architecture": {"aarch64": "arm64"}.get(platform.machine(), "amd64"),
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [digest(buffer.getvalue())]},
        "history": [{"created_by": "test"}],
    }
    config = json.dumps(content).encode()
    kind = "application/vnd.docker."
    manifest = {
        "schemaVersion": 2,
        "mediaType": kind + "distribution.manifest.v2+json",
        "config": {
            "mediaType": kind + "container.image.v1+json",
            "size": len(config),
            "digest": digest(config),
        },
        "layers": [
            {"mediaType": kind + "image.rootfs.diff.tar.gzip", "size": len(layer), "digest": digest(layer)},
        ],
    }
    return json.dumps(manifest).encode(), {digest(config): config, digest(layer): layer}


MANIFEST, BLOBS = image()


class Registry(http.server.BaseHTTPRequestHandler):
    """What Docker asks of a registry when it pulls. https://distribution.github.io/distribution/spec/api/"""

    protocol_version = "HTTP/1.1"
    refused = 0

    def do_GET(self) -> None:
        if self.path == "/v2/":
            return self.answer(200, b"{}", "application/json")
        if "/manifests/" in self.path:
            if Registry.refused < REFUSALS:
                Registry.refused += 1
                body = {"errors": [{"code": "TOOMANYREQUESTS", "message": "pull rate limit reached"}]}
                return self.answer(429, json.dumps(body).encode(), "application/json", {"Retry-After": "1"})
            kind = json.loads(MANIFEST)["mediaType"]
            return self.answer(200, MANIFEST, kind, {"Docker-Content-Digest": digest(MANIFEST)})
        blob = BLOBS.get(self.path.rpartition("/")[2])
        if blob is None:
            return self.answer(404, b"{}", "application/json")
        return self.answer(200, blob, "application/octet-stream")

    do_HEAD = do_GET

    def answer(self, status: int, body: bytes, kind: str, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for key, value in {"Content-Type": kind, "Content-Length": str(len(body)), **(more or {})}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, form: str, *args: object) -> None:
        sys.stderr.write(form % args + "\n")


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Registry).serve_forever()
