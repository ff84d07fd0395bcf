"""The spend counters of all keys: lifetime, and the current UTC day, week (from Monday) and month."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import numpy as np
import numpy.typing as npt

from monitor.demo.traffic import DAY_S, Rows

LIFETIME, DAILY, WEEKLY, MONTHLY = range(4)

PERIOD_OF_RESET: Final = {None: LIFETIME, "daily": DAILY, "weekly": WEEKLY, "monthly": MONTHLY}
"""Which counter a key's limit is compared with, by its `limit_reset`."""


def periods(at_s: float) -> tuple[int, int, int, int]:
    """Numbers of the UTC day, week and month an epoch second lies in (0 for the lifetime)."""
    day = int(at_s // DAY_S)
    month = datetime.fromtimestamp(day * DAY_S, UTC)
    return 0, day, (day + 3) // 7, month.year * 12 + month.month  # the epoch was a Thursday


class Counters:
    """Nano-dollars by (period, key): `credits` is what OpenRouter bills, `byok` is spent on the customer's own accounts.

    A BYOK key's requests cost 5 % of their price in credits."""

    def __init__(self, seeded_nusd: npt.NDArray[np.int64], is_byok: npt.NDArray[np.bool_], *, at_s: float) -> None:
        self.credits = np.zeros((4, len(seeded_nusd)), dtype=np.int64)
        self.byok = np.zeros((4, len(seeded_nusd)), dtype=np.int64)
        self.credits[LIFETIME] = np.where(is_byok, seeded_nusd // 20, seeded_nusd)
        self.byok[LIFETIME] = np.where(is_byok, seeded_nusd, 0)
        self._is_byok = is_byok
        self._periods = periods(at_s)

    def roll(self, at_s: float) -> None:
        """Sets the counters of periods that are over to zero. Time never goes back."""
        now = periods(at_s)
        for period in (DAILY, WEEKLY, MONTHLY):
            if now[period] > self._periods[period]:
                self.credits[period] = 0
                self.byok[period] = 0
        self._periods = tuple(max(pair) for pair in zip(now, self._periods, strict=True))  # type: ignore[assignment]

    def add(self, rows: Rows, *, at_s: float) -> None:
        """Adds rows that all lie in the UTC day of `at_s`."""
        self.roll(at_s)
        cost = sum_by_key(rows, self.credits.shape[1])
        self.credits += np.where(self._is_byok, cost // 20, cost)
        self.byok += np.where(self._is_byok, cost, 0)

    def add_key(self, *, is_byok: bool) -> None:
        """Room for one more key, at zero."""
        self.credits = np.pad(self.credits, ((0, 0), (0, 1)))
        self.byok = np.pad(self.byok, ((0, 0), (0, 1)))
        self._is_byok = np.append(self._is_byok, is_byok)


def sum_by_key(rows: Rows, n_keys: int) -> npt.NDArray[np.int64]:
    """Cost by key number, nano-dollars (exact: partial sums stay far below 2**53)."""
    return np.bincount(rows["key"], weights=rows["cost"], minlength=n_keys).astype(np.int64)
