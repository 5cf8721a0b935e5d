# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The frame of every module: options in, one result or one failure out."""

from __future__ import annotations

from typing import Any, Callable

from ansible.module_utils.basic import AnsibleModule

from .errors import KrafError


def run(
    argument_spec: dict[str, Any],
    body: Callable[[AnsibleModule], dict[str, Any]],
    supports_check_mode: bool = True,
    **frame: Any,
) -> None:
    """Run ``body`` as a module.

    Args:
        argument_spec: the module's options.
        body: returns the module's result, ``changed`` among it, or raises KrafError.
        supports_check_mode: False only where nothing can be predicted.
        frame: what else AnsibleModule takes (required_if, mutually_exclusive, ...).
    """
    module = AnsibleModule(argument_spec=argument_spec, supports_check_mode=supports_check_mode, **frame)
    try:
        result = body(module)
    except KrafError as error:
        module.fail_json(msg=str(error), error=error.report())
    module.exit_json(**result)
