# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters that turn what a survey sends into what a playbook needs. Each is documented beside this file."""

from __future__ import annotations

from typing import Any, Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.kraf.edge.plugins.module_utils.core import coerce
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.placement import definition, summary
from ansible_collections.kraf.edge.plugins.plugin_utils import status


def as_list(value: Any) -> list[Any]:
    try:
        return coerce.as_list(value)
    except KrafError as error:
        raise AnsibleFilterError(f"kraf.edge.as_list: {error}") from error


def as_bool(value: Any, default: bool | None = None, what: str = "boolean") -> bool:
    try:
        return coerce.as_bool(value, default, what)
    except KrafError as error:
        raise AnsibleFilterError(f"kraf.edge.as_bool: {error}") from error


def printable(value: Any, limit: int = 200) -> str:
    return coerce.printable(value, limit)


def adopted(
    container: dict[str, Any], device: str, app: str = "", probe: str = "", images: Any = None
) -> dict[str, Any]:
    try:
        found = definition.adopt(container, device, app, probe, definition.images(images))
    except KrafError as error:
        raise AnsibleFilterError(str(error)) from error
    return {"app": found.options, "portability": found.report, "lines": found.lines()}


class FilterModule:
    """Ansible asks this class."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "adopted": adopted,
            "as_list": as_list,
            "as_bool": as_bool,
            "moves": summary.lines,
            "printable": printable,
            "status": status.lines,
        }
