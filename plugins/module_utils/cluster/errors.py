# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can go wrong between us and the API server, each as an error that says what to do."""

from __future__ import annotations

from typing import Any

from ..core.errors import KrafError


class ClusterError(KrafError):
    """Something about the cluster or its API server."""


class Conflict(ClusterError):
    """The object changed since it was read (409): read again, decide again."""


class AlreadyExists(ClusterError):
    """The object that was to be created exists (409)."""


class Forbidden(ClusterError):
    """The credentials are known and do not suffice (403), or a quota is used up."""


class Invalid(ClusterError):
    """The API server refuses the object's content (400, 422)."""


class WaitTimeout(ClusterError):
    """The limit of a wait passed; facts carry ``conditions``, ``events`` and ``logs``."""


class Expired(ClusterError):
    """The resourceVersion of a watch is gone (410): list again."""


def of_status(server: str, method: str, path: str, code: int, status: dict[str, Any]) -> ClusterError:
    """The error for a response that is no success.

    Args:
        server: URL of the API server.
        method: HTTP method of the request.
        path: path of the request, without its query.
        code: HTTP status.
        status: the body, a ``Status`` object where the API server wrote it.
    """
    message = str(status.get("message") or "the server gave no reason").rstrip(".")
    reason = str(status.get("reason") or "")
    facts: dict[str, Any] = {"server": server, "status": code, "request": f"{method} {path}", "reason": reason}
    details = status.get("details") or {}
    name = " ".join(str(part) for part in (details.get("kind"), details.get("name")) if part) or path
    if code == 401:
        fix = "Check token, client certificate or password, and whether they have expired"
        return ClusterError(
            "log-in at the API server", server, "it does not know these credentials (401)", fix, **facts
        )
    if code == 403:
        fix = "Grant this right, or raise the quota if the reason speaks of one"
        return Forbidden(f"{method} {name}", None, f"the API server {server} refuses it: {message}", fix, **facts)
    if code == 409 and reason == "AlreadyExists":
        return AlreadyExists(f"{method} {name}", None, message, "Read the existing object first", **facts)
    if code == 409:
        return Conflict(f"{method} {name}", None, message, "Someone else wrote meanwhile: run it again", **facts)
    if code == 410:
        return Expired(f"{method} {name}", None, message, "Run it again", **facts)
    if code in (400, 422):
        causes = details.get("causes") or []
        fields = [f"{cause.get('field')}: {cause.get('message')}" for cause in causes if isinstance(cause, dict)]
        facts["fields"] = [str(cause.get("field")) for cause in causes if isinstance(cause, dict)]
        why = f"the API server refuses the field {'; '.join(fields)}" if fields else message
        return Invalid(f"{method} {name}", None, why, "Correct the value", **facts)
    why = f"the API server {server} answered {code}: {message}"
    return ClusterError(f"{method} {name}", None, why, "Look at the API server's log if it happens again", **facts)
