"""What a reading covers: known, partial or unknown, for each dimension, bucket and key. Pure.

The rule: a bucket is *known* once it was computed by the source at least SETTLE_LAG after it ended, from complete answers;
*partial* while it is under way, when the answer came from an older cache, was cut off, or the window ended inside it;
*unknown* where the question failed or its hash could not be resolved. Known hours may still change until
`collect.settle_after`; whoever needs final ones compares `as_of` with that (`backfill.chunks` does)."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from monitor import frames
from monitor.collect.plan import Ask
from monitor.collect.usage import Reply
from monitor.domain import Dimension

SETTLE_LAG_S: Final = 60
"""How late traffic appears is not documented: a bucket read within its last minute's echo stays partial until re-read."""
UNASKED: Final = 3

Codes = npt.NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class Span:
    """A window in epoch seconds on the grid of `bucket_s`."""

    since_s: int
    until_s: int
    bucket_s: int

    @property
    def first(self) -> int:
        """Start of the first bucket."""
        return self.since_s - self.since_s % self.bucket_s

    @property
    def n_buckets(self) -> int:
        """Buckets touched."""
        return -(-(self.until_s - self.first) // self.bucket_s)


def coverage_of(
    replies: Sequence[Reply],
    span: Span,
    *,
    unresolved: Mapping[Ask, frozenset[str]],
    catalog: frames.Catalog,
    dimensions: Sequence[Dimension],
) -> pd.DataFrame:
    """frames.COVERAGE of one reading of all keys: for each dimension ALL_KEYS first, then the keys that fare differently
    (a later row wins)."""
    rows: list[tuple[int, ...]] = []
    for dimension in dimensions:
        ours = [reply for reply in replies if dimension in reply.ask.dimensions]
        scopes, codes, as_of = _matrix(ours, span, unresolved)
        base = _base(codes)
        newest = int(as_of[as_of < np.iinfo(np.int64).max].max(initial=0))
        account_as_of = int(as_of[0]) if codes[0].min(initial=UNASKED) < UNASKED else int(as_of.min(initial=newest))
        for since_s, until_s, code in _runs(base, span):
            rows.append((frames.ALL_KEYS, dimension, span.bucket_s, since_s, until_s, code, account_as_of))
        own = np.where(codes == UNASKED, base, codes)
        for scope in np.flatnonzero((own != base).any(axis=1)).tolist():
            if scope == 0:
                continue
            key_no = catalog.key_no(scopes[scope])
            for since_s, until_s, code in _runs(own[scope], span):
                rows.append((key_no, dimension, span.bucket_s, since_s, until_s, code, int(as_of[scope])))
    return coverage_frame(rows)


def coverage_of_keys(
    replies: Sequence[Reply],
    span: Span,
    *,
    unresolved: Mapping[Ask, frozenset[str]],
    catalog: frames.Catalog,
    dimensions: Sequence[Dimension],
) -> pd.DataFrame:
    """frames.COVERAGE of a reading of single keys: says nothing of the others."""
    rows: list[tuple[int, ...]] = []
    for dimension in dimensions:
        ours = [reply for reply in replies if dimension in reply.ask.dimensions]
        scopes, codes, as_of = _matrix(ours, span, unresolved)
        for scope in range(1, len(scopes)):
            for since_s, until_s, code in _runs(codes[scope], span):
                key_no = catalog.key_no(scopes[scope])
                rows.append((key_no, dimension, span.bucket_s, since_s, until_s, code, int(as_of[scope])))
    return coverage_frame(rows)


def coverage_frame(rows: Sequence[tuple[int, ...]]) -> pd.DataFrame:
    """frames.COVERAGE from (key_no, dimension, bucket_s, since, until, quality, as_of), times in epoch seconds."""
    table = np.array(rows, dtype=np.int64).reshape(len(rows), len(frames.COVERAGE))
    return pd.DataFrame(
        {
            name: frames.utc_seconds(table[:, index]) if dtype == frames.UTC_SECONDS else table[:, index].astype(dtype)
            for index, (name, dtype) in enumerate(frames.COVERAGE.items())
        }
    )


def _matrix(
    replies: Sequence[Reply], span: Span, unresolved: Mapping[Ask, frozenset[str]]
) -> tuple[list[str], Codes, npt.NDArray[np.int64]]:
    """(scopes, codes int8[scope, bucket], as_of int64[scope]): the worst of all replies that touch a bucket. Scope 0 is the
    account, the others are keys that were asked by hash."""
    scopes = ["", *dict.fromkeys(key_hash for reply in replies for key_hash in reply.ask.key_hashes)]
    row_of = {scope: row for row, scope in enumerate(scopes)}
    codes = np.full((len(scopes), span.n_buckets), UNASKED, dtype=np.int8)
    as_of = np.full(len(scopes), np.iinfo(np.int64).max, dtype=np.int64)
    ends = span.first + span.bucket_s * np.arange(1, span.n_buckets + 1)
    for reply in replies:
        first = (reply.ask.since_s - span.first) // span.bucket_s
        last = -(-(reply.ask.until_s - span.first) // span.bucket_s)
        found = _code(reply, ends[first:last], span)
        lost = unresolved.get(reply.ask, frozenset())
        rows = [row_of[scope] for scope in reply.ask.key_hashes or ("",)]
        codes[rows, first:last] = np.minimum(codes[rows, first:last], found)
        as_of[rows] = np.minimum(as_of[rows], reply.as_of_s)
        gone = [row_of[key_hash] for key_hash in lost]
        codes[gone, first:last] = frames.QUALITY_CODES["unknown"]
    return scopes, codes, as_of


def _code(reply: Reply, ends: npt.NDArray[np.int64], span: Span) -> Codes:
    if reply.answer is None:
        return np.full(len(ends), frames.QUALITY_CODES["unknown"], dtype=np.int8)
    is_whole = (reply.as_of_s >= ends + SETTLE_LAG_S) & (ends <= span.until_s) & (not reply.is_cut)
    return np.where(is_whole, frames.QUALITY_CODES["known"], frames.QUALITY_CODES["partial"]).astype(np.int8)


def _base(codes: Codes) -> Codes:
    """What holds for all keys: the account-wide answer, where there was none the best of the keys; nothing asked: unknown."""
    best = np.where(codes == UNASKED, -1, codes).max(axis=0, initial=-1)
    base = np.where(codes[0] == UNASKED, best, codes[0])
    return np.where(base < 0, frames.QUALITY_CODES["unknown"], base).astype(np.int8)


def _runs(codes: Codes, span: Span) -> Iterator[tuple[int, int, int]]:
    """(since, until, code) of equal neighbors."""
    edges = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)]
    for start, end in itertools.pairwise(edges):
        if end > start:
            yield span.first + start * span.bucket_s, span.first + end * span.bucket_s, int(codes[start])
