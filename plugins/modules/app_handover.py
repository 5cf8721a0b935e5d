#!/usr/bin/python
# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: app_handover
short_description: The device's part of a migration
version_added: 0.1.0
description:
  - Several steps of the migration protocol in one call to the device, so that clients do not wait for calls.
  - The action plugin of M(kraf.edge.migrate) runs it; there is hardly a reason to run it by hand, but for O(step=look).
author:
  - kraf.edge contributors (@kraf-edge)
options:
  step:
    description:
      - What to do.
      - V(look) reads what runs on the device and what the device knows of the app's owner; it changes nothing.
      - V(push) pushes the image of the app's container to the image registry, in a process of its own. A push that
        takes longer than O(push_wait) goes on after the call; the next call, with the same options, waits for it.
      - V(served) asks image registries what they serve under O(references).
      - V(move_to_edge) and V(move_to_device) are everything from the first copy of the data to the release of the
        forward. They meet the controller at the mover's box.
      - V(settle) brings the device to O(owner) and O(epoch), whatever an earlier run left.
      - V(fence_off) stops the container and whatever would start it again.
      - V(still_held) makes sure that no client has been let through to the new side.
      - V(start_beside) and V(switch) are for apps that may run on both sides for a moment.
      - V(keep_ready) copies the data of an app that goes on, so that the edge can take over a device that is lost.
      - V(take_over) runs an app of an edge that is lost here again, with the device's own last copy of its data.
      - V(abandon) removes what is kept ready, and what a copy that was not used has left.
    type: str
    required: true
    choices:
      - look
      - push
      - served
      - move_to_edge
      - move_to_device
      - settle
      - fence_off
      - still_held
      - start_beside
      - switch
      - keep_ready
      - take_over
      - abandon
  app:
    description: Name of the app, and of its forward.
    type: str
    required: true
  container:
    description: Name of the app's Docker container, or V(unit:) and the name of its systemd service.
    type: str
    required: true
  owner:
    description: Owner of the app as the Placement says.
    type: str
    choices: [device, edge]
  epoch:
    description: Epoch of the Placement.
    type: int
    default: 0
  fence:
    description:
      - Number of the run, from the app's Lease. A run with a lower number than the device has heard of is refused.
    type: int
    default: 0
  data:
    description: The app's data directories.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the directory, the same on both sides.
        type: str
        required: true
      path:
        description: Path in the container for O(step=look), path on the device otherwise.
        type: str
        required: true
      container:
        description: For O(step=look), which container of a group has it.
        type: str
        default: ""
  good_tree:
    description: Epoch of the good copy at the edge; 0 when there is none.
    type: int
    default: 0
  slot:
    description: Of a cronjob, the slot that was begun last at the edge, as a minute since 1970; V(0) is none.
    type: int
    default: 0
  new_tree:
    description: Number of the copy that O(step=keep_ready) makes at the edge.
    type: int
    default: 0
  lost:
    description: The side that was declared lost when the owner was last changed, and has not been told.
    type: str
    choices: ["", device, edge]
    default: ""
  pause_seconds:
    description: For how long O(step=keep_ready) may pause the app at most, in seconds, if it writes while it is copied.
    type: float
    default: 10
  ways:
    description: The app's ports.
    type: list
    elements: dict
    default: []
    suboptions: &way
      port:
        description: Port of the device under which clients reach it.
        type: int
        required: true
      container_port:
        description: Port of the container behind it.
        type: int
        required: true
      sni:
        description: Its name at the door.
        type: str
        required: true
      probe:
        description: Path of the app's own probe on this port; empty asks only whether it is open.
        type: str
        default: ""
      protocol:
        description: What clients speak to it.
        type: str
        choices: [tcp, udp]
        default: tcp
  presence:
    description:
      - Of an app without ports, what answers at the edge in its place while its pod runs. No client is led there, and
        both ports are that of the answer.
    type: list
    elements: dict
    default: []
    suboptions: *way
  doors:
    description: Addresses of the doors, as C(ip:port).
    type: list
    elements: str
    default: []
  box_sni:
    description: Name of the mover's box at the door.
    type: str
    default: ""
  rsync_sni:
    description: Name of the mover's rsync at the door.
    type: str
    default: ""
  token:
    description: Shared with the mover.
    type: str
    default: ""
  overlap:
    description: Whether the app may run on both sides for a moment.
    type: bool
    default: false
  job:
    description: Whether the app is a job, which no step starts on the device.
    type: bool
    default: false
  outcome:
    description:
      - How a job, or the last run of a cronjob, has ended at the edge, as the text of a JSON object; empty for nothing.
        Its C(log) becomes the file C(log), the rest C(result.json), in C(/var/lib/kraf/jobs) in a folder named after
        O(app), which only root reads. Both take the place of those of an earlier run at once.
      - For O(step=move_to_device) and O(step=settle). They are there before the device counts as the owner.
      - One text, and not a dictionary, so that what is not to be shown is this text, and no word of a log elsewhere.
    type: str
    default: ""
  secrets:
    description: Whether O(step=look) returns values of the environment and bound files, too. They are not to be shown.
    type: bool
    default: false
  drain_seconds:
    description: How long open connections may take to end by themselves before they are cut, in seconds.
    type: float
    default: 1
  deadman_seconds:
    description: After how many seconds the device undoes a hand-over that stopped halfway.
    type: int
    default: 120
  limit:
    description: Limit in seconds for each wait for the other side.
    type: float
    default: 120
  disarm_limit:
    description: Within how many seconds the controller has to take over the verified copy; otherwise all is undone.
    type: float
    default: 20
  copy_limit:
    description: Limit in seconds for each copy of a data directory.
    type: float
    default: 3600
  repository:
    description: The image registry's address and the app's repository there, for O(step=push).
    type: str
    default: ""
  own_image:
    description: Whether O(step=push) pushes the image of the container; otherwise it makes an index of O(others) alone.
    type: bool
    default: true
  others:
    description:
      - For O(step=push), images that the image registry has, by architecture. Of them and of what is pushed an index is
        made.
    type: dict
    default: {}
  push_wait:
    description: After how many seconds O(step=push) returns how far it is.
    type: float
    default: 10
  references:
    description: Images to ask for with O(step=served).
    type: list
    elements: str
    default: []
  registry:
    description: Address of the image registry that takes O(username) and O(password); others are asked without.
    type: str
    default: ""
  username:
    description: User of the image registry.
    type: str
    default: ""
  password:
    description: Password of the image registry.
    type: str
    default: ""
attributes:
  check_mode:
    description: Changes nothing in check mode.
    details: The result of O(step=look) is the real one; every other step only says that it would change something.
    support: partial
  diff_mode:
    description: Returns what has changed.
    support: none
"""

EXAMPLES = r"""
- name: See what runs, and what the device knows of the app's owner
  kraf.edge.app_handover:
    step: look
    app: faces
    container: faces
"""

RETURN = r"""
record:
  description: What the device knows of the app's owner; null when it has never heard of a migration.
  returned: success
  type: dict
  sample: {app: faces, owner: device, epoch: 1, phase: idle}
container:
  description: What really runs; null when there is no such container.
  returned: when O(step=look)
  type: dict
  sample: {name: faces, running: true, argv: [python3, faces.py]}
forward:
  description: The app's forward; null when there is none.
  returned: when O(step=look)
  type: dict
  sample: {name: faces, port: 8000, target: device}
missing:
  description: Programs that a migration needs and the device lacks.
  returned: when O(step=look)
  type: list
  elements: str
  sample: [rsync]
reference:
  description: The pushed image, or the index, by its digest.
  returned: when O(step=push) and it has ended
  type: str
  sample: "192.0.2.10:5000/pi1/faces@sha256:4bcf"
pushed_bytes:
  description: Bytes of layers that went over the line.
  returned: when O(step=push) and it has ended
  type: int
  sample: 12582912
pushed_layers:
  description: Number of layers that were sent, and of those that were there already.
  returned: when O(step=push) and it has ended
  type: dict
  sample: {sent: 2, there: 5}
progress:
  description: How far a push is, in bytes before they are compressed, and how many layers it has not looked at yet.
  returned: when O(step=push) and it goes on
  type: dict
  sample: {done: 5242880, total: 73400320, waiting: 1}
served:
  description:
    - What image registries serve, by reference; C(architectures) is empty where one does not say, C(absent) is true
      where it has nothing, C(why) says why it could not be asked.
  returned: when O(step=served)
  type: dict
  sample: {"registry.example/faces:1": {digest: "sha256:4bcf", architectures: [amd64, arm64], absent: false, why: ""}}
clock:
  description: When each part was done, in seconds since the call began to act.
  returned: when clients were held or switched
  type: dict
  sample: {held: 0.4, halted: 1.1, ready: 2.0, released: 3.2}
aside:
  description: Paths of what the app wrote here while the device owned it for a moment, before it was given back.
  returned: when clients were held or switched
  type: list
  elements: str
  sample: []
copied_bytes:
  description: What copies of the data sent over the line, before clients waited and meanwhile.
  returned: when data moved
  type: dict
  sample: {first: 51234, held: 2048}
copy_age_seconds:
  description: How long ago the device's copy of the data was the owner's; null where it is not known.
  returned: when O(step=take_over)
  type: float
  sample: 3600.0
diverged:
  description:
    - Files that were written here after the last copy that the edge went on from, by the data directory's name.
    - Of many, the first; they are kept beside the data when the app comes back.
  returned: when a device that was lost is told of it
  type: dict
  sample: {results: [faces.sqlite]}
removed:
  description: Copies that were not used and are gone.
  returned: when O(step=abandon)
  type: list
  elements: str
  sample: []
slot:
  description: Of a cronjob, the slot that was begun last, as a minute since 1970; V(0) is none.
  returned: when the app moved or was settled
  type: int
  sample: 29700000
datagrams:
  description:
    - Of UDP ports, how many datagrams waited for the release (C(waited)), and how many older ones were given up
      for want of room (C(dropped)).
  returned: when clients were held and the app moved
  type: dict
  sample: {waited: 120, dropped: 0}
held_seconds:
  description: How long clients waited, in seconds.
  returned: when clients were held
  type: float
  sample: 2.8
"""

import dataclasses
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kraf.edge.plugins.module_utils.core.module import run
from ansible_collections.kraf.edge.plugins.module_utils.on_device import (
    adopt,
    handover,
    images,
    placement,
    pushing,
    runner,
    ways,
)
from ansible_collections.kraf.edge.plugins.module_utils.on_device.reference import Login

STEPS = {
    "move_to_edge": handover.move_to_edge,
    "move_to_device": handover.move_to_device,
    "settle": handover.settle,
    "fence_off": handover.fence_off,
    "still_held": handover.still_held,
    "start_beside": handover.start_beside,
    "switch": handover.switch,
    "keep_ready": handover.keep_ready,
    "take_over": handover.take_over,
    "abandon": handover.abandon,
}
WAY = {
    "port": {"type": "int", "required": True},
    "container_port": {"type": "int", "required": True},
    "sni": {"type": "str", "required": True},
    "probe": {"type": "str", "default": ""},
    "protocol": {"type": "str", "choices": ["tcp", "udp"], "default": "tcp"},
}
SPEC = {
    "step": {"type": "str", "required": True, "choices": ["look", "push", "served", *STEPS]},
    "app": {"type": "str", "required": True},
    "container": {"type": "str", "required": True},
    "owner": {"type": "str", "choices": ["device", "edge"]},
    "epoch": {"type": "int", "default": 0},
    "fence": {"type": "int", "default": 0},
    "data": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "name": {"type": "str", "required": True},
            "path": {"type": "str", "required": True},
            "container": {"type": "str", "default": ""},
        },
    },
    "good_tree": {"type": "int", "default": 0},
    "new_tree": {"type": "int", "default": 0},
    "slot": {"type": "int", "default": 0},
    "lost": {"type": "str", "choices": ["", "device", "edge"], "default": ""},
    "pause_seconds": {"type": "float", "default": 10.0},
    "ways": {"type": "list", "elements": "dict", "default": [], "options": WAY},
    "presence": {"type": "list", "elements": "dict", "default": [], "options": WAY},
    "doors": {"type": "list", "elements": "str", "default": []},
    "box_sni": {"type": "str", "default": ""},
    "rsync_sni": {"type": "str", "default": ""},
    "token": {"type": "str", "default": "", "no_log": True},
    "overlap": {"type": "bool", "default": False},
    "job": {"type": "bool", "default": False},
    "outcome": {"type": "str", "default": "", "no_log": True},
    "secrets": {"type": "bool", "default": False, "no_log": False},
    "drain_seconds": {"type": "float", "default": 1.0},
    "deadman_seconds": {"type": "int", "default": 120},
    "limit": {"type": "float", "default": 120.0},
    "disarm_limit": {"type": "float", "default": 20.0},
    "copy_limit": {"type": "float", "default": 3600.0},
    "repository": {"type": "str", "default": ""},
    "own_image": {"type": "bool", "default": True},
    "others": {"type": "dict", "default": {}},
    "push_wait": {"type": "float", "default": 10.0},
    "references": {"type": "list", "elements": "str", "default": []},
    "registry": {"type": "str", "default": ""},
    "username": {"type": "str", "default": ""},
    "password": {"type": "str", "default": "", "no_log": True},
}


def body(module: AnsibleModule) -> dict[str, Any]:
    """Do the step."""
    given = module.params
    step, data = given["step"], tuple((one["name"], one["path"]) for one in given["data"])
    if step == "look":
        held = [(one["name"], one["path"], one["container"]) for one in given["data"]]
        return {"changed": False, **adopt.look(given["app"], given["container"], held, given["secrets"])}
    login = Login(given["username"], given["password"])
    if step == "served":
        found = {one: images.offered(one, given["registry"], login) for one in given["references"]}
        return {"changed": False, "served": found}
    if module.check_mode:
        return {"changed": True, "record": None}
    if step == "push":
        runs = runner.named(given["container"]).describe() if given["own_image"] else None
        image, architecture = (runs.image_id, runs.architecture) if runs else ("", "")
        wanted = pushing.Wanted(given["repository"], image, architecture, given["others"], login, given["copy_limit"])
        return {"changed": True, **pushing.push(given["app"], given["fence"], wanted, given["push_wait"])}
    # A run that comes late must not end what a newer one is doing.
    placement.refuse_overtaken(given["app"], given["fence"])
    placement.stop_others(given["app"])
    placement.enter_scope(given["app"], given["epoch"])
    values = {field.name: given[field.name] for field in dataclasses.fields(handover.Task)}
    values.update({name: tuple(ways.Way(**one) for one in given[name]) for name in ("ways", "presence")})
    values.update(data=data, doors=tuple(given["doors"]), owner=given["owner"] or "")
    return STEPS[step](handover.Task(**values))


def main() -> None:
    """Run as a module."""
    run(SPEC, body)


if __name__ == "__main__":
    main()
