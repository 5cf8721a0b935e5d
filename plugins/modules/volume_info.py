#!/usr/bin/python
# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What virtual disks there are."""

from __future__ import annotations

DOCUMENTATION = r"""
module: volume_info
version_added: 0.1.0
short_description: The virtual disks of devices
description:
  - Reads from the cluster which volumes devices have, how large they are, and by whom they are used.
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
  name:
    description: Name of a volume; all volumes if it is not given.
    type: str
  query:
    description:
      - A JMESPath expression on the list of volumes, whose result is returned in RV(selected).
    type: str
requirements:
  - Python package C(jmespath), for O(query) only
seealso:
  - module: kraf.edge.volume
"""

EXAMPLES = r"""
- name: All volumes of one device
  kraf.edge.volume_info:
    kubeconfig: ~/.kube/kraf-kraf.conf
    device: pi1

- name: Names of the volumes that nobody uses
  kraf.edge.volume_info:
    kubeconfig: ~/.kube/kraf-kraf.conf
    query: "[?!used_by].name"
"""

RETURN = r"""
volumes:
  description: The volumes, by device and name.
  returned: success
  type: list
  elements: dict
  sample:
    - access_modes: [ReadWriteOnce]
      app: ""
      asked_bytes: 10737418240
      claim: photos
      device: pi1
      device_uid: 6a0cbb2e-38a4-4a9f-9d2f-5a1f0f6c9d11
      name: photos
      namespace: kraf-pi1
      node: worker1
      persistent_volume: kraf-pi1-photos
      phase: Bound
      real_bytes: 10737418240
      storage_class: kraf-local
      used_by: [export-photos-0]
selected:
  description: What O(query) selects.
  returned: when O(query) is given
  type: raw
  sample: [photos]
cluster:
  description: The cluster that was used.
  returned: success
  type: dict
  sample: {server: "https://10.0.0.10:6443", uid: 0b9f2f0c-9a52-4a5b-8d0b-1d5a3e0a7c11}
requests:
  description: Number of requests to the API server.
  returned: success
  type: int
  sample: 4
"""

from ansible_collections.kraf.edge.plugins.module_utils.cluster import listing
from ansible_collections.kraf.edge.plugins.module_utils.storage import inventory


def main() -> None:
    """Entry point."""
    listing.run("volumes", "name", inventory.volumes)


if __name__ == "__main__":
    main()
