"""AWX-12: what Galaxy accepts at upload and refuses at import, and metadata that must agree with the content."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import files

TAGS_LIMIT = 20
OWN = "kraf.edge"
FQCN = re.compile(r"\b(?!ansible\.(?:builtin|module_utils|plugins|legacy)\b)([a-z_]+\.[a-z_]+)\.[a-z_]\w*")


def complaints(root: Path) -> list[str]:
    metadata = files.load(root / "galaxy.yml")
    return [*_metadata(root, metadata), *_dependencies(root, metadata), *_action_group(root)]


def _metadata(root: Path, metadata: dict[str, Any]) -> Iterator[str]:
    if metadata.get("readme") != "README.md" or "README.md" not in {path.name for path in root.iterdir()}:
        yield "galaxy.yml: readme must be README.md, and that file must exist under exactly that name"
    for pattern in metadata.get("build_ignore") or []:
        if fnmatch.fnmatch("README.md", pattern):
            yield f"galaxy.yml: build_ignore {pattern!r} keeps README.md out of the tarball"
    tags = metadata.get("tags") or []
    if len(tags) > TAGS_LIMIT:
        yield f"galaxy.yml: {len(tags)} tags, Galaxy takes {TAGS_LIMIT}"
    for tag in tags:
        if not re.fullmatch(r"[a-z][a-z0-9]*", str(tag)):
            yield f"galaxy.yml: tag {tag!r} must be of a-z and 0-9"
    for name, version in (metadata.get("dependencies") or {}).items():
        if not isinstance(version, str):
            yield f"galaxy.yml: the version of dependency {name} must be a string, it is {version!r}"
    runtime = root / "meta/runtime.yml"
    if not runtime.is_file() or not (files.load(runtime) or {}).get("requires_ansible"):
        yield "meta/runtime.yml: must exist and set requires_ansible"


def _dependencies(root: Path, metadata: dict[str, Any]) -> Iterator[str]:
    """galaxy.yml names the collections that roles, playbooks and plugins really use, no more and no fewer."""
    used: dict[str, Path] = {}
    for path in files.task_files(root):
        for mapping in files.mappings(files.load(path) or []):
            for key in mapping:
                match = FQCN.fullmatch(key) if isinstance(key, str) else None
                if match:
                    used.setdefault(match.group(1), path)
    for path in (root / "plugins").rglob("*.py"):
        for match in re.finditer(r"ansible_collections\.([a-z_]+\.[a-z_]+)\.", path.read_text(encoding="utf-8")):
            used.setdefault(match.group(1), path)
    used.pop(OWN, None)
    named = set(metadata.get("dependencies") or {})
    for name in sorted(used.keys() - named):
        yield f"galaxy.yml: dependencies lack {name}, which {used[name].relative_to(root)} uses"
    for name in sorted(named - used.keys()):
        yield f"galaxy.yml: dependencies name {name}, which nothing uses"


def _action_group(root: Path) -> Iterator[str]:
    """The group `cluster` holds just the modules with connection options: one module_defaults serves them all."""
    group = set(files.load(root / "meta/runtime.yml")["action_groups"]["cluster"])
    connecting = {
        path.stem
        for path in (root / "plugins/modules").glob("*.py")
        if re.search(r"^\s*- kraf\.edge\.cluster$", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    for name in sorted(connecting - group):
        yield f"meta/runtime.yml: action group cluster lacks {name}"
    for name in sorted(group - connecting):
        yield f"meta/runtime.yml: action group cluster names {name}, which takes no kraf.edge.cluster options"
