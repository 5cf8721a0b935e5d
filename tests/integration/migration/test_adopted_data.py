"""Data of a container of a real Docker Engine, found by its description and copied by a real mover."""

from __future__ import annotations

import os
from pathlib import Path

from ansible_collections.kraf.edge.plugins.module_utils.on_device import adopt, tree
from ansible_collections.kraf.edge.plugins.module_utils.placement import definition
from tests.integration.device.engine import Create, Engine

from . import trees
from .movers import Running


def test_mig_01_both_trees_of_a_volume_arrive_with_owners_and_modes(
    create: Create, mover: Running, engine: Engine
) -> None:
    name = create(HostConfig={"Mounts": [{"Type": "volume", "Source": "caseprobe_db", "Target": "/var/lib/db"}]})
    volume = Path(engine.ask("GET", "/volumes/caseprobe_db")["Mountpoint"])
    for number, owner in ((1, 999), (2, 2000)):
        trees.fill(volume / f"tree-{number}")
        for path in [volume / f"tree-{number}", *(volume / f"tree-{number}").rglob("*")]:
            if not path.is_symlink():
                mode = path.stat().st_mode & 0o7777
                os.chown(path, owner, owner)
                path.chmod(mode & 0o700 if path.is_dir() else mode)
    app = definition.adopt(adopt.report(name), "pi1").app
    data = adopt.look(name, name, [(one.name, one.path, "") for one in app.data], True)["container"]["data"]
    assert [one["folder"] for one in data.values()] == [str(volume)]
    before = trees.seen(volume)
    pairs = tree.to_edge([(key, one["folder"]) for key, one in data.items()], mover.remote, 2, 0)
    tree.first("db", 1, pairs, mover.remote, 60)
    tree.final("db", pairs, mover.remote, 60)
    tree.compare("db", pairs, mover.remote, 60)
    assert trees.seen(mover.data / "2" / next(iter(data))) == before
    assert trees.seen(volume) == before
