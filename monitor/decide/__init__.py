"""Findings -> incidents -> verdicts, behind fuses. Pure: values and `now` in, a `Plan` out.

incidents.py   what belongs together, how an incident grows, when it is over
money.py       dollars unusual an hour, spent since onset, at risk
ladder.py      which policy a key has, and how far that lets the response go
policy.py      what the evidence asks for, lowered by the policy
crowd.py       many keys turning unusual together
guardrails.py  the checks: why a wanted act is not done
fuses.py       how many keys may be acted upon, and one before the others
caps.py        how far a limit is lowered
proposals.py   acts that people must approve, or may object to
verdicts.py    who passes; the enumerated why of everything else
ineffective.py a disable without effect
notices.py     what people are told, once
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from monitor.config import Settings
from monitor.decide import crowd, incidents, ineffective, notices, policy, verdicts
from monitor.decide.context import Context
from monitor.decide.guardrails import AUTOMATIC
from monitor.domain import Finding, Plan

__all__ = ["AUTOMATIC", "Context", "decide"]


def decide(findings: Sequence[Finding], context: Context, settings: Settings, now: datetime) -> Plan:
    """What should be done about these findings at `now`; nothing in the plan has happened yet.

    The order of findings does not matter, and deciding again on a context that holds this plan adds nothing. A verdict
    is in the plan only when it differs from the last one of its incident. Fewer facts in `context` mean less action."""
    shadow = [finding for finding in findings if finding.is_shadow]
    live = [finding for finding in findings if not finding.is_shadow]
    changes, resolved = incidents.taken_in(live, context, settings, now)
    together = crowd.gathered(
        changes, context.incidents, context.verdicts, n_together=settings.response.correlated_keys, now=now
    )
    wishes = [policy.wished(change, context, settings, now) for change in changes]
    judged, actions = verdicts.judged(wishes, context, settings, now, crowd=together)
    further, effects, failures = ineffective.escalated(context, settings, now)
    return Plan(
        at=now,
        incidents=(*(change.incident for change in changes if change.has_changed), *resolved),
        actions=(*actions, *further),
        notices=(*failures, *notices.told(changes, resolved, judged, actions, context, now, crowd=together)),
        verdicts=(
            *verdicts.unsaid((*judged, *verdicts.shadow_verdicts(shadow, now)), context.verdicts, settings),
            *effects,
        ),
    )
