"""The figures of a replay, on stories small enough to add up by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from build import a_hash, a_key
from hypothesis import given
from hypothesis import strategies as st
from replay_build import DAY, DISABLED, HOUR, SINCE, STORIES, Story, Verbs, a_summary

from monitor.domain import NUSD, Reason, Rung, Verb, Verdict
from monitor.report.replay import figures


def test_dollars_stopped_are_those_spent_after_the_first_act_until_the_incident_ends() -> None:
    capped_first = Story(key=2, spent_usd=50.0, stops=((Verbs.CAP, 11.0, 20.0), (Verbs.DISABLE, 12.0, 35.0)))

    summary = a_summary([DISABLED, capped_first])

    assert [case.stopped_nusd for case in summary.cases] == [20 * NUSD, 30 * NUSD]
    assert (summary.stopped_nusd, summary.spent_nusd) == (50 * NUSD, 80 * NUSD)
    assert (summary.n_alerted_keys, summary.n_capped_keys, summary.n_disabled_keys) == (2, 1, 2)
    assert summary.cases[1].capped_at == SINCE + 11 * HOUR
    assert summary.cases[1].disabled_at == SINCE + 12 * HOUR


def test_only_the_first_disable_of_an_incident_counts() -> None:
    again = replace(DISABLED, stops=(*DISABLED.stops, (Verb.DISABLE, 14.0, 25.0)))

    (case,) = a_summary([again]).cases

    assert (case.disabled_at, case.stopped_nusd) == (SINCE + 11 * HOUR, 20 * NUSD)


def test_without_an_act_nothing_is_stopped_and_the_reason_is_told() -> None:
    (case,) = a_summary([Story(reason=Reason.PROTECTED_KEY, detail="^prod-")]).cases

    assert (case.stopped_nusd, case.disabled_at) == (0, None)
    assert (case.reason, case.detail) == ("protected_key", "^prod-")


def test_the_reason_is_the_last_one_for_the_most_that_was_asked_for() -> None:
    story = Story(reason=None)
    said = [
        (3, Rung.DISABLE, Reason.COOLDOWN),
        (1, Rung.DISABLE, Reason.FUSE_HOUR),
        (5, Rung.NOTIFY, Reason.BELOW_THRESHOLD),
    ]
    verdicts = [
        Verdict(a_hash(1), story.incident_id, SINCE + hour * HOUR, rung, False, reason) for hour, rung, reason in said
    ]

    summary = figures.summarize(
        [story.incident],
        verdicts,
        [],
        keys=[a_key(1)],
        owners={},
        span=figures.Span(SINCE, SINCE, SINCE + DAY),
        max_false_alerts_per_week=5,
        detector="",
    )

    assert summary.not_acted == {"cooldown": 1}


def test_a_disabled_key_is_not_among_those_not_acted_on() -> None:
    assert a_summary([DISABLED]).not_acted == {}


@pytest.mark.parametrize(("days", "per_week"), [(7.0, 2.0), (14.0, 1.0), (1.0, 14.0)])
def test_incidents_are_counted_for_a_week_of_the_time_decided_on(days: float, per_week: float) -> None:
    assert a_summary([DISABLED, Story(key=2)], days=days).alerts_per_week == pytest.approx(per_week)


def test_whoever_made_a_key_owns_it_where_no_route_does_and_a_key_of_nobody_counts_by_itself() -> None:
    keys = [
        a_key(1, creator_user_id="ann"),
        a_key(2, creator_user_id=None, workspace_id="w"),
        a_key(3, creator_user_id=None, workspace_id=None),
        a_key(4, creator_user_id="ann"),
    ]

    summary = a_summary([Story(key=number) for number in (1, 2, 3, 4, 5)], keys=keys, owners={a_hash(4): "search"})

    assert [case.owner for case in summary.cases] == ["ann", "w", "", "search", ""]
    assert set(summary.owners) == {"ann", "w", "search", a_hash(3), a_hash(5)}


def test_only_what_is_unknown_of_the_time_decided_on_counts_as_unknown() -> None:
    gaps = ((SINCE - 5 * HOUR, SINCE + HOUR), (SINCE + 9 * HOUR, SINCE + 11 * HOUR))

    assert a_summary(gaps=gaps).unknown == 3 * HOUR


def test_the_text_has_a_line_for_each_incident_and_the_sums() -> None:
    text = str(a_summary([DISABLED, Story(key=2, opened=12.0)]))

    assert "2026-06-10 10:00 critical 0000000000 key-1: $39.00 on acme/opus-9" in text
    assert "disabled 10 11:00; $20.00 stopped" in text
    assert "not disabled: below_threshold" in text
    assert "alerted     2 incidents on 2 keys, 2.0 a week if none was a theft; the budget is 5" in text
    assert "disabled    1 key; $20.00 of $60.00 spent above the usual would have been stopped" in text


@given(STORIES)
def test_the_sums_are_those_of_the_cases(stories: list[Story]) -> None:
    summary = a_summary(stories)

    assert len(summary.cases) == len(stories)
    assert summary.spent_nusd == sum(case.spent_nusd for case in summary.cases)
    assert summary.stopped_nusd == sum(case.stopped_nusd for case in summary.cases) <= summary.spent_nusd
    assert all(0 <= case.stopped_nusd <= case.spent_nusd for case in summary.cases)
    assert sum(summary.not_acted.values()) == sum(case.reason != "" for case in summary.cases)
    assert summary.n_alerted_keys == len({story.key for story in stories})
    assert max(summary.n_capped_keys, summary.n_disabled_keys) <= summary.n_alerted_keys


@given(STORIES, st.randoms(use_true_random=False))
def test_the_order_of_what_was_found_does_not_matter(stories: list[Story], random) -> None:
    shuffled = random.sample(stories, len(stories))

    assert a_summary(shuffled).cases == a_summary(stories).cases
