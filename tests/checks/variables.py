"""Names and conditions that stay right when every value arrives from AWX as a string and beats what a play assigns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import jinja2.nodes

from . import files

CONDITIONS = ("when", "failed_when", "changed_when", "until", "that")
BARE = re.compile(r"^(not\s+)*[A-Za-z_]\w*(\[[^\]]*\])?$")
# Ansible itself makes these booleans.
TRUE_BOOLEANS = {"true", "false", "ansible_check_mode", "ansible_diff_mode"}
SET_FACT = ("ansible.builtin.set_fact", "set_fact")
MAGIC = {
    "group_names", "groups", "hostvars", "inventory_dir", "inventory_file", "inventory_hostname",
    "inventory_hostname_short", "item", "lookup", "now", "omit", "play_hosts", "playbook_dir", "q", "query", "range",
    "dict", "namespace", "role_name", "role_path", "undef",
}  # fmt: skip


def complaints(root: Path) -> list[str]:
    prefixes = tuple(f"{role.name}_" for role in files.roles(root))
    found: list[str] = []
    for path in files.task_files(root):
        where = path.relative_to(root)
        content = files.load(path) or []
        found += [f"{where}: {text}" for text in _conditions(content)]
        found += [f"{where}: {text}" for text in _assigned(content, prefixes)]
        if where.parts[0] == "playbooks":
            found += [f"{where}: {text}" for text in _inputs(content, prefixes)]
    return found


def _conditions(content: Any) -> Iterator[str]:
    """AWX-01: the answer "false" is a true string, so a condition says what it compares, or `| bool`."""
    for mapping in files.mappings(content):
        for key in CONDITIONS:
            value = mapping.get(key)
            for condition in value if isinstance(value, list) else [value]:
                if not isinstance(condition, str):
                    continue
                for term in re.split(r"\s+(?:and|or)\s+", condition):
                    term = term.strip().strip("()").strip()
                    if BARE.match(term) and re.sub(r"^(not\s+)+", "", term) not in TRUE_BOOLEANS:
                        yield f"`{key}: {condition}` takes {term!r} as it comes: add `| bool` or a comparison"


def _assigned(content: Any, prefixes: tuple[str, ...]) -> Iterator[str]:
    """AWX-03: extra variables beat every assignment, so inputs are never assigned and internals start with __."""
    for mapping in files.mappings(content):
        names: list[str] = []
        if isinstance(mapping.get("register"), str):
            names.append(mapping["register"])
        for key in SET_FACT:
            names += [name for name in mapping.get(key) or {} if name != "cacheable"]
        for name in names:
            if not name.startswith("__"):
                yield f"{name} is set here, so its name must start with __: an extra variable of that name would win"
        given = mapping.get("vars")
        for name in given if isinstance(given, dict) else {}:
            if not name.startswith(("__", "ansible_", *prefixes)):
                yield f"vars sets {name}: only internals (__), ansible_* and the variables of a role may be set"


def _inputs(content: Any, prefixes: tuple[str, ...]) -> Iterator[str]:
    """What a playbook reads from outside carries the prefix kraf_."""
    environment = jinja2.Environment(extensions=["jinja2.ext.do"], autoescape=True)
    allowed = ("kraf_", "__", "ansible_", *prefixes)
    loops = {mapping["loop_var"] for mapping in files.mappings(content) if isinstance(mapping.get("loop_var"), str)}
    reported: set[str] = set()
    for text in _templates(content):
        names = list(environment.parse(text).find_all(jinja2.nodes.Name))
        stored = {name.name for name in names if name.ctx != "load"}
        for name in sorted({name.name for name in names} - stored - loops - MAGIC - reported):
            if not name.startswith(allowed):
                reported.add(name)
                yield f"reads the variable {name}: an input of a playbook must start with kraf_"


def _templates(content: Any) -> Iterator[str]:
    yield from (text for text in files.strings(content) if "{{" in text or "{%" in text)
    for mapping in files.mappings(content):
        for key in CONDITIONS:
            value = mapping.get(key)
            for condition in value if isinstance(value, list) else [value]:
                if isinstance(condition, str):
                    yield "{{ " + condition + " }}"
