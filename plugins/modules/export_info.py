#!/usr/bin/python
# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What WebDAV servers there are."""

from __future__ import annotations

DOCUMENTATION = r"""
module: export_info
version_added: 0.1.0
short_description: The WebDAV servers of devices' volumes
description:
  - Reads from the cluster which volumes are served, where, and whether their servers are ready.
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
  volume:
    description: Name of a volume; all volumes if it is not given.
    type: str
  query:
    description: A JMESPath expression on the list of exports, whose result is returned in RV(selected).
    type: str
requirements:
  - Python package C(jmespath), for O(query) only
seealso:
  - module: kraf.edge.export
"""

EXAMPLES = r"""
- name: Exports that are not ready
  kraf.edge.export_info:
    kubeconfig: ~/.kube/kraf-kraf.conf
    query: "[?!ready].[device, volume]"
"""

RETURN = r"""
exports:
  description: The exports, by device and volume, with the same keys as those of M(kraf.edge.export), and C(device_uid).
  returned: success
  type: list
  elements: dict
  sample:
    - credentials_secret: export-photos
      device: pi1
      device_uid: 6a0cbb2e-38a4-4a9f-9d2f-5a1f0f6c9d11
      door_name: 8443.export-photos.pi1.door.kraf.internal
      image: 10.0.0.10:5000/kraf/edge:1f0c2a7b
      namespace: kraf-pi1
      pod: export-photos-0
      port: 8443
      ready: true
      held_by: ""
      service: export-photos
      url: https://export-photos.kraf-pi1.svc:8443/
      volume: photos
selected:
  description: What O(query) selects.
  returned: when O(query) is given
  type: raw
  sample: []
cluster:
  description: The cluster that was used.
  returned: success
  type: dict
  sample: {server: "https://10.0.0.10:6443", uid: 0b9f2f0c-9a52-4a5b-8d0b-1d5a3e0a7c11}
requests:
  description: Number of requests to the API server.
  returned: success
  type: int
  sample: 2
"""

from ansible_collections.kraf.edge.plugins.module_utils.cluster import listing
from ansible_collections.kraf.edge.plugins.module_utils.storage import inventory


def main() -> None:
    """Entry point."""
    listing.run("exports", "volume", inventory.exports)


if __name__ == "__main__":
    main()
