"""The digest's figures: totals that add up, and what is not known said."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest
from build import a_hash, a_key, an_action, an_incident, key_settings
from digest_build import MONDAY, N_HOURS, WEEKS, a_digest, a_usage, all_known
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.domain import BUCKET_S, HOUR_S, NUSD, Dimension
from monitor.report import words

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
