"""A twin softens the voice and never silences it; what is dear, or more than the twin explains, stays as loud as it is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from build import NOW, a_context, a_key, settings_with
from judging import CATALOG, hot, judge

from monitor.decide import decide
from monitor.detect.twins import FLEET_WIDE, WORDS
from monitor.domain import NUSD, TWIN, Finding, Reason, Rung, Severity, Twin

ENFORCE = settings_with(response={"mode": "enforce"})
OPUS, KP = 0, 2
OWN = [kind for kind in Twin if kind not in FLEET_WIDE]
by_name = {"ids": lambda each: each.name.lower()}


def a_twin(kind: Twin, usd: float, **changes: Any) -> dict[str, Any]:
    """A row of frames.TWINS of key 0."""
    value_no = KP if kind is Twin.REGION else OPUS
    fields = {"key_no": 0, "kind": int(kind), "explained_nusd": round(usd * NUSD), "value_no": value_no, "n_others": 14}
    return fields | changes


def found(
    kind: Twin | None, usd: float = 8.0, *, explained: float = 8.0, usual: float = 1.0, **columns: Any
) -> Finding:
    """Evidence enough to disable the key, 8 USD an hour unusual on a usual one; and what it looks like."""
    spend = {
        "per_hour_nusd": round((usual + usd) * NUSD),
        "expected_per_hour_nusd": round(usual * NUSD),
        "novel_per_hour_nusd": round(usd * NUSD),
        "joint_per_hour_nusd": 40 * NUSD,
    }
    twins = [] if kind is None else [a_twin(kind, explained)]
    (finding,), _ = judge(hot(**({"score": 30.0, "twins": twins} | spend | columns)))
    return finding


def note_of(finding: Finding) -> str:
    return next((cause.sentence for cause in finding.causes if cause.value == TWIN), "")


@pytest.mark.parametrize("kind", Twin, **by_name)
def test_a_finding_that_a_twin_explains_is_told_as_a_notice_that_says_so(kind: Twin) -> None:
    finding, plain = found(kind), found(None)

    assert (plain.rung, plain.severity, note_of(plain)) == (Rung.DISABLE, Severity.CRITICAL, "")
    assert (finding.rung, finding.severity) == (Rung.NOTIFY, Severity.NOTICE)
    assert finding.causes[1].value == TWIN
    assert note_of(finding).startswith("looks like ")
    assert (finding.score, finding.p_value, finding.is_shadow) == (plain.score, plain.p_value, plain.is_shadow)


@pytest.mark.parametrize("kind", Twin, **by_name)
def test_no_key_is_disabled_for_what_a_twin_explains(kind: Twin) -> None:
    finding = found(kind)

    plan = decide([finding], a_context(a_key(finding.key_hash)), ENFORCE, NOW)

    assert plan.actions == ()
    assert [incident.severity for incident in plan.incidents] == [Severity.NOTICE]
    assert [(verdict.reason, verdict.detail) for verdict in plan.verdicts] == [
        (Reason.BELOW_THRESHOLD, note_of(finding))
    ]
    assert len(plan.notices) == 1  # an alert all the same


def test_the_same_evidence_without_a_twin_disables() -> None:
    finding = found(None)

    assert len(decide([finding], a_context(a_key(finding.key_hash)), ENFORCE, NOW).actions) == 1


@pytest.mark.parametrize("kind", Twin, **by_name)
def test_no_key_is_disabled_for_a_dear_twin_either(kind: Twin) -> None:
    finding = found(kind, usd=80.0, explained=80.0, usual=40.0)

    assert decide([finding], a_context(a_key(finding.key_hash)), ENFORCE, NOW).actions == ()


@pytest.mark.parametrize("kind", OWN, **by_name)
@pytest.mark.parametrize(
    ("usd", "usual"), [(51.0, 40.0), (25.0, 1.0)], ids=["above 50 USD/h", "above 20 times the usual"]
)
def test_what_is_dear_stays_loud_though_a_twin_explains_it(kind: Twin, usd: float, usual: float) -> None:
    finding = found(kind, usd=usd, explained=usd, usual=usual)

    assert finding.severity is Severity.CRITICAL
    assert note_of(finding).startswith("looks like ")


@pytest.mark.parametrize("kind", FLEET_WIDE, **by_name)
def test_what_other_keys_bear_witness_to_is_a_notice_however_dear(kind: Twin) -> None:
    assert found(kind, usd=400.0, explained=400.0, usual=200.0).severity is Severity.NOTICE


@pytest.mark.parametrize("kind", Twin, **by_name)
def test_a_twin_that_explains_only_a_part_softens_nothing_and_is_named_with_its_part(kind: Twin) -> None:
    finding = found(kind, explained=5.0)

    assert (finding.rung, finding.severity) == (Rung.DISABLE, Severity.CRITICAL)
    assert note_of(finding).startswith("$5.00/h of it looks like ")


def test_a_likeness_in_a_small_part_is_not_worth_a_word() -> None:
    assert note_of(found(Twin.REGION, explained=1.0)) == ""


def test_the_twin_of_another_key_is_none_of_this_one() -> None:
    finding = found(None, twins=[a_twin(Twin.REGION, 8.0, key_no=1)])

    assert (finding.rung, note_of(finding)) == (Rung.DISABLE, "")


def test_a_hard_rule_is_not_softened() -> None:
    settings = settings_with(detection={"rules": [{"name": "ceiling", "max_usd_per_hour": 3, "disable": True}]})
    batch = hot(score=1.0, per_hour_nusd=9 * NUSD, twins=[a_twin(Twin.GROWTH, 8.0)])

    (finding,), _ = judge(batch, settings=settings)

    assert (finding.rung, finding.severity) == (Rung.DISABLE, Severity.CRITICAL)


def test_a_disable_that_was_deserved_before_is_not_asked_for_again_once_a_twin_explains_it_all() -> None:
    context = a_context(a_key(found(None).key_hash))
    first = decide([found(None)], context, settings_with(), NOW)
    context = replace(context, incidents=first.incidents)

    assert decide([found(Twin.FAILOVER)], context, ENFORCE, NOW).actions == ()


def test_every_twin_has_words_and_they_name_what_it_is_about() -> None:
    assert set(WORDS) == set(Twin)
    said = WORDS[Twin.FAILOVER]("Fireworks", 14)
    assert said == "a provider failover: same models through Fireworks also on 14 other keys"
    assert "no app title" in WORDS[Twin.COMMON]("", 4)
    assert note_of(found(Twin.REGION)) == (
        f"looks like a new region or a trip: only the country {CATALOG.value(KP)} is new, all else is as usual"
    )
