# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: catalog
short_description: Devices of the catalog as hosts
version_added: 0.1.0
author: kraf.edge contributors (@kraf-edge)
description:
  - Makes every device of the catalog a host in the group C(kraf_devices).
  - Groups them by label (C(kraf_label_site_lab)), architecture (C(kraf_arch_arm64)) and state (C(kraf_state_active),
    C(kraf_state_maintenance)). Characters that no group name takes become C(_).
  - Host variables are C(ansible_host), if there is an address, and C(kraf_uid), C(kraf_machine_id),
    C(kraf_architecture), C(kraf_memory_bytes), C(kraf_labels), C(kraf_state), C(kraf_reason), C(kraf_expires) and
    C(kraf_cluster_uid).
  - Texts come from devices and are not trusted. They are never templated, control characters are dropped, and long ones
    are cut.
  - A catalog that is missing or cannot be reached ends the run; no hosts would be a wrong answer.
  - The file's name ends in C(kraf.yml), C(kraf.yaml), C(kraf_catalog.yml) or C(kraf_catalog.yaml).
extends_documentation_fragment:
  - constructed
options:
  plugin:
    description: Name of this plugin.
    type: str
    required: true
    choices: [kraf.edge.catalog]
  catalog:
    description:
      - Where the catalog is, as path of a SQLite file or as URL of a PostgreSQL database.
      - The default is C(kraf/catalog.sqlite) in the user's data directory (E(XDG_DATA_HOME), else C(~/.local/share)).
    type: str
    env:
      - name: KRAF_CATALOG
  user:
    description: User to log in as, which becomes C(ansible_user) of every device.
    type: str
requirements:
  - SQLAlchemy (Python package)
  - psycopg (Python package) for PostgreSQL
"""

EXAMPLES = r"""
# kraf.yml: run it as ansible-inventory -i kraf.yml --graph
---
plugin: kraf.edge.catalog
catalog: ~/.local/share/kraf/catalog.sqlite
user: pi
"""

import re
from functools import lru_cache
from typing import Any

from ansible import constants as C
from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Constructable
from ansible.utils.unsafe_proxy import wrap_var

from ansible_collections.kraf.edge.plugins.module_utils.catalog.devices import is_address
from ansible_collections.kraf.edge.plugins.module_utils.catalog.records import Device
from ansible_collections.kraf.edge.plugins.module_utils.catalog.store import open_catalog
from ansible_collections.kraf.edge.plugins.module_utils.core import names
from ansible_collections.kraf.edge.plugins.module_utils.core.coerce import printable
from ansible_collections.kraf.edge.plugins.module_utils.core.errors import KrafError

ENDINGS = ("kraf.yml", "kraf.yaml", "kraf_catalog.yml", "kraf_catalog.yaml")
LONGEST = 500
PLAIN = re.compile(r"[-A-Za-z0-9 _.,:;/+@]*\Z", re.ASCII)
ALL = "kraf_devices"


@lru_cache(maxsize=4096)
def group_name(*parts: str) -> str:
    """A group's name of foreign parts: prefixed, so that it is no host's name and none of Ansible's own."""
    return "_".join(["kraf", *(re.sub(r"[^A-Za-z0-9]", "_", printable(part, 64)) for part in parts if part)])


@lru_cache(maxsize=4096)
def foreign(text: str) -> Any:
    """Text that Ansible never templates, and a terminal can show."""
    shown = printable(text, LONGEST)
    # Marking takes a third of the time for ten thousand devices, and what has no template in it needs none.
    return shown if PLAIN.match(shown) else wrap_var(shown)


def groups_of(device: Device) -> list[str]:
    """The groups that a device is in."""
    found = [ALL, group_name("state", device.state)]
    found += [group_name("label", str(key), str(value)) for key, value in device.labels.items()]
    return [*found, group_name("arch", device.architecture)] if device.architecture else found


def variables_of(device: Device) -> dict[str, Any]:
    """Host variables, each text cleaned; an address that could be taken for an option of ssh is left out."""
    found: dict[str, Any] = {}
    for name, value in device.as_dict().items():
        if name == "labels":
            found["kraf_labels"] = {printable(key, LONGEST): foreign(text) for key, text in value.items()}
        elif name not in ("name", "address"):
            found[f"kraf_{name}"] = foreign(value) if isinstance(value, str) else value
    if device.address and is_address(device.address):
        found["ansible_host"] = foreign(device.address)
    return found


class InventoryModule(BaseInventoryPlugin, Constructable):  # type: ignore[misc]
    """Ansible asks this class."""

    NAME = "kraf.edge.catalog"

    def verify_file(self, path: str) -> bool:
        return bool(super().verify_file(path)) and path.endswith(ENDINGS)

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        try:
            with open_catalog(self.get_option("catalog")) as catalog:
                devices = [device.at() for device in catalog.devices()]
        except KrafError as error:
            # Ansible would warn and go on without hosts, and a play on no hosts succeeds.
            C.INVENTORY_ANY_UNPARSED_IS_FAILED = True
            raise AnsibleParserError(f"{path}: {error}") from error
        self.inventory.add_group(ALL)
        common = {"ansible_user": self.get_option("user")} if self.get_option("user") else {}
        # What most devices have alike is said once: each variable of a host costs as much as the host itself.
        common.update(variables_of(Device("")))
        for variable, value in common.items():
            self.inventory.set_variable(ALL, variable, value)
        for device in devices:
            try:
                names.check("device", device.name)
            except KrafError as error:
                self.display.warning(f"left out of the inventory: {printable(error)}")
            else:
                self._add(device.name, groups_of(device), variables_of(device), common)

    def _add(self, name: str, groups: list[str], variables: dict[str, Any], common: dict[str, Any]) -> None:
        self.inventory.add_host(name)
        for group in groups:
            if group not in self.inventory.groups:
                self.inventory.add_group(group)
            self.inventory.add_child(group, name)
        for variable, value in variables.items():
            if variable not in common or value != common[variable]:
                self.inventory.set_variable(name, variable, value)
        options = {option: self.get_option(option) for option in ("compose", "groups", "keyed_groups")}
        if any(options.values()):
            variables = {**common, **variables}
            strict = self.get_option("strict")
            self._set_composite_vars(options["compose"], variables, name, strict=strict)
            self._add_host_to_composed_groups(options["groups"], variables, name, strict=strict)
            self._add_host_to_keyed_groups(options["keyed_groups"], variables, name, strict=strict)
