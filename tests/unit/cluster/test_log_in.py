"""Log-in by user name and password, against a server that answers as OpenShift's OAuth server does."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.cluster.client import connect
from ansible_collections.kraf.edge.plugins.module_utils.cluster.errors import ClusterError

ACCOUNT = "Basic " + base64.b64encode(b"alice:secret").decode()


class OpenShift(BaseHTTPRequestHandler):
    """A token for the right account, and namespace kube-system for the right token."""

    def do_GET(self) -> None:
        base = f"http://{self.headers['Host']}"
        if self.path == "/.well-known/oauth-authorization-server":
            self.answer(200, {"authorization_endpoint": f"{base}/authorize", "token_endpoint": f"{base}/token"})
        elif self.path.startswith("/authorize") and self.headers["Authorization"] == ACCOUNT:
            self.answer(302, {}, Location=f"{base}/display?code=sha256~code&state=1")
        elif self.path == "/api/v1/namespaces/kube-system" and self.headers["Authorization"] == "Bearer sha256~token":
            self.answer(200, {"metadata": {"uid": "the-uid"}})
        else:
            self.answer(401, {"message": "Unauthorized"})

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        right = form.get("code") == ["sha256~code"]
        token = {"access_token": "sha256~token", "expires_in": 86400, "scope": "user:full", "token_type": "Bearer"}
        self.answer(200 if right else 400, token if right else {})

    def answer(self, status: int, body: dict[str, Any], **headers: str) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Type": "application/json", "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_parts: object) -> None:
        """Keeps the test's output to itself."""


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    # oauthlib refuses plain HTTP, which this server speaks.
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), OpenShift)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_user_name_and_password_become_a_token(host: str) -> None:
    assert connect({"host": host, "username": "alice", "password": "secret"}).uid() == "the-uid"


def test_a_wrong_password_is_refused_with_user_and_server_but_not_shown(host: str) -> None:
    with pytest.raises(ClusterError, match="no token for user 'alice'") as refusal:
        connect({"host": host, "username": "alice", "password": "canary"})
    assert host in str(refusal.value)
    assert "canary" not in str(refusal.value)
