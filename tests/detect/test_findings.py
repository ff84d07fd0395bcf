from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest
from build import NOW, a_quality, an_evidence, settings_with
from judging import CATALOG, KEYS, hot, judge

from monitor.detect.findings import Memory, find
from monitor.detect.maker import RULES
from monitor.domain import NUSD, Dimension, Quality, Rung, Severity


def test_one_hot_bucket_is_remembered_but_not_told() -> None:
    found, memory = judge(hot())

    assert found == ()
    assert list(memory.hot_s) == [0]


def test_a_second_hot_bucket_within_the_hour_is_told() -> None:
    _, memory = judge(hot())

    found, _ = judge(hot(NOW + timedelta(minutes=40)), memory)

    assert [finding.key_hash for finding in found] == ["a" * 64]
    assert found[0].p_value == pytest.approx(0.011, abs=0.002)


def test_a_second_hot_bucket_hours_later_is_a_first_one_again() -> None:
    _, memory = judge(hot())

    found, _ = judge(hot(NOW + timedelta(hours=2)), memory)

    assert found == ()


def test_judging_the_same_bucket_twice_does_not_confirm_it() -> None:
    _, memory = judge(hot(NOW + timedelta(minutes=1)))

    found, memory = judge(hot(NOW + timedelta(minutes=2)), memory)
    again, _ = judge(hot(NOW + timedelta(minutes=3)), memory)

    assert found == again == ()


def test_the_bucket_under_way_does_not_forget_the_one_that_confirms_it() -> None:
    _, memory = judge(hot(NOW))
    first, memory = judge(hot(NOW + timedelta(minutes=1)), memory)

    again, _ = judge(hot(NOW + timedelta(minutes=2)), memory)

    assert len(first) == len(again) == 1


def test_a_score_far_beyond_clean_ones_is_told_at_once() -> None:
    found, _ = judge(hot(score=30.0))

    assert len(found) == 1


def test_a_rare_pattern_that_costs_cents_is_never_told() -> None:
    found, memory = judge(hot(score=30.0, per_hour_nusd=NUSD // 50, novel_per_hour_nusd=NUSD // 50))

    assert found == ()
    assert memory.hot_s == {}


def test_joint_dollars_far_beyond_clean_ones_support_a_disable() -> None:
    found, _ = judge(hot(score=30.0, joint_per_hour_nusd=40 * NUSD))

    assert found[0].rung is Rung.DISABLE
    assert found[0].severity is Severity.CRITICAL


@pytest.mark.parametrize(
    "columns",
    [
        {"joint_per_hour_nusd": 4 * NUSD},
        {"joint_per_hour_nusd": 20 * NUSD, "history_hours": 3.0},
        {"joint_per_hour_nusd": 20 * NUSD, "score": 5.0},
    ],
    ids=["joint dollars below the level", "young key", "ordinary score"],
)
def test_less_than_both_signs_never_support_a_disable(columns: dict[str, Any]) -> None:
    found, _ = judge(hot(**({"score": 30.0} | columns)))

    assert found[0].rung is Rung.NOTIFY


def test_joint_dollars_beyond_all_clean_ones_are_told_though_the_detector_is_blind_to_them() -> None:
    found, _ = judge(hot(score=5.0, joint_per_hour_nusd=40 * NUSD))

    assert [finding.rung for finding in found] == [Rung.NOTIFY]


def test_the_floor_for_disabling_is_never_below_the_one_in_the_settings() -> None:
    settings = settings_with(response={"min_usd_per_hour": 50.0})

    found, _ = judge(hot(score=30.0, joint_per_hour_nusd=40 * NUSD), settings=settings)

    assert found[0].rung is Rung.NOTIFY


def test_evidence_is_ranked_in_dollars_and_says_what_is_new() -> None:
    evidence = [
        an_evidence(0, Dimension.MODEL, 0, 37.0),
        an_evidence(0, Dimension.MODEL, 1, 3.0, is_first_seen=False, usual_nusd=2 * NUSD, novelty=0.0),
        *[an_evidence(0, Dimension.COUNTRY, no, 12.0) for no in (2, 3, 4)],
    ]
    batch = hot(score=30.0, per_hour_nusd=40 * NUSD, expected_per_hour_nusd=2 * NUSD, evidence=evidence)

    (finding,), _ = judge(batch)

    sentences = [cause.sentence for cause in finding.causes]
    assert sentences[0] == (
        "92% of $40.00/h is acme/opus-9, never used by this key; 20 times the usual spend; "
        "3 countries never seen (KP, VN, NG); usual $2.00/h at this hour"
    )
    assert "$40.00 in the last hour; usual $2.00 at this hour, 20 times as much" in sentences
    assert "92% of $40.00/h is model acme/opus-9, never used by this key before" in sentences
    assert any(
        each.startswith("100% of $36.00/h is on 3 countries never used by this key before") for each in sentences
    )


def test_severity_follows_dollars_at_risk_bounded_by_the_limit() -> None:
    rich = KEYS.assign(limit_remaining_nusd=1e15)
    nearly_spent = KEYS.assign(limit_remaining_nusd=1e9)
    batch = hot(score=30.0, per_hour_nusd=40 * NUSD)

    severities = [judge(batch, keys=keys)[0][0].severity for keys in (rich, nearly_spent)]

    assert severities == [Severity.CRITICAL, Severity.NOTICE]


def test_a_finding_carries_what_is_known_of_the_data() -> None:
    partial = a_quality(state=Quality.PARTIAL)

    found, _ = judge(hot(score=30.0), quality_of=lambda key_no: partial)

    assert found[0].quality is partial


def test_a_young_key_is_told_as_one() -> None:
    found, _ = judge(hot(score=30.0, history_hours=3.0))

    assert any("young" in note for note in found[0].quality.notes)


def test_in_shadow_mode_findings_are_marked() -> None:
    found, _ = judge(hot(score=30.0), settings=settings_with(detection={"shadow": True}))

    assert found[0].is_shadow


def test_a_broken_rule_is_a_finding_of_its_own_without_a_p_value() -> None:
    settings = settings_with(detection={"rules": [{"name": "ceiling", "max_usd_per_hour": 3}]})

    found, _ = judge(hot(), settings=settings)

    assert [(finding.detector, finding.p_value) for finding in found] == [(RULES, None)]


def test_without_a_detector_rules_still_speak() -> None:
    settings = settings_with(detection={"rules": [{"name": "ceiling", "max_usd_per_hour": 3}]})

    found, _ = find(
        hot(score=30.0), None, Memory(), keys=KEYS, names={}, quality_of=lambda key_no: a_quality(), catalog=CATALOG,
        settings=settings,
    )  # fmt: skip

    assert [finding.detector for finding in found] == [RULES]


def test_features_of_another_version_are_refused() -> None:
    with pytest.raises(ValueError, match="features"):
        judge(replace(hot(), names=("spend", "other")))


def test_the_onset_never_lies_after_the_finding() -> None:
    later = pd.Timestamp(NOW + timedelta(hours=1)).as_unit("s")

    found, _ = judge(hot(score=30.0, onset_at=later))

    assert found[0].onset_at == NOW
