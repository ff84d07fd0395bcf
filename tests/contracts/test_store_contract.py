"""What every store keeps to. A further engine adds a line to STORES and passes unchanged."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import build
import pandas as pd
import pytest
from build import NOW, a_finding, a_hash, a_key, an_action, key_settings
from hypothesis import given, settings
from hypothesis import strategies as st
from store_build import T0, a_row, a_span, counters, coverage, fill, moment, rows_of, usage

from monitor.domain import (
    BUCKET_S,
    HOUR_S,
    Action,
    ActionState,
    ApiKey,
    Dimension,
    Finding,
    Incident,
    IncidentState,
    Inventory,
    Message,
    MessageKind,
    Plan,
    Reason,
    Receipt,
    Rung,
    Severity,
    Verdict,
    Workspace,
)
from monitor.errors import StoreError
from monitor.frames import ALL_KEYS, COUNTERS, COVERAGE, USAGE, check
from monitor.store.base import Delivery, Store
from monitor.store.sqlite import open_store

Opener = Callable[[Path], Store]
Rows = list[tuple[int, ...]]

EVER = (moment(0), moment(T0 * 2))
NO_USAGE, NO_COVERAGE = usage(), coverage()


@cache
def _empty_file() -> Path:
    """A migrated, empty store: copying it is faster than migrating for every example."""
    path = Path(tempfile.mkdtemp(prefix="store-contract-")) / "empty.db"
    open_store(str(path)).maintenance.close()
    return path


def sqlite_file(directory: Path) -> Store:
    path = directory / "monitor.db"
    if not path.exists():
        shutil.copyfile(_empty_file(), path)
    return open_store(str(path))


STORES: dict[str, Opener] = {"sqlite": sqlite_file}


@pytest.fixture(params=list(STORES))
def opener(request: pytest.FixtureRequest) -> Opener:
    return STORES[request.param]


@pytest.fixture
def store(opener: Opener, tmp_path: Path) -> Iterator[Store]:
    opened = opener(tmp_path)
    fill(opened.keys.catalog)
    yield opened
    opened.maintenance.close()


@contextmanager
def fresh(opener: Opener) -> Iterator[Store]:
    """A store of its own for one example of a property."""
    with tempfile.TemporaryDirectory() as directory:
        opened = opener(Path(directory))
        fill(opened.keys.catalog)
        yield opened
        opened.maintenance.close()


def an_incident(incident_id: str = "INC-1", **changes: object) -> Incident:
    return build.an_incident(incident_id=incident_id, fingerprint="f", **changes)


def a_message(message_id: str = "INC-1:1:alert", **changes: object) -> Message:
    message = Message(message_id, MessageKind.ALERT, "#alerts", Severity.WARNING, "title", "summary", created_at=NOW)
    return replace(message, **changes)


def a_verdict(**changes: object) -> Verdict:
    return replace(Verdict(a_hash(), "INC-1", NOW, Rung.DISABLE, True, Reason.CROSSED_THRESHOLD), **changes)


# --- usage ------------------------------------------------------------------------------------------------------------


def test_an_empty_store_answers_with_empty_frames(store: Store) -> None:
    check(store.usage.read(*EVER, bucket_s=BUCKET_S), USAGE)
    check(store.usage.read_hourly(*EVER), USAGE)
    check(store.usage.coverage(*EVER), COVERAGE)
    check(store.usage.counters(*EVER), COUNTERS)
    assert store.usage.prune(fine_before=moment(T0), hourly_before=moment(T0)) == 0


def test_a_window_is_half_open(store: Store) -> None:
    store.usage.write(usage(*(a_row(T0 + n * BUCKET_S) for n in range(4))), NO_COVERAGE)
    read = store.usage.read(moment(T0 + BUCKET_S), moment(T0 + 3 * BUCKET_S), bucket_s=BUCKET_S)
    assert [row[0] for row in rows_of(read)] == [T0 + BUCKET_S, T0 + 2 * BUCKET_S]
    split = store.usage.read(moment(T0) + timedelta(microseconds=1), moment(T0 + BUCKET_S + 1), bucket_s=BUCKET_S)
    assert [row[0] for row in rows_of(split)] == [T0 + BUCKET_S]


def test_rows_come_sorted_whatever_the_order_written(store: Store) -> None:
    rows = [
        a_row(T0 + b * BUCKET_S, key_no=k, value_no=v, dimension=v % 4)
        for b in range(2)
        for k in range(3)
        for v in range(5)
    ]
    store.usage.write(usage(*reversed(rows)), NO_COVERAGE)
    assert rows_of(store.usage.read(*EVER, bucket_s=BUCKET_S)) == rows
    some = store.usage.read(*EVER, bucket_s=BUCKET_S, key_nos={2, 0})
    assert rows_of(some) == [row for row in rows if row[2] != 1]


def test_a_reread_row_replaces_the_earlier_one(store: Store) -> None:
    store.usage.write(usage(a_row(cost=5), a_row(T0 + BUCKET_S, cost=6)), NO_COVERAGE)
    store.usage.write(usage(a_row(cost=9)), NO_COVERAGE)
    assert [row[-1] for row in rows_of(store.usage.read(*EVER, bucket_s=BUCKET_S))] == [9, 6]


def test_of_a_row_given_twice_in_one_frame_the_last_counts(store: Store) -> None:
    store.usage.write(usage(a_row(cost=5), a_row(cost=7)), NO_COVERAGE)
    assert rows_of(store.usage.read(*EVER, bucket_s=BUCKET_S)) == [a_row(cost=7)]


def test_spend_moved_to_another_value_leaves_the_old_one(store: Store) -> None:
    store.usage.write(usage(a_row(value_no=0), a_row(value_no=4)), coverage(a_span()))
    store.usage.write(usage(a_row(value_no=4, cost=2000)), coverage(a_span()))
    assert rows_of(store.usage.read(*EVER, bucket_s=BUCKET_S)) == [a_row(value_no=4, cost=2000)]


@pytest.mark.parametrize(
    "span",
    [
        pytest.param(a_span(quality="partial"), id="a partial answer"),
        pytest.param(a_span(quality="unknown"), id="a failed answer"),
        pytest.param(a_span(dimension=1), id="another dimension"),
        pytest.param(a_span(key_no=1), id="another key"),
        pytest.param(a_span(size=HOUR_S, until=T0 + HOUR_S), id="another bucket size"),
        pytest.param(a_span(T0 + 60), id="half a bucket"),
        pytest.param(a_span(T0 + BUCKET_S, T0 + HOUR_S), id="another bucket"),
    ],
)
def test_silence_removes_nothing_outside_what_is_known(store: Store, span: tuple[int, ...]) -> None:
    store.usage.write(usage(a_row()), coverage(a_span()))
    store.usage.write(NO_USAGE, coverage(span))
    assert rows_of(store.usage.read(*EVER, bucket_s=BUCKET_S)) == [a_row()]


def test_a_known_silence_removes_only_that_key(store: Store) -> None:
    store.usage.write(usage(a_row(key_no=0), a_row(key_no=1)), coverage(a_span()))
    store.usage.write(NO_USAGE, coverage(a_span(key_no=1)))
    assert rows_of(store.usage.read(*EVER, bucket_s=BUCKET_S)) == [a_row(key_no=0)]


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(usage(a_row(T0 + 1)), id="a bucket beside the grid"),
        pytest.param(usage(a_row(size=60)), id="a strange bucket size"),
        pytest.param(usage(a_row(key_no=77)), id="an unknown key_no"),
        pytest.param(usage(a_row(value_no=77)), id="an unknown value_no"),
        pytest.param(usage(a_row(value_no=1, dimension=0)), id="another dimension than the catalog's"),
    ],
)
def test_usage_that_could_not_be_read_back_is_refused_whole(store: Store, bad: pd.DataFrame) -> None:
    with pytest.raises(StoreError, match="not"):
        store.usage.write(pd.concat([usage(a_row()), bad]), coverage(a_span()))
    assert store.usage.read(*EVER, bucket_s=BUCKET_S).empty
    assert store.usage.coverage(*EVER).empty


def test_hours_are_summed_from_fine_rows_where_no_hour_was_read(store: Store) -> None:
    store.usage.write(usage(a_row(T0, cost=3), a_row(T0 + 3000, cost=4), a_row(T0 + HOUR_S, cost=5)), NO_COVERAGE)
    hours = store.usage.read_hourly(*EVER)
    assert [(row[0], row[1], row[-1]) for row in rows_of(hours)] == [(T0, HOUR_S, 7), (T0 + HOUR_S, HOUR_S, 5)]


def test_an_hours_own_rows_win_over_its_fine_rows(store: Store) -> None:
    fine = [a_row(T0, value_no=value, dimension=value % 4, cost=3) for value in (0, 1)]
    store.usage.write(usage(*fine, a_row(size=HOUR_S, cost=50)), NO_COVERAGE)
    assert [(row[4], row[-1]) for row in rows_of(store.usage.read_hourly(*EVER))] == [(0, 50), (1, 3)]


def test_an_hour_known_to_be_empty_wins_over_its_fine_rows(store: Store) -> None:
    store.usage.write(usage(a_row(key_no=0), a_row(key_no=1)), NO_COVERAGE)
    store.usage.write(NO_USAGE, coverage(a_span(until=T0 + HOUR_S, size=HOUR_S, key_no=0)))
    assert [row[2] for row in rows_of(store.usage.read_hourly(*EVER))] == [1]


def test_counters_come_back_and_twice_is_once(store: Store) -> None:
    rows = [(T0, 0, 10**15 + 1, 5), (T0, 2, 7, 0), (T0 + 60, 0, 10**15 + 2, 6)]
    store.usage.write_counters(counters(*rows))
    store.usage.write_counters(counters(*rows[1:]))
    assert rows_of(store.usage.counters(*EVER)) == rows
    assert rows_of(store.usage.counters(moment(T0 + 60), moment(T0 + 61))) == rows[2:]


def test_what_is_pruned_is_unknown_not_zero(store: Store) -> None:
    hour = a_span(until=T0 + 3 * HOUR_S, size=HOUR_S)
    store.usage.write(
        usage(a_row(), a_row(T0 + HOUR_S), a_row(size=HOUR_S)), coverage(a_span(until=T0 + 2 * HOUR_S), hour)
    )
    store.usage.write_counters(counters((T0, 0, 1, 1), (T0 + HOUR_S, 0, 2, 2)))
    assert store.usage.prune(fine_before=moment(T0 + HOUR_S + 1800), hourly_before=moment(T0)) == 2
    assert rows_of(store.usage.read(*EVER, bucket_s=BUCKET_S)) == [a_row(T0 + HOUR_S)]
    assert len(store.usage.read(*EVER, bucket_s=HOUR_S)) == 1
    assert len(store.usage.counters(*EVER)) == 1
    spans = rows_of(store.usage.coverage(*EVER))
    assert sorted(row[2:5] for row in spans) == [
        (BUCKET_S, T0 + HOUR_S, T0 + 2 * HOUR_S),
        (HOUR_S, T0, T0 + 3 * HOUR_S),
    ]


# --- usage, against a plain model -------------------------------------------------------------------------------------

BUCKETS, KEYS, VALUES = range(8), range(2), range(6)
spans_of = {
    size: st.tuples(*(st.integers(0, 8 * BUCKET_S // size + 1),) * 2).map(sorted) for size in (BUCKET_S, HOUR_S)
}


@st.composite
def batches(draw: st.DrawFn) -> tuple[Rows, Rows]:
    """A few rows on a small grid, and a few spans aligned to their buckets, overlapping at will."""
    rows, spans = [], []
    for _ in range(draw(st.integers(0, 12))):
        size = draw(st.sampled_from([BUCKET_S, BUCKET_S, HOUR_S]))
        start = T0 + draw(st.sampled_from(BUCKETS)) * BUCKET_S // size * size
        value = draw(st.sampled_from(VALUES))
        key = draw(st.sampled_from(KEYS))
        rows.append(
            a_row(start, key_no=key, value_no=value, dimension=value % 4, size=size, cost=draw(st.integers(0, 99)))
        )
    for number in range(draw(st.integers(0, 4))):
        size = draw(st.sampled_from([BUCKET_S, HOUR_S]))
        since, until = draw(spans_of[size])
        quality = draw(st.sampled_from(["known", "known", "partial", "unknown"]))
        key = draw(st.sampled_from([ALL_KEYS, ALL_KEYS, *KEYS]))
        span = (T0 + since * size, T0 + (until + 1) * size)
        spans.append(
            a_span(*span, key_no=key, dimension=draw(st.integers(0, 3)), size=size, quality=quality, as_of=T0 + number)
        )
    return rows, spans


def quality_of(spans: Rows, cell: tuple[int, int, int, int]) -> int | None:
    """The plain reading of the contract: the last row that speaks of a cell counts; None if none does."""
    start, size, key_no, dimension = cell
    said = [
        quality
        for span_key, span_dimension, span_size, since, until, quality, _ in spans
        if (span_size, span_dimension) == (size, dimension)
        and span_key in (ALL_KEYS, key_no)
        and since <= start < until
    ]
    return said[-1] if said else None


def hourly_model(rows: dict[tuple[int, ...], tuple[int, ...]], spans: Rows) -> Rows:
    own = {row for row in rows.values() if row[1] == HOUR_S}
    cells = {(row[0], row[2], row[3]) for row in own}
    sums: dict[tuple[int, int, int, int], list[int]] = {}
    for row in rows.values():
        hour = row[0] - row[0] % HOUR_S
        is_own = (hour, row[2], row[3]) in cells or quality_of(spans, (hour, HOUR_S, row[2], row[3])) == 2
        if row[1] == BUCKET_S and not is_own:
            total = sums.setdefault((hour, *row[2:5]), [0] * 5)
            sums[(hour, *row[2:5])] = [a + b for a, b in zip(total, row[5:], strict=True)]
    summed = {(hour, HOUR_S, *rest, *total) for (hour, *rest), total in sums.items()}
    return sorted(own | summed, key=lambda row: (row[0], row[2], row[4]))


@pytest.mark.parametrize("name", STORES)
@given(written=st.lists(st.tuples(batches(), st.integers(0, 1), st.booleans()), min_size=1, max_size=5))
@settings(max_examples=25, deadline=None)
def test_usage_and_coverage_follow_the_plain_model(
    name: str, written: list[tuple[tuple[Rows, Rows], int, bool]]
) -> None:
    """Batches are written by either of two openings of the same store, some of them twice."""
    with tempfile.TemporaryDirectory() as directory:
        stores = [STORES[name](Path(directory)) for _ in range(2)]
        for store in stores:
            fill(store.keys.catalog)
        rows: dict[tuple[int, ...], tuple[int, ...]] = {}
        spans: Rows = []
        for (new_rows, new_spans), writer, twice in written:
            rows = {
                place: row
                for place, row in rows.items()
                if quality_of(new_spans, (row[0], row[1], row[2], row[3])) != 2
            } | {row[:5]: row for row in new_rows}
            spans += new_spans
            for _ in range(2 if twice else 1):
                stores[writer].usage.write(usage(*new_rows), coverage(*new_spans))
        store = stores[0]
        ordered = sorted(rows.values(), key=lambda row: (row[0], row[2], row[4]))
        for size in (BUCKET_S, HOUR_S):
            assert rows_of(store.usage.read(*EVER, bucket_s=size)) == [row for row in ordered if row[1] == size]
        read_spans = rows_of(store.usage.coverage(*EVER))
        cells = [
            (T0 + n * size, size, key, dimension)
            for size in (BUCKET_S, HOUR_S)
            for n in range(10)
            for key in KEYS
            for dimension in range(4)
        ]
        assert [quality_of(read_spans, cell) for cell in cells] == [quality_of(spans, cell) for cell in cells]
        assert rows_of(store.usage.read_hourly(*EVER)) == hourly_model(rows, spans)
        one_key = store.usage.read_hourly(*EVER, key_nos=[1])
        assert rows_of(one_key) == [row for row in hourly_model(rows, spans) if row[2] == 1]
        wanted = ({Dimension.MODEL}, {Dimension.APP, Dimension.COUNTRY}, set())[len(rows) % 3]
        some = store.usage.read_hourly(*EVER, dimensions=wanted, key_nos=None if len(spans) % 2 else KEYS)
        assert rows_of(some) == [row for row in hourly_model(rows, spans) if row[3] in wanted]
        for store in stores:
            store.maintenance.close()


# --- keys -------------------------------------------------------------------------------------------------------------

texts = st.text(st.characters(codec="utf-8"), max_size=20)
moments = st.integers(10**15, 3 * 10**15).map(lambda us: moment(0) + timedelta(microseconds=us))
nusd = st.none() | st.integers(-(2**62), 2**62)
limits = st.none() | st.floats(allow_nan=False, allow_infinity=False)
api_keys = st.builds(
    ApiKey,
    key_hash=st.integers(0, 4).map(a_hash),
    key_name=texts,
    label=texts,
    workspace_id=st.none() | texts,
    creator_user_id=st.none() | texts,
    settings=st.builds(
        type(key_settings()),
        is_disabled=st.booleans(),
        limit_usd=limits,
        limit_reset=st.none() | texts,
        include_byok_in_limit=st.booleans(),
    ),
    limit_remaining_usd=limits,
    usage_nusd=nusd,
    usage_daily_nusd=nusd,
    usage_weekly_nusd=nusd,
    usage_monthly_nusd=nusd,
    byok_usage_nusd=nusd,
    created_at=moments,
    updated_at=st.none() | moments,
    expires_at=st.none() | moments,
)


def an_inventory(*keys: ApiKey, **changes: object) -> Inventory:
    return replace(Inventory(NOW, keys, (Workspace("ws-1", "Search"),)), **changes)


@pytest.mark.parametrize("name", STORES)
@given(inventories=st.lists(st.lists(api_keys, max_size=4, unique_by=lambda key: key.key_hash), max_size=4))
@settings(max_examples=20, deadline=None)
def test_every_key_comes_back_exactly_as_last_seen(name: str, inventories: list[list[ApiKey]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        store = STORES[name](Path(directory))
        seen: dict[str, ApiKey] = {}
        for keys in inventories:
            store.keys.record(an_inventory(*keys))
            seen |= {key.key_hash: key for key in keys}
        live = store.keys.keys()
        store.maintenance.close()
        reopened = STORES[name](Path(directory))
        assert live == reopened.keys.keys() == tuple(seen.values())
        reopened.maintenance.close()


def test_a_change_of_settings_is_remembered_with_before_and_after(store: Store) -> None:
    key = a_key(settings=key_settings(limit_usd=0.1))
    store.keys.record(an_inventory(key))
    store.keys.record(an_inventory(replace(key, usage_nusd=5)))
    later = NOW + timedelta(minutes=1)
    changed = replace(key, key_name="renamed", settings=key_settings(is_disabled=True, limit_usd=None))
    store.keys.record(an_inventory(changed, taken_at=later))
    changes = {(change.field, change.before, change.after) for change in store.keys.history(key.key_hash)}
    assert changes == {
        ("key_name", "search-prod", "renamed"),
        ("is_disabled", "false", "true"),
        ("limit_usd", "0.1", None),
    }
    assert {change.seen_at for change in store.keys.history(key.key_hash)} == {later}
    assert store.keys.history(a_hash(9)) == ()


def test_a_vanished_key_is_kept_and_may_come_back(store: Store) -> None:
    store.keys.record(an_inventory(a_key(1), a_key(2)))
    store.keys.record(an_inventory(a_key(2), vanished=(a_hash(1), a_hash(99))))
    assert store.keys.keys() == (a_key(2),)
    assert store.keys.keys(include_vanished=True) == (a_key(1), a_key(2))
    store.keys.record(an_inventory(a_key(1), a_key(2)))
    assert store.keys.keys() == (a_key(1), a_key(2))
    assert [(c.field, c.before is None, c.after is None) for c in store.keys.history(a_hash(1))] == [
        ("vanished", True, False),
        ("vanished", False, True),
    ]


def test_keys_come_in_the_order_of_their_numbers_also_when_listed_otherwise(store: Store) -> None:
    store.keys.catalog.key_no(a_hash(3))
    store.keys.record(an_inventory(a_key(1)))
    store.keys.record(an_inventory(a_key(2), a_key(3)))
    assert store.keys.keys() == (a_key(3), a_key(1), a_key(2))


def test_a_second_opening_sees_the_inventory_the_first_recorded(opener: Opener, tmp_path: Path) -> None:
    first, second = opener(tmp_path), opener(tmp_path)
    for number in (1, 2):
        first.keys.record(an_inventory(a_key(1, usage_nusd=number)))
        assert second.keys.keys() == (a_key(1, usage_nusd=number),)
    first.maintenance.close()
    second.maintenance.close()


def test_a_key_that_is_not_listed_is_not_gone(store: Store) -> None:
    store.keys.record(an_inventory(a_key(1), a_key(2)))
    store.keys.record(an_inventory(is_complete=False))
    assert store.keys.keys() == (a_key(1), a_key(2))


def test_workspaces_keep_the_name_last_seen(store: Store) -> None:
    store.keys.record(an_inventory())
    store.keys.record(an_inventory(workspaces=(Workspace("ws-1", "Find"), Workspace("ws-2", "Ads"))))
    assert store.keys.workspaces() == {"ws-1": "Find", "ws-2": "Ads"}


def test_numbers_of_keys_and_values_survive_a_restart(opener: Opener, tmp_path: Path) -> None:
    first = opener(tmp_path)
    fill(first.keys.catalog, n_keys=2)
    first.usage.write(usage(a_row(key_no=1)), NO_COVERAGE)
    first.keys.catalog.key_no("never written")
    first.maintenance.close()
    second = opener(tmp_path)
    assert (second.keys.catalog.n_keys, second.keys.catalog.n_values) == (2, 8)
    assert second.keys.catalog.key_hash(1) == "key-1"
    assert second.keys.catalog.value(7) == "value-7"
    second.maintenance.close()


# --- ledger -----------------------------------------------------------------------------------------------------------

floats = st.floats(allow_nan=False)
findings = st.builds(
    Finding,
    key_hash=st.integers(0, 2).map(a_hash),
    at=moments,
    onset_at=moments,
    detector=texts,
    is_shadow=st.booleans(),
    score=floats,
    p_value=st.none() | floats,
    severity=st.sampled_from(Severity),
    rung=st.sampled_from(Rung),
    spend=st.just(a_finding().spend),
    causes=st.lists(texts.map(lambda value: replace(a_finding().causes[0], value=value)), max_size=2).map(tuple),
    quality=st.just(a_finding().quality),
)


@pytest.mark.parametrize("name", STORES)
@given(found=st.lists(findings, max_size=4, unique=True))
@settings(max_examples=20, deadline=None)
def test_findings_come_back_exactly_and_twice_is_once(name: str, found: list[Finding]) -> None:
    with fresh(STORES[name]) as store:
        for _ in range(2):
            store.ledger.commit(found, Plan(NOW), ())
        read = store.ledger.findings(moment(0))
        assert sorted(read, key=found.index) == found
        assert [finding.at for finding in read] == sorted(finding.at for finding in found)
        assert set(store.ledger.findings(NOW, key_hash=a_hash(1))) == {
            finding for finding in found if finding.at >= NOW and finding.key_hash == a_hash(1)
        }


def test_an_incident_is_updated_in_place_and_found_by_state_and_time(store: Store) -> None:
    first, second = an_incident("INC-1"), an_incident("INC-2", last_seen_at=NOW + timedelta(hours=1))
    store.ledger.commit((), Plan(NOW, incidents=(first, second)), ())
    closed = replace(first, state=IncidentState.RESOLVED, resolved_at=NOW, resolution="quiet", step=2)
    store.ledger.commit((), Plan(NOW, incidents=(closed,)), ())
    assert store.ledger.incidents() == (second, closed)
    assert store.ledger.incidents(states=[IncidentState.OPEN]) == (second,)
    assert store.ledger.incidents(since=NOW + timedelta(minutes=1)) == (second,)
    assert store.ledger.incidents(states=[]) == ()


def test_verdicts_are_kept_also_when_nothing_was_done(store: Store) -> None:
    verdicts = (a_verdict(), a_verdict(is_act=False, reason=Reason.PROTECTED_KEY, at=NOW + timedelta(minutes=1)))
    store.ledger.commit((), Plan(NOW, verdicts=verdicts), ())
    assert store.ledger.verdicts(NOW) == verdicts
    assert store.ledger.verdicts(NOW + timedelta(seconds=1), key_hash=a_hash()) == verdicts[1:]


def test_an_action_goes_from_intent_to_outcome_and_tells_of_it(store: Store) -> None:
    action = an_action(1)
    store.ledger.commit((), Plan(NOW, actions=(action, an_action(2))), ())
    done = replace(action, state=ActionState.DONE, finished_at=NOW + timedelta(seconds=2), detail="disabled")
    for _ in range(2):
        store.ledger.finish(done, [a_message("ACT:done")])
    assert store.ledger.actions() == (done, an_action(2))
    assert store.ledger.actions(states=[ActionState.INTENDED]) == (an_action(2),)
    assert store.ledger.actions(key_hash=a_hash(1)) == (done,)
    assert store.ledger.actions(since=NOW + timedelta(seconds=1)) == ()
    assert [entry.message.message_id for entry in store.outbox.entries()] == ["ACT:done"]


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        pytest.param(replace(an_action(7), state=ActionState.DONE), "no intent", id="never intended"),
        pytest.param(an_action(1), "no outcome", id="not ended"),
        pytest.param(replace(an_action(1), state=ActionState.EXPIRED), "as done", id="already done"),
    ],
)
def test_an_outcome_that_contradicts_the_journal_is_refused(store: Store, outcome: Action, reason: str) -> None:
    store.ledger.commit((), Plan(NOW, actions=(an_action(1),)), ())
    store.ledger.finish(replace(an_action(1), state=ActionState.DONE), ())
    with pytest.raises(StoreError, match=reason):
        store.ledger.finish(outcome, [a_message()])
    assert store.outbox.entries() == ()


def test_a_failed_action_may_still_be_done_later(store: Store) -> None:
    store.ledger.commit((), Plan(NOW, actions=(an_action(),)), ())
    store.ledger.finish(replace(an_action(), state=ActionState.FAILED), ())
    store.ledger.finish(replace(an_action(), state=ActionState.DONE), ())
    assert [action.state for action in store.ledger.actions()] == [ActionState.DONE]


def test_a_commit_that_fails_leaves_nothing_behind(store: Store) -> None:
    broken = replace(an_action(), key_hash=None)
    with pytest.raises(StoreError):
        store.ledger.commit([a_finding()], Plan(NOW, incidents=(an_incident(),), actions=(broken,)), [a_message()])
    assert store.ledger.findings(moment(0)) == ()
    assert store.ledger.incidents() == ()
    assert store.outbox.entries() == ()


def test_pruning_the_ledger_never_forgets_an_action_or_an_open_incident(store: Store) -> None:
    old, resolved = an_incident("INC-open"), an_incident("INC-done", state=IncidentState.RESOLVED)
    plan = Plan(NOW, incidents=(old, resolved), actions=(an_action(),), verdicts=(a_verdict(),))
    messages = [a_message("m-open", thread="INC-open"), a_message("m-done", thread="INC-done"), a_message("m-waiting")]
    store.ledger.commit([a_finding()], plan, messages)
    for message_id in ("m-open", "m-done"):
        store.outbox.delivered(message_id, Receipt("C1", message_id), NOW)
    assert store.ledger.actions() and store.maintenance.prune_ledger(NOW) == 0
    assert store.maintenance.prune_ledger(NOW + timedelta(seconds=1)) == 4
    assert store.ledger.incidents() == (old,)
    assert store.ledger.actions() == (an_action(),)
    assert {entry.message.message_id for entry in store.outbox.entries()} == {"m-open", "m-waiting"}


# --- outbox -----------------------------------------------------------------------------------------------------------


def test_a_message_is_claimed_once_urgent_first_then_oldest(store: Store) -> None:
    store.outbox.add([a_message("old")], NOW)
    store.outbox.add([a_message("new"), a_message("urgent", severity=Severity.CRITICAL)], NOW + timedelta(seconds=1))
    claimed = store.outbox.claim(NOW + timedelta(minutes=1), limit=2)
    assert [(entry.message.message_id, entry.state, entry.n_attempts) for entry in claimed] == [
        ("urgent", Delivery.WAITING, 1),
        ("old", Delivery.WAITING, 1),
    ]
    assert [entry.message.message_id for entry in store.outbox.claim(NOW + timedelta(minutes=1), limit=9)] == ["new"]
    assert store.outbox.claim(NOW + timedelta(minutes=1), limit=9) == ()
    assert {entry.state for entry in store.outbox.entries()} == {Delivery.SENDING}


def test_a_message_id_already_there_is_kept_as_it_is(store: Store) -> None:
    store.outbox.add([a_message(title="first")], NOW)
    store.outbox.claim(NOW, limit=1)
    store.outbox.delivered(a_message().message_id, Receipt("C1", "171.1"), NOW)
    store.outbox.add([a_message(title="second")], NOW)
    store.ledger.commit((), Plan(NOW), [a_message(title="third")])
    (entry,) = store.outbox.entries()
    assert (entry.message.title, entry.state, entry.receipt) == ("first", Delivery.DELIVERED, Receipt("C1", "171.1"))


@pytest.mark.parametrize(("is_unknown", "state"), [(True, Delivery.UNKNOWN), (False, Delivery.WAITING)])
def test_a_postponed_message_is_due_later_and_remembers_why(store: Store, is_unknown: bool, state: Delivery) -> None:
    store.outbox.add([a_message()], NOW)
    store.outbox.claim(NOW, limit=1)
    due = NOW + timedelta(minutes=5)
    store.outbox.postponed(a_message().message_id, until=due, error="429", is_outcome_unknown=is_unknown)
    assert store.outbox.claim(due - timedelta(seconds=1), limit=1) == ()
    (entry,) = store.outbox.claim(due, limit=1)
    assert (entry.state, entry.n_attempts, entry.due_at, entry.last_error) == (state, 2, due, "429")


def test_a_new_message_is_due_even_if_its_writers_clock_ran_ahead(store: Store) -> None:
    store.ledger.commit((), Plan(NOW + timedelta(hours=2)), [a_message()])
    assert len(store.outbox.claim(NOW, limit=1)) == 1


def test_an_entry_left_sending_by_a_killed_process_becomes_unknown(store: Store) -> None:
    store.outbox.add([a_message("a"), a_message("b")], NOW)
    store.outbox.claim(NOW, limit=1)
    assert store.outbox.recover(NOW) == 1
    assert store.outbox.recover(NOW) == 0
    states = {entry.message.message_id: entry.state for entry in store.outbox.claim(NOW, limit=9)}
    assert states == {"a": Delivery.UNKNOWN, "b": Delivery.WAITING}


def test_a_claim_whose_outcome_was_never_written_down_is_taken_over_in_doubt(store: Store) -> None:
    # given: a running service whose disk was full when it wanted to note what became of a message
    store.outbox.add([a_message()], NOW)
    store.outbox.claim(NOW, limit=1)

    # when: it goes on, without a restart
    at_once = store.outbox.claim(NOW + timedelta(minutes=4), limit=1)
    (later,) = store.outbox.claim(NOW + timedelta(minutes=5), limit=1)

    # then: nobody takes it while it may still be under way, and later it is looked up before it is sent again
    assert at_once == ()
    assert (later.state, later.n_attempts) == (Delivery.SENDING, 2)
    assert store.outbox.claim(NOW + timedelta(minutes=6), limit=1) == ()


def test_a_delivered_message_stays_delivered(store: Store) -> None:
    store.outbox.add([a_message()], NOW)
    store.outbox.delivered(a_message().message_id, Receipt("C1", "1"), NOW)
    store.outbox.delivered(a_message().message_id, Receipt("C2", "2"), NOW)
    store.outbox.postponed(a_message().message_id, until=NOW, error="late", is_outcome_unknown=False)
    store.outbox.dead(a_message().message_id, "late")
    (entry,) = store.outbox.entries(states=[Delivery.DELIVERED])
    assert (entry.receipt, entry.last_error) == (Receipt("C1", "1"), "")


def test_a_dead_message_stays_listed_and_is_not_claimed(store: Store) -> None:
    store.outbox.add([a_message()], NOW)
    store.outbox.dead(a_message().message_id, "channel_not_found")
    assert store.outbox.claim(NOW, limit=9) == ()
    (entry,) = store.outbox.entries(states=[Delivery.DEAD])
    assert entry.last_error == "channel_not_found"


def test_a_message_never_queued_cannot_change_state(store: Store) -> None:
    with pytest.raises(StoreError, match="never queued"):
        store.outbox.delivered("nothing", Receipt("C1", "1"), NOW)


def test_entries_of_a_thread_come_oldest_first(store: Store) -> None:
    store.outbox.add([a_message("a", thread="INC-1"), a_message("b"), a_message("c", thread="INC-1")], NOW)
    assert [entry.message.message_id for entry in store.outbox.entries(thread="INC-1")] == ["a", "c"]
    store.outbox.add(
        [a_message("d", thread="LIST-1"), a_message("e", thread="LISTS"), a_message("f", thread="INC-11")], NOW
    )
    assert [entry.message.message_id for entry in store.outbox.entries(thread_prefix="LIST-")] == ["d"]
    assert [entry.message.message_id for entry in store.outbox.entries(thread_prefix="INC-")] == ["a", "c", "f"]


def test_no_two_claimants_ever_get_the_same_message(opener: Opener, tmp_path: Path) -> None:
    stores = [opener(tmp_path) for _ in range(3)]
    stores[0].outbox.add([a_message(f"m-{n}") for n in range(60)], NOW)
    taken: list[str] = []

    def claim_all(store: Store) -> None:
        while entries := store.outbox.claim(NOW, limit=4):
            taken.extend(entry.message.message_id for entry in entries)

    threads = [threading.Thread(target=claim_all, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(f"m-{n}" for n in range(60))
    for store in stores:
        store.maintenance.close()


# --- state and maintenance --------------------------------------------------------------------------------------------

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize("name", STORES)
@given(document=st.dictionaries(st.text(max_size=5), json_values, max_size=4))
@settings(max_examples=20, deadline=None)
def test_a_state_document_comes_back_exactly(name: str, document: dict[str, object]) -> None:
    with fresh(STORES[name]) as store:
        assert store.state.get("job") is None
        store.state.put("job", {"earlier": 1})
        store.state.put("job", document)
        assert store.state.get("job") == document
        assert store.state.get("other") is None


@pytest.mark.parametrize("value", [float("nan"), datetime(2026, 1, 1, tzinfo=UTC), {1, 2}], ids=["nan", "time", "set"])
def test_a_state_document_that_is_no_json_is_refused(store: Store, value: object) -> None:
    with pytest.raises(StoreError, match="does not fit JSON"):
        store.state.put("job", {"value": value})


def test_a_closed_store_can_be_opened_again_with_everything_in_it(opener: Opener, tmp_path: Path) -> None:
    first = opener(tmp_path)
    fill(first.keys.catalog)
    first.usage.write(usage(a_row()), coverage(a_span()))
    first.ledger.commit([a_finding()], Plan(NOW, incidents=(an_incident(),), actions=(an_action(),)), [a_message()])
    first.maintenance.vacuum()
    first.maintenance.verify()
    first.maintenance.close()
    second = opener(tmp_path)
    assert rows_of(second.usage.read(*EVER, bucket_s=BUCKET_S)) == [a_row()]
    assert rows_of(second.usage.coverage(*EVER)) == [a_span()]
    assert second.ledger.findings(moment(0)) == (a_finding(),)
    assert second.ledger.incidents() == (an_incident(),)
    assert second.ledger.actions() == (an_action(),)
    assert [entry.message for entry in second.outbox.entries()] == [a_message()]
    second.maintenance.close()
