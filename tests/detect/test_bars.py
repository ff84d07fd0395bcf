"""What people said of a key moves its bar, for a while, and never what it takes to disable it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from build import NOW, a_context, a_key, settings_with
from judging import CATALOG, hot, judge

from monitor.decide import decide
from monitor.detect import bars
from monitor.domain import NUSD, PLANNED, Feedback, Finding, Opinion, Reason, Rung

DAY = timedelta(days=1)
DOLLARS = {
    "joint_per_hour_nusd": 40 * NUSD,
    "novel_per_hour_nusd": 20 * NUSD,
    "per_hour_nusd": 20 * NUSD,
    "history_hours": 500.0,
}
"""A burst of joint dollars: the sign beside which, together with evidence, a key is disabled."""


def said(opinion: Opinion, **changes: Any) -> Feedback:
    fields = {
        "feedback_id": "FB-1",
        "key_hash": "a" * 64,
        "said_at": NOW - DAY,
        "said_by": "cli:ann",
        "until": NOW + DAY,
    }
    return Feedback(**(fields | {"opinion": opinion, **changes}))


def told(found: tuple[Finding, ...]) -> list[Finding]:
    return [finding for finding in found if not finding.is_shadow]


def test_an_abused_key_is_told_of_at_the_first_bucket_and_at_a_larger_p_value():
    found, _ = judge(hot(score=9.3), said={0: said(Opinion.ABUSE)})
    without, _ = judge(hot(score=9.3))

    assert len(told(found)) == 1
    assert without == ()


def test_an_expected_key_is_told_of_only_at_a_smaller_p_value():
    _, memory = judge(hot(NOW - timedelta(minutes=10), score=9.85), said={0: said(Opinion.EXPECTED)})
    found, _ = judge(hot(score=9.85), memory, said={0: said(Opinion.EXPECTED)})
    _, plain = judge(hot(NOW - timedelta(minutes=10), score=9.85))
    without, _ = judge(hot(score=9.85), plain)

    assert found == ()
    assert len(told(without)) == 1


def test_a_planned_use_is_recorded_and_told_to_nobody():
    _, memory = judge(hot(NOW - timedelta(minutes=10)))

    found, _ = judge(hot(), memory, said={0: said(Opinion.PLANNED, note="load test")})

    (finding,) = found
    assert finding.is_shadow
    assert finding.causes[-1].value == PLANNED
    assert "planned until" in finding.causes[-1].sentence
    assert "load test" in finding.causes[-1].sentence


def test_what_only_thieves_do_is_told_in_a_planned_time_and_disables_nothing():
    # given evidence and joint dollars beyond the levels of a disable
    batch = hot(score=15.0, **DOLLARS)
    _, memory = judge(hot(NOW - timedelta(minutes=10), score=15.0, **DOLLARS))

    found, _ = judge(batch, memory, said={0: said(Opinion.PLANNED)})
    without, _ = judge(batch, memory)

    assert [(one.is_shadow, one.rung) for one in found] == [(False, Rung.NOTIFY)]
    assert [one.rung for one in without] == [Rung.DISABLE]


@pytest.mark.parametrize("opinion", [Opinion.EXPECTED, Opinion.ABUSE])
def test_other_opinions_change_nothing_about_what_disables(opinion: Opinion):
    batch = hot(score=15.0, **DOLLARS)
    _, memory = judge(hot(NOW - timedelta(minutes=10), score=15.0, **DOLLARS))

    found, _ = judge(batch, memory, said={0: said(opinion)})

    assert [one.rung for one in found] == [Rung.DISABLE]


def test_the_verdict_of_a_planned_use_says_so_once():
    key = a_key("a" * 64)
    _, memory = judge(hot(NOW - timedelta(minutes=10)))
    found, _ = judge(hot(), memory, said={0: said(Opinion.PLANNED)})

    plan = decide(found, a_context(keys={key.key_hash: key}), settings_with(), NOW)

    assert [(one.reason, one.is_act) for one in plan.verdicts] == [(Reason.PLANNED, False)]
    assert plan.incidents == plan.notices == plan.actions == ()


@pytest.mark.parametrize(
    ("at", "counts"),
    [(NOW - 2 * DAY, False), (NOW - DAY, True), (NOW + DAY - timedelta(seconds=1), True), (NOW + DAY, False)],
    ids=["before it was said", "when said", "just before the end", "at the end"],
)
def test_an_opinion_counts_from_when_it_was_said_until_its_end(at, counts: bool):
    assert bool(bars.in_force([said(Opinion.ABUSE)], CATALOG, at)) is counts


def test_the_newest_of_what_is_in_force_counts_and_an_older_one_again_when_it_is_over():
    abuse = said(Opinion.ABUSE, said_at=NOW - 3 * DAY, until=NOW + 30 * DAY)
    plan = said(Opinion.PLANNED, said_at=NOW - DAY, until=NOW, feedback_id="FB-2")

    before = bars.in_force([plan, abuse], CATALOG, NOW - timedelta(hours=1))
    after = bars.in_force([plan, abuse], CATALOG, NOW)

    assert (before[0].opinion, after[0].opinion) == (Opinion.PLANNED, Opinion.ABUSE)


def test_an_opinion_of_a_key_nobody_knows_is_passed_over():
    assert bars.in_force([said(Opinion.ABUSE, key_hash="f" * 64)], CATALOG, NOW) == {}
