"""From answers labelled with key names to usage by key: each row to exactly one hash, or openly to none."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from monitor import frames
from monitor.collect.plan import Ask, Fleet
from monitor.collect.usage import Reply
from monitor.domain import HOUR_S, Dimension
from monitor.errors import BadRequest, NotFound
from monitor.openrouter.analytics import FIELDS, KEY_FIELD, AnalyticsAnswer

Ints = npt.NDArray[np.int64]

NOT_READ: Final = "not read: "
"""How a warning begins that tells of a question worth asking again."""
NO_NAME: Final = ""
_UNKNOWN: Final = -1
_READ_BY_HASH: Final = -2
_HASH: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Attribution:
    """`usage`: frames.USAGE summed into buckets. `unattributed`: nano-dollars by name that fit no key (one dimension only,
    as every dimension is a full marginal). `unresolved`: hashes the source could not filter by, by question: silence there
    is no zero."""

    usage: pd.DataFrame
    unattributed: dict[str, int]
    unresolved: dict[Ask, frozenset[str]]
    warnings: tuple[str, ...] = ()
    unattributed_by_hour: dict[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Parts:
    """Columns gathered over all replies, and what could not be placed."""

    buckets: list[Ints] = field(default_factory=list)
    key_nos: list[Ints] = field(default_factory=list)
    value_nos: list[Ints] = field(default_factory=list)
    amounts: list[Ints] = field(default_factory=list)  # int64[n, 5], columns as _AMOUNTS
    unattributed: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    unattributed_by_hour: dict[int, int] = field(default_factory=lambda: defaultdict(int))


_AMOUNTS: Final = ("n_requests", "tokens_prompt", "tokens_completion", "tokens_reasoning", "cost_nusd")


def attribute(replies: Sequence[Reply], fleet: Fleet, catalog: frames.Catalog, *, bucket_s: int) -> Attribution:
    """Sums the answered rows into buckets of `bucket_s` seconds by key and value. Failed replies add nothing here."""
    parts = _Parts()
    names = _Names(fleet, catalog)
    unresolved: dict[Ask, frozenset[str]] = {}
    warnings: dict[str, None] = {}
    counted = min((dimension for reply in replies for dimension in reply.ask.dimensions), default=Dimension.MODEL)
    for reply in replies:
        if reply.answer is None:
            is_refused = isinstance(reply.error, BadRequest | NotFound)
            warnings[f"{'refused: ' if is_refused else NOT_READ}{_where(reply.ask)}: {reply.error}"] = None
            if is_refused and len(reply.ask.key_hashes) == 1:
                unresolved[reply.ask] = frozenset(reply.ask.key_hashes)
            continue
        warnings.update(dict.fromkeys(_remarks(reply)))
        lost = _unresolved(reply.ask, reply.answer, fleet)
        if lost:
            unresolved[reply.ask] = lost
        _take(parts, reply, names, bucket_s=bucket_s, counted=counted)
    return Attribution(
        usage=_summed(parts, catalog, bucket_s=bucket_s),
        unattributed=dict(parts.unattributed),
        unresolved=unresolved,
        warnings=tuple(warnings),
        unattributed_by_hour=dict(parts.unattributed_by_hour),
    )


class _Names:
    """Whose each name is, looked up once for all answers of a reading."""

    def __init__(self, fleet: Fleet, catalog: frames.Catalog) -> None:
        self.fleet, self.catalog = fleet, catalog
        self._at: dict[str | None, int] = {None: 0}
        self._key_no = [_UNKNOWN]
        self._born_s = [0]

    def bearers(self, names: list[str | None]) -> tuple[Ints, Ints]:
        """By row: the only key of the name, or _UNKNOWN, or _READ_BY_HASH where other questions bring its rows; and
        when the oldest key of the name was created (epoch seconds, 0 for none)."""
        for name in dict.fromkeys(names):
            if name not in self._at:
                self._learn(name)
        at = np.fromiter(map(self._at.__getitem__, names), dtype=np.int64, count=len(names))
        return np.array(self._key_no, dtype=np.int64)[at], np.array(self._born_s, dtype=np.int64)[at]

    def _learn(self, name: str | None) -> None:
        bearers = self.fleet.bearers(name or NO_NAME)
        self._at[name] = len(self._key_no) if bearers else 0
        if bearers:
            is_sole = name in self.fleet.sole
            self._key_no.append(self.catalog.key_no(bearers[0].key_hash) if is_sole else _READ_BY_HASH)
            self._born_s.append(min(key.created_s for key in bearers))


def _take(parts: _Parts, reply: Reply, names: _Names, *, bucket_s: int, counted: Dimension) -> None:
    ask, answer = reply.ask, reply.answer
    assert answer is not None
    key_nos = _key_nos(ask, answer, names)
    if counted in ask.dimensions and (key_nos == _UNKNOWN).any():
        for row in np.flatnonzero(key_nos == _UNKNOWN).tolist():
            cost_nusd, at_s = int(answer.cost_nusd[row]), int(answer.bucket_start[row])
            parts.unattributed[answer.labels[KEY_FIELD][row] or NO_NAME] += cost_nusd
            parts.unattributed_by_hour[at_s - at_s % HOUR_S] += cost_nusd
    keep = key_nos >= 0
    amounts = np.column_stack(
        [answer.n_requests, answer.tokens_prompt, answer.tokens_completion, answer.tokens_reasoning, answer.cost_nusd]
    )[keep]
    buckets = answer.bucket_start[keep] // bucket_s
    for dimension in ask.dimensions:
        labels = answer.labels[FIELDS[dimension]]
        numbers = {label: names.catalog.value_no(dimension, label or "") for label in dict.fromkeys(labels)}
        value_nos = np.fromiter(map(numbers.__getitem__, labels), dtype=np.int64, count=len(labels))
        parts.buckets.append(buckets)
        parts.key_nos.append(key_nos[keep])
        parts.value_nos.append(value_nos[keep])
        parts.amounts.append(amounts)


def _key_nos(ask: Ask, answer: AnalyticsAnswer, names: _Names) -> Ints:
    """The key of each row, or _UNKNOWN, or _READ_BY_HASH where another question brings this name's rows."""
    if len(ask.key_hashes) == 1:
        return np.full(len(answer.bucket_start), names.catalog.key_no(ask.key_hashes[0]), dtype=np.int64)
    labels = answer.labels[KEY_FIELD]
    if ask.key_hashes:
        table: dict[str | None, int] = {
            names.fleet.keys[key_hash].key_name: names.catalog.key_no(key_hash) for key_hash in ask.key_hashes
        }
        return np.fromiter((table.get(label, _UNKNOWN) for label in labels), dtype=np.int64, count=len(labels))
    key_nos, born_s = names.bearers(labels)
    # Usage of a name before any key we know bore it is some other key's: gone, or not seen yet.
    key_nos[answer.bucket_start + ask.granularity.seconds <= born_s] = _UNKNOWN
    return key_nos


@dataclass(frozen=True, slots=True)
class Survey:
    """What account-wide answers tell of names: `seen` have rows; `contested` have rows older than their only known key, so
    that another key of that name must exist; `is_whole` is False where an account-wide answer is missing."""

    seen: frozenset[str]
    contested: frozenset[str]
    is_whole: bool


def survey(replies: Sequence[Reply], fleet: Fleet, dimensions: Sequence[Dimension]) -> Survey:
    """Looks through the first round of a reading, in the dimensions that were asked account-wide."""
    ours = [reply for reply in replies if reply.ask.dimensions[0] in dimensions]
    answers = [(reply.ask, reply.answer) for reply in ours if reply.answer is not None and not reply.ask.key_hashes]
    seen: set[str] = set()
    contested: set[str] = set()
    for ask, answer in answers:
        names = answer.labels[KEY_FIELD]
        here = {name for name in names if name}
        seen |= here
        young = {name: fleet.sole[name].created_s for name in here & fleet.sole.keys()}
        young = {name: created_s for name, created_s in young.items() if created_s > ask.since_s}
        if young:
            ends = (answer.bucket_start + ask.granularity.seconds).tolist()
            contested |= {name for name, end in zip(names, ends, strict=True) if name and end <= young.get(name, 0)}
    return Survey(frozenset(seen), frozenset(contested), is_whole=len(answers) == len(ours))


def _unresolved(ask: Ask, answer: AnalyticsAnswer, fleet: Fleet) -> frozenset[str]:
    """Hashes of `ask` that a warning may be about: those it names, else those without a row (a hash that cannot be
    resolved gives zero rows and a warning, with status 200)."""
    if not ask.key_hashes or not answer.warnings:
        return frozenset()
    named = {text for warning in answer.warnings for text in _HASH.findall(warning)} & set(ask.key_hashes)
    if named:
        return frozenset(named)
    if len(ask.key_hashes) == 1:
        return frozenset(ask.key_hashes) if len(answer.bucket_start) == 0 else frozenset()
    seen = set(answer.labels[KEY_FIELD])
    return frozenset(key_hash for key_hash in ask.key_hashes if fleet.keys[key_hash].key_name not in seen)


def _summed(parts: _Parts, catalog: frames.Catalog, *, bucket_s: int) -> pd.DataFrame:
    """One row a (bucket, key, value), sorted so; sums are exact (int64)."""
    if not parts.buckets or sum(map(len, parts.buckets)) == 0:
        return frames.empty(frames.USAGE)
    buckets, key_nos, value_nos = (np.concatenate(part) for part in (parts.buckets, parts.key_nos, parts.value_nos))
    amounts = np.concatenate(parts.amounts)
    order = np.lexsort((value_nos, key_nos, buckets))
    buckets, key_nos, value_nos = buckets[order], key_nos[order], value_nos[order]
    is_first = np.ones(len(order), dtype=bool)
    is_first[1:] = (np.diff(buckets) != 0) | (np.diff(key_nos) != 0) | (np.diff(value_nos) != 0)
    starts = np.flatnonzero(is_first)
    sums = np.add.reduceat(amounts[order], starts, axis=0)
    return usage_frame(
        bucket_start=buckets[starts] * bucket_s,
        bucket_s=bucket_s,
        key_no=key_nos[starts],
        value_no=value_nos[starts],
        amounts=sums,
        catalog=catalog,
    )


def usage_frame(
    *, bucket_start: Ints, bucket_s: int, key_no: Ints, value_no: Ints, amounts: Ints, catalog: frames.Catalog
) -> pd.DataFrame:
    """frames.USAGE from columns; `amounts` int64[n, 5] in the order requests, prompt, completion, reasoning, cost."""
    columns = {
        "bucket_start": frames.utc_seconds(bucket_start),
        "bucket_s": np.full(len(key_no), bucket_s, dtype=np.int32),
        "key_no": key_no.astype(np.int32),
        "dimension": catalog.dimensions()[value_no],
        "value_no": value_no.astype(np.int32),
    }
    return pd.DataFrame(columns | {name: amounts[:, index] for index, name in enumerate(_AMOUNTS)})


def _remarks(reply: Reply) -> Iterable[str]:
    assert reply.answer is not None
    for text in reply.answer.warnings:
        yield f"{_where(reply.ask)}: the source says: {text}"
    if reply.answer.n_bad:
        yield f"{_where(reply.ask)}: {reply.answer.n_bad} unreadable rows left out"
    if reply.is_cut:
        yield f"{_where(reply.ask)}: cut off and not to be split further"


def _where(ask: Ask) -> str:
    names = "+".join(dimension.name.lower() for dimension in ask.dimensions)
    scope = f"{len(ask.key_hashes)} keys" if ask.key_hashes else "all keys"
    return f"{names} of {scope}"
