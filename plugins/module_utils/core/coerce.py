# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Values as AWX surveys, ``-e`` and YAML deliver them, turned once into what they mean.

A survey has no boolean and no list: it sends ``"false"``, ``""``, null, or one text with commas or line ends.
"""

from __future__ import annotations

import re
from typing import Any

from .errors import KrafError

_TRUE = frozenset({"yes", "true", "on", "y", "t", "1"})
_FALSE = frozenset({"no", "false", "off", "n", "f", "0"})
_SEPARATOR = re.compile(r"[,\r\n]")
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")


def as_list(value: Any, what: str = "list") -> list[Any]:
    """A list of a list, of a text with commas or line ends, or of nothing (null, empty text).

    Blanks around an element and empty elements are dropped.

    Raises:
        KrafError: for a mapping, which is no list of names.
    """
    if value is None:
        return []
    if isinstance(value, str):
        value = _SEPARATOR.split(value)
    elif isinstance(value, dict):
        # Not echoed: a mapping in the place of names may well carry secrets as its values.
        raise KrafError(what, None, "a list is wanted, not a mapping", "Write one element a line, each after '- '")
    elif not isinstance(value, (list, tuple, set, frozenset)):
        value = [value]
    trimmed = [element.strip() if isinstance(element, str) else element for element in value]
    return [element for element in trimmed if element is not None and element != ""]


def as_bool(value: Any, default: bool | None = None, what: str = "boolean") -> bool:
    """A boolean of a boolean, a number 0 or 1, or one of the words Ansible takes (yes, no, true, false, on, off).

    Args:
        value: what was given.
        default: the meaning of null and of an empty text; without it both are refused.
        what: the thing that is on or off, for the message.

    Raises:
        KrafError: for anything else.
    """
    if isinstance(value, bool):
        return value
    text = "" if value is None else str(value).strip().lower()
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if not text and default is not None:
        return default
    raise KrafError(what, value, "it is neither true nor false", "Write true or false")


def printable(value: Any, limit: int = 200) -> str:
    """Text of a foreign source for a terminal, a table or a host variable.

    Escape sequences and control characters are dropped, line ends and tabs become blanks, and what is longer than
    ``limit`` characters is cut and marked.
    """
    text = str(value)
    if len(text) <= limit and text.isprintable():
        return text
    # Cut first, with room for what is dropped: a hostile text may have a gigabyte.
    text = _ESCAPE.sub("", text[: 4 * limit])
    text = "".join(" " if char in "\t\r\n" else char for char in text if char in "\t\r\n" or char.isprintable())
    return text if len(text) <= limit else text[: limit - 1] + "…"
