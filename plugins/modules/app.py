#!/usr/bin/python
# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: app
short_description: Registers apps of devices in the catalog
version_added: 0.1.0
author: kraf.edge contributors (@kraf-edge)
description:
  - Makes rows of the catalog be as declared, any number of them in one call. A declaration replaces the one before as a
    whole.
  - An app is an execution environment, what has to be true wherever the app runs. Everything is checked before anything
    is stored.
  - The module runs on the controller. It connects neither to the device nor to a cluster, and starts nothing.
extends_documentation_fragment:
  - kraf.edge.catalog
attributes:
  check_mode:
    description: Can run in check mode and return what would be changed, without making or changing a database.
    support: full
  diff_mode:
    description: Returns the rows that differ, before and after.
    support: full
options:
  apps:
    description: The apps.
    type: list
    elements: dict
    required: true
    suboptions:
      device:
        description: Name of the device that the app belongs to. It must be in the catalog.
        type: str
        required: true
      name:
        description: Name of the app on this device, of lower-case letters, digits and V(-), at most 40 characters.
        type: str
        required: true
      state:
        description: Whether the app is in the catalog. Removing it there stops nothing.
        type: str
        choices: [present, absent]
        default: present
      kind:
        description:
          - What the app is. A V(service) runs until it is stopped. A V(job) runs once, to its end.
          - The container of a job is stopped on the device, or was only created. It is moved to the edge to run there;
            when it has ended it is moved back, with its result files, and is not started on the device again.
          - A V(cronjob) runs once for each slot of its O(apps[].schedule). While the device owns it, a timer of systemd
            starts its container (M(kraf.edge.migrate) to the device enables it), while the edge does, a CronJob.
            Of slots that fall into a move the last one runs after it.
          - Neither has ports, a probe or overlap, and Docker must not start their container by itself.
        type: str
        default: service
      images:
        description:
          - Reference of the image by architecture, V(amd64), V(arm64) or V(arm).
          - The cluster runs what the device runs, if its nodes have that architecture, pushed by the device or by the
            digest under which a registry serves it; otherwise the image that is named for its own architecture.
          - Of images for several architectures that lie in the cluster's image registry an index is made, and the app
            may run on nodes of any of them.
        type: dict
      container:
        description: Name of the app's Docker container on the device. The default is the app's name.
        type: str
      unit:
        description:
          - Name of the app's systemd service on the device, such as V(faces.service), instead of O(apps[].container).
          - It needs O(apps[].images), one for an architecture of the cluster's nodes, for a unit has none to push. Its
            program and arguments are those of the unit, unless O(apps[].command) or O(apps[].args) are given.
          - It listens itself on the port of its clients, of TCP, so that each port and its device_port are the same.
        type: str
      command:
        description:
          - List of arguments that replaces the image's entry point. No shell splits a text, so a text is refused.
        type: raw
      args:
        description: List of arguments after the command or entry point.
        type: raw
      env:
        description:
          - Names of the environment variables that the app needs, as list or as text with commas or line ends.
          - Values are read from the container when the app moves, and kept in a Secret. A value here is refused.
          - Kubernetes 1.22 takes letters, digits, V(_), V(-) and V(.), and no digit at the start.
        type: raw
      ports:
        description: Ports of the container, of TCP and UDP.
        type: list
        elements: dict
        suboptions:
          port:
            description: Port in the container, from 1 to 65535.
            type: int
            required: true
          device_port:
            description:
              - Port of the device at which clients reach it, wherever the app runs.
              - The default is O(apps[].ports[].port).
            type: int
          member:
            description: Of a group, the member whose port it is; empty for the app's own container.
            type: str
          protocol:
            description: V(TCP) or V(UDP). A port of each may have the same number.
            type: str
            default: TCP
      data:
        description: Directories in the container whose content moves with the app. None lies within another.
        type: list
        elements: dict
        suboptions:
          name:
            description: Name of the directory, as for apps.
            type: str
            required: true
          path:
            description: Absolute path in the container.
            type: str
            required: true
          member:
            description: Of a group, the member whose directory it is; empty for the app's own container.
            type: str
      cpu:
        description: Limit as number of CPUs such as V(0.5), or in thousandths of one such as V(500m).
        type: str
      memory:
        description: Limit with its unit, such as V(256Mi).
        type: str
      vram:
        description: Reserved for a slice of a GPU. It is refused until GPUs are supported.
        type: str
      probe:
        description: HTTP GET by which the app is known to work.
        type: dict
        suboptions:
          path:
            description: Path of the URL, V(/) by default.
            type: str
          port:
            description: TCP port in the container. The default is the first one of O(apps[].ports).
            type: int
      overlap:
        description:
          - Whether the app may run on the device and at the edge at once for a moment. An app without data is not for
            that reason free of state, so this is to be said.
          - An app with data cannot.
        type: bool
        default: false
      emulation:
        description:
          - Whether nodes may run the device's image by emulation where there is no image for their own architecture.
            It is several times slower, so this is to be said.
          - Only nodes that have an emulator are used; the role C(kraf.edge.kubernetes) finds out which have.
        type: bool
        default: false
      retries:
        description:
          - How often a job, or a run of a cronjob, that has failed is tried again at the edge.
          - Each try begins with what the last one left.
        type: int
        default: 0
      schedule:
        description:
          - When a cronjob is due, as the five fields of cron, in UTC, the time zone of Kubernetes' controller.
          - With both days of the month and of the week given, either will do.
          - Of slots that were missed, the last one is made up for. A slot that is due while a run is in progress begins
            after it.
        type: str
      deadline_seconds:
        description:
          - After how many seconds at the edge a job, or a run of a cronjob, is ended, all its tries together; V(0) is
            never.
          - Kubernetes 1.22 removes the pod then, so no exit code and no log are left of it.
        type: int
        default: 0
      members:
        description:
          - Further containers of the device that the app consists of, a group. All of them move together or not at all.
          - At the edge they are one pod with one address, so that no two of them can listen on the same port. Names by
            which they call each other on the device lead to each other there, too.
          - On the device they start in this order, and before the app's own container; they stop after it.
          - Ports and data of all of them stand in O(apps[].ports) and O(apps[].data), with O(apps[].ports[].member).
          - A group is no job and no unit, has no overlap and no emulation, and its ports are TCP's.
        type: list
        elements: dict
        suboptions:
          name:
            description: Name by which the other containers call it. C(app), C(gate), C(udp) and C(presence) are taken.
            type: str
            required: true
          container:
            description: Its Docker container on the device. The default is its name.
            type: str
          images:
            description: As O(apps[].images).
            type: dict
          env:
            description: As O(apps[].env).
            type: raw
          cpu:
            description: As O(apps[].cpu).
            type: str
          memory:
            description: As O(apps[].memory).
            type: str
seealso:
  - module: kraf.edge.app_info
  - module: kraf.edge.device
"""

EXAMPLES = r"""
- name: Register an app of pi1
  kraf.edge.app:
    apps:
      - device: pi1
        name: faces
        images:
          amd64: registry.example.org/faces:1.4
          arm64: registry.example.org/faces:1.4
        env: [API_KEY]
        ports:
          - port: 8000
        data:
          - name: results
            path: /data
        cpu: 500m
        memory: 512Mi
        probe:
          path: /health

- name: Register a job that may be tried twice and has an hour for it
  kraf.edge.app:
    apps:
      - device: pi1
        name: training
        kind: job
        data:
          - name: model
            path: /model
        retries: 1
        deadline_seconds: 3600

- name: Register a container that runs every quarter of an hour
  kraf.edge.app:
    apps:
      - device: pi1
        name: report
        kind: cronjob
        schedule: "*/15 * * * *"
        data:
          - name: reports
            path: /reports

- name: Declare an app that is a systemd service of its device
  kraf.edge.app:
    apps:
      - device: pi1
        name: meter
        unit: meter.service
        images: {amd64: "registry.example.org/meter:1"}
        ports: [{port: 8100}]
        data: [{name: readings, path: /var/lib/meter}]

- name: Declare an app of two containers, which calls its database by the name db
  kraf.edge.app:
    apps:
      - device: pi1
        name: shop
        ports: [{port: 8200}]
        data: [{name: database, path: /var/lib/postgresql/data, member: db}]
        members:
          - name: db
            container: shop-db
            env: [POSTGRES_PASSWORD]
            memory: 512Mi

- name: Take the app out of the catalog
  kraf.edge.app:
    apps:
      - device: pi1
        name: faces
        state: absent
"""

RETURN = r"""
apps:
  description:
    - The rows as they are after the call, in the order of the request. In check mode they are predicted.
    - Apps with O(apps[].state=absent) are left out.
  returned: success
  type: list
  elements: dict
  contains:
    device:
      description: Name of the device.
      type: str
      sample: pi1
    name:
      description: Name of the app.
      type: str
      sample: faces
    kind:
      description: Kind of the app.
      type: str
      sample: service
    images:
      description: Image by architecture.
      type: dict
      sample: {amd64: "registry.example.org/faces:1.4"}
    container:
      description: Its Docker container on the device.
      type: str
      sample: faces
    unit:
      description: Its systemd service on the device; empty for an app that is a container.
      type: str
      sample: ""
    command:
      description: Arguments that replace the entry point.
      type: list
      elements: str
      sample: []
    args:
      description: Arguments after it.
      type: list
      elements: str
      sample: []
    env:
      description: Names of environment variables.
      type: list
      elements: str
      sample: [API_KEY]
    ports:
      description: Ports, with C(port), C(device_port) and C(protocol), and C(member) where it is another's.
      type: list
      elements: dict
      sample: [{port: 8000, device_port: 8000, protocol: TCP}]
    data:
      description: Data directories, with C(name) and C(path), and C(member) where it is another's.
      type: list
      elements: dict
      sample: [{name: results, path: /data}]
    cpu:
      description: Limit, empty for none.
      type: str
      sample: 500m
    memory:
      description: Limit, empty for none.
      type: str
      sample: 512Mi
    vram:
      description: Empty until GPUs are supported.
      type: str
      sample: ""
    probe:
      description: C(path) and C(port) of the probe, null for none.
      type: dict
      sample: {path: /health, port: 8000}
    overlap:
      description: Whether both sides may run at once.
      type: bool
      sample: false
    emulation:
      description: Whether nodes may run the device's image by emulation.
      type: bool
      sample: false
    retries:
      description: How often a job is tried again.
      type: int
      sample: 0
    schedule:
      description: When a cronjob is due, in UTC; empty for every other kind.
      type: str
      sample: ""
    deadline_seconds:
      description: After how many seconds at the edge a job is ended, V(0) for never.
      type: int
      sample: 0
    members:
      description: Further containers of a group, with C(name), C(container), C(images), C(env), C(cpu) and C(memory).
      type: list
      elements: dict
      sample: []
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.catalog.apps import declared, env_values
from ..module_utils.catalog.options import CATALOG_ARGS, catalog_of
from ..module_utils.core.module import run

PORT_ARGS: dict[str, dict[str, Any]] = {
    "port": {"type": "int", "required": True},
    "device_port": {"type": "int"},
    "protocol": {"type": "str", "default": "TCP"},
    "member": {"type": "str"},
}
DATA_ARGS: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "path": {"type": "str", "required": True},
    "member": {"type": "str"},
}
MEMBER_ARGS: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "container": {"type": "str"},
    "images": {"type": "dict"},
    "env": {"type": "raw"},
    "cpu": {"type": "str"},
    "memory": {"type": "str"},
}
APP_ARGS: dict[str, dict[str, Any]] = {
    "device": {"type": "str", "required": True},
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "kind": {"type": "str", "default": "service"},
    "images": {"type": "dict"},
    "container": {"type": "str"},
    "unit": {"type": "str"},
    "command": {"type": "raw"},
    "args": {"type": "raw"},
    "env": {"type": "raw"},
    "ports": {"type": "list", "elements": "dict", "options": PORT_ARGS},
    "data": {"type": "list", "elements": "dict", "options": DATA_ARGS},
    "cpu": {"type": "str"},
    "memory": {"type": "str"},
    "vram": {"type": "str"},
    "probe": {"type": "dict", "options": {"path": {"type": "str"}, "port": {"type": "int"}}},
    "overlap": {"type": "bool", "default": False},
    "emulation": {"type": "bool", "default": False},
    "retries": {"type": "int", "default": 0},
    "schedule": {"type": "str"},
    "deadline_seconds": {"type": "int", "default": 0},
    "members": {"type": "list", "elements": "dict", "options": MEMBER_ARGS},
}


def body(module: AnsibleModule) -> dict[str, Any]:
    wanted = module.params["apps"]
    for raw in wanted:
        # A value in the place of a name is refused below; the options, which any failure echoes, must not show it.
        for one in (raw, *(raw["members"] or ())):
            module.no_log_values.update(env_values(one["env"]))
    apps = [declared(raw) for raw in wanted if raw["state"] == "present"]
    absent = [(raw["device"], raw["name"]) for raw in wanted if raw["state"] == "absent"]
    with catalog_of(module, write=True) as catalog:
        removed = catalog.remove_apps(absent)
        put = catalog.put_apps(apps)
    return {
        "changed": removed.changed or put.changed,
        "apps": [app.as_dict() for app in apps],
        "diff": {"before": {**removed.before, **put.before}, "after": {**removed.after, **put.after}},
    }


def main() -> None:
    # no_log keeps the options, where a value could stand in the place of a name, out of the system's log.
    listed = {"type": "list", "elements": "dict", "required": True, "options": APP_ARGS}
    run({**CATALOG_ARGS, "apps": listed}, body, no_log=True)


if __name__ == "__main__":
    main()
