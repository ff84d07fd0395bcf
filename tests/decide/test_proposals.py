"""What people must approve, or may object to: nothing happens on anybody's silence but a held act, nor on old evidence."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from build import NOW, a_context, a_finding, a_key, a_quality, after, key_settings, settings_with

from monitor.config import Settings
from monitor.decide import decide
from monitor.decide.proposals import UNAPPROVED
from monitor.domain import ActionState, MessageKind, Reason, Verb

MINUTE = timedelta(minutes=1)
APPROVING = settings_with(response={"mode": "enforce", "approve": "cli", "approvers": ["cli:ada"]})
HOLDING = settings_with(
    response={"mode": "enforce"}, policies=[{"name": "web", "disable": {"hold": "5m"}, "cap": {"hold": "1m"}}]
)


class Service:
    """One key watched minute by minute; the journal remembers."""

    def __init__(self, settings):
        self.settings, self.context, self.at = settings, a_context(a_key()), NOW
        self.told = []

    def minutes(self, n, *, usd=40.0, is_found=True):
        """Judges once a minute; the last plan."""
        for _ in range(n):
            findings = [a_finding(at=self.at, usd_per_hour=usd)] if is_found else []
            self.context = replace(self.context, quality={a_key().key_hash: a_quality(self.at)})
            plan = decide(findings, self.context, self.settings, self.at)
            self.context = after(self.context, plan)
            self.told += plan.notices
            self.at += MINUTE
        return plan

    @property
    def action(self):
        (action,) = self.context.actions
        return action

    def say(self, state, by="cli:ada"):
        said = replace(self.action, state=state, decided_by=by)
        if state is ActionState.APPROVED:
            said = replace(said, expires_at=self.at + timedelta(minutes=10))
        else:
            said = replace(said, finished_at=self.at)
        self.context = replace(self.context, actions=(said,))


def last_reason(service):
    return service.context.verdicts[-1].reason


def test_an_act_that_needs_approval_waits_and_people_are_told_how_to_approve_it():
    service = Service(APPROVING)
    plan = service.minutes(1)
    assert plan.intents == ()
    assert (service.action.state, service.action.verb) == (ActionState.PROPOSED, Verb.DISABLE)
    assert service.action.expires_at == NOW + timedelta(hours=4)
    (notice,) = plan.notices
    assert notice.verdict.reason is Reason.AWAITING_APPROVAL
    assert f"openrouter-monitor approve {service.action.action_id}" in notice.verdict.detail
    service.minutes(30)
    assert len(service.context.actions) == 1
    assert len(service.told) == 1


def test_an_approved_act_is_carried_out_in_the_next_cycle_with_fresh_settings():
    service = Service(APPROVING)
    service.minutes(3)
    fresh = a_key(settings=key_settings(limit_usd=7.0))
    service.context = replace(service.context, keys={fresh.key_hash: fresh})
    service.say(ActionState.APPROVED)
    (intent,) = service.minutes(1).intents
    assert intent.action_id == service.action.action_id
    assert (intent.decided_by, intent.prior, intent.intended_at) == ("cli:ada", fresh.settings, service.at - MINUTE)


def test_without_an_answer_nothing_is_done_and_people_hear_that():
    service = Service(APPROVING)
    service.minutes(4 * 60 + 1)
    ended = [action for action in service.context.actions if action.state is ActionState.EXPIRED]
    assert [action.detail for action in ended] == [UNAPPROVED]
    assert [notice.action.action_id for notice in service.told if notice.kind is MessageKind.ACTION_FAILED] == [
        ended[0].action_id
    ]
    assert not [action for action in service.context.actions if action.state is ActionState.INTENDED]


@pytest.mark.parametrize("why", ["no finding", "less money", "kill switch", "observe"])
def test_at_approval_the_evidence_is_judged_again(why):
    service = Service(APPROVING)
    service.minutes(2)
    service.say(ActionState.APPROVED)
    if why == "kill switch":
        service.context = replace(service.context, is_kill_switch_on=True)
    if why == "observe":
        service.settings = Settings()
    usd = 1.2 if why == "less money" else 40.0
    plan = service.minutes(1, usd=usd, is_found=why != "no finding")
    assert plan.intents == ()
    service.minutes(11, usd=usd, is_found=why != "no finding")
    assert service.action.state is ActionState.EXPIRED
    assert "was dropped" in service.told[-1].detail


def test_an_approval_waits_a_little_for_the_evidence_to_come_back():
    service = Service(APPROVING)
    service.minutes(2)
    service.say(ActionState.APPROVED)
    service.minutes(3, is_found=False)
    assert len(service.minutes(1).intents) == 1


def test_a_denied_act_is_not_proposed_again_within_the_cooldown():
    service = Service(APPROVING)
    service.minutes(2)
    service.say(ActionState.DENIED)
    plan = service.minutes(1)
    assert plan.actions == ()
    assert last_reason(service) is Reason.DENIED
    service.minutes(60)
    assert len(service.context.actions) == 1


def test_a_held_act_is_done_after_its_hold_unless_somebody_objects():
    service = Service(HOLDING)
    plan = service.minutes(1)
    assert plan.intents == ()
    assert plan.notices[0].verdict.reason is Reason.HELD
    assert f"openrouter-monitor deny {service.action.action_id}" in plan.notices[0].verdict.detail
    assert service.minutes(4).intents == ()
    (intent,) = service.minutes(1).intents
    assert intent.intended_at - NOW == timedelta(minutes=5)

    objected = Service(HOLDING)
    objected.minutes(3)
    objected.say(ActionState.DENIED)
    objected.minutes(10)
    assert objected.action.state is ActionState.DENIED


def test_what_was_only_held_needs_approval_once_that_is_asked_for():
    # given: held for five minutes, and a restart with `approve` switched on
    service = Service(HOLDING)
    service.minutes(2)
    held = service.action
    service.settings = APPROVING

    # when: its hold is over
    service.minutes(8)

    # then: it was not done; what waits is a question that somebody must say yes to
    states = {each.action_id: (each.state, each.not_before) for each in service.context.actions}
    assert states.pop(held.action_id)[0] is ActionState.EXPIRED
    assert list(states.values()) == [(ActionState.PROPOSED, None)]
    assert last_reason(service) is Reason.AWAITING_APPROVAL


def test_a_hold_that_somebody_shortened_counts_although_approval_is_asked_for_by_now():
    service = Service(HOLDING)
    service.minutes(2)
    service.say(ActionState.APPROVED)
    service.settings = APPROVING
    (intent,) = service.minutes(1).intents
    assert intent.decided_by == "cli:ada"


@pytest.mark.parametrize("policies", [[], [{"name": "web", "disable": {"enabled": False}}]], ids=["none", "notify"])
def test_a_policy_changed_while_an_act_is_held_decides_as_it_is_now(policies):
    service = Service(HOLDING)
    service.minutes(2)
    service.settings = settings_with(response={"mode": "enforce"}, policies=policies)
    plans = [service.minutes(1) for _ in range(8)]
    acts = [intent.verb for plan in plans for intent in plan.intents]
    assert acts == ([] if policies else [Verb.DISABLE])


def test_a_held_act_whose_evidence_is_gone_is_dropped_and_people_hear_that():
    service = Service(HOLDING)
    service.minutes(2)
    service.minutes(15, is_found=False)
    assert service.action.state is ActionState.EXPIRED
    assert "was dropped" in service.told[-1].detail


def test_a_proposal_made_later_than_the_alert_is_told_of_by_itself():
    made = {"name": "web", "disable": {"hold": "5m", "sustained_for": "6m"}}
    service = Service(settings_with(response={"mode": "enforce"}, policies=[made]))
    service.minutes(10)
    kinds = [notice.kind for notice in service.told]
    assert kinds == [MessageKind.ALERT, MessageKind.SOURCE]
    assert f"deny {service.action.action_id}" in service.told[1].detail
    assert service.told[1].thread == service.action.incident_id


def test_a_stronger_wish_overtakes_a_proposal_for_less():
    service = Service(
        settings_with(
            response={"mode": "enforce"},
            policies=[{"name": "w", "cap": {"enabled": True, "hold": "1h"}, "disable": {"usd_per_hour": 50.0}}],
        )
    )
    service.minutes(2)
    assert service.action.verb is Verb.CAP
    (intent,) = service.minutes(1, usd=90.0).intents
    assert intent.verb is Verb.DISABLE
    states = {action.verb: action.state for action in service.context.actions}
    assert states == {Verb.CAP: ActionState.EXPIRED, Verb.DISABLE: ActionState.INTENDED}


def test_approval_without_anybody_who_could_approve_is_refused_at_the_start():
    with pytest.raises(ValueError, match="approvers names nobody"):
        settings_with(response={"approve": "slack", "approvers": ["cli:ada"]})
    with pytest.raises(ValueError, match="pattern"):
        settings_with(response={"approve": "cli", "approvers": ["ada"]})
