"""Column schemas of all frames, and `check()`.

Frames are long, their index means nothing, and text is interned: `key_no` and `value_no` are dense integers that a
`Catalog` translates to `key_hash` and to (dimension, value). Money is int64 nano-dollars.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from monitor.domain import Dimension

UTC_SECONDS: Final = "datetime64[s, UTC]"

ALL_KEYS: Final = -1
"""`key_no` in COVERAGE that stands for every key."""

USAGE: Final[Mapping[str, str]] = {
    "bucket_start": UTC_SECONDS,
    "bucket_s": "int32",  # size of the bucket: BUCKET_S (600) or HOUR_S (3600)
    "key_no": "int32",
    "dimension": "int8",  # monitor.domain.Dimension
    "value_no": "int32",
    "n_requests": "int64",
    "tokens_prompt": "int64",
    "tokens_completion": "int64",
    "tokens_reasoning": "int64",  # part of tokens_completion
    "cost_nusd": "int64",
}
"""One row a bucket, key, dimension and value. Absent rows mean zero only where COVERAGE says known."""

COVERAGE: Final[Mapping[str, str]] = {
    "key_no": "int32",  # ALL_KEYS: every key of the account
    "dimension": "int8",
    "bucket_s": "int32",
    "since": UTC_SECONDS,
    "until": UTC_SECONDS,
    "quality": "int8",  # 0 unknown, 1 partial, 2 known (QUALITY_CODES)
    "as_of": UTC_SECONDS,  # when the source computed the answer
}
"""What was asked and answered. A later row for the same window wins; what no row covers is unknown."""

QUALITY_CODES: Final = {"unknown": 0, "partial": 1, "known": 2}

COUNTERS: Final[Mapping[str, str]] = {
    "sampled_at": UTC_SECONDS,
    "key_no": "int32",
    "usage_nusd": "int64",  # lifetime credits + BYOK: never resets
    "usage_daily_nusd": "int64",  # since midnight UTC, credits + BYOK; -1: unknown, the lifetime counter stands alone
}
"""One row a key and sample; keys whose counter was null are absent (unknown, not zero)."""

DELTAS: Final[Mapping[str, str]] = {
    "key_no": "int32",
    "since": UTC_SECONDS,
    "until": UTC_SECONDS,
    "cost_nusd": "int64",
    "is_fault": "bool",  # the lifetime counter went backwards: a data fault, not spend
}
"""Spend of a key between two samples of its counters."""

KEYS: Final[Mapping[str, str]] = {
    "key_no": "int32",
    "created_at": UTC_SECONDS,
    "owner_no": "int32",  # dense number of (creator_user_id or workspace_id); -1 unknown
    "is_disabled": "bool",
    "limit_nusd": "float64",  # NaN: no limit
    "limit_remaining_nusd": "float64",  # NaN: no limit, or unknown
}
"""The inventory as vectors, one row a key, sorted by key_no."""


SPEND: Final[Mapping[str, str]] = {
    "key_no": "int32",
    "per_hour_nusd": "int64",  # spend in the trailing hour (usage rows or counters, whichever is larger)
    "expected_per_hour_nusd": "int64",  # the key's own robust expectation for this hour of the week
    "last_day_nusd": "int64",  # spend in the trailing 24 hours
    "novel_per_hour_nusd": "int64",  # trailing-hour dollars on values this key does not use (largest dimension)
    "joint_per_hour_nusd": "int64",  # dollars novel in model AND in country (or app) in the same buckets, trailing hour
    "unexplained_nusd": "int64",  # counter spend of the trailing hour that no usage row accounts for
    "onset_at": UTC_SECONDS,  # first bucket of the current run of unusual buckets
    "history_hours": "float64",  # hours of known usage history the key's baseline rests on
    "n_requests": "int64",  # trailing hour
    "usual_requests": "float64",  # the key's expectation for this hour; NaN without a baseline
    "usual_request_nusd": "float64",  # the key's usual dollars per request; NaN before it was ever used
    "usual_request_tokens": "float64",  # the key's usual tokens per request; NaN before it was ever used
    "is_probed": "bool",  # somebody tried a dear model, or many, in the last 48 hours
    "probed_s": "int64",  # start of the hour of the newest such try, epoch seconds; 0 for none
    "regularity": "float64",  # 1 a key that spends the same each such hour .. 0 an erratic one; NaN: no level
}
"""The money of each active key, one row a key of a FeatureBatch, same order."""

EVIDENCE: Final[Mapping[str, str]] = {
    "key_no": "int32",
    "dimension": "int8",
    "value_no": "int32",
    "cost_nusd": "int64",  # trailing hour
    "n_requests": "int64",  # trailing hour
    "usual_nusd": "int64",  # what this key usually spends an hour on this value
    "novelty": "float64",  # 0 familiar .. 1 never seen
    "is_first_seen": "bool",  # not in what the key has been taught (older than the quarantine)
}
"""What the active keys spent the trailing hour on, by dimension and value."""


TWINS: Final[Mapping[str, str]] = {
    "key_no": "int32",
    "kind": "int8",  # monitor.domain.Twin
    "explained_nusd": "int64",  # trailing-hour dollars that the twin accounts for
    "value_no": "int32",  # the value it is about (new provider, model, country; the dearer model); -1: none
    "n_others": "int32",  # other keys with the same, where it is a matter of several keys
}
"""Active keys that look like a benign twin: the broken habits are exactly those of that twin. One row a key, not for all."""


@dataclass(frozen=True, slots=True)
class FeatureBatch:
    """Features of the keys active around one moment.

    `key_no` int32[n], ascending; `values` float64[n, len(names)], NaN where a feature is unknown for a key (grace period,
    missing data); `spend` frame SPEND, row i belongs to key_no[i]; `evidence` frame EVIDENCE, and `twins` frame TWINS, any order."""

    at: datetime
    names: tuple[str, ...]
    key_no: npt.NDArray[np.int32]
    values: npt.NDArray[np.float64]
    spend: pd.DataFrame
    evidence: pd.DataFrame
    twins: pd.DataFrame = field(default_factory=lambda: empty(TWINS))


def empty(schema: Mapping[str, str]) -> pd.DataFrame:
    """A frame of that schema without rows."""
    return pd.DataFrame({name: pd.Series([], dtype=dtype) for name, dtype in schema.items()})


def check(frame: pd.DataFrame, schema: Mapping[str, str]) -> pd.DataFrame:
    """Returns `frame` if its columns and dtypes are those of `schema`; raises TypeError naming the first that is not."""
    found = dict(zip(frame.columns, frame.dtypes, strict=True))
    for name, dtype in schema.items():
        if name not in found:
            raise TypeError(f"frame lacks column {name!r}; it has {list(frame.columns)}")
        if found[name] != dtype:
            raise TypeError(f"column {name!r} is {found[name]}, expected {dtype}")
    return frame


def utc_seconds(epoch_s: npt.NDArray[np.int64]) -> pd.Series:
    """Epoch seconds as the one time dtype of all frames."""
    return pd.Series(pd.DatetimeIndex(epoch_s.astype("datetime64[s]"), tz="UTC").array)


def epoch_s(times: pd.Series) -> npt.NDArray[np.int64]:
    """The inverse of `utc_seconds`."""
    return times.to_numpy(dtype="datetime64[s]").astype(np.int64)


Vectors = Mapping[str, npt.NDArray[Any]]
"""The columns of a frame as arrays: what asks for them again and again is slow with a frame."""


def vectors(frame: pd.DataFrame, names: Iterable[str]) -> Vectors:
    """These columns of a frame; times stay out."""
    return {name: frame[name].to_numpy() for name in names}


class Catalog:
    """Interns key hashes and dimension values to dense integers, append-only: a number never changes its meaning.

    The store fills it on start and persists what it has learned since (`unsaved`)."""

    def __init__(self, key_hashes: Iterable[str] = (), values: Iterable[tuple[int, str]] = ()) -> None:
        self._key_hashes: list[str] = list(key_hashes)
        self._values: list[tuple[int, str]] = list(values)
        self._key_no = {key_hash: no for no, key_hash in enumerate(self._key_hashes)}
        self._value_no = {value: no for no, value in enumerate(self._values)}

    @property
    def n_keys(self) -> int:
        """Keys known."""
        return len(self._key_hashes)

    @property
    def n_values(self) -> int:
        """Values known, over all dimensions."""
        return len(self._values)

    def key_no(self, key_hash: str) -> int:
        """The number of a key, given anew if it has none yet."""
        no = self._key_no.get(key_hash)
        if no is None:
            no = self._key_no[key_hash] = len(self._key_hashes)
            self._key_hashes.append(key_hash)
        return no

    def value_no(self, dimension: Dimension | int, value: str) -> int:
        """The number of a value of a dimension, given anew if it has none yet."""
        entry = (int(dimension), value)
        no = self._value_no.get(entry)
        if no is None:
            no = self._value_no[entry] = len(self._values)
            self._values.append(entry)
        return no

    def known_value_no(self, dimension: Dimension | int, value: str) -> int | None:
        """The number of a value of a dimension, None if it has none."""
        return self._value_no.get((int(dimension), value))

    def known_key_no(self, key_hash: str) -> int | None:
        """The number of a key, None if it has none."""
        return self._key_no.get(key_hash)

    def key_hash(self, key_no: int) -> str:
        """The key behind a number."""
        return self._key_hashes[key_no]

    def value(self, value_no: int) -> str:
        """The value behind a number."""
        return self._values[value_no][1]

    def dimensions(self) -> npt.NDArray[np.int8]:
        """Dimension by value_no, int8[n_values]."""
        return np.fromiter((dimension for dimension, _ in self._values), dtype=np.int8, count=len(self._values))

    def keys_from(self, first: int) -> list[str]:
        """Key hashes numbered `first` and later, in order."""
        return self._key_hashes[first:]

    def values_from(self, first: int) -> list[tuple[int, str]]:
        """(dimension, value) numbered `first` and later, in order."""
        return self._values[first:]
