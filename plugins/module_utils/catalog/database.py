# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Opens the catalog's database: one connection, one transaction, every failure a KrafError."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ..core import imports
from ..core.errors import KrafError
from . import location

# open_catalog says how to install it.
with suppress(ImportError):
    import sqlalchemy as sa

if TYPE_CHECKING:
    from .store import Catalog

VERSION = 1
CONNECT_SECONDS = 10
LOCK_SECONDS = 30
_WRITER_LOCK = 0x6B726166
_REGISTER = "Register a device first (module kraf.edge.device), or correct the option catalog"


@contextmanager
def open_catalog(text: str | None = None, write: bool = False, check_mode: bool = False) -> Iterator[Catalog]:
    """The catalog for the length of a ``with`` block, which is one transaction.

    Args:
        text: path or URL of the database; none for the default path.
        write: whether the block may change rows. Writers come one after the other, and make the database where there
            is none; a reader refuses a database that is missing, for no rows would be a wrong answer.
        check_mode: take everything back at the end. A missing database is not made then either.

    Raises:
        KrafError: naming the database, without its password.
    """
    imports.require("sqlalchemy")
    url = location.url_of(text)
    path = location.file_of(url)
    if path is not None:
        location.refuse_network_file_system(path)
        if not path.exists():
            if not write:
                raise KrafError("catalog", str(path), "there is no such database", _REGISTER)
            if check_mode:
                path, url = None, "sqlite://"
            else:
                _make_folder(path)
    try:
        engine = _engine(url, write)
        with engine.connect() as connection, connection.begin() as transaction:
            yield _prepared(connection, url, write)
            if check_mode:
                transaction.rollback()
    except sa.exc.SQLAlchemyError as error:
        raise _explained(error, url) from error
    finally:
        if "engine" in locals():
            engine.dispose()


def _make_folder(path: Any) -> None:
    try:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    except OSError as error:
        fix = "Name a place that can be written with the option catalog (playbooks: kraf_catalog)"
        raise KrafError("catalog", str(path), f"its folder cannot be made: {error.strerror}", fix) from error


def _engine(url: str, write: bool) -> sa.Engine:
    path = location.file_of(url)
    sqlite = url.startswith("sqlite:")
    target: Any = sa.URL.create("sqlite", database=str(path)) if path else url
    limits = {"timeout": LOCK_SECONDS} if sqlite else {"connect_timeout": CONNECT_SECONDS}
    try:
        engine = sa.create_engine(target, connect_args=limits, poolclass=sa.StaticPool if sqlite else sa.NullPool)
    except ImportError as error:
        imports.require(error.name or "psycopg")
        raise
    except ValueError as error:
        fix = "Write it as postgresql://user:password@host:port/name"
        raise KrafError("catalog", location.hidden(url), "it is no URL of a database", fix) from error
    if not sqlite:
        return engine

    # Python's sqlite3 begins transactions late, after what was read; two writers would both have read the old rows.
    @sa.event.listens_for(engine, "connect")
    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")

    @sa.event.listens_for(engine, "begin")
    def begun(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _prepared(connection: sa.Connection, url: str, write: bool) -> Catalog:
    from . import tables
    from .store import Catalog

    shown = str(location.file_of(url) or location.hidden(url))
    if write and connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_WRITER_LOCK)))
    if not sa.inspect(connection).has_table(tables.SCHEMA.name):
        if not write:
            raise KrafError("catalog", shown, "the database holds no catalog", _REGISTER)
        tables.METADATA.create_all(connection)
        connection.execute(tables.SCHEMA.insert().values(version=VERSION))
    version = connection.execute(sa.select(tables.SCHEMA.c.version)).scalar()
    if version != VERSION:
        why = f"its tables have version {version}, this kraf.edge knows version {VERSION}"
        raise KrafError("catalog", shown, why, "Use the release of kraf.edge that wrote the catalog, or a later one")
    return Catalog(connection)


def _explained(error: Exception, url: str) -> KrafError:
    cause = str(getattr(error, "orig", None) or error)
    password = sa.make_url(url).password if not isinstance(error, sa.exc.ArgumentError) else None
    if password:
        cause = cause.replace(str(password), "***")
    first = (cause.strip().splitlines() or [type(error).__name__])[0].rstrip(".")
    if "not a database" in first:
        fix = "Name another file: this one is something else than a SQLite database"
    elif "locked" in first:
        fix = f"Another process has held the catalog for {LOCK_SECONDS} s: wait for it to end"
    elif isinstance(error, sa.exc.OperationalError):
        fix = "Check that the database runs and can be reached and written with these credentials"
    else:
        fix = "Correct the option catalog (playbooks: kraf_catalog)"
    return KrafError("catalog", str(location.file_of(url) or location.hidden(url)), first, fix)
