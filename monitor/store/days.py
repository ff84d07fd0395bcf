"""What keys spent by UTC day."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from monitor.store.database import Database
from monitor.store.schema import daily_known, daily_spend


class SqliteDays:
    """`DayStore` over SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write(self, day: int, key_no: npt.NDArray[np.integer], cost_nusd: npt.NDArray[np.int64]) -> None:
        """Writes one day down; a day written again takes its newest sums."""
        rows = [
            {"day": day, "key_no": no, "cost_nusd": cost}
            for no, cost in zip(key_no.tolist(), cost_nusd.tolist(), strict=True)
            if cost
        ]
        with self._database.write(is_synced=False) as connection:
            connection.execute(sa.delete(daily_spend).where(daily_spend.c.day == day))
            connection.execute(sa.delete(daily_known).where(daily_known.c.day == day))
            if rows:
                connection.execute(sa.insert(daily_spend), rows)
            connection.execute(sa.insert(daily_known), {"day": day})

    def known(self) -> frozenset[int]:
        """Days written."""
        with self._database.read() as connection:
            return frozenset(connection.execute(sa.select(daily_known.c.day)).scalars())

    def read(self, since: int, until: int, *, n_keys: int) -> npt.NDArray[np.float64]:
        """Nano-dollars (days, keys) of the days [since, until), keys by key_no; NaN in a day that was never written."""
        spent = np.full((max(until - since, 0), n_keys), np.nan)
        written = [day - since for day in self.known() if since <= day < until]
        spent[written] = 0.0
        statement = sa.select(daily_spend).where(daily_spend.c.day >= since, daily_spend.c.day < until)
        with self._database.read() as connection:
            found = np.array([tuple(row) for row in connection.execute(statement)], dtype=np.int64).reshape(-1, 3)
        found = found[found[:, 1] < n_keys]
        spent[found[:, 0] - since, found[:, 1]] = found[:, 2]
        return spent
