"""What holds for every set of findings, whatever the context."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from build import (
    NOW,
    a_context,
    a_finding,
    a_hash,
    a_key,
    a_quality,
    a_spend,
    after,
    an_action,
    key_settings,
    settings_with,
)
from hypothesis import assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from monitor.decide import AUTOMATIC, decide
from monitor.decide.fuses import allowed_by_share
from monitor.domain import NUSD, ActionState, IncidentKind, MessageKind, Quality, Rung, Severity, Verb

N_KEYS = 12
NUMBERS = st.integers(1, N_KEYS)
MINUTE = timedelta(minutes=1)
QUICK = hypothesis_settings(max_examples=30, deadline=None)


@st.composite
def some_findings(draw, max_size=10):
    return [
        a_finding(
            draw(NUMBERS),
            at=NOW - draw(st.integers(0, 40)) * MINUTE,
            onset_at=NOW - draw(st.integers(40, 3000)) * MINUTE,
            is_shadow=draw(st.integers(0, 9)) == 0,
            score=draw(st.floats(0, 1)),
            p_value=draw(st.none() | st.floats(1e-9, 1)),
            severity=draw(st.sampled_from(Severity)),
            rung=draw(st.sampled_from(Rung)),
            usd_per_hour=draw(st.floats(0, 500)),
            quality=a_quality(NOW, state=draw(st.sampled_from([Quality.KNOWN] * 5 + list(Quality)))),
        )
        for _ in range(draw(st.integers(0, max_size)))
    ]


@st.composite
def some_actions(draw):
    actions = []
    for number in range(draw(st.integers(0, 6))):
        at = NOW - draw(st.integers(1, 3000)) * MINUTE
        state = draw(st.sampled_from(ActionState))
        actions.append(
            an_action(
                draw(NUMBERS),
                action_id=f"ACT-{number}",
                intended_at=at,
                verb=draw(st.sampled_from(Verb)),
                requested_by=draw(st.sampled_from([AUTOMATIC, "cli:ada"])),
                state=state,
                finished_at=None if state is ActionState.INTENDED else at,
            )
        )
    return tuple(actions)


@st.composite
def some_keys(draw):
    return [
        a_key(
            number,
            key_name=draw(st.sampled_from(["prod", "dev", "<!channel>", ""])),
            settings=key_settings(is_disabled=draw(st.integers(0, 4)) == 0),
            created_at=NOW - draw(st.sampled_from([timedelta(hours=2), timedelta(days=40)])),
        )
        for number in range(1, N_KEYS + 1)
        if draw(st.integers(0, 9))
    ]


@st.composite
def some_context(draw):
    """Facts of some moment, with the incidents and verdicts that earlier findings left."""
    keys = draw(some_keys())
    qualities = st.sampled_from([Quality.KNOWN] * 8 + [Quality.PARTIAL, Quality.UNKNOWN])
    context = a_context(
        *keys,
        actions=draw(some_actions()),
        n_live_keys=draw(st.integers(0, 300)),
        is_kill_switch_on=draw(st.integers(0, 9)) == 0,
        source_is_healthy=draw(st.integers(0, 9)) != 0,
        is_enforcing=draw(st.integers(0, 9)) != 0,
        quality={
            key.key_hash: a_quality(
                NOW - draw(st.sampled_from([0, 0, 0, 40])) * MINUTE,
                state=draw(qualities),
                is_ambiguous=draw(st.integers(0, 9)) == 0,
            )
            for key in keys
        },
        reenabled_at={a_hash(draw(NUMBERS)): NOW - timedelta(hours=1)} if draw(st.booleans()) else {},
    )
    earlier = NOW - draw(st.integers(1, 600)) * MINUTE
    moved = [replace(finding, at=min(finding.at, earlier)) for finding in draw(some_findings(4))]
    return after(context, decide(moved, replace(context, is_enforcing=False), settings_with(), earlier))


@st.composite
def some_settings(draw, mode=None):
    return settings_with(
        response={
            "mode": mode or draw(st.sampled_from(["observe", "dry-run", "enforce", "enforce", "enforce"])),
            "max_per_hour": draw(st.integers(0, 4)),
            "max_per_day": draw(st.integers(0, 6)),
            "max_share_of_keys": draw(st.sampled_from([0.0, 0.01, 0.05, 1.0])),
            "correlated_keys": draw(st.sampled_from([2, 5, 50])),
            "protected_keys": draw(st.sampled_from([[], ["^prod$"], [a_hash(3)]])),
        }
    )


@given(some_findings(), some_context(), some_settings(), st.randoms(use_true_random=False))
@QUICK
def test_the_order_of_findings_does_not_matter(findings, context, settings, random):
    shuffled = random.sample(findings, len(findings))
    doubled = [*shuffled, *shuffled[:2]]
    plan = decide(findings, context, settings, NOW)
    assert decide(shuffled, context, settings, NOW) == plan
    assert decide(doubled, context, settings, NOW) == plan


@given(some_findings(), some_context(), some_settings(), st.randoms(use_true_random=False))
@QUICK
def test_the_order_of_facts_does_not_matter(findings, context, settings, random):
    shuffled = replace(
        context,
        incidents=tuple(random.sample(context.incidents, len(context.incidents))),
        actions=tuple(random.sample(context.actions, len(context.actions))),
    )
    assert decide(findings, shuffled, settings, NOW) == decide(findings, context, settings, NOW)


@given(some_findings(), some_context(), some_settings())
@QUICK
def test_deciding_twice_on_the_same_facts_adds_nothing(findings, context, settings):
    plan = decide(findings, context, settings, NOW)
    again = decide(findings, after(context, plan), settings, NOW)
    assert (again.incidents, again.actions, again.notices, again.verdicts) == ((), (), (), ())


@given(some_findings(), some_context(), some_settings())
@QUICK
def test_no_fuse_is_ever_exceeded(findings, context, settings):
    plan = decide(findings, context, settings, NOW)

    def touched(within):
        acts = [*context.actions, *plan.intents]
        return {
            action.key_hash
            for action in acts
            if action.requested_by == AUTOMATIC
            and action.verb is Verb.DISABLE
            and action.state not in {ActionState.EXPIRED, ActionState.DENIED}
            and action.intended_at > NOW - within
        }

    response = settings.response
    if plan.intents:
        assert len(touched(timedelta(hours=1))) <= response.max_per_hour
        assert len(touched(timedelta(days=1))) <= response.max_per_day
        assert len(touched(timedelta(days=1))) <= allowed_by_share(response.max_share_of_keys, context.n_live_keys)
    assert len({action.key_hash for action in plan.intents}) == len(plan.intents)


@given(some_findings(), some_context(), some_settings())
@QUICK
def test_only_known_enabled_unprotected_keys_with_present_evidence_are_acted_upon(findings, context, settings):
    for action in decide(findings, context, settings, NOW).intents:
        key, quality = context.keys[action.key_hash], context.quality[action.key_hash]
        evidence = [
            finding
            for finding in findings
            if finding.key_hash == action.key_hash and not finding.is_shadow and finding.rung is Rung.DISABLE
        ]
        assert settings.response.mode == "enforce"
        assert context.is_enforcing
        assert context.source_is_healthy
        assert not context.is_kill_switch_on
        assert not key.settings.is_disabled
        assert key.settings == action.prior
        assert not (key.key_name == "prod" and "^prod$" in settings.response.protected_keys)
        assert key.key_hash not in settings.response.protected_keys
        assert quality.state is Quality.KNOWN
        assert not quality.is_ambiguous
        assert quality.complete_until == NOW
        assert any(finding.quality.state is Quality.KNOWN and NOW - finding.at <= 30 * MINUTE for finding in evidence)
        assert action.key_hash not in context.reenabled_at


@pytest.mark.parametrize("mode", ["observe", "dry-run"])
@given(findings=some_findings(), context=some_context(), data=st.data())
@QUICK
def test_observe_and_dry_run_never_act(mode, findings, context, data):
    assert decide(findings, context, data.draw(some_settings(mode)), NOW).intents == ()


@given(st.lists(some_findings(6), min_size=1, max_size=6), some_context(), some_settings())
@QUICK
def test_there_is_at_most_one_notice_for_each_incident_and_step(passes, context, settings):
    told: Counter = Counter()
    for minute, findings in enumerate(passes):
        now = NOW + minute * MINUTE
        plan = decide([replace(finding, at=now) for finding in findings], context, settings, now)
        context = after(context, plan)
        for notice in plan.notices:
            if notice.kind is MessageKind.ALERT:
                told[notice.incident.incident_id, notice.incident.step] += 1
            elif "turned unusual together." in notice.detail:
                told.update((incident.incident_id, incident.step) for incident in notice.incidents)
    assert set(told.values()) <= {1}


@given(some_findings(), some_context(), some_settings())
@QUICK
def test_every_live_finding_has_an_incident_and_every_opened_incident_is_told(findings, context, settings):
    plan = decide(findings, context, settings, NOW)
    before = {incident.incident_id for incident in context.incidents}
    new = {one.incident_id for one in plan.incidents if not set(one.members or ("itself",)) <= before} - before
    told = {notice.incident.incident_id for notice in plan.notices if notice.incident}
    told |= {incident.incident_id for notice in plan.notices for incident in notice.incidents}
    told |= {notice.thread for notice in plan.notices}  # a platform event is told of in its thread
    known = {incident.key_hash for incident in after(context, plan).incidents}

    assert {finding.key_hash for finding in findings if not finding.is_shadow} <= known
    assert new <= told


@given(
    st.floats(0, 100),
    st.floats(0, 100),
    st.floats(0, 1),
    st.floats(0, 1),
    st.sampled_from(Rung),
    st.sampled_from(Rung),
    st.booleans(),
)
@QUICK
def test_a_worse_finding_is_never_judged_milder(usd, more_usd, score, more_score, rung, other_rung, is_armed):
    milder = a_finding(usd_per_hour=usd, score=score, rung=min(rung, other_rung))
    worse = a_finding(usd_per_hour=usd + more_usd, score=max(score, more_score), rung=max(rung, other_rung))
    context = a_context(a_key(), is_enforcing=is_armed)
    settings = settings_with(response={"mode": "enforce"})
    first, second = (decide([finding], context, settings, NOW) for finding in (milder, worse))

    assert len(second.intents) >= len(first.intents)
    assert second.verdicts[0].rung >= first.verdicts[0].rung
    assert second.incidents[0].at_risk_nusd >= first.incidents[0].at_risk_nusd


@given(some_findings(), some_context(), some_settings(), st.integers(0, 9))
@QUICK
def test_further_evidence_never_weakens_what_an_incident_says(findings, context, settings, n_first):
    assume(len(findings) > n_first)
    few = {i.fingerprint: i for i in decide(findings[:n_first], context, settings, NOW).incidents}
    all_of = {i.fingerprint: i for i in after(context, decide(findings, context, settings, NOW)).incidents}
    for name, incident in few.items():
        if incident.resolved_at is None and incident.kind is IncidentKind.KEY:
            assert all_of[name].severity >= incident.severity
            assert all_of[name].rung >= incident.rung


@given(st.integers(0, 10**7), st.integers(0, 10**7), st.integers(0, 10**7))
@QUICK
def test_money_stays_whole_nano_dollars(per_hour, expected, novel):
    spend = replace(
        a_spend(), per_hour_nusd=per_hour, expected_per_hour_nusd=expected * NUSD, novel_per_hour_nusd=novel
    )
    (incident,) = decide([a_finding(spend=spend)], a_context(a_key()), settings_with(), NOW).incidents
    assert isinstance(incident.at_risk_nusd, int)
    assert isinstance(incident.spent_nusd, int)
    assert incident.at_risk_nusd >= 0
    assert incident.spent_nusd >= 0
