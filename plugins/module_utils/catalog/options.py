# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The option that every module of the catalog takes; documented in the fragment kraf.edge.catalog."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import unquote, urlsplit

from ansible.module_utils.basic import AnsibleModule, env_fallback

from .database import open_catalog
from .store import Catalog

CATALOG_ARGS: dict[str, dict[str, Any]] = {
    # Not no_log: a path or a server's name stays readable, and catalog_of hides the password.
    "catalog": {"type": "str", "fallback": (env_fallback, ["KRAF_CATALOG"])},
}
QUERY_ARGS: dict[str, dict[str, Any]] = {"query": {"type": "str"}}


def catalog_of(module: AnsibleModule, write: bool = False) -> AbstractContextManager[Catalog]:
    """The catalog that a module's options name, see open_catalog; its password is kept out of the module's output."""
    text = module.params["catalog"] or ""
    password = urlsplit(text).password if "://" in text else None
    if password:
        module.no_log_values.update({password, unquote(password)})
    return open_catalog(text, write=write, check_mode=module.check_mode)
