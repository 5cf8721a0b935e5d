# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A systemd service as the device describes it (module app_handover, step look), and strategies for any other."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import App, Data, Port
from ansible_collections.kraf.edge.plugins.module_utils.on_device.service import CAPABILITIES, DIRECTORIES

FOLDER = "/var/lib/faces"
APP = App(
    "pi1",
    "faces",
    unit="faces.service",
    images={"amd64": "registry.example/faces:1"},
    ports=(Port(8000, 8000),),
    data=(Data("results", FOLDER),),
)
CANARY = "canary-3b1f"


def state(path: str) -> dict[str, Any]:
    return {"path": path, "folder": path, "exists": True, "bytes": 10, "mount_point": False, "free_bytes": 2**30}


def plain(**changes: Any) -> dict[str, Any]:
    """What of ``unit`` a plain service has."""
    return {
        "type": "simple",
        "enabled": "enabled",
        "restart": "always",
        "group": "",
        "dynamic_user": False,
        "directories": {"state": [FOLDER]},
        "triggered_by": [],
        "needs": [],
        "wants": [],
        "needed_by": [],
        "commands": {},
        "environment_files": [],
        "unreadable": [],
        "passed": [],
        "starts": 1,
        "expands": False,
        "argv0": "",
        "read_write_paths": [],
        "protect_system": "no",
        "private_tmp": False,
        "ambient": [],
        "bounding": list(CAPABILITIES),
        "conditions": [],
        "listens": [{"address": "0.0.0.0", "port": 8000, "protocol": "tcp"}],
        "kept_down": False,
        "masked": False,
        "drop_ins": [],
        "transient": False,
        "default_dependencies": True,
        **changes,
    }


def unit(of_unit: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """A plain one: a port, a state directory, a user, started at boot."""
    return {
        "name": "faces.service",
        "id": "unit:faces.service",
        "architecture": "",
        "image_digests": [],
        "running": True,
        "argv": ["/usr/bin/python3", "/opt/faces.py"],
        "env": {"TOKEN": CANARY, "STATE_DIRECTORY": FOLDER},
        "identity": {"user": 999, "group": 998, "groups": [44], "unknown": []},
        "settings": {},
        "user": "faces",
        "groups": [],
        "working_dir": "",
        "tmpfs": [],
        "restart_policy": "enabled",
        "read_only": False,
        "security_options": [],
        "memory_bytes": 0,
        "cpus": 0.0,
        "pids": 0,
        "stop_signal": "15",
        "stop_timeout": 90,
        "data": {"results": state(FOLDER)},
        "full": [],
        "unit": plain(**(of_unit or {})),
        **changes,
    }


word = st.from_regex(r"[A-Za-z0-9_.-]{1,12}", fullmatch=True)
text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
part = st.from_regex(r"[A-Za-z0-9 _.:,äß-]{1,8}", fullmatch=True).filter(lambda one: one.strip(". ") != "")
path = st.lists(part, min_size=1, max_size=3).map(lambda parts: "/" + "/".join(parts))
service_name = word.map(lambda one: f"{one}.service")
listen = st.fixed_dictionaries(
    {
        "address": st.sampled_from(["0.0.0.0", "::", "127.0.0.1", "::1", "192.0.2.7"]),
        "port": st.sampled_from([80, 8000, 8001, 65535]),
        "protocol": st.sampled_from(["tcp", "udp"]),
    }
)
few = {"max_size": 2}
_OF_UNIT: dict[str, st.SearchStrategy[Any]] = {
    "type": st.sampled_from(["simple", "exec", "notify", "forking", "oneshot", "dbus", "idle", "strange"]),
    "enabled": st.sampled_from(["enabled", "disabled", "static", "generated", "transient", "strange", ""]),
    "restart": st.sampled_from(["no", "always", "on-failure", "on-watchdog"]),
    "dynamic_user": st.booleans(),
    "directories": st.dictionaries(st.sampled_from(sorted(DIRECTORIES)), st.lists(path, min_size=1, max_size=2)),
    "triggered_by": st.lists(word.map(lambda one: f"{one}.socket") | word.map(lambda one: f"{one}.timer"), **few),
    "needs": st.lists(service_name, **few),
    "wants": st.lists(service_name, **few),
    "needed_by": st.lists(service_name, **few),
    "commands": st.dictionaries(
        st.sampled_from(["ExecCondition", "ExecStartPre", "ExecStartPost", "ExecReload", "ExecStop", "ExecStopPost"]),
        st.just(1),
        **few,
    ),
    "unreadable": st.lists(path, **few),
    "passed": st.lists(word, **few),
    "starts": st.sampled_from([0, 1, 1, 1, 2]),
    "expands": st.booleans(),
    "argv0": st.sampled_from(["", "faces"]),
    "read_write_paths": st.lists(path, **few),
    "protect_system": st.sampled_from(["no", "yes", "full", "strict"]),
    "private_tmp": st.booleans(),
    "ambient": st.lists(st.sampled_from(CAPABILITIES), unique=True, **few),
    "bounding": st.lists(st.sampled_from(CAPABILITIES), unique=True),
    "conditions": st.lists(text, **few),
    "listens": st.lists(listen, max_size=3),
    "masked": st.booleans(),
    "transient": st.booleans(),
    "default_dependencies": st.booleans(),
}
_SETTINGS = [
    *(
        "LimitNOFILE",
        "SystemCallFilter",
        "PrivateNetwork",
        "DeviceAllow",
        "BindPaths",
        "LoadCredential",
        "UMask",
        "Nice",
    ),
    *("RootImage", "ProtectHome", "MadeUp", "OnFailure", "RefuseManualStop", "WatchdogUSec", "StateDirectoryMode"),
]


@st.composite
def units(draw: st.DrawFn) -> dict[str, Any]:
    """A service with a few properties that are not plain."""
    of_unit = draw(st.fixed_dictionaries({}, optional=_OF_UNIT))
    protect = of_unit.get("protect_system", "no")
    number = st.none() | st.sampled_from([0, 1, 999, 2**31 - 1, 2**32 - 2])
    identity = st.fixed_dictionaries(
        {
            "user": number,
            "group": number,
            "groups": st.lists(st.integers(0, 70000), **few),
            "unknown": st.lists(word, **few),
        }
    )
    strange: dict[str, st.SearchStrategy[Any]] = {
        "running": st.booleans(),
        "argv": st.lists(text, min_size=1, max_size=4),
        "env": st.dictionaries(word | text, st.just(CANARY), **few),
        "identity": identity,
        "settings": st.dictionaries(st.sampled_from(_SETTINGS), text, max_size=4),
        "working_dir": st.just("") | path,
        "tmpfs": st.lists(st.fixed_dictionaries({"path": path, "bytes": st.just(0), "options": st.just([])}), **few),
        "security_options": st.sampled_from([[], ["no-new-privileges"]]),
        "memory_bytes": st.sampled_from([0, 4096, 200 << 20]),
        "cpus": st.sampled_from([0.0, 0.0001, 0.5, 64.0]),
        "pids": st.sampled_from([0, 5]),
        "stop_signal": st.sampled_from(["15", "2"]),
        "stop_timeout": st.sampled_from([-1, 1, 90]),
        "full": st.lists(path, **few),
    }
    found = unit(of_unit, **draw(st.fixed_dictionaries({}, optional=strange)))
    return {**found, "read_only": protect == "strict"}
