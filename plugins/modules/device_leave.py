#!/usr/bin/python
# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: device_leave
short_description: Takes off a device what kraf.edge put there
version_added: 0.1.0
author: kraf.edge contributors (@kraf-edge)
description:
  - Unmounts volumes after davfs2 has sent what was pending, then removes forwards, units, credentials, certificates,
    and what is kept of the end of jobs.
  - Nothing is removed before every mount is gone. Containers and packages are left alone.
  - Runs on the device, as root. The playbook C(kraf.edge.device_remove) calls it.
options:
  device:
    description: Name of the device, for messages.
    type: str
    required: true
  unmount_timeout:
    description: Limit for the unmount of each volume, in seconds.
    type: int
    default: 600
attributes:
  check_mode:
    description: Returns what would be removed.
    support: full
  diff_mode:
    description: Returns no difference.
    support: none
seealso:
  - module: kraf.edge.device
"""

EXAMPLES = r"""
- name: Take everything of kraf.edge off the device
  kraf.edge.device_leave:
    device: pi1
  become: true
"""

RETURN = r"""
mounts:
  description: Mount points that were, or in check mode would be, unmounted.
  returned: success
  type: list
  elements: str
  sample: [/srv/kraf/photos]
units:
  description: Unit files that were removed.
  returned: success
  type: list
  elements: str
  sample: [kraf-forward.service]
"""

from typing import TYPE_CHECKING, Any

from ansible_collections.kraf.edge.plugins.module_utils.core.module import run
from ansible_collections.kraf.edge.plugins.module_utils.on_device import leave

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule


def body(module: AnsibleModule) -> dict[str, Any]:
    found = leave.look()
    if found.anything and not module.check_mode:
        leave.leave(found, module.params["unmount_timeout"])
    return {"changed": found.anything, "mounts": list(found.mounts), "units": [path.name for path in found.units]}


def main() -> None:
    options = {"device": {"type": "str", "required": True}, "unmount_timeout": {"type": "int", "default": 600}}
    run(options, body)


if __name__ == "__main__":
    main()
