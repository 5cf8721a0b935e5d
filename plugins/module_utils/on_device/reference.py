# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an image is called, and who may have it."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Reference:
    """The name of an image, taken apart as Docker does it."""

    registry: str
    repository: str
    tag: str

    @classmethod
    def of(cls, name: str) -> Reference:
        """Take a name apart; the registry is empty when it names none."""
        first, _unused, rest = name.partition("/")
        registry, path = (first, rest) if rest and (set(first) & set(".:") or first == "localhost") else ("", name)
        repository, _unused, tag = path.partition(":")
        return cls(registry, repository, tag or "latest")

    @property
    def untagged(self) -> str:
        """The name without its tag."""
        return f"{self.registry}/{self.repository}" if self.registry else self.repository

    @property
    def full(self) -> str:
        """The whole name."""
        return f"{self.untagged}:{self.tag}"


@dataclass(frozen=True)
class Login:
    """Credentials for image registries."""

    username: str = ""
    password: str = ""

    def headers(self) -> dict[str, str]:
        """What Docker wants to see with a request."""
        words = json.dumps({"username": self.username, "password": self.password})
        return {"X-Registry-Auth": base64.urlsafe_b64encode(words.encode()).decode()}
