"""The facts of a message: what it is about, who owns it, and the money. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from monitor.domain import Action, ApiKey, Incident, Rung
from monitor.notify.routing import CREATOR
from monitor.notify.wording import cause_lines, short_hash
from monitor.wording import SEVERITIES, detector, dollars, moment, money, name, one_line

AT_RISK: Final = "At risk"

Facts = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class About:
    """What the words are about, beside the notice itself."""

    key: ApiKey | None
    owner: str
    workspace_name: str | None
    now: datetime
    restore_command: str
    routed: str = ""


def facts(incident: Incident, about: About) -> Facts:
    """What a responder acts on, in that order; what spends how much is in the sentence, and why in the evidence."""
    began = f"{moment(incident.onset_at)}; {usual(incident)} before"
    return (
        (AT_RISK, f"{money(incident.at_risk_nusd)} until a person is expected to look; {_severity(incident)}"),
        *identity(about, incident.key_hash),
        ("Began", began),
        *_lives(incident),
    )


def evidence(incident: Incident) -> tuple[str, ...]:
    """Why it is told: the ranked causes, and who found it."""
    by = ", ".join(map(detector, incident.detectors)) or "a person"
    return (*cause_lines(incident.causes), f"Found by: {by}{_rarity(incident)}")


def _severity(incident: Incident) -> str:
    found = {Rung.DISABLE: "enough to disable", Rung.CAP: "enough to cap"}.get(incident.rung, "worth a look")
    return f"{SEVERITIES[incident.severity]}, the evidence is {found}"


def _rarity(incident: Incident) -> str:
    """The p-value as people say it."""
    if incident.p_value is None or not 0 < incident.p_value <= 0.1:
        return ""
    return f"; as rare as once in {float(f'{1 / incident.p_value:.1g}'):,.0f}"


def identity(about: About, key_hash: str) -> Facts:
    """Whose the key is, and which: title and sentence hold its name, which is not unique."""
    key = about.key
    label = name(key.label, fallback="") if key else "not in the inventory"
    workspace = name(about.workspace_name or (key.workspace_id if key else None) or "", fallback="default")
    which = " · ".join(part for part in (short_hash(key_hash), label) if part)
    return (("Owner", _owner(about)), ("Key", f"{which}, workspace {workspace}"))


def _owner(about: About) -> str:
    """Who; and where messages go to the ops channel for want of anybody, why."""
    if about.owner and about.routed.startswith(CREATOR):
        return f"{name(about.owner)} (the key's creator, told directly)"
    _, is_fallen_back, why = about.routed.partition("slack.default_channel: ")
    if about.owner and is_fallen_back:
        return f"{name(about.owner)} (not told: {one_line(why)})"
    return name(about.owner, fallback=f"nobody named ({one_line(why) or 'no route matches'})")


def prior(action: Action) -> Facts:
    """The state that `restore` puts back."""
    prior = action.prior
    if prior is None:
        return ()
    state = "disabled" if prior.is_disabled else "enabled"
    reset = f" {one_line(prior.limit_reset)}" if prior.limit_reset and prior.limit_usd is not None else ""
    return (("Before", f"{state}, limit {dollars(prior.limit_usd)}{reset}".replace("limit no limit", "no limit")),)


def usual(incident: Incident) -> str:
    """What the key is expected to spend, in words."""
    return f"usual {money(incident.expected_per_hour_nusd)}/h"


def _lives(incident: Incident) -> Facts:
    """That it was over before, where it was."""
    if not incident.spells:
        return ()
    times = "once" if len(incident.spells) == 1 else f"{len(incident.spells)} times"
    return (("Came back", f"resolved {times} before, last at {moment(incident.spells[-1].resolved_at)}"),)
