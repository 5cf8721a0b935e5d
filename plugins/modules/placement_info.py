#!/usr/bin/python
# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where apps are, and how they came there."""

from __future__ import annotations

DOCUMENTATION = r"""
module: placement_info
version_added: 0.1.0
short_description: Where apps are, and how they came there
description:
  - Reads from the cluster which side owns each app that was ever moved, and the account of its moves.
author: kraf.edge contributors (@kraf-edge)
extends_documentation_fragment:
  - kraf.edge.cluster
attributes:
  check_mode:
    description: Changes nothing in any mode.
    support: full
  diff_mode:
    description: Changes nothing, so there is no difference.
    support: none
options:
  device:
    description: Name of a device; all devices if it is not given.
    type: str
  app:
    description: Name of an app; all apps if it is not given.
    type: str
  query:
    description:
      - A JMESPath expression on the list of placements, whose result is returned in RV(selected).
    type: str
requirements:
  - Python package C(jmespath), for O(query) only
seealso:
  - module: kraf.edge.migrate
"""

EXAMPLES = r"""
- name: Where the apps of one device are
  kraf.edge.placement_info:
    kubeconfig: ~/.kube/kraf-kraf.conf
    device: pi1

- name: Names of the apps at the edge
  kraf.edge.placement_info:
    kubeconfig: ~/.kube/kraf-kraf.conf
    query: "[?owner=='edge'].app"

- name: Apps of devices without a recent copy at the edge
  kraf.edge.placement_info:
    kubeconfig: ~/.kube/kraf-kraf.conf
    query: "[?owner=='device' && (!standby.verified || standby.expired)].join('/', [device, app])"
"""

RETURN = r"""
placements:
  description: The placements, by device and app.
  returned: success
  type: list
  elements: dict
  sample:
    - app: faces
      device: pi1
      device_uid: 6a0cbb2e-38a4-4a9f-9d2f-5a1f0f6c9d11
      epoch: 2
      lost: ""
      standby: {}
      undone: {}
      holder: ops@controller, process 4711 (9f3a1c)
      migrations:
        - {epoch: 2, finished: "2026-11-25T10:00:00Z", held_seconds: 3.3, message: "", result: Done, to: edge}
      overlap: false
      owner: edge
      phase: Settled
  contains:
    app: {description: Name of the app., type: str, returned: always}
    device: {description: Name of its device., type: str, returned: always}
    device_uid: {description: Uid of its device., type: str, returned: always}
    epoch: {description: Number of the ownership., type: int, returned: always}
    lost:
      description: The side that was declared lost when the owner was last changed, and has not been told; else empty.
      type: str
      returned: always
    standby:
      description:
        - What the edge is kept ready with for an app of the device, as of M(kraf.edge.standby). C(expired) tells
          whether it counts as too old. Empty when it is not kept ready.
      type: dict
      returned: always
    undone:
      description:
        - Of a last move that was undone, C(to), C(finished), C(expires) and C(expired). What it had copied of the app's
          data is kept, for the next move goes on with it; O(kraf.edge.standby#module:state=absent) removes it. Empty
          otherwise.
      type: dict
      returned: always
    holder: {description: The run that last took it in hand., type: str, returned: always}
    migrations:
      description:
        - Its changes of owner, the latest first. Of a job that came back, C(job) tells how it had ended, as in the
          module M(kraf.edge.migrate), with the end of its log; of a cronjob, how its last run at the edge had.
      type: list
      elements: dict
      returned: always
    overlap: {description: Whether it may run on both sides for a moment., type: bool, returned: always}
    owner: {description: "V(edge) or V(device).", type: str, returned: always}
    phase:
      description: V(Moving) while a run is at work, or when none has brought it to its end; else V(Settled).
      type: str
      returned: always
selected:
  description: What O(query) selects.
  returned: when O(query) is given
  type: raw
  sample: [faces]
cluster:
  description: The cluster that was used.
  returned: success
  type: dict
  sample: {server: "https://10.0.0.10:6443", uid: 0b9f2f0c-9a52-4a5b-8d0b-1d5a3e0a7c11}
requests:
  description: Number of requests to the API server.
  returned: success
  type: int
  sample: 3
"""

from ansible_collections.kraf.edge.plugins.module_utils.cluster import listing
from ansible_collections.kraf.edge.plugins.module_utils.placement import inventory


def main() -> None:
    """Entry point."""
    listing.run("placements", "app", inventory.placements)


if __name__ == "__main__":
    main()
