# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A line of a password file as image registries read it."""

from __future__ import annotations

from typing import Any, Callable

from ansible.errors import AnsibleFilterError

from ..module_utils.core.errors import KrafError
from ..module_utils.core.imports import require

LONGEST = 72
"""Bytes of a password that bcrypt looks at."""


def htpasswd(password: str, username: str, rounds: int = 8) -> str:
    """``username`` and the bcrypt hash of ``password``.

    Args:
        password: at most 72 bytes.
        username: without a colon.
        rounds: logarithm of the cost. Each request to an image registry pays it; a generated password of 40
            characters needs no more than the default.

    Raises:
        AnsibleFilterError: when such a line cannot be.
    """
    if not username or ":" in username or "\n" in username:
        raise AnsibleFilterError(f"htpasswd: the user name {username!r} must be a text without colon and line end")
    if not 0 < len(password.encode()) <= LONGEST:
        raise AnsibleFilterError(f"htpasswd: the password must have 1 to {LONGEST} bytes")
    try:
        bcrypt = require("bcrypt")
    except KrafError as error:
        raise AnsibleFilterError(str(error)) from error
    return f"{username}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds)).decode()}"


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"htpasswd": htpasswd}
