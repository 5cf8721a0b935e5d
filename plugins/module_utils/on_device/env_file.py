# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of EnvironmentFile= (systemd.exec(5)), read as systemd 252 reads them: it was asked about random texts."""

from __future__ import annotations

import glob
import re
from pathlib import Path

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z", re.ASCII)
_ENDS = "\n\r"
_BLANK = " \t\n\r"
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
    return {name: value for path in paths for name, value in parse(Path(path).read_bytes().decode()).items()}


def parse(text: str) -> dict[str, str]:
    """Variables of a file's text; of twins the last counts, and what is no assignment is passed over."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        if text[at] in _BLANK:
            at += 1
        elif text[at] in "#;":
            at = _comment(text, at)
        else:
            at = _assignment(text, at, found)
    return found


def _comment(text: str, at: int) -> int:
    """Its end; a backslash at the end of a line takes the next one in."""
    while at < len(text) and text[at] not in _ENDS:
        at += 2 if text[at] == "\\" else 1
    return at


def _assignment(text: str, at: int, found: dict[str, str]) -> int:
    # A name that begins with '=' is none, but a line of its own all the same.
    end = at + 1
    while end < len(text) and text[end] not in f"={_ENDS}":
        end += 1
    if end == len(text) or text[end] != "=":
        return end
    name = text[at:end].strip(_BLANK)
    value, end = _value(text, end + 1)
    if _NAME.match(name):
        found[name] = value
    return end


def _value(text: str, at: int) -> tuple[str, int]:
    """A value and where it ends. Only at its begin, or after other quotes, a quote is one; later it is a letter."""
    parts: list[str] = []
    while at < len(text) and text[at] not in _ENDS:
        char = text[at]
        if char in "'\"":
            part, at = _single(text, at + 1) if char == "'" else _double(text, at + 1)
            parts.append(part)
        elif char in _BLANK:
            at += 1
        else:
            part, at = _plain(text, at)
            parts.append(part)
            break
    return "".join(parts), at


def _plain(text: str, at: int) -> tuple[str, int]:
    """The rest of a line without the blanks at its end, but for one after a backslash."""
    parts: list[str] = []
    kept = 0
    while at < len(text) and text[at] not in _ENDS:
        if text[at] == "\\":
            following = text[at + 1 : at + 2]
            parts.append("" if following in _ENDS else following)
            kept = len(parts)
            at += 2
            continue
        parts.append(text[at])
        kept = kept if text[at] in _BLANK else len(parts)
        at += 1
    return "".join(parts[:kept]), at


def _single(text: str, at: int) -> tuple[str, int]:
    end = text.find("'", at)
    end = len(text) if end < 0 else end
    return text[at:end], end + 1


def _double(text: str, at: int) -> tuple[str, int]:
    parts = []
    while at < len(text) and text[at] != '"':
        if text[at] == "\\":
            following = text[at + 1 : at + 2]
            parts.append(following if following in _ESCAPED else "" if following == "\n" else f"\\{following}")
            at += 2
        else:
            parts.append(text[at])
            at += 1
    return "".join(parts), at + 1
