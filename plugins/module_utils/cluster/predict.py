# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check mode where the namespace or the kind itself is not there yet: the server's own dry run says "not found"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .client import Cluster
from .converge import Change, converge
from .errors import ClusterError


def converge_or_predict(cluster: Cluster, wanted: Sequence[Mapping[str, Any]], check_mode: bool) -> Change:
    """As ``converge``; in check mode an object for which there is no place yet counts as made."""
    if not check_mode:
        return converge(cluster, wanted, check_mode)
    change = Change()
    for obj in wanted:
        try:
            change.add(converge(cluster, [obj], check_mode))
        except ClusterError as error:
            if error.facts.get("status") != 404:
                raise
            change.note(None, dict(obj))
    return change
