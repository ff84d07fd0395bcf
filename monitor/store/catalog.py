"""The numbers of keys and values, shared through the database. A number never changes its meaning, in any process."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from monitor.errors import StoreError
from monitor.frames import Catalog
from monitor.store.matrices import sql
from monitor.store.schema import catalog_keys, catalog_values

_OUT_OF_STEP: Final = (
    "another process numbered keys or values at the same time; restart this one to read the store anew"
)


class CatalogTables:
    """Keeps a `Catalog` and its tables in step. `agree` takes in what others saved, `save` adds what is new here."""

    def __init__(self) -> None:
        self.catalog = Catalog()
        self._n_agreed_keys = 0
        self._n_agreed_values = 0
        self._agreeing = threading.Lock()

    def agree(self, connection: sa.Connection) -> None:
        """Reads what was saved since the last call. Raises StoreError where a number already means something else here."""
        with self._agreeing:
            saved_keys = connection.execute(
                sa.select(catalog_keys.c.key_hash)
                .where(catalog_keys.c.key_no >= self._n_agreed_keys)
                .order_by(catalog_keys.c.key_no)
            ).scalars()
            for key_no, key_hash in enumerate(saved_keys, start=self._n_agreed_keys):
                if self.catalog.key_no(key_hash) != key_no:
                    raise StoreError(_OUT_OF_STEP)
                self._n_agreed_keys = key_no + 1
            saved_values = connection.execute(
                sa.select(catalog_values.c.dimension, catalog_values.c.value)
                .where(catalog_values.c.value_no >= self._n_agreed_values)
                .order_by(catalog_values.c.value_no)
            )
            for value_no, (dimension, value) in enumerate(saved_values, start=self._n_agreed_values):
                if self.catalog.value_no(dimension, value) != value_no:
                    raise StoreError(_OUT_OF_STEP)
                self._n_agreed_values = value_no + 1

    def save(self, connection: sa.Connection) -> None:
        """Adds what the catalog learned to this transaction. Only committed rows ever count as agreed."""
        self.agree(connection)
        first_key, first_value = self._n_agreed_keys, self._n_agreed_values
        _insert(connection, catalog_keys, list(enumerate(self.catalog.keys_from(first_key), start=first_key)))
        values = self.catalog.values_from(first_value)
        _insert(connection, catalog_values, [(no, *value) for no, value in enumerate(values, start=first_value)])


def _insert(connection: sa.Connection, table: sa.Table, rows: Sequence[tuple[Any, ...]]) -> None:
    if rows:
        connection.exec_driver_sql(sql(sa.insert(table)), list(rows))
