# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The release of this collection, for code that leaves it; galaxy.yml, which modules cannot read, says the same."""

from __future__ import annotations

RELEASE = "0.1.0"


def order(release: str) -> tuple[tuple[int, ...], bool]:
    """What releases are compared by: 0.2.0-rc.1 comes before 0.2.0 (https://semver.org); none at all comes first."""
    numbers, _dash, before = release.strip().partition("-")
    return tuple(int(one) for one in numbers.split(".") if one.isdecimal()), not before
