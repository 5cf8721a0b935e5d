# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: host_complaints
short_description: Everything that is wrong with hosts, one sentence each
version_added: 0.1.0
author: kraf.edge contributors (@kraf-edge)
description:
  - Judges what the module M(kraf.edge.host_info) found, for one of the roles, and returns every complaint at once.
  - A complaint names the thing, the value, the reason and the fix.
positional: subject
options:
  _input:
    description:
      - By host name, the RV(kraf.edge.host_info#module:host) of each.
      - With O(subject=python), by host name, the version that C(python3) printed there.
    type: dict
    required: true
  subject:
    description: What the hosts are to be fit for.
    type: str
    choices: [python, docker, kubernetes, reset]
    required: true
  settings:
    description: With O(subject=kubernetes) or V(reset), the settings of the cluster, as its role writes them down.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Fail with everything that is wrong
  ansible.builtin.assert:
    that: complaints | length == 0
    fail_msg: "{{ complaints | join('\n') }}"
  vars:
    complaints: "{{ {inventory_hostname: found.host} | kraf.edge.host_complaints('docker') }}"
"""

RETURN = r"""
_value:
  description: The complaints; empty when nothing is wrong.
  type: list
  elements: str
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible.module_utils import basic

from ansible_collections.kraf.edge.plugins.module_utils.hosts import existing, judge


def host_complaints(hosts: Mapping[str, Any], subject: str, settings: Mapping[str, Any] | None = None) -> list[str]:
    if subject == "python":
        # ansible-core refuses older ones itself, but by then a module has failed with a syntax error.
        return [str(error) for error in judge.python(hosts, getattr(basic, "_PY_MIN", judge.OLDEST_PYTHON))]
    judges = {"docker": judge.docker, "kubernetes": judge.kubernetes, "reset": existing.reset}
    if subject not in judges:
        raise AnsibleFilterError(f"host_complaints: {subject!r} is none of python, docker, kubernetes, reset")
    return [str(error) for error in judges[subject](hosts, settings or {})]


class FilterModule:
    """Ansible's way to find the filters of a file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"host_complaints": host_complaints}
