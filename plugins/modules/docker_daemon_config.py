#!/usr/bin/python
# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_daemon_config
short_description: Merge settings into Docker Engine's daemon.json
version_added: 0.1.0
author: kraf.edge contributors (@kraf-edge)
description:
  - Merges settings into C(daemon.json); settings that it does not know stay as they are.
  - Says what the daemon needs so that the change counts, and which containers a restart would stop. Restarts nothing.
  - Asks the running daemon for its cgroup driver, too, so that a file that was written without a restart is noticed.
options:
  path:
    description: The file. Its folder is made when it is not there.
    type: path
    default: /etc/docker/daemon.json
  config:
    description: Settings that must be there. Lists are joined with the file's, mappings merged, other values replaced.
    type: dict
    default: {}
  defaults:
    description: Settings for which the file's own values win.
    type: dict
    default: {}
  original:
    description:
      - Where the file is kept as it was before the first change, for a reset. An empty file means that there was none.
    type: path
attributes:
  check_mode:
    description: Predicts the change without writing.
    support: full
  diff_mode:
    description: Shows the file before and after.
    support: full
"""

EXAMPLES = r"""
- name: Use systemd's control groups and limit the logs
  kraf.edge.docker_daemon_config:
    config:
      exec-opts: [native.cgroupdriver=systemd]
    defaults:
      log-driver: json-file
      log-opts: {max-size: 10m, max-file: "3"}
"""

RETURN = r"""
config:
  description: All settings in the file.
  returned: success
  type: dict
  sample: {exec-opts: [native.cgroupdriver=systemd]}
keys:
  description: Names of the settings that changed.
  returned: success
  type: list
  elements: str
  sample: [exec-opts]
action:
  description: What the daemon needs, V(none), V(reload) or V(restart).
  returned: success
  type: str
  sample: restart
stops:
  description: Names of running containers that a restart stops; none where C(live-restore) is already in force.
  returned: success
  type: list
  elements: str
  sample: [database]
"""

import json
import os
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kraf.edge.plugins.module_utils.core import module as frame
from ansible_collections.kraf.edge.plugins.module_utils.hosts import daemon, files, kubernetes, reading

SPEC: dict[str, Any] = {
    "path": {"type": "path", "default": "/etc/docker/daemon.json"},
    "config": {"type": "dict", "default": {}},
    "defaults": {"type": "dict", "default": {}},
    "original": {"type": "path"},
}


def body(module: AnsibleModule) -> dict[str, Any]:
    path = module.params["path"]
    before = files.text(path)
    current = daemon.parse(before, path)
    wanted = daemon.merge(current, module.params["config"], module.params["defaults"])
    keys = daemon.changed_keys(current, wanted)
    action = daemon.action(keys)
    running = kubernetes.docker(reading.Root())
    if running["running"] and daemon.cgroup_driver(wanted) not in ("", running["cgroup_driver"]):
        action = "restart"
    after = json.dumps(wanted, indent=2, sort_keys=True) + "\n" if keys else before
    if keys and not module.check_mode:
        os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
        _keep(module.params["original"], before)
        files.write(path, after, 0o644)
    stops = _containers() if action == "restart" and running["running"] and not running["live_restore"] else []
    if stops:
        module.warn(f"restarting Docker stops {len(stops)} running containers: {', '.join(stops)}")
    return {
        "changed": action != "none",
        "config": wanted,
        "keys": keys,
        "action": action if running["running"] else "none",
        "stops": stops,
        "diff": {"before_header": path, "after_header": path, "before": before, "after": after},
    }


def _keep(original: str | None, before: str) -> None:
    if original and not os.path.exists(original):
        os.makedirs(os.path.dirname(original), mode=0o755, exist_ok=True)
        files.write(original, before, 0o644)


def _containers() -> list[str]:
    answer = kubernetes.ask_docker("/containers/json") or []
    return sorted(container["Names"][0].lstrip("/") for container in answer if container.get("Names"))


def main() -> None:
    frame.run(SPEC, body)


if __name__ == "__main__":
    main()
