"""The ladder of one key: which policy it has and why, and how far that lets the response go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from monitor.config import Policy, RungRule
from monitor.domain import NUSD, ApiKey, Rung, Verb
from monitor.domain.matching import conditions, is_in_workspace, is_named
from monitor.wording import duration

DEFAULT: Final = Policy(name="default")
"""For keys no policy matches: everything is told, nothing is capped, what the evidence supports is disabled."""

VERBS: Final[Mapping[Rung, Verb]] = {Rung.DISABLE: Verb.DISABLE, Rung.CAP: Verb.CAP}
"""What is done on a rung."""


@dataclass(frozen=True, slots=True)
class Matched:
    """The policy of a key, and which rule decided."""

    policy: Policy
    why: str


@dataclass(frozen=True, slots=True)
class Stake:
    """What a rung is asked for: unusual dollars an hour, and dollars at risk."""

    per_hour_nusd: int
    at_risk_nusd: int


def matched(key: ApiKey | None, *, owner: str, workspaces: Mapping[str, str], policies: Sequence[Policy]) -> Matched:
    """The first policy that matches the key, else the default one.

    All conditions of a policy must hold. `owner`: as the routes name it, empty where none does; `workspaces`: name by id.
    Names are text from outside, so a policy by name alone trusts whoever names the keys."""
    if key is None:
        return Matched(DEFAULT, "default: the key is not in the inventory")
    for number, policy in enumerate(policies, start=1):
        if _matches(policy, key, owner=owner, workspaces=workspaces):
            said = conditions(policy.key_name, workspace=policy.workspace, owner=policy.owner)
            return Matched(policy, f"policies[{number}] {policy.name!r}: {said}")
    return Matched(DEFAULT, "default: no policy matches" if policies else "default: no policies are configured")


def _matches(policy: Policy, key: ApiKey, *, owner: str, workspaces: Mapping[str, str]) -> bool:
    return (
        (policy.workspace is None or is_in_workspace(key, policy.workspace, workspaces))
        and (policy.owner is None or policy.owner == owner)
        and is_named(key, policy.key_name)
    )


def rule_of(policy: Policy, rung: Rung) -> RungRule:
    """The rule of a rung; that of the lowest for everything below."""
    return {Rung.DISABLE: policy.disable, Rung.CAP: policy.cap}.get(rung, policy.notify)


def hold_of(policy: Policy, rung: Rung) -> timedelta:
    """How long people may object before this rung is acted upon."""
    return {Rung.DISABLE: policy.disable.hold, Rung.CAP: policy.cap.hold}.get(rung, timedelta(0))


def lacking(policy: Policy, rung: Rung, stake: Stake, *, is_rule: bool) -> str | None:
    """Why this rung is not reached, whatever the time; None where only that can be missing. A hard rule (`is_rule`) is enough by
    itself: only `enabled` is asked."""
    rule, name = rule_of(policy, rung), f"policy {policy.name!r}: {rung.name.lower()}"
    if not rule.enabled:
        return f"{name} is not enabled"
    if is_rule:
        return None
    if stake.per_hour_nusd < rule.usd_per_hour * NUSD:
        return f"{name} asks for {rule.usd_per_hour:,.2f} USD/h unusual, it is {stake.per_hour_nusd / NUSD:,.2f}"
    if stake.at_risk_nusd < rule.usd_at_risk * NUSD:
        return f"{name} asks for {rule.usd_at_risk:,.2f} USD at risk, it is {stake.at_risk_nusd / NUSD:,.2f}"
    return None


def shortfall(policy: Policy, rung: Rung, stake: Stake, *, lasted: timedelta, is_rule: bool) -> str | None:
    """Why this rung is not reached, None where it is. `lasted`: how long its other conditions have held without a break."""
    missing = lacking(policy, rung, stake, is_rule=is_rule)
    if missing is not None or is_rule:
        return missing
    asked = rule_of(policy, rung).sustained_for
    if lasted < asked:
        held = f"it has for {duration(lasted)}" if lasted else "it has just begun to"
        return f"policy {policy.name!r}: {rung.name.lower()} asks that this holds for {duration(asked)}, {held}"
    return None


def described(policy: Policy) -> tuple[str, ...]:
    """Each rung in words, for `explain`."""
    return tuple(_described(policy, rung) for rung in (Rung.NOTIFY, Rung.CAP, Rung.DISABLE))


def _described(policy: Policy, rung: Rung) -> str:
    rule, hold = rule_of(policy, rung), hold_of(policy, rung)
    if not rule.enabled:
        return f"{rung.name.lower()}: off"
    asked = [f"{rule.usd_per_hour:,.2f} USD/h unusual"] if rule.usd_per_hour else []
    asked += [f"{rule.usd_at_risk:,.2f} USD at risk"] if rule.usd_at_risk else []
    asked += [f"sustained for {duration(rule.sustained_for)}"] if rule.sustained_for else []
    held = f"; held for {duration(hold)}" if hold else ""
    return f"{rung.name.lower()}: {', '.join(asked) or 'whatever the evidence supports'}{held}"
