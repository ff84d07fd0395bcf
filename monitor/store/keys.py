"""The inventory: each key as last seen, and what people or we changed about it."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from monitor.domain import ApiKey, Inventory, KeySettings
from monitor.frames import Catalog
from monitor.store.base import KeyChange
from monitor.store.catalog import CatalogTables
from monitor.store.database import Database
from monitor.store.matrices import sql, upsert_sql
from monitor.store.schema import catalog_keys, inventories, key_history, workspaces
from monitor.store.schema import keys as keys_table
from monitor.store.values import from_us, from_us_or_none, to_us, to_us_or_none

_UPSERT_KEY: Final = upsert_sql(keys_table)
_INSERT_CHANGE: Final = sql(
    sa.insert(key_history).values({c.name: sa.bindparam(c.name) for c in key_history.columns if not c.primary_key})
)

_Seen = tuple[ApiKey, datetime | None]  # a key and when it vanished


class SqliteKeys:
    """`KeyStore` over SQLite. Holds a copy of the table, so that a poll in which nothing changed writes next to nothing."""

    def __init__(self, database: Database, catalog: CatalogTables) -> None:
        self._database = database
        self._catalog = catalog
        self._copying = threading.Lock()
        self._copy: dict[str, _Seen] = {}
        self._copy_of = 0

    @property
    def catalog(self) -> Catalog:
        """The one catalog of this store, loaded on open."""
        return self._catalog.catalog

    def record(self, inventory: Inventory) -> None:
        """Takes a snapshot. A change of `is_disabled`, `limit_usd`, `limit_reset`, `include_byok_in_limit`, `key_name`,
        `workspace_id` or `expires_at` goes into the history, also that a key `vanished` or came back.

        Keys neither listed nor among `vanished` stay as they were: silence is no deletion."""
        for key in inventory.keys:
            self.catalog.key_no(key.key_hash)
        with self._copying:
            with self._database.write(is_synced=True) as connection:
                self._catalog.save(connection)
                n_recorded, before = self._current(connection)
                now = _snapshot(inventory, before)
                changed = {key_hash: seen for key_hash, seen in now.items() if before.get(key_hash) != seen}
                self._write(connection, before, changed, inventory.taken_at)
                _record_workspaces(connection, inventory)
                _count(connection, n_recorded + 1, inventory.taken_at)
            self._copy, self._copy_of = self._merged(before, changed), n_recorded + 1

    def keys(self, *, include_vanished: bool = False) -> tuple[ApiKey, ...]:
        """The keys as last seen, in order of key_no."""
        with self._copying, self._database.read() as connection:
            self._catalog.agree(connection)
            n_recorded, seen = self._current(connection)
            if n_recorded != self._copy_of:
                self._copy, self._copy_of = seen, n_recorded
        return tuple(key for key, vanished_at in seen.values() if include_vanished or vanished_at is None)

    def workspaces(self) -> Mapping[str, str]:
        """Workspace name by id, as last seen."""
        with self._database.read() as connection:
            return {row.workspace_id: row.name for row in connection.execute(sa.select(workspaces))}

    def history(self, key_hash: str) -> tuple[KeyChange, ...]:
        """Changes of one key, oldest first."""
        statement = (
            sa.select(key_history)
            .join(catalog_keys, catalog_keys.c.key_no == key_history.c.key_no)
            .where(catalog_keys.c.key_hash == key_hash)
            .order_by(key_history.c.change_id)
        )
        with self._database.read() as connection:
            return tuple(
                KeyChange(key_hash, from_us(row.seen_at_us), row.field, row.before, row.after)
                for row in connection.execute(statement)
            )

    def _write(
        self, connection: sa.Connection, before: Mapping[str, _Seen], changed: Mapping[str, _Seen], at: datetime
    ) -> None:
        """Sets the rows of changed keys and adds to the history what people would want to know of it."""
        rows = [_row(self.catalog.key_no(key_hash), seen) for key_hash, seen in changed.items()]
        changes = [
            (self.catalog.key_no(key_hash), to_us(at), *change)
            for key_hash, seen in changed.items()
            if key_hash in before
            for change in _changes(before[key_hash], seen)
        ]
        if rows:
            connection.exec_driver_sql(_UPSERT_KEY, rows)
        if changes:
            connection.exec_driver_sql(_INSERT_CHANGE, changes)

    def _merged(self, before: Mapping[str, _Seen], changed: Mapping[str, _Seen]) -> dict[str, _Seen]:
        """The table after the change, in order of key_no."""
        merged = {**before, **changed}
        if len(merged) == len(before):
            return merged
        return {key_hash: merged[key_hash] for key_hash in sorted(merged, key=self.catalog.key_no)}

    def _current(self, connection: sa.Connection) -> tuple[int, dict[str, _Seen]]:
        """How many inventories were recorded, and the keys as the last one left them, in order of key_no."""
        n_recorded = connection.execute(sa.select(inventories.c.n_recorded)).scalar() or 0
        if n_recorded == self._copy_of:
            return n_recorded, self._copy
        statement = sa.select(catalog_keys.c.key_hash, keys_table).join_from(keys_table, catalog_keys)
        rows = connection.execute(statement.order_by(keys_table.c.key_no))
        return n_recorded, {row.key_hash: (_key(row), from_us_or_none(row.vanished_at_us)) for row in rows}


def _snapshot(inventory: Inventory, before: Mapping[str, _Seen]) -> dict[str, _Seen]:
    """What the inventory says of each key it speaks of."""
    now: dict[str, _Seen] = {key.key_hash: (key, None) for key in inventory.keys}
    for key_hash in inventory.vanished:
        if key_hash in before and key_hash not in now:
            key, vanished_at = before[key_hash]
            now[key_hash] = (key, vanished_at or inventory.taken_at)
    return now


def _settings(seen: _Seen) -> Iterator[tuple[str, str | None]]:
    key, vanished_at = seen
    yield "is_disabled", str(key.settings.is_disabled).lower()
    yield "limit_usd", None if key.settings.limit_usd is None else repr(key.settings.limit_usd)
    yield "limit_reset", key.settings.limit_reset
    yield "include_byok_in_limit", str(key.settings.include_byok_in_limit).lower()
    yield "key_name", key.key_name
    yield "workspace_id", key.workspace_id
    yield "expires_at", None if key.expires_at is None else key.expires_at.isoformat()
    yield "vanished", None if vanished_at is None else vanished_at.isoformat()


def _changes(before: _Seen, after: _Seen) -> Iterable[tuple[str, str | None, str | None]]:
    for (field, old), (_, new) in zip(_settings(before), _settings(after), strict=True):
        if old != new:
            yield field, old, new


def _row(key_no: int, seen: _Seen) -> tuple[Any, ...]:
    """A row of the table `keys`, in its order of columns."""
    key, vanished_at = seen
    return (
        key_no,
        key.key_name,
        key.label,
        key.workspace_id,
        key.creator_user_id,
        key.settings.is_disabled,
        key.settings.limit_usd,
        key.settings.limit_reset,
        key.settings.include_byok_in_limit,
        key.limit_remaining_usd,
        key.usage_nusd,
        key.usage_daily_nusd,
        key.usage_weekly_nusd,
        key.usage_monthly_nusd,
        key.byok_usage_nusd,
        to_us(key.created_at),
        to_us_or_none(key.updated_at),
        to_us_or_none(key.expires_at),
        to_us_or_none(vanished_at),
    )


def _key(row: Any) -> ApiKey:
    return ApiKey(
        key_hash=row.key_hash,
        key_name=row.key_name,
        label=row.label,
        workspace_id=row.workspace_id,
        creator_user_id=row.creator_user_id,
        settings=KeySettings(
            is_disabled=bool(row.is_disabled),
            limit_usd=row.limit_usd,
            limit_reset=row.limit_reset,
            include_byok_in_limit=bool(row.include_byok_in_limit),
        ),
        limit_remaining_usd=row.limit_remaining_usd,
        usage_nusd=row.usage_nusd,
        usage_daily_nusd=row.usage_daily_nusd,
        usage_weekly_nusd=row.usage_weekly_nusd,
        usage_monthly_nusd=row.usage_monthly_nusd,
        byok_usage_nusd=row.byok_usage_nusd,
        created_at=from_us(row.created_at_us),
        updated_at=from_us_or_none(row.updated_at_us),
        expires_at=from_us_or_none(row.expires_at_us),
    )


def _record_workspaces(connection: sa.Connection, inventory: Inventory) -> None:
    rows = [(workspace.workspace_id, workspace.name) for workspace in inventory.workspaces]
    if rows:
        connection.exec_driver_sql(upsert_sql(workspaces), rows)


def _count(connection: sa.Connection, n_recorded: int, taken_at: datetime) -> None:
    counted = {"one": 1, "n_recorded": n_recorded, "taken_at_us": to_us(taken_at)}
    insert = sqlite.insert(inventories).values(counted)
    connection.execute(insert.on_conflict_do_update(index_elements=["one"], set_=counted))
