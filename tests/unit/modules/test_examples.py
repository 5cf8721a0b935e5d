# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The examples of the catalog's modules and filters run as they stand, one after the other, in one play."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.kraf.edge.plugins.modules import app, app_info, device, device_info

ROOT = Path(__file__).resolve().parents[3]
FILTERS = ("as_bool", "as_list", "printable", "status")


@pytest.fixture
def play(tmp_path: Path) -> Path:
    """A play of all examples, in the order in which a catalog is filled, read and emptied."""
    first, many, maintenance, removal = yaml.safe_load(device.EXAMPLES)
    register, job, cronjob, service, group, unregister = yaml.safe_load(app.EXAMPLES)
    tasks = [first, many, maintenance, removal, register, job, cronjob, service, group]
    tasks += yaml.safe_load(device_info.EXAMPLES) + yaml.safe_load(app_info.EXAMPLES)
    tasks.append(unregister)
    for name in FILTERS:
        tasks += yaml.safe_load(yaml.safe_load((ROOT / f"plugins/filter/{name}.yml").read_text())["EXAMPLES"])
    tasks.append(
        {
            "name": "Compare what the queries found",
            "ansible.builtin.assert": {
                "that": [
                    "addresses.result == ['192.168.1.21']",
                    "stateful.result == ['pi1/faces', 'pi1/meter', 'pi1/report', 'pi1/shop', 'pi1/training']",
                ],
            },
        }
    )
    head: dict[str, Any] = {"hosts": "localhost", "connection": "local", "gather_facts": False}
    path = tmp_path / "examples.yml"
    path.write_text(yaml.safe_dump([{**head, "vars": {"ansible_python_interpreter": sys.executable}, "tasks": tasks}]))
    return path


def test_the_examples_of_the_catalog_run_as_they_stand(play: Path) -> None:
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build/collections"),
        "ANSIBLE_HOME": str(play.parent / "home"),
        "KRAF_CATALOG": str(play.parent / "catalog.sqlite"),
    }
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", str(play)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
