"""Hourly usage -> what each key spent on each value on each day: eight weeks of an account fit in memory. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from monitor.domain import Dimension
from monitor.frames import USAGE, check, epoch_s

DAILY: Final[Mapping[str, str]] = {
    "day_no": "int32",  # number of the day within `History.edges`
    "key_no": "int32",
    "dimension": "int8",
    "value_no": "int32",
    "n_requests": "int64",
    "cost_nusd": "int64",
}
"""One row a day, key, dimension and value. Each dimension is a full marginal: never add up dimensions."""

_BY: Final = ["day_no", "key_no", "dimension", "value_no"]


@dataclass(frozen=True, slots=True)
class History:
    """`daily`: columns DAILY. `edges`: where each day begins, and where the last one ends."""

    daily: pd.DataFrame
    edges: tuple[datetime, ...]

    @property
    def n_days(self) -> int:
        """Days it tells of."""
        return len(self.edges) - 1

    def of(self, dimension: Dimension) -> pd.DataFrame:
        """The rows of one dimension."""
        rows: pd.DataFrame = self.daily[(self.daily["dimension"] == int(dimension)).to_numpy()]
        return rows

    def by_day(self, numbers: Mapping[int, int], n_groups: int) -> npt.NDArray[np.int64]:
        """Nano-dollars by (group, day), int64[n_groups, n_days]; `numbers`: group by key_no, other keys are in none."""
        totals = np.zeros((n_groups, self.n_days), dtype=np.int64)
        rows = self.of(Dimension.MODEL)
        groups = rows["key_no"].map(numbers)
        inside = groups.notna().to_numpy()
        cells = (groups[inside].to_numpy().astype(np.int64), rows["day_no"].to_numpy()[inside])
        np.add.at(totals, cells, rows["cost_nusd"].to_numpy()[inside])
        return totals


def condense(usage: Iterable[pd.DataFrame], edges: Sequence[datetime]) -> History:
    """Columns: frames.USAGE of one bucket size, in any number of frames that share no bucket; rows outside are ignored.

    Raises ValueError where a frame holds two bucket sizes: added up they would count all money twice."""
    starts = np.array([int(each.timestamp()) for each in edges], dtype=np.int64)
    parts = [_by_day(frame, starts) for frame in usage]
    daily = pd.concat(parts) if parts else pd.DataFrame(columns=list(DAILY))
    daily = daily.groupby(_BY, as_index=False, sort=True)[["n_requests", "cost_nusd"]].sum()
    return History(daily[list(DAILY)].astype(dict(DAILY)), tuple(edges))


def _by_day(frame: pd.DataFrame, starts: npt.NDArray[np.int64]) -> pd.DataFrame:
    check(frame, USAGE)
    if frame["bucket_s"].nunique() > 1:
        raise ValueError("usage of two bucket sizes would be counted twice; read it in hours")
    day_no = np.searchsorted(starts, epoch_s(frame["bucket_start"]), side="right") - 1
    inside = (day_no >= 0) & (day_no < len(starts) - 1)
    rows = frame.loc[inside, ["key_no", "dimension", "value_no", "n_requests", "cost_nusd"]].assign(
        day_no=day_no[inside]
    )
    return rows.groupby(_BY, as_index=False, sort=False)[["n_requests", "cost_nusd"]].sum()


def sums(rows: pd.DataFrame, *, first: int, last: int) -> pd.DataFrame:
    """cost_nusd and n_requests by key_no and value_no of the days [first, last), int64. Columns: DAILY of one dimension."""
    day_no = rows["day_no"].to_numpy()
    grouped = rows.loc[(day_no >= first) & (day_no < last)].groupby(["key_no", "value_no"], as_index=False, sort=True)
    return grouped[["cost_nusd", "n_requests"]].sum()


def totals(sums_of: pd.DataFrame, by: str, column: str = "cost_nusd") -> dict[int, int]:
    """One column of `sums` by key_no or by value_no."""
    grouped = sums_of.groupby(by)[column].sum()
    return dict(zip(grouped.index.tolist(), grouped.tolist(), strict=True))
