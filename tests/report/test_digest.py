"""The digest's figures: totals that add up, and what is not known said."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest
from build import a_hash, a_key, an_action, an_incident, key_settings
from digest_build import FIRST_HOUR, MONDAY, N_HOURS, WEEKS, a_catalog, a_digest, a_usage, all_known
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.domain import BUCKET_S, HOUR_S, NUSD, Dimension
from monitor.report import words
from monitor.report.forecast import Doubt
from monitor.report.owners import part_of

ROWS = st.lists(
    st.tuples(st.integers(0, 19), st.integers(0, 2), st.integers(-3, N_HOURS + 2), st.integers(0, 10**15)), max_size=60
)
OWNERS = st.dictionaries(st.integers(0, 19).map(a_hash), st.sampled_from(["", "team-a", "team-b", "<team> & co"]))


@settings(deadline=None, max_examples=25)
@given(ROWS, OWNERS, st.integers(0, 20))
def test_totals_are_the_frame_s_and_owners_partition_the_keys(
    rows: list[tuple[int, int, int, int]], owners: dict[str, str], n_listed: int
) -> None:
    keys = [a_key(number) for number in range(n_listed)]

    digest = a_digest(a_usage(rows), keys, owners=owners)

    assert digest.spent_nusd == sum(cost for *_, hour, cost in rows if N_HOURS // 2 <= hour < N_HOURS)
    assert digest.before_nusd == sum(cost for *_, hour, cost in rows if 0 <= hour < N_HOURS // 2)
    for parts in (digest.keys, digest.models, digest.owners):
        assert sum(each.spent_nusd for each in parts) == digest.spent_nusd
        assert sum(each.before_nusd for each in parts) == digest.before_nusd
    owned = [key.key_hash for part in digest.owners for key in part.keys]
    assert sorted(owned) == sorted(key.key_hash for key in digest.keys)
    assert len(owned) == len(set(owned)) >= n_listed
    assert all(key.owner == part.owner for part in digest.owners for key in part.keys)
    assert all(sum(each.spent_nusd for each in part.models) == part.spent_nusd for part in digest.owners)


@settings(deadline=None, max_examples=8)
@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows: list[tuple[int, int, int, int]], shuffle: object) -> None:
    shuffled = list(rows)
    shuffle.shuffle(shuffled)  # type: ignore[attr-defined]

    assert a_digest(a_usage(rows)) == a_digest(a_usage(shuffled))


def test_dimensions_are_never_added_up() -> None:
    usage = pd.concat([a_usage([(0, 0, 300, NUSD)]), a_usage([(0, 0, 300, NUSD)], dimension=Dimension.COUNTRY)])

    assert a_digest(usage).spent_nusd == NUSD


def test_two_bucket_sizes_are_refused_rather_than_counted_twice() -> None:
    usage = pd.concat([a_usage([(0, 0, 300, NUSD)]), a_usage([(0, 0, 300, NUSD)], bucket_s=BUCKET_S)])

    with pytest.raises(ValueError, match="counted twice"):
        a_digest(usage)


def test_the_week_is_half_open() -> None:
    rows = [(0, 0, N_HOURS // 2 - 1, 1), (0, 0, N_HOURS // 2, 10), (0, 0, N_HOURS - 1, 100), (0, 0, N_HOURS, 1000)]

    digest = a_digest(a_usage(rows))

    assert (digest.before_nusd, digest.spent_nusd) == (1, 110)


def test_the_gap_to_the_account_s_counters_is_shown() -> None:
    digest = a_digest(a_usage([(0, 0, 300, 7 * NUSD)]), unattributed_nusd=2 * NUSD, account_total_nusd=10 * NUSD)

    assert digest.gap_nusd == NUSD
    assert words.balance(digest) == ("keys $7.00 + unattributed $2.00; the account's counters say $10.00, $1.00 more")


def test_an_unknown_account_total_has_no_gap_and_says_so() -> None:
    digest = a_digest(a_usage([]))

    assert digest.gap_nusd is None
    assert "not known for the whole week" in words.balance(digest)


def test_a_key_without_usage_is_listed_and_one_gone_from_the_inventory_too() -> None:
    digest = a_digest(a_usage([(3, 0, 300, NUSD)]), [a_key(1)])

    assert [(each.key_hash, each.key is None, each.spent_nusd) for each in digest.keys] == [
        (a_hash(3), True, NUSD),
        (a_hash(1), False, 0),
    ]
    assert words.key_name(digest.keys[0]) == "(gone) [000000000000]"


def test_two_keys_of_one_name_stay_two() -> None:
    digest = a_digest(a_usage([(1, 0, 300, NUSD), (2, 0, 300, NUSD)]), [a_key(1), a_key(2)])

    assert [each.spent_nusd for each in digest.keys] == [NUSD, NUSD]


def test_live_keys_without_limit_and_without_owner_are_named() -> None:
    limited = a_key(2, settings=key_settings(limit_usd=5.0))
    off = a_key(3, settings=key_settings(is_disabled=True))

    digest = a_digest(a_usage([]), [a_key(1), limited, off], owners={a_hash(1): "team-a"})

    assert [each.key_hash for each in digest.without_limit] == [a_hash(1)]
    assert [each.key_hash for each in digest.unowned] == [a_hash(2)]


def test_a_key_is_called_unused_only_if_nearly_every_hour_is_known() -> None:
    old = a_key(1, created_at=MONDAY - timedelta(days=90))

    known = a_digest(a_usage([]), [old])
    unknown = a_digest(a_usage([]), [old], coverage=all_known(until=WEEKS.current.until - timedelta(hours=25)))

    assert [each.key_hash for each in known.unused] == [a_hash(1)]
    assert unknown.unused == ()


def test_unknown_hours_are_told_as_a_lower_bound() -> None:
    digest = a_digest(a_usage([]), coverage=all_known(since=WEEKS.current.since + timedelta(hours=5)))

    assert words.completeness(digest) == (
        "5 of 168 hours incomplete or unknown: figures are a lower bound;"
        " 168 of 168 hours of the week before incomplete or unknown"
    )
    assert words.gap_lines(digest) == ["16 Nov 00:00 UTC to 16 Nov 05:00 UTC"]


def test_movers_are_ranked_by_dollars_not_by_percent() -> None:
    rows = [
        (1, 0, 10, 100 * NUSD),
        (1, 0, 300, 150 * NUSD),
        (2, 0, 10, 1),
        (2, 0, 300, NUSD),
        (3, 0, 10, 5),
        (3, 0, 300, 5),
    ]

    found = [each.line for each in a_digest(a_usage(rows)).movers if each.delta_nusd]

    assert [each.key_hash for each in found] == [a_hash(1), a_hash(2)]


def test_incidents_and_actions_are_those_of_the_week_and_go_to_the_key_s_owner() -> None:
    now = WEEKS.current.until
    inside, over = an_incident(1, at=now), an_incident(2, at=WEEKS.current.since - timedelta(hours=1))
    acted, later = an_action(1, intended_at=now - timedelta(days=1)), an_action(1, intended_at=now)

    digest = a_digest(
        a_usage([]), [a_key(1)], owners={a_hash(1): "team-a"}, incidents=[inside, over], actions=[acted, later]
    )

    assert (digest.incidents, digest.actions) == ((inside,), (acted,))
    assert (digest.owners[0].incidents, digest.owners[0].actions) == ((inside,), (acted,))


def test_an_empty_account_is_a_digest_too() -> None:
    digest = a_digest(a_usage([]))

    assert words.headline(digest).startswith("0 of 0 keys spent $0 (unchanged")
    assert HOUR_S * digest.weeks.current.n_hours == 604_800


def test_a_usual_week_is_the_mean_of_the_four_before_and_adds_up() -> None:
    rows = [(no, no % 2, FIRST_HOUR + 168 * week + 5, (week + 1) * NUSD) for no in (1, 2) for week in range(8)]

    digest = a_digest(a_usage(rows), owners={a_hash(1): "team-a"})

    assert digest.n_norm == 4
    assert digest.norm_of(digest.norm_nusd) == 2 * (4 + 5 + 6 + 7) * NUSD // 4
    for parts in (digest.keys, digest.models, digest.owners):
        assert sum(each.norm_nusd for each in parts) == digest.norm_nusd


def test_a_week_of_gaps_does_not_say_what_is_normal_and_one_week_alone_is_no_norm() -> None:
    rows = [(1, 0, FIRST_HOUR + 168 * week + 5, NUSD) for week in range(8)]

    three = a_digest(a_usage(rows), coverage=all_known(since=WEEKS.norm[1].since))
    one = a_digest(a_usage(rows), coverage=all_known(since=WEEKS.norm[3].since))

    assert (three.n_norm, three.norm_of(three.norm_nusd)) == (3, NUSD)
    assert (one.n_norm, one.norm_of(one.norm_nusd)) == (0, None)
    assert "not known yet" in words.norm(one)


def test_weeks_before_anything_was_spent_are_not_normal() -> None:
    rows = [(1, 0, hour, NUSD) for hour in (-200, -100, 10, 300)]

    assert a_digest(a_usage(rows)).n_norm == 3


def test_a_key_of_the_norm_alone_is_counted_and_not_listed() -> None:
    digest = a_digest(a_usage([(3, 0, -300, NUSD), (3, 0, -400, NUSD), (1, 0, 300, NUSD)]))

    assert digest.norm_nusd == sum(each.norm_nusd for each in digest.keys) == 2 * NUSD
    assert [each.key_hash for each in digest.keys if each.is_past] == [a_hash(3)]
    assert words.headline(digest).startswith("1 of 1 key spent")


def test_a_mover_is_explained_by_its_models_and_its_apps_in_dollars() -> None:
    catalog = a_catalog(3, ["vendor/a", "vendor/b", "vendor/c"], ["Cline", "web"])
    models = a_usage([(1, 0, 10, 20 * NUSD), (1, 0, 300, 15 * NUSD), (1, 1, 300, 90 * NUSD), (1, 2, 301, NUSD)])
    apps = a_usage([(1, 4, 10, 20 * NUSD), (1, 4, 300, 6 * NUSD), (1, 3, 300, 100 * NUSD)], dimension=Dimension.APP)
    coverage = pd.concat([all_known(), all_known(dimension=Dimension.APP)])

    digest = a_digest(pd.concat([models, apps]), [a_key(1)], catalog=catalog, coverage=coverage)

    (mover,) = digest.movers
    assert mover.delta_nusd == 86 * NUSD
    assert mover.models == (("vendor/b", 90 * NUSD), ("vendor/a", -5 * NUSD), ("vendor/c", NUSD))
    assert words.mover(mover) == (
        "+$86.00 search-prod [000000000000]: $20.00 → $106.00; vendor/b +$90.00, app Cline +$100.00"
    )


def test_apps_explain_nothing_where_they_are_not_wholly_known() -> None:
    usage = pd.concat([a_usage([(1, 0, 300, NUSD)]), a_usage([(1, 3, 300, NUSD)], dimension=Dimension.APP)])
    catalog = a_catalog(3, ["vendor/a", "vendor/b", "vendor/c"], ["Cline"])

    (mover,) = a_digest(usage, catalog=catalog).movers

    assert (mover.models, mover.apps) == ((("vendor/a", NUSD),), ())


def test_a_key_that_moved_from_one_model_to_another_for_the_same_money_is_no_change_in_dollars() -> None:
    digest = a_digest(a_usage([(1, 0, 10, NUSD), (1, 1, 300, NUSD)]))

    assert [each.delta_nusd for each in digest.movers] == [0]
    assert dict(digest.movers[0].models) == {"vendor/a": -NUSD, "vendor/b": NUSD}


@settings(deadline=None, max_examples=10)
@given(ROWS)
def test_the_parts_of_every_move_add_up_to_it(rows: list[tuple[int, int, int, int]]) -> None:
    digest = a_digest(a_usage(rows))

    for mover in digest.movers:
        assert sum(nusd for _, nusd in mover.models) == mover.delta_nusd
    assert sum(each.delta_nusd for each in digest.movers) == digest.spent_nusd - digest.before_nusd


@settings(deadline=None, max_examples=10)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(N_HOURS, N_HOURS + 900), st.integers(1, 10**15))
    )
)
def test_nothing_after_the_week_changes_anything_told(later: list[tuple[int, int, int, int]]) -> None:
    rows = [(no, 0, FIRST_HOUR + 24 * day + 3, (no + 1 + day % 7) * NUSD) for no in range(3) for day in range(56)]
    keys = [a_key(no, settings=key_settings(limit_usd=90.0), limit_remaining_usd=30.0) for no in range(3)]

    assert a_digest(a_usage(rows + later), keys) == a_digest(a_usage(rows), keys)


def test_the_month_is_foretold_from_eight_weeks_of_days() -> None:
    rows = [(1, 0, FIRST_HOUR + 24 * day + 3, 2 * NUSD) for day in range(56)]

    month = a_digest(a_usage(rows)).month

    assert (month.spent_nusd, month.expected_nusd) == (22 * 2 * NUSD, 30 * 2 * NUSD)


def test_a_month_is_not_foretold_from_two_weeks() -> None:
    digest = a_digest(a_usage([(1, 0, 24 * day, NUSD) for day in range(14)]))

    assert digest.month.doubt is Doubt.SHORT_HISTORY
    assert words.forecast(digest.month).startswith("I don't know: too few whole days are known yet ($14.00 spent")


def test_limits_are_foretold_only_for_the_week_that_just_ended() -> None:
    rows = [(1, 0, FIRST_HOUR + 24 * day + 3, 2 * NUSD) for day in range(56)]
    key = a_key(1, settings=key_settings(limit_usd=90.0), limit_remaining_usd=3.0, created_at=WEEKS.edges[0])

    now, later = a_digest(a_usage(rows), [key]), a_digest(a_usage(rows), [key], now=MONDAY + timedelta(days=7))

    assert [words.limit_line(now, each) for each in now.limits] == [
        "search-prod [000000000000]: limit likely reached on 24 Nov, never resets, $3.00 left of $90.00"
    ]
    assert later.limits == ()


def test_an_owner_s_part_is_a_digest_of_its_own() -> None:
    rows = [(1, 0, 10, NUSD), (1, 0, 300, 2 * NUSD), (2, 1, 300, 5 * NUSD)]
    digest = a_digest(a_usage(rows), [a_key(1), a_key(2)], owners={a_hash(1): "team-a"}, unattributed_nusd=NUSD)

    (part,) = [each for each in digest.owners if each.owner == "team-a"]
    own = part_of(digest, part)

    assert (own.spent_nusd, own.before_nusd, own.unattributed_nusd) == (2 * NUSD, NUSD, None)
    assert [each.key_hash for each in own.keys] == [each.line.key_hash for each in own.movers] == [a_hash(1)]
    assert [each.key_hash for each in own.without_limit] == [a_hash(1)]


def test_dollars_no_longer_on_record_leave_the_gap_unknown() -> None:
    digest = a_digest(a_usage([]), unattributed_nusd=None, account_total_nusd=5 * NUSD)

    assert digest.gap_nusd is None
    assert "not on record" in words.balance(digest)
