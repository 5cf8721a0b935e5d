# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of EnvironmentFile= in systemd.exec(5): read as systemd reads them (its parse_env_file_internal)."""

from __future__ import annotations

import glob
import re
from pathlib import Path

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z", re.ASCII)
_BLANK = " \t\r"
_ESCAPED = '"\\`$'


def read(pattern: str) -> dict[str, str]:
    """Variables of a file, or of all files that a pattern with ``*`` names.

    Raises:
        FileNotFoundError: when there is none.
        OSError: when one cannot be read.
        ValueError: when one is no text.
    """
    paths = sorted(glob.glob(pattern)) if re.search(r"[*?\[]", pattern) else [pattern]
    if not paths:
        raise FileNotFoundError(pattern)
    return {name: value for path in paths for name, value in parse(Path(path).read_text("utf-8")).items()}


def parse(text: str) -> dict[str, str]:
    """Variables of a file's text; of twins the last counts, and what is no assignment is passed over."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        if text[at] in f"{_BLANK}\n":
            at += 1
        elif text[at] in "#;":
            at = _comment(text, at)
        else:
            at = _assignment(text, at, found)
    return found


def _comment(text: str, at: int) -> int:
    """The line's end; a backslash before it takes the next line in."""
    while at < len(text) and text[at] != "\n":
        at += 2 if text[at] == "\\" else 1
    return at


def _assignment(text: str, at: int, found: dict[str, str]) -> int:
    end = at
    while end < len(text) and text[end] not in "=\n":
        end += 1
    name = text[at:end].strip(_BLANK)
    if end == len(text) or text[end] == "\n":
        return end
    value, end = _value(text, end + 1)
    if _NAME.match(name):
        found[name] = value
    return end


def _value(text: str, at: int) -> tuple[str, int]:
    """A value and where it ends: parts in quotes and without, blanks around it left out."""
    while at < len(text) and text[at] in _BLANK:
        at += 1
    parts: list[str] = []
    kept = 0
    while at < len(text) and text[at] != "\n":
        char = text[at]
        if char == "'" or char == '"':
            part, at = _quoted(text, at + 1, char)
            parts.append(part)
            kept = len(parts)
        elif char == "\\":
            if at + 1 < len(text) and text[at + 1] != "\n":
                parts.append(text[at + 1])
                kept = len(parts)
            at += 2
        else:
            parts.append(char)
            at += 1
            if char not in _BLANK:
                kept = len(parts)
    return "".join(parts[:kept]), at


def _quoted(text: str, at: int, quote: str) -> tuple[str, int]:
    parts = []
    while at < len(text) and text[at] != quote:
        if quote == '"' and text[at] == "\\" and at + 1 < len(text):
            following = text[at + 1]
            if following in _ESCAPED:
                parts.append(following)
            elif following != "\n":
                parts.append("\\" + following)
            at += 2
        else:
            parts.append(text[at])
            at += 1
    return "".join(parts), at + 1
