# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Playbooks with inputs as AWX sends them: what is wrong ends the run with one message, and no host is spoken to."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import App, Device
from ansible_collections.kraf.edge.plugins.module_utils.catalog.store import open_catalog

ROOT = Path(__file__).resolve().parents[3]
PLAYBOOKS = sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml"))
FOLDER = str(ROOT / "roles/image_registry/files/edge")
# Nothing listens there, so whoever speaks to a host fails otherwise than by the message that is expected.
SITE = """
[kraf_control]
server1 ansible_host=127.0.0.1 ansible_port=1
[kraf_devices]
pi1 ansible_host=127.0.0.1 ansible_port=1
pi2 ansible_host=127.0.0.1 ansible_port=1
"""


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build/collections"),
        "ANSIBLE_HOME": str(folder / "home"),
    }
    command = [str(Path(sys.executable).parent / "ansible-playbook"), *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


def said(done: subprocess.CompletedProcess[str]) -> str:
    """Messages of what failed."""
    found = re.findall(r"^fatal: .*? => (\{.*\})$", done.stdout, re.MULTILINE)
    return "\n".join(str(json.loads(one).get("msg")) for one in found) or done.stdout + done.stderr


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """An inventory, and a catalog that knows pi1 alone."""
    (tmp_path / "hosts").write_text(SITE)
    with open_catalog(str(tmp_path / "catalog.sqlite"), write=True) as catalog:
        catalog.put_devices([Device("pi1")])
        catalog.put_apps([App("pi1", "train", kind="job", container="train"), App("pi1", "web", container="web")])
    (tmp_path / "empty.sqlite").touch()
    return tmp_path


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("volume", {}, 'kraf_device: "". The inventory\'s group kraf_devices has no such device, it has: pi1, pi2.'),
    ("volume", {"kraf_device": None, "kraf_volume": ""}, 'kraf_device: "". The inventory'),
    ("volume", {"kraf_device": "pi9", "kraf_volume": "photos"}, 'kraf_device: "pi9". The inventory'),
    ("volume", {"kraf_device": "pi1", "kraf_volume": None}, 'kraf_volume: "", kraf_volume_state: "present".'),
    ("volume", {"kraf_device": "pi1", "kraf_volume": "Photos"}, 'kraf_volume: "Photos"'),
    ("volume", {"kraf_device": "pi1", "kraf_volume": "app-x"}, "does not start with app-"),
    ("volume", {"kraf_device": "pi1", "kraf_volume": "x", "kraf_volume_state": "gone"}, 'kraf_volume_state: "gone"'),
    (
        "volume",
        {"kraf_device": "pi1", "kraf_volume": "x", "kraf_remove_volumes": "maybe"},
        "kraf_remove_volumes: 'maybe'",
    ),
    ("volume", {"kraf_device": "pi2", "kraf_volume": "x"}, 'kraf_device: "pi2". The catalog'),
    (
        "volume",
        {"kraf_device": "pi1", "kraf_volume": "x", "kraf_catalog": "empty.sqlite"},
        "the database holds no catalog",
    ),
    ("volume", {"kraf_device": "pi1", "kraf_volume": "x", "kraf_catalog": "none.sqlite"}, "there is no such database"),
    ("device", {"kraf_device": "pi9"}, 'kraf_devices: ["pi9"]. The inventory'),
    ("device", {"kraf_devices": "pi1,pi9\npi8"}, '"pi8"'),
    ("adopt", {}, 'kraf_device: "". The inventory'),
    ("adopt", {"kraf_device": "pi9", "kraf_container": "web"}, 'kraf_device: "pi9". The inventory'),
    ("adopt", {"kraf_device": "pi1", "kraf_container": None}, 'kraf_container: "", kraf_unit: "", kraf_app: ""'),
    (
        "adopt",
        {"kraf_device": "pi1", "kraf_container": "web", "kraf_unit": "web.service"},
        "One of kraf_container and kraf_unit",
    ),
    ("adopt", {"kraf_device": "pi1", "kraf_unit": "web.timer"}, 'kraf_unit: "web.timer"'),
    ("adopt", {"kraf_device": "pi1", "kraf_container": "a b"}, 'kraf_container: "a b"'),
    ("adopt", {"kraf_device": "pi1", "kraf_container": "web", "kraf_app": "Web"}, 'kraf_app: "Web"'),
    ("adopt", {"kraf_device": "pi1", "kraf_container": "web", "kraf_app_probe": "health"}, 'kraf_app_probe: "health"'),
    ("adopt", {"kraf_device": "pi2", "kraf_container": "web"}, 'kraf_device: "pi2". The catalog'),
    ("migrate", {"kraf_apps": "pi1/x", "kraf_to": "edge", "kraf_accept": {"a": 1}}, "a list is wanted, not a mapping"),
    ("migrate", {"kraf_apps": "", "kraf_to": "edge"}, "kraf_apps names apps as DEVICE/APP"),
    ("migrate", {"kraf_apps": "pi1/x", "kraf_to": None}, "kraf_to is edge or device"),
    ("migrate", {"kraf_apps": "pi1/x", "kraf_to": "edge", "kraf_job_timeout": "1h"}, "a number of seconds"),
    ("job", {"kraf_apps": ""}, "kraf_apps names jobs as DEVICE/APP"),
    ("job", {"kraf_apps": "pi1/x", "kraf_to": "edge"}, "kraf_to is not for this playbook"),
    ("job", {"kraf_apps": "pi1/web"}, "pi1/web is a service"),
    ("job", {"kraf_apps": "pi1/train", "kraf_job_timeout": "1h"}, "a number of seconds"),
    ("job", {"kraf_apps": "pi1/train", "kraf_kubeconfig": "/nowhere"}, "/nowhere"),
    ("migrate", {"kraf_apps": "pi9/x", "kraf_to": "edge"}, "pi9 is not in the inventory's group kraf_devices"),
    ("migrate", {"kraf_apps": "pi1/x", "kraf_to": "edge"}, "The catalog has no app pi1/x"),
    ("image_build", {"kraf_app": "pi1/x", "kraf_image_folder": ""}, "kraf_image_folder is a folder of the controller"),
    ("image_build", {"kraf_app": "x", "kraf_image_folder": "/"}, 'kraf_app: "x"'),
    ("image_build", {"kraf_app": "pi1/x", "kraf_image_folder": "/nowhere"}, '"/nowhere"'),
    (
        "image_build",
        {"kraf_app": "pi1/x", "kraf_image_folder": FOLDER, "kraf_image_host": "pi1"},
        'kraf_image_host: "pi1". kraf_app names',
    ),
    ("reset", {}, 'kraf_reset_confirm: "". It must name the cluster'),
    ("reset", {"kraf_reset_confirm": "other"}, 'kraf_reset_confirm: "other". It must name the cluster'),
    ("reset", {"kraf_catalog": "none.sqlite"}, 'kraf_reset_confirm: "". It must name the cluster'),
    ("reset", {"kraf_reset_confirm": "kraf", "kraf_catalog": "hosts"}, "something else than a SQLite database"),
]


@pytest.mark.parametrize(("name", "inputs", "message"), BAD)
def test_bad_input_ends_the_run_before_a_host_is_spoken_to(
    site: Path, name: str, inputs: dict[str, Any], message: str
) -> None:
    given = {"kraf_catalog": "catalog.sqlite", **inputs}
    given["kraf_catalog"] = str(site / given["kraf_catalog"])
    done = run(site, "-i", str(site / "hosts"), f"kraf.edge.{name}", "--extra-vars", json.dumps(given))
    assert done.returncode == 2, done.stdout + done.stderr
    assert message in said(done)
    assert "changed=0" in done.stdout
    assert "changed=1" not in done.stdout
    assert "UNREACHABLE" not in done.stdout


def test_a_device_is_not_removed_unless_it_is_named_twice(site: Path) -> None:
    inputs = {"kraf_catalog": str(site / "catalog.sqlite"), "kraf_device": "pi1", "kraf_device_remove_confirm": ""}
    (site / "alone").write_text("[kraf_devices]\npi1 ansible_host=127.0.0.1 ansible_port=1\n")
    done = run(site, "-i", str(site / "alone"), "kraf.edge.device_remove", "--extra-vars", json.dumps(inputs))
    assert done.returncode == 2
    assert 'kraf_device: "pi1", kraf_device_remove_confirm: "".' in said(done)


def test_a_device_that_is_away_ends_the_run_before_the_cluster_is_asked(site: Path) -> None:
    inputs = {"kraf_catalog": str(site / "catalog.sqlite"), "kraf_device": "pi1", "kraf_volume": "photos"}
    done = run(site, "-i", str(site / "hosts"), "kraf.edge.volume", "--extra-vars", json.dumps(inputs))
    assert done.returncode == 4
    assert "pi1                        : ok=2    changed=0    unreachable=1" in done.stdout
    assert "Ask the cluster" not in done.stdout


@pytest.mark.parametrize("name", ["site", "control_address"])
def test_a_site_without_a_control_plane_host_is_refused(site: Path, name: str) -> None:
    (site / "none").write_text("[kraf_workers]\nserver2\n")
    done = run(site, "-i", str(site / "none"), f"kraf.edge.{name}")
    assert done.returncode == 2
    assert "group kraf_control: []. The collection makes clusters with one control plane host." in said(done)


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_playbooks_take_the_inventory_of_the_example(tmp_path: Path, name: str) -> None:
    done = run(tmp_path, "-i", str(ROOT / "inventories/example"), f"kraf.edge.{name}", "--list-hosts")
    assert done.returncode == 0, done.stderr
    assert "Failed to parse" not in done.stderr
