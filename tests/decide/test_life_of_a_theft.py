"""From the finding to the disabled key, back to the owner, and no fight afterwards: decide and respond together."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from build import NOW, a_context, a_finding, a_key, a_quality, after, key_settings, settings_with
from fake_keys import FakeClock, FakeKeys

from monitor.decide import decide
from monitor.domain import ActionState, IncidentState, MessageKind, Reason, Verb
from monitor.respond import executor, requests
from monitor.respond.disable import DisableKey
from monitor.respond.restore import RestoreKey

ENFORCE = settings_with(response={"mode": "enforce"})
PRIOR = key_settings(limit_usd=50.0, limit_reset="monthly", include_byok_in_limit=True)
VICTIM, TWIN = a_key(1, key_name="prod", settings=PRIOR), a_key(2, key_name="prod")
MINUTE = timedelta(minutes=1)


class Account:
    """Two keys that share a name, watched minute by minute."""

    def __init__(self):
        self.keys = FakeKeys.holding(VICTIM, TWIN)
        self.context = a_context(VICTIM, TWIN)
        self.clock = FakeClock(NOW)
        self.notices = []

    @property
    def now(self):
        return self.clock.now()

    @property
    def victim(self):
        return self.keys.keys[VICTIM.key_hash]

    def judge(self, *findings):
        self.context = replace(
            self.context,
            keys=dict(self.keys.keys),
            quality={key_hash: a_quality(self.now) for key_hash in self.keys.keys},
        )
        plan = decide(findings, self.context, ENFORCE, self.now)
        self.context = after(self.context, plan)
        self.notices += plan.notices
        return plan

    async def carry_out(self, action):
        responder = {Verb.DISABLE: DisableKey, Verb.RESTORE: RestoreKey}[action.verb](self.keys)
        ended = await executor.carry_out(action, responder, clock=self.clock)
        self.notices.append(executor.outcome_notice(ended, at=self.now))
        kept = (each for each in self.context.actions if each.action_id != ended.action_id)
        self.context = replace(self.context, actions=(*kept, ended))
        return ended

    async def pass_time(self, time):
        await self.clock.sleep(time.total_seconds())


async def test_a_theft_is_stopped_restored_by_a_person_and_not_fought_over():
    account = Account()

    (intent,) = account.judge(a_finding(1)).actions
    assert (await account.carry_out(intent)).state is ActionState.DONE
    assert account.victim.settings == replace(PRIOR, is_disabled=True)
    assert account.keys.keys[TWIN.key_hash] == TWIN

    await account.pass_time(MINUTE)
    plan = account.judge(a_finding(1, at=account.now))
    assert [verdict.reason for verdict in plan.verdicts] == [Reason.ALREADY_DISABLED]

    await account.pass_time(10 * MINUTE)
    ask = requests.restore_request(
        account.victim, account.context.actions, requested_by="cli:ada", now=account.now, ttl=10 * MINUTE
    )
    assert (await account.carry_out(ask)).state is ActionState.DONE
    assert account.victim == VICTIM

    await account.pass_time(MINUTE)
    plan = account.judge(a_finding(1, at=account.now))
    assert plan.actions == ()
    assert [verdict.reason for verdict in plan.verdicts] == [Reason.COOLDOWN]

    await account.pass_time(timedelta(hours=6))
    (resolved,) = account.judge().incidents
    assert resolved.state is IncidentState.RESOLVED

    kinds = [notice.kind for notice in account.notices]
    assert kinds == [MessageKind.ALERT, MessageKind.ACTION, MessageKind.ACTION, MessageKind.RESOLVED]


async def test_a_disable_without_effect_is_loud_and_tried_again_later():
    account = Account()
    account.keys.ignores_changes = True
    (intent,) = account.judge(a_finding(1)).actions
    assert (await account.carry_out(intent)).state is ActionState.FAILED
    assert account.notices[-1].kind is MessageKind.ACTION_FAILED

    await account.pass_time(9 * MINUTE)
    assert account.judge(a_finding(1, at=account.now)).actions == ()

    account.keys.ignores_changes = False
    await account.pass_time(2 * MINUTE)
    plan = account.judge(a_finding(1, at=account.now))
    (second,) = plan.actions
    assert [verdict.is_act for verdict in plan.verdicts] == [True]
    assert second.action_id != intent.action_id
    assert (await account.carry_out(second)).state is ActionState.DONE
    assert account.victim.settings.is_disabled


async def test_an_intent_left_by_a_kill_is_judged_anew_once_it_is_too_old():
    account = Account()
    (intent,) = account.judge(a_finding(1)).actions

    await account.pass_time(11 * MINUTE)
    (ended,) = await executor.resolve_open([intent], {Verb.DISABLE: DisableKey(account.keys)}, clock=account.clock)
    assert ended.state is ActionState.EXPIRED
    assert account.victim == VICTIM

    account.context = replace(account.context, actions=(ended,))
    assert account.judge().actions == ()  # the burst is over: nothing is done on old evidence
    assert len(account.judge(a_finding(1, at=account.now)).actions) == 1
