# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keeps the edge ready to take over apps of a device. Its options are documented in the module of the same name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from ansible_collections.kraf.edge.plugins.module_utils.placement.job import Job
from ansible_collections.kraf.edge.plugins.module_utils.placement.records import KEEP_SECONDS
from ansible_collections.kraf.edge.plugins.module_utils.placement.standby import Abandon, Standby
from ansible_collections.kraf.edge.plugins.module_utils.placement.walk import Walk
from ansible_collections.kraf.edge.plugins.plugin_utils.apps import ARGUMENTS, AppsAction, Say


class ActionModule(AppsAction):
    """The action of C(kraf.edge.standby)."""

    arguments: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        **ARGUMENTS,
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "pause_seconds": {"type": "float", "default": 10.0},
        "keep_seconds": {"type": "float", "default": KEEP_SECONDS},
    }

    def walk(self, job: Job, say: Say, options: Mapping[str, Any]) -> Walk:
        """Prepared, or abandoned."""
        return Standby(job, say) if options["state"] == "present" else Abandon(job, say)

    def told(self, row: Mapping[str, Any], options: Mapping[str, Any]) -> str:
        """Nothing was to do."""
        if options["state"] == "absent":
            return "nothing is prepared for it"
        return f"{row['owner']} owns it, epoch {row['epoch']}: there is nothing to prepare"
