"""The playbook adopt, on a device that is this machine with a real Docker Engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import Device
from ansible_collections.kraf.edge.plugins.module_utils.catalog.store import open_catalog
from tests.integration.device.engine import Create, Engine

from .test_inputs import ROOT

SITE = f"""
[kraf_devices]
pi1 ansible_connection=local ansible_become=false ansible_python_interpreter={sys.executable}
"""
CANARY = "canary-7f3a"
# The modules speak to Docker where it is on every device: only this play sees the engine there.
MOUNTED = 'mount -t tmpfs none /run && ln -s "$1" /run/docker.sock && shift && exec "$@"'


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """An inventory with one device, which the catalog knows."""
    (tmp_path / "hosts").write_text(SITE)
    with open_catalog(str(tmp_path / "catalog.sqlite"), write=True) as catalog:
        catalog.put_devices([Device("pi1")])
    return tmp_path


def play(site: Path, engine: Engine, *words: str, **inputs: str) -> subprocess.CompletedProcess[str]:
    given = json.dumps({"kraf_catalog": str(site / "catalog.sqlite"), "kraf_device": "pi1", **inputs})
    argv = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(site / "hosts"), "kraf.edge.adopt", *words]
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build/collections"),
        "ANSIBLE_HOME": str(site / "home"),
    }
    inside = ["unshare", "--mount", "sh", "-c", MOUNTED, "sh", str(engine.socket), *argv, "--extra-vars", given]
    return subprocess.run(inside, env=environment, capture_output=True, text=True, timeout=300, check=False)


def test_a_container_is_shown_and_registered_and_a_second_run_changes_nothing(
    site: Path, engine: Engine, create: Create
) -> None:
    (site / "data").mkdir()
    name = create(
        name="My_Web",
        Env=[f"API_KEY={CANARY}"],
        User="pi",
        HostConfig={"Binds": [f"{site}/data:/srv/data"], "CapAdd": ["NET_ADMIN"]},
    )
    checked = play(site, engine, "--check", kraf_container=name)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    with open_catalog(str(site / "catalog.sqlite")) as catalog:
        assert catalog.apps("pi1") == []
    first = play(site, engine, "-vvv", kraf_container=name, kraf_app_probe="/health", kraf_app_emulation="yes")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "changed=1" in first.stdout
    assert "refused     capability NET_ADMIN" in first.stdout
    assert "kept        user pi" in first.stdout
    assert CANARY not in first.stdout + first.stderr
    with open_catalog(str(site / "catalog.sqlite")) as catalog:
        app = catalog.app("pi1", "my-web")
    assert app is not None
    assert (app.container, app.env, app.probe and app.probe.path) == ("My_Web", ("API_KEY",), "/health")
    assert app.emulation
    assert [one.path for one in app.data] == ["/srv/data"]
    second = play(site, engine, kraf_container=name, kraf_app_probe="/health", kraf_app_emulation="yes")
    assert second.returncode == 0
    assert "changed=0" in second.stdout
    assert "changed=1" not in second.stdout


def test_a_container_that_is_not_there_is_named(site: Path, engine: Engine) -> None:
    done = play(site, engine, kraf_container="nobody")
    assert done.returncode == 2
    assert "container: 'nobody'. Docker on the device has none of this name" in done.stdout
