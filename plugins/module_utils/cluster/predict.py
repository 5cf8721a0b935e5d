# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check mode where even the namespace is not there yet: there the server's own dry run says "not found"."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .client import Cluster
from .converge import Change, converge
from .kinds import NAMESPACE


def converge_or_predict(cluster: Cluster, wanted: Sequence[Mapping[str, Any]], check_mode: bool) -> Change:
    """As ``converge``; in check mode an object of a namespace that does not exist counts as one that would be made."""
    if not check_mode:
        return converge(cluster, wanted, check_mode)
    change = Change()
    there: dict[str, bool] = {"": True}
    for obj in wanted:
        namespace = obj["metadata"].get("namespace", "")
        if namespace not in there:
            there[namespace] = cluster.get(NAMESPACE, namespace) is not None
        if there[namespace]:
            change.add(converge(cluster, [obj], check_mode))
        else:
            change.note(None, dict(obj))
    return change
