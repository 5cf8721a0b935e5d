#!/usr/bin/python
# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_files
short_description: Several small files of a host in one call
version_added: 0.1.0
author: kraf.edge contributors (@kraf-edge)
description:
  - Makes several small text files what they should be, or takes them away.
  - M(ansible.builtin.copy) costs two calls for each file, even when nothing changes; this costs one for all.
  - Each file is replaced by renaming, so a reader sees the old one or the new one. Folders that are missing are made.
options:
  files:
    description: The files.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Absolute path.
        type: path
        required: true
      content:
        description: The whole text. Required unless O(files[].state=absent).
        type: str
      mode:
        description: Permission bits, octal, as text.
        type: str
        default: "0644"
      keep_lines:
        description: Lines that are there stay, and those of O(files[].content) that are missing are added at the end.
        type: bool
        default: false
      state:
        description: Whether the file is to be there.
        type: str
        choices: [present, absent]
        default: present
attributes:
  check_mode:
    description: Predicts the changes without writing.
    support: full
  diff_mode:
    description: Shows each changed file before and after, unless its mode keeps it from other users.
    support: full
"""

EXAMPLES = r"""
- name: Two files at once
  kraf.edge.host_files:
    files:
      - path: /etc/modules-load.d/kraf.conf
        content: "overlay\nbr_netfilter\n"
      - path: /etc/sysctl.d/90-kraf.conf
        content: "net.ipv4.ip_forward = 1\n"
"""

RETURN = r"""
paths:
  description: Paths of the files that changed.
  returned: success
  type: list
  elements: str
  sample: [/etc/sysctl.d/90-kraf.conf]
"""

import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kraf.edge.plugins.module_utils.core import module as frame
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError
from ansible_collections.kraf.edge.plugins.module_utils.hosts import files

FILE: dict[str, Any] = {
    "path": {"type": "path", "required": True},
    "content": {"type": "str"},
    "mode": {"type": "str", "default": "0644"},
    "keep_lines": {"type": "bool", "default": False},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}
SPEC: dict[str, Any] = {"files": {"type": "list", "elements": "dict", "required": True, "options": FILE}}


def bits(entry: dict[str, Any]) -> int:
    """The file's mode as a number."""
    try:
        return int(entry["mode"], 8)
    except ValueError as error:
        why = "it is no octal number"
        raise KrafError(f"mode of {entry['path']}", entry["mode"], why, "Write for example '0644'") from error


def added(entry: dict[str, Any]) -> str:
    """The file's text with the lines of the content that it lacks."""
    there = files.text(entry["path"])
    known = set(there.splitlines())
    text = there if not there or there.endswith("\n") else there + "\n"
    return text + "".join(f"{line}\n" for line in entry["content"].splitlines() if line not in known)


def differs(entry: dict[str, Any]) -> bool:
    """Whether the file is not yet what it should be."""
    path = entry["path"]
    if entry["state"] == "absent":
        return os.path.lexists(path)
    return files.mode(path) != bits(entry) or files.text(path) != entry["content"]


def diff(entry: dict[str, Any]) -> dict[str, str]:
    path = entry["path"]
    if entry["state"] == "present" and not bits(entry) & 0o004:
        return {"before_header": path, "after_header": path, "before": "", "after": "(not shown)\n"}
    if entry["state"] == "absent":
        return {"before_header": path, "after_header": path, "before": "(a file)\n", "after": ""}
    before = files.text(path).encode("utf-8", "replace").decode("utf-8")
    return {"before_header": path, "after_header": path, "before": before, "after": entry["content"]}


def body(module: AnsibleModule) -> dict[str, Any]:
    entries = module.params["files"]
    for entry in entries:
        if entry["state"] == "present" and entry["content"] is None:
            raise KrafError(f"file {entry['path']}", None, "it has no content", "Give content, or state: absent")
        bits(entry)
        if entry["state"] == "present" and entry["keep_lines"]:
            entry["content"] = added(entry)
    changed = [entry for entry in entries if differs(entry)]
    paths = [entry["path"] for entry in changed]
    result = {"changed": bool(changed), "paths": paths, "diff": [diff(entry) for entry in changed]}
    if not module.check_mode:
        for entry in changed:
            if entry["state"] == "absent":
                files.remove(entry["path"])
            else:
                os.makedirs(os.path.dirname(entry["path"]), mode=0o755, exist_ok=True)
                files.write(entry["path"], entry["content"], bits(entry))
    return result


def main() -> None:
    frame.run(SPEC, body)


if __name__ == "__main__":
    main()
