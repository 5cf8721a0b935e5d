# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Queries on what an ``_info`` module found, in JMESPath (https://jmespath.org)."""

from __future__ import annotations

from typing import Any

from . import imports
from .errors import KrafError


def search(expression: str, rows: list[dict[str, Any]]) -> Any:
    """What a JMESPath expression selects from rows.

    Raises:
        KrafError: for an expression that JMESPath does not take, with the place.
    """
    jmespath = imports.require("jmespath")
    try:
        return jmespath.search(expression, rows)
    except jmespath.exceptions.JMESPathError as error:
        fix = "See jmespath.org for the syntax, for example [?architecture=='arm64'].name"
        raise KrafError("query", expression, " ".join(str(error).split()), fix) from error
