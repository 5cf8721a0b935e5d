# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is rendered of a systemd service, judged by a real API server; also of services that nobody would write."""

from __future__ import annotations

import base64
import dataclasses
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings

from ansible_collections.kraf.edge.plugins.module_utils.cluster.client import Cluster, connect
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.manifests import namespace, workload
from ansible_collections.kraf.edge.plugins.module_utils.manifests.workload import Workload
from ansible_collections.kraf.edge.plugins.module_utils.placement import portable_unit, verdicts
from ansible_collections.kraf.edge.plugins.module_utils.placement.verdicts import REFUSED
from tests.integration import pods
from tests.integration.apiserver import ApiServer
from tests.unit.placement.systemd_units import APP, CANARY, FOLDER, unit, units

UID = "6a0cbb2e-38a4-4a9f-9d2f-5a1f0f6c9d12"
DEVICE = "pi-units"
IMAGE = "registry.example:5000/pi/app@sha256:" + "0" * 64
EDGE = "registry.example:5000/kraf/edge:1"
NEVER = ("hostPath", "privileged", "hostNetwork", "hostPID", "hostIPC", "hostPort")
MINE = dataclasses.replace(APP, device=DEVICE)


@pytest.fixture(scope="module")
def server(api: ApiServer) -> Cluster:
    found = connect(api.params())
    found.apply(namespace.objects(DEVICE, UID)[0])
    return found


def shown(server: Cluster, found: dict[str, Any]) -> list[dict[str, Any]]:
    """What the API server would make of it."""
    wanted = Workload(MINE, UID, portable_unit.process(MINE, found), IMAGE, EDGE, ("amd64",), 3, 3)
    rendered = workload.objects(wanted)
    return [server.apply(one, dry_run=True) for one in [*rendered, *(pod for one in rendered for pod in pods.of(one))]]


def test_a_service_is_the_same_at_the_edge(server: Cluster) -> None:
    strict = {"protect_system": "strict", "private_tmp": True, "bounding": ["CHOWN"]}
    found = unit(strict, read_only=True, argv=["/bin/x", "$(TOKEN)", "a b"], security_options=["no-new-privileges"])
    secret, _service, stateful, pod = shown(server, found)
    assert base64.b64decode(secret["data"]["TOKEN"]).decode() == CANARY
    assert CANARY not in repr((stateful, pod))
    container = pod["spec"]["containers"][0]
    # What Kubernetes would replace is escaped: systemd leaves $(NAME) as it is.
    assert [*container["command"], *container["args"]] == ["/bin/x", "$$(TOKEN)", "a b"]
    security = container["securityContext"]
    assert (security["runAsUser"], security["runAsGroup"]) == (999, 998)
    assert security["readOnlyRootFilesystem"]
    assert not security["allowPrivilegeEscalation"]
    assert "NET_RAW" in security["capabilities"]["drop"]
    assert pod["spec"]["securityContext"]["supplementalGroups"] == [44]
    assert pod["spec"]["terminationGracePeriodSeconds"] == 90
    paths = {one["mountPath"]: one.get("subPath") for one in container["volumeMounts"]}
    assert paths == {FOLDER: "3/results", "/tmp": None, "/var/tmp": None}


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(found=units())
def test_any_service_moves_or_is_refused_by_the_name_of_a_property(server: Cluster, found: dict[str, Any]) -> None:
    rows = portable_unit.examine(MINE, found)
    refused = [one for one in rows if one["verdict"] == REFUSED]
    if refused:
        with pytest.raises(KrafError) as caught:
            verdicts.refuse(MINE, rows)
        assert all(one["property"] in str(caught.value) for one in refused)
    left = portable_unit.examine(MINE, found, [one["property"] for one in refused])
    assert len(verdicts.stored(left)) <= verdicts.MOST
    final = [one for one in left if one["verdict"] == REFUSED]
    event("refused for good" if final else "accepted" if refused else "moves as it is")
    if not final:
        made = shown(server, found)
        assert all(f'"{never}"' not in str(made).replace("'", '"') for never in NEVER)
        assert CANARY not in repr(made[1:])
