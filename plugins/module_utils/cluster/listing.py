# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The body of the modules that list what the cluster holds of one kind (``volume_info`` and its like)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from ..core import module as frame
from ..core.query import search
from .client import Cluster, connect
from .options import CLUSTER_ARGS

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

Rows = Callable[[Cluster, str, str], list[dict[str, Any]]]


def run(kind: str, name: str, rows: Rows) -> None:
    """Run as a module.

    Args:
        kind: key of the result that holds the rows.
        name: option that names one of the kind; the other one is ``device``. An empty one selects all.
        rows: reads the rows; takes the cluster, the device and the name.
    """

    def body(module: AnsibleModule) -> dict[str, Any]:
        cluster = connect(module.params)
        found = rows(cluster, module.params["device"] or "", module.params[name] or "")
        result = {"changed": False, kind: found, "cluster": cluster.identity(), "requests": cluster.requests}
        if module.params["query"]:
            result["selected"] = search(module.params["query"], found)
        return result

    frame.run({**CLUSTER_ARGS, "device": {"type": "str"}, name: {"type": "str"}, "query": {"type": "str"}}, body)
