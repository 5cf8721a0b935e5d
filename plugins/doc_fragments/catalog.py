# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of what the modules of the catalog have in common."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragments C(kraf.edge.catalog) and C(kraf.edge.catalog.query)."""

    DOCUMENTATION = r"""
options:
  catalog:
    description:
      - Where the catalog is, as path of a SQLite file or as URL of a PostgreSQL database such as
        V(postgresql://kraf@db.example.org/kraf).
      - Several operators, or AWX, use PostgreSQL. A SQLite file on a network file system is refused, since its locks
        fail there.
      - The default is C(kraf/catalog.sqlite) in the user's data directory (E(XDG_DATA_HOME), else C(~/.local/share)).
      - Leave the password out of the URL and in C(~/.pgpass) or E(PGPASSWORD), and it appears nowhere.
      - If the value is not specified in the task, the value of the environment variable E(KRAF_CATALOG) is used.
    type: str
requirements:
  - SQLAlchemy (Python package) on the host that runs the module, usually the controller
  - psycopg (Python package) for PostgreSQL
"""

    QUERY = r"""
options:
  query:
    description:
      - JMESPath expression that is applied to the list that was found; what it selects is returned as RV(result).
      - Needs the Python package jmespath.
    type: str
"""
