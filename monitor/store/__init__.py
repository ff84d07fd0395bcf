"""The embedded store: `base` says what a store offers, `sqlite.open_store` opens the one there is.

Imports nothing here: SQLAlchemy is loaded only by whoever opens a store."""
