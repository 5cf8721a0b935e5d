# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the actions on apps have in common: apps of the catalog, one client, calls to the device, a row for each app."""

from __future__ import annotations

import getpass
import hashlib
import os
import secrets
import socket
from collections.abc import Mapping
from typing import Any, Callable, ClassVar

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.kraf.edge.plugins.module_utils.catalog.database import open_catalog
from ansible_collections.kraf.edge.plugins.module_utils.catalog.options import CATALOG_ARGS
from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import App, Device
from ansible_collections.kraf.edge.plugins.module_utils.cluster.client import Cluster, connect
from ansible_collections.kraf.edge.plugins.module_utils.cluster.options import CLUSTER_ARGS
from ansible_collections.kraf.edge.plugins.module_utils.core import sizes
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.placement.job import Job, Limits, Site, site
from ansible_collections.kraf.edge.plugins.module_utils.placement.walk import Walk

ARGUMENTS: dict[str, dict[str, Any]] = {
    **CLUSTER_ARGS,
    **CATALOG_ARGS,
    "apps": {"type": "list", "elements": "str", "required": True},
    "volume_size": {"type": "str", "default": "2Gi"},
    "storage_class": {"type": "str"},
    "lock_timeout": {"type": "float", "default": 60.0},
    "wait_timeout": {"type": "float", "default": 180.0},
    "hold_timeout": {"type": "float", "default": 60.0},
    "copy_timeout": {"type": "float", "default": 3600.0},
    "accept": {"type": "list", "elements": "str", "default": []},
}
MODULE = "kraf.edge.app_handover"
ALIVE = "-o ServerAliveInterval=15 -o ServerAliveCountMax=8"
"""A device that goes away without a word ends a call after two minutes, as long as its dead-man's timer takes; left to
itself ssh waits for two hours. A network that is away for a minute ends none: TCP tries again at growing intervals."""
Say = Callable[[str], None]
display = Display()


class AppsAction(ActionBase):  # type: ignore[misc]
    """An action on apps of one device. A class of it says which walk each app takes."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False
    _supports_diff = False
    arguments: ClassVar[Mapping[str, Mapping[str, Any]]] = ARGUMENTS

    def walk(self, job: Job, say: Say, options: Mapping[str, Any]) -> Walk:
        """The walk of one app."""
        raise NotImplementedError

    def prepare(self, options: Mapping[str, Any], apps: list[App], known: dict[str, Any]) -> None:
        """Look, before the first app, whether all may begin."""

    def cluster(self, options: Mapping[str, Any]) -> Cluster:
        """The cluster, which has to be the device's."""
        return connect(options)

    def site(self, cluster: Cluster) -> Site:
        """What the cluster says of itself."""
        return site(cluster)

    def told(self, row: Mapping[str, Any], options: Mapping[str, Any]) -> str:
        """What to say of an app with which nothing was to do."""
        return f"it is there already: {row['owner']} owns it, epoch {row['epoch']}"

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """The apps, one after the other."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        known = task_vars or {}
        _validation, options = self.validate_argument_spec(self.arguments)
        rows: list[dict[str, Any]] = []
        failures: list[KrafError] = []
        keep_alive(self._connection)
        try:
            host = str(known["inventory_hostname"])
            device, apps = self._declared(host, options)
            self.prepare(options, apps, known)
            cluster = self.cluster({**options, "cluster_uid": options.get("cluster_uid") or device.cluster_uid})
            for app in apps:
                try:
                    rows.append(self._act(cluster, app, device, options, known))
                except KrafError as error:
                    failures.append(error)
                    rows.append({"app": app.key, "changed": False, "failed": True, "msg": str(error)})
        except KrafError as error:
            failures.append(error)
        result.update(changed=any(row["changed"] for row in rows), apps=rows)
        if failures:
            result.update(failed=True, msg=" ".join(map(str, failures)), error=failures[0].report())
        return result

    def _declared(self, host: str, options: Mapping[str, Any]) -> tuple[Device, list[App]]:
        """The device and its apps as the catalog has them."""
        wanted = [_own(host, name) for name in dict.fromkeys(options["apps"])]
        with open_catalog(options.get("catalog") or "") as catalog:
            device = catalog.device(host)
            if device is None:
                fix = "Run the playbook kraf.edge.device for it"
                raise KrafError("device", host, "the catalog has none of this name", fix)
            if device.in_maintenance():
                fix = "End the maintenance first (module device)"
                raise KrafError("device", host, f"it is in maintenance: {device.reason}", fix)
            apps = []
            for name in wanted:
                app = catalog.app(host, name)
                if app is None:
                    there = ", ".join(sorted(one.name for one in catalog.apps(host))) or "none"
                    fix = "Register it (module app), or correct the name"
                    raise KrafError("app", f"{host}/{name}", f"the catalog has {there} for this device", fix)
                if app.vram:
                    raise KrafError(f"vram of app {app.key}", app.vram, "GPUs are not supported yet", "Leave it out")
                apps.append(app)
        return device, apps

    def _act(
        self, cluster: Cluster, app: App, device: Device, options: Mapping[str, Any], known: dict[str, Any]
    ) -> dict[str, Any]:
        calls = 0

        def call(step: str, **given: Any) -> dict[str, Any]:
            nonlocal calls
            calls += 1
            arguments = {"step": step, **{key: value for key, value in given.items() if value is not None}}
            return self.on_device(arguments, known)

        def say(text: str) -> None:
            display.display(f"[{app.key}] {text}")

        requests, waits = cluster.requests, cluster.waits
        accept = tuple(one.strip() for one in options["accept"])
        to = options.get("to") or "edge"
        job = Job(cluster, app, device, to, _holder(), self.site(cluster), limits(options), call, accept=accept)
        row = self.walk(job, say, options).run(bool(self._task.check_mode))
        row.update(requests=cluster.requests - requests, waits=cluster.waits - waits, device_calls=calls)
        if not row["changed"]:
            say(self.told(row, options))
        return row

    def on_device(self, arguments: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
        """One call of the module on the device."""
        found: dict[str, Any] = self._execute_module(module_name=MODULE, module_args=arguments, task_vars=known)
        if found.get("unreachable"):
            raise AnsibleConnectionFailure(str(found.get("msg")))
        if found.get("failed"):
            error = found.get("error") or {}
            if error:
                raise KrafError(error["what"], error["value"], error["why"], error["fix"], **error["facts"])
            said = str(found.get("module_stderr") or "").strip()[-1000:]
            raise KrafError(f"step {arguments['step']} on the device", None, f"{found.get('msg')} {said}".strip())
        return found


def ssh_arguments(connection: Any) -> list[str]:
    """What ssh is told by the operator, the last for ssh alone; nothing of another kind of connection."""
    if getattr(connection, "transport", "") != "ssh":
        return []
    return [str(connection.get_option(one) or "") for one in ("ssh_args", "ssh_common_args", "ssh_extra_args")]


def keep_alive(connection: Any) -> None:
    """Have ssh ask whether the device is there while a call goes on, unless the operator has said how it is to.

    Connections whose path the operator chose (``control_path``, ``ControlPath``) keep it: a call that goes by one that
    another task has opened asks as that task told it to.
    """
    given = ssh_arguments(connection)
    if given and not any("ServerAlive" in one for one in given):
        connection.set_option("ssh_extra_args", f"{given[-1]} {ALIVE}".strip())
        # One that another task has opened, and that is shared for a while, does not ask.
        if not connection.get_option("control_path"):
            peer = "-".join(["kraf", *(str(connection.get_option(one)) for one in ("host", "port", "remote_user"))])
            # As long as Ansible's own: the path of a socket has 107 bytes at most (unix(7)), and ssh needs 17 of them.
            name = hashlib.sha256(peer.encode()).hexdigest()[:10]
            connection.set_option("control_path", f"%(directory)s/{name}")


def _own(host: str, name: str) -> str:
    """The app's own name; an app of another device is refused."""
    device, slash, app = name.strip().rpartition("/")
    if slash and device != host:
        fix = "Run the task on the app's own device"
        raise KrafError("app", name, f"it is an app of {device}, and this is {host}", fix)
    return app


def limits(options: Mapping[str, Any]) -> Limits:
    """How long each part may take, and how large a new volume is."""
    named = {
        "drain": "drain_seconds",
        "deadman": "deadman_seconds",
        "pause": "pause_seconds",
        "keep": "keep_seconds",
        "job": "job_timeout",
        "kill": "job_kill",
    }
    more = {name: options[option] for name, option in named.items() if option in options}
    return Limits(
        lock=options["lock_timeout"],
        wait=options["wait_timeout"],
        hold=options["hold_timeout"],
        copy=options["copy_timeout"],
        volume_bytes=sizes.parse(options["volume_size"], "volume_size"),
        storage_class=options.get("storage_class") or "",
        **more,
    )


def _holder() -> str:
    """This run, as others are told of it."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}, process {os.getppid()} ({secrets.token_hex(3)})"
