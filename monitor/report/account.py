"""What the account spent in a window by its own counters: the check that the sum of the keys is held against. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import pandas as pd

from monitor.frames import COUNTERS, check
from monitor.report.weeks import Window


def account_total(
    at_since: pd.DataFrame, at_until: pd.DataFrame, *, window: Window, created_at: Mapping[int, datetime]
) -> int | None:
    """Nano-dollars by which the lifetime counters rose; None where they do not tell for certain.

    Columns: frames.COUNTERS, the samples shortly before `window.since` and before `window.until`; the last one of each key
    counts. `created_at` by key_no: a key made within the window began at zero. Not certain: a key that has no sample at an
    end it existed at (a key deleted meanwhile, too), or a counter that went backwards."""
    first, last = _latest(at_since), _latest(at_until)
    if not last or first.keys() - last.keys():
        return None
    total = 0
    for key_no, usage_nusd in last.items():
        before = first.get(key_no)
        if before is None:
            born = created_at.get(key_no)
            if born is None or born not in window:
                return None
            before = 0
        if usage_nusd < before:
            return None
        total += usage_nusd - before
    return total


def _latest(samples: pd.DataFrame) -> dict[int, int]:
    newest = check(samples, COUNTERS).sort_values("sampled_at", kind="stable").drop_duplicates("key_no", keep="last")
    return dict(zip(newest["key_no"].tolist(), newest["usage_nusd"].tolist(), strict=True))
