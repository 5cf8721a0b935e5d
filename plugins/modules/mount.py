#!/usr/bin/python
# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: mount
short_description: Mounts an export on its device
version_added: 0.1.0
author:
  - kraf.edge contributors (@kraf-edge)
description:
  - Mounts a WebDAV export with davfs2 through a forward on the loopback address, as a pair of systemd units, C(.mount)
    and C(.automount).
  - A guard moves the cache of a mount that did not end cleanly aside before it is mounted again. A new or changed
    mount is proven by a file that is written, read back and fetched from the server itself.
  - Nothing can be written to the mount point while nothing is mounted there.
  - Runs on the device, as root.
requirements:
  - davfs2, systemd (on the device)
attributes:
  check_mode:
    support: full
    description: Predicts without changing anything.
  diff_mode:
    support: none
    description: The files hold a password; RV(differed) names those that differed.
options:
  name:
    description: Name of the volume.
    type: str
    required: true
  path:
    description: Mount point. Default is V(/srv/kraf/) and O(name).
    type: path
  port:
    description: Port of the forward on 127.0.0.1. Needed for V(present).
    type: int
  username:
    description: User of the export. Needed for V(present).
    type: str
  password:
    description: Its password, at most 254 bytes. Needed for V(present).
    type: str
  uid:
    description: User who owns the files, as name or number.
    type: str
    default: root
  gid:
    description: Group of the files, as name or number.
    type: str
    default: root
  file_mode:
    description: Mode of the files, octal.
    type: str
    default: "644"
  dir_mode:
    description: Mode of the directories, octal.
    type: str
    default: "755"
  cache_mib:
    description:
      - Size to which davfs2 keeps its cache, in MiB; at most half of the file system that O(cache_dir) is on.
      - davfs2 exceeds it by the files that are open or not sent yet. A O(cache_dir) on a file system of its own is a
        wall for these, too; what does not fit there can then be neither written nor read.
    type: int
    default: 256
  cache_dir:
    description: Directory of the cache, on durable storage. Default is below V(/var/lib/kraf/davfs2).
    type: path
  timeout:
    description: Limit of each wait, in seconds.
    type: int
    default: 60
  canary:
    description: When to write and fetch a file as proof.
    type: str
    choices: [changed, always, never]
    default: changed
  state:
    description: V(absent) sends what is pending first, and fails with C(error) rather than lose it.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: Mount the volume photos
  kraf.edge.mount:
    name: photos
    port: 18400
    username: "{{ lookup('kraf.edge.secret', namespace='kraf-pi1', name='export-photos', key='username') }}"
    password: "{{ lookup('kraf.edge.secret', namespace='kraf-pi1', name='export-photos', key='password') }}"
  no_log: true
"""

RETURN = r"""
mount_point:
  description: Mount point.
  returned: always
  type: str
  sample: /srv/kraf/photos
differed:
  description: What was not as it should be.
  returned: when O(state=present)
  type: list
  elements: str
  sample: [mount]
size:
  description: C(size.total) and C(size.free) of the mounted file system in bytes.
  returned: when O(state=present), not in check mode
  type: dict
  sample: {total: 1063256064, free: 1063223296}
cache:
  description:
    - Bytes of the cache, C(cache.limit) as O(cache_mib) has it, C(cache.used), and C(cache.free) on its file system.
    - A warning is given when the cache is over its limit, or its file system too full for it.
  returned: when O(state=present), not in check mode
  type: dict
  sample: {limit: 268435456, used: 4096, free: 12884901888}
quarantined:
  description: Caches that unclean exits left behind, with what may not have been sent.
  returned: always
  type: list
  elements: str
  sample: []
"""

from typing import TYPE_CHECKING, Any

from ansible_collections.kraf.edge.plugins.module_utils.core import module as frame
from ansible_collections.kraf.edge.plugins.module_utils.core import names
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.on_device import caches, davfs, mounts, points
from ansible_collections.kraf.edge.plugins.module_utils.on_device.run import run

if TYPE_CHECKING:
    from ansible.module_utils.basic import AnsibleModule

SPEC = {
    "name": {"type": "str", "required": True},
    "path": {"type": "path"},
    "port": {"type": "int"},
    "username": {"type": "str"},
    "password": {"type": "str", "no_log": True},
    "uid": {"type": "str", "default": "root"},
    "gid": {"type": "str", "default": "root"},
    "file_mode": {"type": "str", "default": "644"},
    "dir_mode": {"type": "str", "default": "755"},
    "cache_mib": {"type": "int", "default": 256},
    "cache_dir": {"type": "path"},
    "timeout": {"type": "int", "default": 60},
    "canary": {"type": "str", "choices": ["changed", "always", "never"], "default": "changed"},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


def body(module: AnsibleModule) -> dict[str, Any]:
    options = module.params
    name = names.check("volume", options["name"])
    path = options["path"] or f"/srv/kraf/{name}"
    result = {"mount_point": path, "quarantined": caches.quarantined(name)}
    if options["state"] == "absent":
        other = next((one for one in mounts.load_all() if one.path == path and one.name != name), None)
        if other:
            why = f"the volume {other.name} is mounted there"
            raise KrafError(f"mount point of {name}", path, why, f"Name {other.name}, or leave the path out")
        there = any(one.name == name for one in mounts.load_all()) or mounts.mounted(path)
        if there and not module.check_mode:
            mounts.absent(name, path, options["timeout"])
        return {**result, "changed": there}
    fields = ("port", "username", "uid", "gid", "file_mode", "dir_mode", "cache_mib")
    mount = davfs.Mount(
        name=name, path=path, cache_dir=options["cache_dir"] or "", **{key: options[key] for key in fields}
    )
    davfs.validate(mount)
    points.check(name, path, mounts.load_all())
    caches.check(mount)
    if module.check_mode:
        differed = mounts.differing(mount, options["password"])
        return {**result, "differed": differed, "changed": bool(differed)}
    differed = mounts.ensure(mount, options["password"], options["timeout"])
    if options["canary"] == "always" or (differed and options["canary"] == "changed"):
        mounts.canary(mount, options["password"], options["timeout"])
    if differed:
        bad = davfs.bad_version(run(["/usr/sbin/mount.davfs", "-V"], 10).stdout)
        if bad:
            module.warn(bad)
    result.update(differed=differed, size=mounts.size(mount, options["timeout"]), quarantined=caches.quarantined(name))
    found = caches.measure(mount)
    for text in caches.warnings(mount, found):
        module.warn(text)
    return {**result, "cache": found, "changed": bool(differed)}


def main() -> None:
    needed = [("state", "present", ["port", "username", "password"])]
    frame.run(SPEC, body, required_if=needed)


if __name__ == "__main__":
    main()
