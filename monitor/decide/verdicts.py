"""Wishes -> verdicts and actions: who passes the fuses, and the enumerated why of everything else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from monitor.config import Settings
from monitor.decide import guardrails, proposals
from monitor.decide.context import Context
from monitor.decide.crowd import Crowd
from monitor.decide.fuses import Fuses
from monitor.decide.guardrails import Case
from monitor.decide.incidents import FALSE_ALARM_RESOLUTION, grouped, leading
from monitor.decide.policy import Wish
from monitor.domain import PLANNED, PROBE, Action, Finding, Incident, Reason, Verb, Verdict, short_id


def judged(
    wishes: Sequence[Wish], context: Context, settings: Settings, now: datetime, *, crowd: Crowd
) -> tuple[tuple[Verdict, ...], tuple[Action, ...]]:
    """A verdict for every wish, and the actions to journal: intents of those that pass, proposals, and proposals that are
    over. Order of `wishes` does not matter."""
    verdicts = [_verdict(wish, wish.reason, wish.detail, now=now) for wish in wishes if wish.verb is None]
    journal, alarms = _by_key(context.actions), _false_alarms(context.incidents)
    cases = [
        Case(
            wish=wish,
            key=context.keys.get(wish.incident.key_hash),
            context=context,
            settings=settings,
            crowd=crowd,
            actions=journal.get(wish.incident.key_hash, ()),
            false_alarm=alarms.get(wish.incident.fingerprint),
            now=now,
        )
        for wish in wishes
        if wish.verb is not None
    ]
    fuses = {verb: Fuses.of(verb, context, settings, now) for verb in (Verb.DISABLE, Verb.CAP)}
    actions: dict[str, Action] = {}
    for case in guardrails.by_dollars(cases):
        verdict, action = _judged_case(case, fuses[case.verb], taken=actions)
        verdicts.append(verdict)
        if action is not None:
            actions[case.key_hash] = action
    ordered = sorted(verdicts, key=lambda verdict: verdict.incident_id)
    return tuple(ordered), (*actions.values(), *proposals.over(context.actions, actions.values(), now))


def _by_key(actions: Iterable[Action]) -> Mapping[str, tuple[Action, ...]]:
    """Actions by key_hash, oldest first."""
    journal: dict[str, list[Action]] = {}
    for action in sorted(actions, key=lambda action: (action.intended_at, action.action_id)):
        journal.setdefault(action.key_hash, []).append(action)
    return {key_hash: tuple(mine) for key_hash, mine in journal.items()}


def _false_alarms(incidents: Iterable[Incident]) -> Mapping[str, Incident]:
    """By fingerprint, the last incident a person judged a false alarm."""
    judged_false = (each for each in incidents if each.resolution == FALSE_ALARM_RESOLUTION and each.resolved_at)
    ordered = sorted(judged_false, key=lambda each: (each.resolved_at or each.opened_at, each.incident_id))
    return {each.fingerprint: each for each in ordered}


def shadow_verdicts(findings: Iterable[Finding], now: datetime) -> tuple[Verdict, ...]:
    """What detectors on trial would have asked for, probes, and use that people announced. They open no incident; their id is
    that of the key and cause."""
    return tuple(_shadow_verdict(name, leading(group), now) for name, group in grouped(findings).items())


def _shadow_verdict(name: str, lead: Finding, now: datetime) -> Verdict:
    prefix, reason, detail = _why_shadow(lead)
    return Verdict(
        key_hash=lead.key_hash,
        incident_id=short_id(prefix, name),
        at=now,
        rung=lead.rung,
        is_act=False,
        reason=reason,
        detail=detail,
    )


def _why_shadow(lead: Finding) -> tuple[str, Reason, str]:
    """(prefix of the verdict's id, reason, detail)"""
    if lead.detector == PROBE:
        return "PROBE", Reason.PROBED, lead.causes[0].sentence if lead.causes else f"{lead.detector} runs in shadow"
    notes = [cause.sentence for cause in lead.causes if cause.dimension is None and cause.value == PLANNED]
    if notes:
        return "PLANNED", Reason.PLANNED, notes[0]
    return "SHADOW", Reason.SHADOW_DETECTOR, f"{lead.detector} runs in shadow"


def unsaid(verdicts: Iterable[Verdict], before: Sequence[Verdict], settings: Settings) -> tuple[Verdict, ...]:
    """Those that say something new: not what was last said of the same incident (or shadow cause, for a while)."""
    latest = {verdict.incident_id: verdict for verdict in sorted(before, key=lambda verdict: verdict.at)}
    return tuple(v for v in verdicts if not _is_known(v, latest, settings))


def _is_known(verdict: Verdict, latest: Mapping[str, Verdict], settings: Settings) -> bool:
    last = latest.get(verdict.incident_id)
    if last is None or verdict.is_act:
        return False  # each act has a verdict of its own
    if verdict.reason is Reason.ACTION_PENDING and last.is_act:
        return True  # our own act of a moment ago is under way: nothing new
    if (
        verdict.reason in {Reason.SHADOW_DETECTOR, Reason.PROBED, Reason.PLANNED}
        and verdict.at - last.at >= settings.incidents.resolve_after
    ):
        return False
    return (verdict.rung, verdict.is_act, verdict.reason) == (last.rung, last.is_act, last.reason)


def _judged_case(case: Case, fuses: Fuses, *, taken: Mapping[str, Action]) -> tuple[Verdict, Action | None]:
    """The verdict of one case, and what it adds to the journal."""
    wish = case.wish
    refusal = guardrails.first_refusal(case)
    if refusal is None and case.key_hash in taken:
        refusal = Reason.ACTION_PENDING, f"{taken[case.key_hash].action_id} is decided for another incident of this key"
    if refusal is None:
        refusal = fuses.refusal(case.key_hash)
    if refusal is not None:
        return _verdict(wish, *refusal, now=case.now), None
    fuses.use(case.key_hash)
    if case.settings.response.mode != "enforce":
        would = f"would be {DONE_BY[case.verb]}: {wish.detail}"
        return _verdict(wish, Reason.DRY_RUN, would, now=case.now), None
    action, waits = proposals.step(case)
    if waits is not None:
        return _verdict(wish, *waits, now=case.now), action
    return _verdict(wish, wish.reason, wish.detail, now=case.now, is_act=True), action


DONE_BY: Final[Mapping[Verb, str]] = {Verb.DISABLE: "disabled", Verb.CAP: "capped"}
"""What would have happened to a key."""


def _verdict(wish: Wish, reason: Reason, detail: str, *, now: datetime, is_act: bool = False) -> Verdict:
    return Verdict(
        key_hash=wish.incident.key_hash,
        incident_id=wish.incident.incident_id,
        at=now,
        rung=wish.rung,
        is_act=is_act,
        reason=reason,
        detail=detail,
    )
