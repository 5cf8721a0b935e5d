# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Moves apps of a device to the cluster and back. Its options are documented in the module of the same name."""

from __future__ import annotations

import getpass
import os
import secrets
import socket
from collections.abc import Mapping
from typing import Any

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
from ansible_collections.kraf.edge.plugins.module_utils.placement.job import Job, Limits, site
from ansible_collections.kraf.edge.plugins.module_utils.placement.walk import Walk

ARGUMENTS: dict[str, dict[str, Any]] = {
    **CLUSTER_ARGS,
    **CATALOG_ARGS,
    "apps": {"type": "list", "elements": "str", "required": True},
    "to": {"type": "str", "required": True, "choices": ["edge", "device"]},
    "volume_size": {"type": "str", "default": "2Gi"},
    "storage_class": {"type": "str"},
    "lock_timeout": {"type": "float", "default": 60.0},
    "wait_timeout": {"type": "float", "default": 180.0},
    "hold_timeout": {"type": "float", "default": 60.0},
    "copy_timeout": {"type": "float", "default": 3600.0},
    "drain_seconds": {"type": "float", "default": 1.0},
    "deadman_seconds": {"type": "int", "default": 120},
    "job_timeout": {"type": "float", "default": 3600.0},
    "job_kill": {"type": "bool", "default": False},
    "accept": {"type": "list", "elements": "str", "default": []},
}
MODULE = "kraf.edge.app_handover"
display = Display()


class ActionModule(ActionBase):  # type: ignore[misc]
    """The action of C(kraf.edge.migrate)."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False
    _supports_diff = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Move the apps, one after the other."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        known = task_vars or {}
        _validation, options = self.validate_argument_spec(ARGUMENTS)
        rows: list[dict[str, Any]] = []
        failures: list[KrafError] = []
        try:
            host = str(known["inventory_hostname"])
            device, apps = self._declared(host, options)
            cluster = connect({**options, "cluster_uid": options.get("cluster_uid") or device.cluster_uid})
            limits = _limits(options)
            accept = tuple(one.strip() for one in options["accept"])
            for app in apps:
                try:
                    rows.append(self._move(cluster, app, device, options["to"], limits, accept, known))
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

    def _move(
        self,
        cluster: Cluster,
        app: App,
        device: Device,
        to: str,
        limits: Limits,
        accept: tuple[str, ...],
        known: dict[str, Any],
    ) -> dict[str, Any]:
        calls = 0

        def call(step: str, **options: Any) -> dict[str, Any]:
            nonlocal calls
            calls += 1
            arguments = {"step": step, **{key: value for key, value in options.items() if value is not None}}
            return self._on_device(arguments, known)

        def say(text: str) -> None:
            display.display(f"[{app.key}] {text}")

        before = cluster.requests
        job = Job(cluster, app, device, to, _holder(), site(cluster), limits, call, accept=accept)
        row = Walk(job, say).run(bool(self._task.check_mode))
        row.update(requests=cluster.requests - before, device_calls=calls)
        if not row["changed"]:
            say(f"it is there already: {to} owns it, epoch {row['epoch']}")
        return row

    def _on_device(self, arguments: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
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


def _own(host: str, name: str) -> str:
    """The app's own name; an app of another device is refused."""
    device, slash, app = name.strip().rpartition("/")
    if slash and device != host:
        fix = "Run the task on the app's own device"
        raise KrafError("app", name, f"it is an app of {device}, and this is {host}", fix)
    return app


def _limits(options: Mapping[str, Any]) -> Limits:
    return Limits(
        lock=options["lock_timeout"],
        wait=options["wait_timeout"],
        hold=options["hold_timeout"],
        copy=options["copy_timeout"],
        drain=options["drain_seconds"],
        deadman=options["deadman_seconds"],
        volume_bytes=sizes.parse(options["volume_size"], "volume_size"),
        storage_class=options.get("storage_class") or "",
        job=options["job_timeout"],
        kill=options["job_kill"],
    )


def _holder() -> str:
    """This run, as others are told of it."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}, process {os.getppid()} ({secrets.token_hex(3)})"
