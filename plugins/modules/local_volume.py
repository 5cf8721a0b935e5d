#!/usr/bin/python
# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: local_volume
short_description: The file of a local volume, on its node
version_added: 0.1.0
author: kraf.edge contributors (@kraf-edge)
description:
  - Makes a sparse file with a filesystem of its own and mounts it by a systemd unit, now and after every start of the
    node. So the size of a volume is enforced, C(df) is true, and it grows while it is in use.
  - Volumes of 256 MiB and more are XFS, smaller ones ext4, which cannot grow in use on hosts without CAP_SYS_RESOURCE.
  - Runs on the node, as root. Needs C(xfsprogs), C(e2fsprogs) and C(util-linux) there. The PersistentVolume that leads
    to it is made by M(kraf.edge.volume).
options:
  name:
    description: Name of the PersistentVolume, C(kraf-DEVICE-VOLUME).
    type: str
    required: true
  size:
    description: Size that is to be usable, such as V(10Gi). Needed with O(state=present). A volume never shrinks.
    type: str
  state:
    description: Whether it exists. V(absent) deletes its data.
    type: str
    choices: [present, absent]
    default: present
  confirm:
    description: For O(state=absent), the name once more.
    type: str
    default: ""
  root:
    description: Folder of the node for the files.
    type: path
    default: /var/lib/kraf/volumes
  overcommit:
    description: Promise more than the node's disk has. When it fills up, writes to volumes fail with an error.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Predicts and checks, and changes nothing.
"""

EXAMPLES = r"""
- name: A volume of 1 GiB
  kraf.edge.local_volume:
    name: kraf-pi1-photos
    size: 1Gi

- name: Away with it
  kraf.edge.local_volume:
    name: kraf-pi1-photos
    state: absent
    confirm: kraf-pi1-photos
"""

RETURN = r"""
folder:
  description: Folder for the PersistentVolume. It exists only while the volume is mounted.
  returned: success
  type: str
  sample: /var/lib/kraf/volumes/kraf-pi1-photos/data
filesystem:
  description: Its filesystem; empty when there is none, or in check mode not yet.
  returned: success
  type: str
  sample: xfs
asked_bytes:
  description: Size that was asked for, in bytes.
  returned: when state is present
  type: int
  sample: 1073741824
real_bytes:
  description: Size as C(df) shows it, in bytes; 0 in check mode for one that does not exist.
  returned: success
  type: int
  sample: 1073741824
"""

import os
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.core import sizes
from ..module_utils.core.errors import KrafError
from ..module_utils.core.module import run
from ..module_utils.on_device import local_volume as local
from ..module_utils.on_device.local_volume import LocalVolume

ARGS: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "size": {"type": "str"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "confirm": {"type": "str", "default": ""},
    "root": {"type": "path", "default": "/var/lib/kraf/volumes"},
    "overcommit": {"type": "bool", "default": False},
}


def present(volume: LocalVolume, size: int, overcommit: bool, check: bool) -> bool:
    """Make or grow it; whether anything was to be done."""
    filesystem = local.filesystem_of(volume.image) if volume.file_size() else ""
    kind = filesystem or ("xfs" if size >= local.XFS_FROM else "ext4")
    is_size, to = volume.file_size(), local.wanted_file(size, kind)
    if is_size and not filesystem:
        fix = "Look at what it is, and move it away"
        raise KrafError("file of a local volume", str(volume.image), "it holds neither XFS nor ext4", fix)
    if to < is_size:
        why = (
            f"it has {sizes.human(is_size - to + size)}, {sizes.human(size)} are asked for, and a volume never shrinks"
        )
        raise KrafError(f"size of {volume.name}", sizes.to_kubernetes(size), why, "Make a new volume and copy")
    if to > is_size and not overcommit:
        local.check_room(volume, to - is_size)
    if is_size and to > is_size:
        local.check_growth(volume, kind)
    mounted = volume.mount_point.is_mount()
    if check:
        return to > is_size or not mounted or not local.is_grown(volume, kind)
    if not is_size:
        local.create(volume, size)
    changed = local.mount(volume, kind) or not is_size
    if volume.file_size() < to or not local.is_grown(volume, kind):
        local.grow(volume, kind, to)
        changed = True
    return changed


def absent(volume: LocalVolume, confirm: str, check: bool) -> bool:
    """Delete it; whether it was there."""
    if not volume.file_size() and not volume.mount_point.is_dir():
        return False
    if confirm != volume.name:
        why = "this deletes its data for good"
        raise KrafError(f"confirm of {volume.name}", confirm, why, f"Set confirm to {volume.name}")
    users = local.users(volume)
    if users:
        raise KrafError(f"local volume {volume.name}", None, f"in use by {', '.join(users)}", "Stop them first")
    if not check:
        local.remove(volume)
    return True


def body(module: AnsibleModule) -> dict[str, Any]:
    params, check = module.params, module.check_mode
    volume = LocalVolume(params["name"], Path(params["root"])).checked()
    result: dict[str, Any] = {"folder": str(volume.path)}
    if params["state"] == "absent":
        result["changed"] = absent(volume, params["confirm"], check)
    else:
        size = result["asked_bytes"] = sizes.parse(params["size"], f"size of {volume.name}")
        result["changed"] = present(volume, size, params["overcommit"], check)
    mounted, found = volume.mount_point.is_mount(), volume.file_size()
    space = os.statvfs(volume.mount_point) if mounted else None
    result["real_bytes"] = space.f_blocks * space.f_frsize if space else 0
    result["filesystem"] = local.filesystem_of(volume.image) if found else ""
    return result


def main() -> None:
    run(ARGS, body, required_if=[("state", "present", ["size"])])


if __name__ == "__main__":
    main()
