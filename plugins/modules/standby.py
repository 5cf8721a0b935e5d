#!/usr/bin/python
# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the action plugin of this name; nothing here runs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: standby
version_added: 0.1.0
short_description: Keeps the edge ready to take over apps of a device
description:
  - Prepares what an app needs at the edge, while it runs on its device. Its image is pushed and is on a node, its data
    are copied to its volume, and what it runs with is kept in a Secret. If the device is lost, M(kraf.edge.migrate)
    with O(kraf.edge.migrate#module:device_lost=accept) lets it run there from the last copy.
  - Each run copies what has changed, beside the last good copy, which is replaced once the new one is verified. An app
    that writes while it is copied is paused for the rest of the copy (O(pause_seconds) at most), so that the copy is
    of one moment, as after a power cut. Its clients wait so long.
  - What was written after the last run is not at the edge. How often it is run is how much may be lost.
  - Puts a program on the device that asks the edge before Docker starts, and once a minute, whether an app has been
    taken over; it then stays stopped. A device that cannot reach the edge starts its apps.
  - Runs on the controller, with the device as host of the task, as root (C(become)).
author: kraf.edge contributors (@kraf-edge)
extends_documentation_fragment:
  - kraf.edge.cluster
  - kraf.edge.catalog
  - kraf.edge.apps
attributes:
  check_mode:
    description: Changes nothing; returns the steps and the portability report, and fails for what cannot move.
    support: full
  diff_mode:
    description: There is no text to compare.
    support: none
options:
  state:
    description:
      - V(present) makes the edge ready, or ready again with what has changed. For an app at the edge it does nothing.
      - V(absent) removes what was prepared and is not used, by this module or by a move that did not come to its end.
        The app stays where it is, its volume too.
    type: str
    choices: [present, absent]
    default: present
  pause_seconds:
    description:
      - For how long the app may be paused at most, in seconds. What cannot be copied within that time fails, and the
        copy before stays the good one.
    type: float
    default: 10
  keep_seconds:
    description: After how many seconds a copy counts as too old. It stays; M(kraf.edge.placement_info) tells.
    type: float
    default: 604800
requirements:
  - kubernetes (Python package) on the controller
seealso:
  - module: kraf.edge.migrate
  - module: kraf.edge.placement_info
"""

EXAMPLES = r"""
- name: Keep the edge ready for an app
  kraf.edge.standby:
    kubeconfig: ~/.kube/kraf-kraf.conf
    apps: [faces]
  become: true

- name: Keep it ready no longer
  kraf.edge.standby:
    kubeconfig: ~/.kube/kraf-kraf.conf
    apps: [faces]
    state: absent
  become: true
"""

RETURN = r"""
apps:
  description: One row for each app, as of M(kraf.edge.migrate).
  returned: always
  type: list
  elements: dict
  sample:
    - app: pi1/faces
      changed: true
      copied_bytes: {first: 51234, held: 0}
      held_seconds: 0.0
      owner: device
      standby:
        {bytes: 1048576, epoch: 1, expires: "2026-12-04T10:00:00Z", node: worker1, verified: "2026-11-27T10:00:00Z"}
  contains:
    app: {description: The app., type: str, returned: always}
    changed: {description: Whether anything was prepared or removed., type: bool, returned: always}
    copied_bytes:
      description: What copies sent over the line, before the app was paused (C(first)) and meanwhile (C(held)).
      type: dict
      returned: when data were copied
    held_seconds: {description: How long the app was paused., type: float, returned: success}
    owner: {description: "V(edge) or V(device).", type: str, returned: success}
    removed: {description: What was removed., type: list, elements: str, returned: success}
    standby:
      description:
        - What the edge is kept ready with. C(verified) and C(expires) are UTC times, C(epoch) is the ownership that it
          is for, C(node) has the image, C(bytes) is the size of the copy.
      type: dict
      returned: success
"""
