"""Small named documents."""

from __future__ import annotations

import json
from collections.abc import Mapping

import sqlalchemy as sa

from monitor.errors import StoreCorrupt, StoreError
from monitor.store.database import Database
from monitor.store.matrices import upsert_sql
from monitor.store.schema import documents


class SqliteState:
    """`StateStore` over SQLite; a document is on disk before `put` returns, and with it all usage written before."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, name: str) -> Mapping[str, object] | None:
        """The document, None if there is none."""
        with self._database.read() as connection:
            text = connection.execute(sa.select(documents.c.document).where(documents.c.name == name)).scalar()
        if text is None:
            return None
        try:
            document = json.loads(text)
        except ValueError as error:
            raise StoreCorrupt(f"the stored document {name!r} cannot be read: {error}; verify the store") from error
        if not isinstance(document, dict):
            raise StoreCorrupt(f"the stored document {name!r} is no object; verify the store")
        return document

    def put(self, name: str, document: Mapping[str, object]) -> None:
        """Writes the document. Raises StoreError for anything JSON cannot hold."""
        try:
            text = json.dumps(dict(document), allow_nan=False, separators=(",", ":"))
        except (TypeError, ValueError) as error:
            raise StoreError(f"document {name!r} does not fit JSON: {error}") from error
        with self._database.write(is_synced=True) as connection:
            connection.exec_driver_sql(upsert_sql(documents), (name, text))
