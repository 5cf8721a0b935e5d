# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Moves apps of a device to the cluster and back. Its options are documented in the module of the same name."""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from typing import Any, ClassVar

from ansible.errors import AnsibleConnectionFailure

from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import App
from ansible_collections.kraf.edge.plugins.module_utils.cluster.client import Cluster
from ansible_collections.kraf.edge.plugins.module_utils.cluster.connection import transport
from ansible_collections.kraf.edge.plugins.module_utils.cluster.errors import ClusterError
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.placement.job import Job, Site
from ansible_collections.kraf.edge.plugins.module_utils.placement.lost import LostDevice, LostEdge
from ansible_collections.kraf.edge.plugins.module_utils.placement.walk import Walk
from ansible_collections.kraf.edge.plugins.plugin_utils.apps import ARGUMENTS, AppsAction, Say, ssh_arguments

REACH_LIMIT = 3.0
"""Seconds in which a device that is not lost takes a connection."""
LOST_LIMIT = 5
"""Seconds in which an API server that is not lost answers."""
_BY_ANOTHER = re.compile(r"ProxyJump|ProxyCommand|(^|\s)-J")


class ActionModule(AppsAction):
    """The action of C(kraf.edge.migrate)."""

    arguments: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        **ARGUMENTS,
        "to": {"type": "str", "required": True, "choices": ["edge", "device"]},
        "drain_seconds": {"type": "float", "default": 1.0},
        "deadman_seconds": {"type": "int", "default": 120},
        "job_timeout": {"type": "float", "default": 3600.0},
        "job_kill": {"type": "bool", "default": False},
        "device_lost": {"type": "str", "choices": ["", "accept"], "default": ""},
        "edge_lost": {"type": "str", "choices": ["", "accept"], "default": ""},
    }

    _nowhere = False

    def prepare(self, options: Mapping[str, Any], apps: list[App], known: dict[str, Any]) -> None:
        """A device that answers is not lost; whether the edge does is asked by the device."""
        if options["edge_lost"] and (options["to"] != "device" or options["device_lost"]):
            fix = "Leave it out, or move to the device"
            raise KrafError("edge_lost", options["edge_lost"], "an app cannot go to an edge that is lost", fix)
        if not options["device_lost"]:
            return
        if options["to"] != "edge":
            fix = "Leave it out, or move to the edge"
            raise KrafError("device_lost", options["device_lost"], "an app cannot go to a device that is lost", fix)
        if apps and self._answers(apps[0], known):
            why = "it answers: its apps may run there"
            fix = "Leave device_lost out, and they move as ever"
            raise KrafError("device", str(known["inventory_hostname"]), why, fix)

    def walk(self, job: Job, say: Say, options: Mapping[str, Any]) -> Walk:
        """As the protocol's table has it, with the device or without."""
        if options["edge_lost"]:
            return LostEdge(job, say)
        return LostDevice(job, say) if options["device_lost"] else Walk(job, say)

    def cluster(self, options: Mapping[str, Any]) -> Cluster:
        """The cluster; one that is lost need not answer."""
        if not options["edge_lost"]:
            return super().cluster(options)
        options = {**options, "request_timeout": min(options["request_timeout"], LOST_LIMIT)}
        try:
            return super().cluster(options)
        except ClusterError as error:
            if error.facts.get("status"):
                raise
            self._nowhere = True
            return Cluster(transport(options))

    def site(self, cluster: Cluster) -> Site:
        """What the cluster says of itself, if it answers."""
        return Site((), "", "", ()) if self._nowhere else super().site(cluster)

    def _answers(self, app: App, known: dict[str, Any]) -> bool:
        """Whether a call to the device comes through. The first look costs seconds only: ssh itself would wait for
        as long as its options say, over a connection that it has kept open for ever."""
        connection = self._connection
        words = ssh_arguments(connection)
        if words and not any(map(_BY_ANOTHER.search, words)):
            place = str(connection.get_option("host")), int(connection.get_option("port") or 22)
            try:
                socket.create_connection(place, REACH_LIMIT).close()
            except OSError:
                return False
        try:
            self.on_device({"step": "look", "app": app.name, "container": app.runs_as}, known)
        except AnsibleConnectionFailure:
            return False
        return True
