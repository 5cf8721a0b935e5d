"""AWX-12: each thing that Galaxy refuses at import is found before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.checks import galaxy

RIGHT: dict[str, Any] = {"readme": "README.md", "tags": ["cloud"], "dependencies": {"ansible.posix": ">=1.5.4"}}


def tree(root: Path, metadata: dict[str, Any], readme: str = "README.md", runtime: str = "") -> Path:
    for folder in ("meta", "roles/demo/tasks", "plugins/modules"):
        (root / folder).mkdir(parents=True)
    (root / "galaxy.yml").write_text(yaml.safe_dump({**RIGHT, **metadata}))
    (root / readme).write_text("# x\n")
    (root / "meta/runtime.yml").write_text(
        runtime or "requires_ansible: '>=2.15.0'\naction_groups: {cluster: [volume]}\n"
    )
    (root / "roles/demo/tasks/main.yml").write_text("- ansible.posix.sysctl: {name: a}\n")
    (root / "plugins/modules/volume.py").write_text("extends_documentation_fragment:\n  - kraf.edge.cluster\n")
    return root


def test_awx_12_right_metadata_are_silent(tmp_path: Path) -> None:
    assert galaxy.complaints(tree(tmp_path, {})) == []


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"readme": "readme.md"}, "readme must be README.md"),
        ({"build_ignore": ["*.md"]}, "keeps README.md out of the tarball"),
        ({"tags": [f"t{number}" for number in range(21)]}, "21 tags, Galaxy takes 20"),
        ({"tags": ["edge-computing"]}, "tag 'edge-computing'"),
        ({"dependencies": {"ansible.posix": 1.5}}, "must be a string, it is 1.5"),
        ({"dependencies": {}}, "dependencies lack ansible.posix, which roles/demo/tasks/main.yml uses"),
        ({"dependencies": {"ansible.posix": "*", "awx.awx": "*"}}, "dependencies name awx.awx, which nothing uses"),
    ],
)
def test_awx_12_a_fault_in_the_metadata_is_named(tmp_path: Path, metadata: dict[str, Any], message: str) -> None:
    found = galaxy.complaints(tree(tmp_path, metadata))
    assert len(found) == 1
    assert message in found[0]


def test_awx_12_a_readme_of_another_case_is_refused(tmp_path: Path) -> None:
    assert "exactly that name" in galaxy.complaints(tree(tmp_path, {}, readme="Readme.md"))[0]


def test_awx_12_a_runtime_file_without_requires_ansible_is_refused(tmp_path: Path) -> None:
    found = galaxy.complaints(tree(tmp_path, {}, runtime="action_groups: {cluster: [volume]}\n"))
    assert found == ["meta/runtime.yml: must exist and set requires_ansible"]


@pytest.mark.parametrize(
    ("group", "message"), [("[]", "cluster lacks volume"), ("[volume, app]", "names app, which takes no")]
)
def test_the_action_group_is_that_of_the_connecting_modules(tmp_path: Path, group: str, message: str) -> None:
    runtime = f"requires_ansible: '>=2.15.0'\naction_groups: {{cluster: {group}}}\n"
    found = galaxy.complaints(tree(tmp_path, {}, runtime=runtime))
    assert len(found) == 1
    assert message in found[0]
