"""Ordinary events are told from theft by exactly which habits they break; who breaks one more looks like none of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache

import build
import pytest

from monitor import features, frames
from monitor.domain import NUSD, Dimension, Twin
from monitor.features import FleetState, HabitParams
from monitor.frames import FeatureBatch

PARAMS = HabitParams(half_life_h=168.0, quarantine_h=18, ring_hours=26)
START = datetime(2026, 11, 2, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
NOW = START + timedelta(days=6, hours=14)
MODEL, PROVIDER, COUNTRY, APP = (int(dimension) for dimension in Dimension)
USUAL = {MODEL: 10, PROVIDER: 20, COUNTRY: 30, APP: 40}
NEW = {MODEL: 11, PROVIDER: 21, COUNTRY: 31, APP: 41}
N_KEYS, N, CENT = 12, 100, NUSD // 100
EVERY_KEY = range(N_KEYS)
OFFICE = 11  # the one key that works from eight to six only

Row = tuple[object, ...]


def use(key_no: int, at: datetime, *, n: int = N, each: float = CENT, share: float = 0.0, **new: int) -> list[Row]:
    """Requests in one bucket; `share` of them on these new values, by dimension."""
    rows: list[Row] = []
    for dimension, value in USUAL.items():
        other = new.get(Dimension(dimension).name.lower())
        part = share if other is not None else 0.0
        for where, count in ((value, round(n * (1 - part))), (other, round(n * part))):
            if where is not None and count:
                rows.append((at, key_no, dimension, where, count, round(count * each)))
    return rows


def works(key_no: int, at: datetime) -> bool:
    return key_no != OFFICE or 8 <= at.hour < 18


@cache
def past(until: datetime, silent_h: int = 0, busy_h: int = 0) -> bytes:
    """All keys by the hour up to an hour before `until`; key 0 paused for the last `silent_h`, or did six times as much for
    the last `busy_h`."""
    rows: list[Row] = []
    at = START
    while at < until - HOUR:
        left = (until - HOUR - at) / HOUR
        for key_no in EVERY_KEY:
            n = N - 10 + at.hour % 5 * 5
            if key_no == 0 and left <= silent_h:
                n = 0
            elif key_no == 0 and left <= busy_h:
                n *= 6
            if n and works(key_no, at):
                rows += use(key_no, at, n=n)
        at += HOUR
    state = FleetState(PARAMS)
    state.advance(START)
    known = build.coverage(START, until - HOUR, bucket_s=3600)
    features.replay(state, build.usage(*rows, bucket_s=3600), known, until=until)
    return features.to_bytes(state)


def now(
    *planted: list[Row], at: datetime = NOW, inventory: dict[str, object] | None = None, **life: int
) -> FeatureBatch:
    """The moment `at`, with what happened in its last hour."""
    state = features.from_bytes(past(at, **life), PARAMS)
    rows = [row for rows in planted for row in rows]
    state.take_window(build.usage(*rows), build.coverage(at - HOUR, at))
    return features.build(state, build.inventory_frame(N_KEYS, **(inventory or {})), at)


def hour(key_no: int, *, at: datetime = NOW, **changes: object) -> list[Row]:
    """What a key did in the hour before `at`, in one bucket of it."""
    return use(key_no, at - 30 * MINUTE, **changes)


def twin(batch: FeatureBatch, key_no: int = 0) -> Twin | None:
    kinds = dict(zip(batch.twins["key_no"].tolist(), batch.twins["kind"].tolist(), strict=True))
    return Twin(kinds[key_no]) if key_no in kinds else None


def told(batch: FeatureBatch, name: str, key_no: int = 0) -> int:
    return int(batch.twins.loc[batch.twins["key_no"] == key_no, name].iloc[0])


def failover(*, n_keys: int = 6, **also: object) -> FeatureBatch:
    return now(*(hour(no, share=0.6, provider=21, **(also if no == 0 else {})) for no in range(n_keys)))


def price(*, times: float = 3.0, keys: range = EVERY_KEY, **also: object) -> FeatureBatch:
    return now(*(hour(no, each=CENT * (times if no in keys else 1.0), **(also if no == 0 else {})) for no in EVERY_KEY))


def common(*, n_keys: int = 6, **also: object) -> FeatureBatch:
    return now(*(hour(no, share=0.5, model=11, **(also if no == 0 else {})) for no in range(n_keys)))


def migration(**also: object) -> FeatureBatch:
    return now(hour(0, **({"share": 1.0, "model": 11, "each": 2 * CENT} | also)))


def region(**also: object) -> FeatureBatch:
    return now(hour(0, share=0.6, country=31, **also))


def experiment(**also: object) -> FeatureBatch:
    return now(hour(0, **({"share": 0.3, "model": 11} | also)))


def batch_run(**also: object) -> FeatureBatch:
    return now(hour(0, **({"n": 6 * N} | also)))


def growth(**also: object) -> FeatureBatch:
    return now(hour(0, **({"n": 6 * N} | also)), busy_h=6)


def catch_up(**also: object) -> FeatureBatch:
    return now(hour(0, **({"n": 4 * N} | also)), silent_h=4)


TWINS: dict[Twin, Callable[..., FeatureBatch]] = {
    Twin.FAILOVER: failover,
    Twin.PRICE: price,
    Twin.COMMON: common,
    Twin.MIGRATION: migration,
    Twin.REGION: region,
    Twin.EXPERIMENT: experiment,
    Twin.BATCH: batch_run,
    Twin.GROWTH: growth,
    Twin.CATCH_UP: catch_up,
}


@pytest.mark.parametrize("kind", TWINS, ids=lambda kind: kind.name.lower())
def test_each_twin_is_told_for_what_it_is(kind: Twin) -> None:
    batch = TWINS[kind]()

    assert twin(batch) is kind
    assert told(batch, "explained_nusd") >= 0.25 * NUSD
    frames.check(batch.twins, frames.TWINS)


@pytest.mark.parametrize(
    ("kind", "value", "n_others"),
    [
        (Twin.FAILOVER, 21, 5),
        (Twin.PRICE, 10, N_KEYS - 1),
        (Twin.COMMON, 11, 5),
        (Twin.MIGRATION, 11, 0),
        (Twin.REGION, 31, 0),
        (Twin.GROWTH, -1, 0),
    ],
    ids=lambda each: str(each),
)
def test_it_says_what_it_is_about_and_how_many_others_there_are(kind: Twin, value: int, n_others: int) -> None:
    batch = TWINS[kind]()

    assert (told(batch, "value_no"), told(batch, "n_others")) == (value, n_others)


STOLEN = {"model": 11, "country": 31, "app": 41}
KEPT: dict[Twin, tuple[str, ...]] = {
    Twin.FAILOVER: ("model", "country", "app"),
    Twin.PRICE: ("model", "country", "app"),
    Twin.COMMON: ("country",),
    Twin.MIGRATION: ("country", "app"),
    Twin.REGION: ("model", "app"),
    Twin.EXPERIMENT: ("country", "app"),
    Twin.BATCH: ("model", "country", "app"),
    Twin.GROWTH: ("model", "country", "app"),
    Twin.CATCH_UP: ("model", "country", "app"),
}
SHARES = {Twin.FAILOVER: 0.6, Twin.COMMON: 0.5, Twin.MIGRATION: 1.0, Twin.REGION: 0.6}


@pytest.mark.parametrize(
    ("kind", "also"), [(kind, each) for kind, kept in KEPT.items() for each in kept], ids=lambda each: str(each)
)
def test_whoever_breaks_one_habit_more_is_no_twin_of_that_kind(kind: Twin, also: str) -> None:
    broken = {also: STOLEN[also]} | ({} if kind in SHARES else {"share": 0.3})

    assert twin(TWINS[kind](**broken)) is not kind


@pytest.mark.parametrize("kind", [Twin.FAILOVER, Twin.PRICE, Twin.COMMON, Twin.MIGRATION, Twin.REGION])
def test_far_more_requests_than_ever_are_none_of_the_twins_whose_amount_is_as_usual(kind: Twin) -> None:
    assert twin(TWINS[kind](n=8 * N)) is not kind


def test_a_failover_of_one_key_alone_is_none() -> None:
    assert twin(failover(n_keys=1)) is None
    assert twin(failover(n_keys=3)) is None


def test_a_price_that_rises_on_one_key_alone_is_none() -> None:
    assert twin(price(keys=range(1))) is not Twin.PRICE


def test_what_is_new_on_three_keys_is_not_common() -> None:
    assert twin(common(n_keys=3)) is not Twin.COMMON


def test_a_new_model_beside_the_old_ones_is_no_migration() -> None:
    beside = now(hour(0), hour(0, n=2 * N, share=1.0, model=11, each=2 * CENT, at=NOW - 10 * MINUTE))

    assert twin(beside) is not Twin.MIGRATION


def test_a_migration_to_something_a_hundred_times_as_dear_is_none() -> None:
    assert twin(migration(each=100 * CENT)) is None


@pytest.mark.parametrize("n_countries", [2, 3])
def test_several_new_countries_at_once_are_no_trip(n_countries: int) -> None:
    abroad = [row for no in range(n_countries) for row in hour(0, n=30, share=0.6, country=31 + 4 * no)]

    assert (twin(now(abroad)) is Twin.REGION) is (n_countries == 2)


def test_an_experiment_that_costs_dollars_is_none() -> None:
    assert twin(experiment(n=150, each=8 * CENT)) is not Twin.EXPERIMENT


def test_more_of_the_same_at_many_times_the_price_is_no_batch_run() -> None:
    assert twin(batch_run(each=10 * CENT)) is None


def test_more_after_a_pause_that_is_more_than_the_day_usually_brings_is_no_catching_up() -> None:
    assert twin(catch_up(n=40 * N)) is not Twin.CATCH_UP


@pytest.mark.parametrize("broken", [{"share": 0.6, "country": 31}, {"n": 90, "share": 0.3, "model": 11}])
def test_at_an_hour_at_which_the_key_never_works_nothing_is_a_twin(broken: dict[str, object]) -> None:
    night = NOW + timedelta(hours=13)

    assert twin(now(hour(OFFICE, at=night, **broken), at=night), OFFICE) is None


def test_a_young_key_has_no_twins() -> None:
    young = {"created_at": NOW - 30 * HOUR}

    assert twin(now(hour(0, share=0.6, country=31), inventory=young)) is None


def test_the_usual_needs_no_explanation() -> None:
    batch = now(*(hour(no) for no in range(4)))

    assert (batch.twins["explained_nusd"] < 0.25 * NUSD).all()


def test_a_key_that_sleeps_and_wakes_abroad_is_no_traveller() -> None:
    assert twin(now(hour(0, share=0.6, country=31), silent_h=40)) is None


def test_a_moment_without_use_has_no_twins() -> None:
    batch = now()

    assert len(batch.twins) == 0
    frames.check(batch.twins, frames.TWINS)
