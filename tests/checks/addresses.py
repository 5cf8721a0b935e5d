"""No package registry is named in this repository: packages come from where the machine's own settings point."""

from __future__ import annotations

import re
from pathlib import Path

from . import files

# In two halves, so that this file does not name them either.
HOSTS = (
    ("deb.debian", "org"),
    ("files.pythonhosted", "org"),
    ("galaxy.ansible", "com"),
    ("proxy.golang", "org"),
    ("pypi", "org"),
    ("registry.npmjs", "org"),
    ("security.debian", "org"),
    ("snapshot.debian", "org"),
    ("sum.golang", "org"),
)
PATTERN = re.compile("|".join(re.escape(f"{name}.{domain}") for name, domain in HOSTS))


def complaints(root: Path) -> list[str]:
    found = []
    for path in files.known_to_git(root):
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(lines, start=1):
            for match in PATTERN.finditer(line):
                found.append(f"{path.relative_to(root)}:{number}: names the registry {match.group()}")
    return found
