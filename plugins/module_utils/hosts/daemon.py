# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Docker Engine's daemon.json: read strictly, merged, and judged for what a change costs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ..core.errors import KrafError

PATH = "/etc/docker/daemon.json"

# What the daemon takes over on SIGHUP (dockerd's manual, "Miscellaneous options"); anything else needs a restart.
RELOADABLE = frozenset(
    {
        "authorization-plugins",
        "debug",
        "default-runtime",
        "features",
        "insecure-registries",
        "labels",
        "live-restore",
        "max-concurrent-downloads",
        "max-concurrent-uploads",
        "max-download-attempts",
        "registry-mirrors",
        "runtimes",
        "shutdown-timeout",
    }
)


def parse(text: str, path: str) -> dict[str, Any]:
    """The settings in the file's text; none for an empty file.

    Raises:
        KrafError: with line and column, when it is no JSON object.
    """
    if not text.strip():
        return {}
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        why = f"line {error.lineno}, column {error.colno}: {error.msg}; Docker takes JSON without comments"
        raise KrafError(f"file {path}", None, why, "Correct it by hand; nothing was changed") from error
    if not isinstance(found, dict):
        raise KrafError(f"file {path}", type(found).__name__, "Docker wants a JSON object", "Correct it by hand")
    return found


def fault(text: str, path: str) -> str:
    """What is wrong with the file's text; empty when it is sound."""
    try:
        parse(text, path)
    except KrafError as error:
        return error.why
    return ""


def merge(current: Mapping[str, Any], wanted: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """``current`` with everything that is wanted, and with those defaults of which it says nothing.

    Keys that are neither wanted nor defaults stay as they are. Lists are joined, mappings merged; an item
    ``name=value`` of a list replaces the item with the same name. The log driver's options are a default only together
    with that driver.
    """
    merged = dict(current)
    for key, value in defaults.items():
        if key == "log-opts" and merged.get("log-driver", "json-file") != defaults.get("log-driver", "json-file"):
            continue
        merged.setdefault(key, value)
    for key, value in wanted.items():
        merged[key] = _combined(merged.get(key), value)
    return merged


def _combined(old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: _combined(old.get(key), value) for key, value in new.items()}}
    if isinstance(old, list) and isinstance(new, list):
        names = {str(item).partition("=")[0] for item in new if "=" in str(item)}
        kept = [item for item in old if item not in new and str(item).partition("=")[0] not in names]
        return kept + new
    return new


def changed_keys(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Names of the settings that differ."""
    return sorted(key for key in {*before, *after} if before.get(key) != after.get(key))


def action(keys: Iterable[str]) -> str:
    """What the daemon needs so that these settings count: ``none``, ``reload`` or ``restart``."""
    names = set(keys)
    if not names:
        return "none"
    return "reload" if names <= RELOADABLE else "restart"


def cgroup_driver(config: Mapping[str, Any]) -> str:
    """The cgroup driver that the settings ask for; empty when they leave it to the daemon."""
    for option in config.get("exec-opts", []):
        name, _equals, value = str(option).partition("=")
        if name == "native.cgroupdriver":
            return value
    return ""
