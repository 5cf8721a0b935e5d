# Copyright (c) 2026, kraf.edge contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Queries and changes: the rows of devices and apps within one transaction."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from ..core import names
from ..core.errors import KrafError
from . import apps as app_rules
from . import devices as device_rules
from .database import open_catalog
from .records import App, Device

# open_catalog says how to install it.
with suppress(ImportError):
    import sqlalchemy as sa

    from . import tables

__all__ = ["Catalog", "Change", "open_catalog"]


@dataclass(frozen=True)
class Change:
    """Rows that differ, by name (``pi1``, ``pi1/faces``), as they were and as they are; a missing key means no row."""

    before: dict[str, dict[str, Any]]
    after: dict[str, dict[str, Any]]

    @property
    def changed(self) -> bool:
        """Whether any row differs."""
        return self.before != self.after


class Catalog:
    """The rows, within the transaction of ``open_catalog``."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def devices(self) -> list[Device]:
        """All devices in the order of their names."""
        return [
            _device(row) for row in self._connection.execute(sa.select(tables.DEVICE).order_by(tables.DEVICE.c.name))
        ]

    def device(self, name: str) -> Device | None:
        """The device of exactly this name."""
        query = sa.select(tables.DEVICE).where(tables.DEVICE.c.name == name)
        row = self._connection.execute(query).one_or_none()
        return _device(row) if row else None

    def apps(self, device: str | None = None) -> list[App]:
        """The apps of one device, or of all, in the order of their names."""
        query = sa.select(tables.DEVICE.c.name.label("device"), tables.APP).join(tables.DEVICE)
        if device is not None:
            query = query.where(tables.DEVICE.c.name == device)
        rows = self._connection.execute(query.order_by(tables.DEVICE.c.name, tables.APP.c.name))
        return [App.from_dict({**row.declaration, "device": row.device, "name": row.name}) for row in rows]

    def app(self, device: str, name: str) -> App | None:
        """The app of exactly this name on this device."""
        return next((app for app in self.apps(device) if app.name == name), None)

    def put_devices(self, wanted: Sequence[Device]) -> Change:
        """Make rows be as wanted; a new row gets a uid.

        Raises:
            KrafError: when two rows would share a folded name or a machine id, naming both.
        """
        current = {device.name: device for device in self.devices()}
        result = dict(current)
        for device in wanted:
            known = current.get(device.name)
            result[device.name] = replace(device, uid=known.uid if known else str(uuid.uuid4()))
        device_rules.refuse_twins(result.values())
        new = [_device_row(device) for name, device in result.items() if name not in current]
        differ = [_device_row(device) for name, device in result.items() if name in current and device != current[name]]
        table, run = tables.DEVICE, self._connection.execute
        if differ:
            # Two devices may exchange their machine ids, and the column is unique at every moment.
            run(table.update().where(table.c.uid.in_([row["uid"] for row in differ])).values(machine_id=None))
        if new:
            run(table.insert(), new)
        if differ:
            columns: dict[str, Any] = {column.name: sa.bindparam(f"new_{column.name}") for column in table.c}
            update = table.update().where(table.c.uid == sa.bindparam("new_uid")).values(columns)
            run(update, [{f"new_{name}": value for name, value in row.items()} for row in differ])
        return _change(current, result)

    def remove_devices(self, wanted: Iterable[str]) -> Change:
        """Take rows away; a name without a row is done already.

        Raises:
            KrafError: for a device that still has apps, naming them.
        """
        current = {device.name: device for device in self.devices()}
        gone = [current[name] for name in dict.fromkeys(wanted) if name in current]
        doomed = {device.name for device in gone}
        left = [app.key for app in self.apps() if app.device in doomed]
        if left:
            why = f"it still has apps in the catalog: {', '.join(left)}"
            fix = "Remove them first, or run the playbook kraf.edge.device_remove, which also removes what runs"
            raise KrafError("device", left[0].partition("/")[0], why, fix, apps=left)
        if gone:
            uids = [device.uid for device in gone]
            self._connection.execute(tables.DEVICE.delete().where(tables.DEVICE.c.uid.in_(uids)))
        return _change(current, {name: device for name, device in current.items() if name not in doomed})

    def put_apps(self, wanted: Sequence[App]) -> Change:
        """Make rows be as wanted.

        Raises:
            KrafError: for an app of a device that is not registered, and for apps of one device that share a folded
                name, a port of the device or a container, naming both.
        """
        uids = self._uids(wanted)
        current = {app.key: app for app in self.apps()}
        result = {**current, **{app.key: app for app in wanted}}
        app_rules.refuse_twins(result.values())
        new = [_app_row(app, uids) for key, app in result.items() if key not in current]
        differ = [_app_row(app, uids) for key, app in result.items() if key in current and app != current[key]]
        if new:
            self._connection.execute(tables.APP.insert(), new)
        if differ:
            mine = (tables.APP.c.device_uid == sa.bindparam("at")) & (tables.APP.c.folded == sa.bindparam("called"))
            update = tables.APP.update().where(mine).values(declaration=sa.bindparam("new"))
            rows = [{"at": row["device_uid"], "called": row["folded"], "new": row["declaration"]} for row in differ]
            self._connection.execute(update, rows)
        return _change(current, result)

    def remove_apps(self, wanted: Iterable[tuple[str, str]]) -> Change:
        """Take the rows of apps (device, name) away; one without a row is done already."""
        current = {app.key: app for app in self.apps()}
        keys = {f"{device}/{name}" for device, name in wanted}
        doomed = [app for key, app in current.items() if key in keys]
        if doomed:
            uids = self._uids(doomed)
            mine = (tables.APP.c.device_uid == sa.bindparam("at")) & (tables.APP.c.folded == sa.bindparam("called"))
            rows = [{"at": uids[app.device], "called": names.fold(app.name)} for app in doomed]
            self._connection.execute(tables.APP.delete().where(mine), rows)
        return _change(current, {key: app for key, app in current.items() if key not in keys})

    def _uids(self, wanted: Iterable[App]) -> dict[str, str]:
        rows = self._connection.execute(sa.select(tables.DEVICE.c.name, tables.DEVICE.c.uid))
        uids = {row.name: row.uid for row in rows}
        for app in wanted:
            if app.device not in uids:
                like = next((name for name in uids if names.fold(name) == names.fold(app.device)), None)
                fix = f"Did you mean {like!r}" if like else "Register it first (module kraf.edge.device)"
                raise KrafError(f"device of app {app.name}", app.device, "the catalog has no such device", fix)
        return uids


def _change(before: Mapping[str, Device | App], after: Mapping[str, Device | App]) -> Change:
    differ = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    old, new = ({name: rows[name].as_dict() for name in differ if name in rows} for rows in (before, after))
    return Change(old, new)


def _device(row: Any) -> Device:
    parts = dict(row._mapping)
    del parts["folded"]
    parts["machine_id"] = parts["machine_id"] or ""
    return Device(**parts)


def _device_row(device: Device) -> dict[str, Any]:
    row = device.as_dict()
    return {**row, "folded": names.fold(device.name), "machine_id": device.machine_id or None}


def _app_row(app: App, uids: Mapping[str, str]) -> dict[str, Any]:
    declaration = app.as_dict()
    for name in ("device", "name"):
        del declaration[name]
    return {
        "device_uid": uids[app.device],
        "folded": names.fold(app.name),
        "name": app.name,
        "declaration": declaration,
    }
