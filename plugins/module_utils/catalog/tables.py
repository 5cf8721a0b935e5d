# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tables of the catalog. With store.py the only code that imports SQLAlchemy."""

from __future__ import annotations

try:
    import sqlalchemy as sa
except ImportError:
    # store.open_catalog has asked for the package before it comes here, and says how to install it.
    pass
else:
    METADATA = sa.MetaData()

    SCHEMA = sa.Table("kraf_schema", METADATA, sa.Column("version", sa.Integer, primary_key=True))

    DEVICE = sa.Table(
        "kraf_device",
        METADATA,
        sa.Column("uid", sa.String(36), primary_key=True),
        sa.Column("name", sa.String(253), nullable=False),
        # What makes two names one: see core.names.fold.
        sa.Column("folded", sa.String(253), nullable=False, unique=True),
        # Null when nobody said: a unique column takes any number of nulls, but one empty text.
        sa.Column("machine_id", sa.String(64), unique=True),
        sa.Column("address", sa.String(253), nullable=False),
        sa.Column("architecture", sa.String(16), nullable=False),
        sa.Column("memory_bytes", sa.BigInteger, nullable=False),
        sa.Column("labels", sa.JSON, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("expires", sa.String(20), nullable=False),
        sa.Column("cluster_uid", sa.String(64), nullable=False),
    )

    APP = sa.Table(
        "kraf_app",
        METADATA,
        sa.Column("device_uid", sa.ForeignKey("kraf_device.uid"), primary_key=True),
        sa.Column("folded", sa.String(253), primary_key=True),
        sa.Column("name", sa.String(253), nullable=False),
        # Nothing searches inside an app, so what it is made of needs no columns of its own.
        sa.Column("declaration", sa.JSON, nullable=False),
    )
