# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one kind of failure that kraf.edge raises on purpose."""

from __future__ import annotations

from typing import Any


class KrafError(Exception):
    """A failure that a person can act on.

    Its text reads ``what: value. why. fix``; the parts stay apart so that a caller can test or report them.

    Args:
        what: the thing that is wrong, a noun ("size of volume photos").
        value: the value as it was given; None when there is none to show. Never a secret.
        why: the reason, one sentence without its full stop.
        fix: what to do about it, one sentence without its full stop.
        facts: anything a program could want to know (conditions, events, names).
    """

    def __init__(self, what: str, value: object = None, why: str = "", fix: str = "", **facts: Any) -> None:
        self.what = what
        self.value = value
        self.why = why
        self.fix = fix
        self.facts = facts
        super().__init__(self._text())

    def _text(self) -> str:
        head = self.what if self.value is None else f"{self.what}: {self.value!r}"
        return ". ".join(part for part in (head, self.why, self.fix) if part) + "."

    def report(self) -> dict[str, Any]:
        """The parts as plain data, for a module's result."""
        value = self.value if self.value is None else str(self.value)
        return {"what": self.what, "value": value, "why": self.why, "fix": self.fix, "facts": self.facts}
