# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a device asks at the edge of an app that has no port: a web server of the collection's in the app's own pod.

It is behind the pod's gate like the app, so an answer means that the edge owns the app. It stands before the app in the
pod, since containers are started in their order: it answers by the time that the app runs.
"""

from __future__ import annotations

from typing import Any

from ..catalog.records import SERVICE, App
from .relay import FIRST_PORT, unprivileged

CONTAINER = "presence"
PORT = FIRST_PORT
PATH = "/epoch"
_FOLDER = "/kraf/presence"
SERVE = f"""\
set -eu
mkdir -p {_FOLDER}/files
printf '%s\\n' "$1" >{_FOLDER}/files{PATH}
printf 'server.document-root = "{_FOLDER}/files"\\nserver.port = {PORT}\\n' >{_FOLDER}/conf
exec lighttpd -D -f {_FOLDER}/conf
"""


def needed(app: App) -> bool:
    """Whether there is nothing else to ask; jobs are never taken over, and who may run on both sides is not asked."""
    return app.kind == SERVICE and not app.ports and not app.overlap


def container(image: str, epoch: int) -> dict[str, Any]:
    """The sidecar.

    Args:
        image: the collection's own.
        epoch: of the workload, which it answers with.
    """
    return {
        "name": CONTAINER,
        "image": image,
        "command": ["sh", "-c", SERVE, CONTAINER, str(epoch)],
        "ports": [{"containerPort": PORT, "protocol": "TCP"}],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "200m", "memory": "64Mi"}},
        "securityContext": unprivileged(),
        "volumeMounts": [{"name": CONTAINER, "mountPath": _FOLDER}],
    }


def volume() -> dict[str, Any]:
    """Where it keeps what it serves."""
    return {"name": CONTAINER, "emptyDir": {"sizeLimit": "1Mi"}}
