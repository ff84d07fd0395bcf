"""How keys stand, for the people they belong to: pages of entries, first what somebody must act on. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from monitor.domain import NUSD, Action, ActionState, ApiKey, Incident, IncidentState, Reason, Verb, used_nusd
from monitor.notify import ranking
from monitor.notify.asked import COMMAND
from monitor.notify.pages import Code, Entry, Link, Mark, Mention, Page, Words
from monitor.notify.ranking import MOST_ACTIONS, Group, Standing
from monitor.notify.wording import DONE, RESTORE, cause_line, command, short_hash
from monitor.wording import SEVERITIES, count, dollars, moment, money, multiple, name, one_line, shorten

MOST_INCIDENTS: Final = 3
MOST_SPENDING: Final = 10
"""Keys in order that are listed of those nobody has to do anything about."""

MOST_NAMED: Final = 8
"""Names of folded keys: of more, the number."""

DAYS_A_WEEK: Final = 7
_DOUBT: Final = (
    "Slack could not be asked about everything just now, so that keys may be missing: try again in a few minutes.",
)
NOTABLE: Final = 2
"""How many times the usual is worth a word."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """How old the figures are: when the monitor looked last; `is_late` where that is too long ago."""

    as_of: datetime | None
    is_late: bool = False


def find(standings: Sequence[Standing], asked: str) -> tuple[Standing, ...]:
    """The keys that somebody means: by name or label, else by the beginning of the hash, else by a part of the name. Names are
    not unique."""
    said = one_line(asked).casefold()
    if not said:
        return ()
    by_name = [
        each for each in standings if said in {one_line(each.key.key_name).casefold(), each.key.label.casefold()}
    ]
    by_hash = [each for each in standings if len(said) >= 4 and each.key.key_hash.startswith(said)]
    by_part = [each for each in standings if said in one_line(each.key.key_name).casefold()]
    return tuple(by_name or by_hash or by_part)


def keys_page(standings: Sequence[Standing], fresh: Fresh, *, of_all: bool) -> Page:
    """Every key of the asker, or of everybody: what somebody must act on first, then the first by spend; the rest is counted."""
    if of_all and not standings:
        return Page("All keys", ("No key is known yet.",), notes=_notes(fresh))
    groups = ranking.grouped(standings, fresh.as_of)
    spending = groups[Group.SPENDING]
    names = Counter(_called(each.key) for each in standings)
    entries = [
        replace(entry(each), group=_group_title(group, len(groups[group])))
        for group in (Group.INCIDENTS, Group.STOPPED)
        for each in groups[group]
    ]
    entries += [
        replace(_brief(each, names), group=_group_title(Group.SPENDING, len(spending)))
        for each in spending[:MOST_SPENDING]
    ]
    return Page(
        f"{'All keys' if of_all else 'Your keys'}: {len(standings):,}",
        (_summary(standings, groups),),
        tuple(entries),
        n_more=max(0, len(spending) - MOST_SPENDING),
        folded=_folded(groups[Group.QUIET]),
        rest=(
            " See all with ",
            Code("openrouter-monitor keys"),
            " where the monitor runs, one with ",
            Code(f"{COMMAND} key NAME"),
        ),
        notes=_notes(fresh),
    )


def key_page(found: Sequence[Standing], fresh: Fresh, *, asked: str) -> Page:
    """One key with everything; several where they share the name."""
    if not found:
        said = f"None of the keys you may see is called “{shorten(one_line(asked), 100)}”."
        return Page("No such key", (said, " ", Code(f"{COMMAND} keys"), " lists them."))
    about = (
        f"{count(len(found), 'key')} named like that; names are not unique." if len(found) > 1 else "As it stands now."
    )
    return Page(
        name(found[0].key.key_name) if len(found) == 1 else f"{len(found):,} keys",
        (about,),
        tuple(entry(each, is_whole=True) for each in ranking.ordered(found, fresh.as_of)),
        rest=(" Give more of the name, or the hash: ", Code("openrouter-monitor keys"), " lists them."),
        notes=_notes(fresh),
    )


def incidents_page(standings: Sequence[Standing], fresh: Fresh, *, of_all: bool) -> Page:
    """Every incident that is not over."""
    found = [(each, incident, url) for each in standings for incident, url in each.incidents]
    found.sort(key=lambda each: (-each[1].severity, -each[1].at_risk_nusd, each[1].incident_id))
    whose = "of all keys" if of_all else "of your keys"
    if not found:
        return Page(f"No open incidents {whose}", ("Nothing needs anybody now.",), notes=_notes(fresh))
    entries = tuple(
        Entry(
            _called(each.key),
            (_incident_line(incident, url), *((f"– {cause_line(cause)}",) for cause in incident.causes[:2])),
            Mark[incident.severity.name],
        )
        for each, incident, url in found
    )
    return Page(
        f"{count(len(found), 'open incident')} {whose}",
        (f"{money(sum(incident.at_risk_nusd for _, incident, _ in found))} at risk in all. The worst first.",),
        entries,
        noun="incident",
        rest=(" See all with ", Code("openrouter-monitor incidents"), " where the monitor runs."),
        notes=_notes(fresh),
    )


def help_page(*, is_operator: bool) -> Page:
    """What can be asked."""
    told = [
        ("keys", "how your keys stand: what needs somebody first"),
        ("key NAME", "everything about one of them: by name, or by the first digits of its hash"),
        ("incidents", "what is open, with links to the alerts"),
        ("help", "this"),
    ]
    if is_operator:
        told[3:3] = [("keys all", "the same for everybody's keys"), ("incidents all", "everything that is open")]
    return Page(
        "What you can ask",
        ("Only you see the answers. Nothing is changed by asking.",),
        (
            Entry("Commands", tuple((Code(f"{COMMAND} {what}"), f" {why}") for what, why in told)),
            Entry(
                "Whose keys are yours",
                (
                    ("• those you created, as far as OpenRouter and Slack know you by the same e-mail address,",),
                    ("• those whose alerts are routed to you, or to a channel you are in.",),
                ),
            ),
            Entry("Usual", (("the mean of the last 28 whole days (UTC) of a key; a week is seven of them.",),)),
        ),
    )


def doubted(page: Page) -> Page:
    """The same page, where Slack could not be asked about everything."""
    return replace(page, notes=(*page.notes, _DOUBT))


def refusal_page(whom: Sequence[Mention], *, is_operator: bool = False) -> Page:
    """For somebody who owns no key here: no key is named."""
    hint: Words = ("If that is wrong, please ask ", *_listed(whom), ".")
    if is_operator:
        hint = ("You are an operator: ", Code(f"{COMMAND} keys all"), " shows everybody's.")
    return Page(
        "No key of yours is known",
        (
            "openrouter-monitor shows keys to the people they belong to. As far as it knows, you created none and no alerts"
            " are routed to you or to a channel you are in.",
        ),
        notes=(hint,),
    )


def operators_only_page(whom: Sequence[Mention]) -> Page:
    """For somebody who asked for all keys and may not see them."""
    return Page(
        "Only for operators",
        ("All keys are shown to operators only. ", Code(f"{COMMAND} keys"), " shows yours."),
        notes=(("Operators are ", *_listed(whom), "."),),
    )


def trouble_page() -> Page:
    """For whoever asked while nothing could be read; the log says why."""
    return Page("That did not work", ("It could not be looked up just now. Please try again in a minute.",))


def entry(standing: Standing, *, is_whole: bool = False) -> Entry:
    """One key: what is wrong and what was done first, then its money. `is_whole`: with causes and earlier actions."""
    key = standing.key
    lines: list[Words] = []
    shown = standing.incidents if is_whole else standing.incidents[:MOST_INCIDENTS]
    for incident, url in shown:
        lines.append(_incident_line(incident, url))
        lines += [(f"– {cause_line(cause)}",) for cause in incident.causes[:4]] if is_whole else []
    if len(standing.incidents) > len(shown):
        lines.append((f"and {count(len(standing.incidents) - len(shown), 'more open incident')}",))
    lines += _actions(standing, is_whole=is_whole)
    state = "disabled" if key.settings.is_disabled else ""
    facts = [state, one_line(standing.workspace_name), short_hash(key.key_hash), _limit(key)]
    lines += [(_spend(standing),), (" · ".join(part for part in facts if part),)]
    return Entry(_called(key), tuple(lines), _mark(standing))


def _brief(standing: Standing, names: Mapping[str, int]) -> Entry:
    """A key nobody has to do anything about, in as few lines as say how it stands."""
    key = standing.key
    facts = ["disabled"] if key.settings.is_disabled else []
    facts += [short_hash(key.key_hash)] if names[_called(key)] > 1 else []
    facts += [_limit(key)] if key.settings.limit_usd is not None else []
    more: list[Words] = [(" · ".join(facts),)] if facts else []
    return Entry(_called(key), ((_spend(standing),), *more, *_actions(standing, is_whole=False)), _mark(standing))


def _actions(standing: Standing, *, is_whole: bool) -> list[Words]:
    """The last one, and how to undo what is in force of ours; all that is known of them where everything is asked for."""
    told: list[Words] = []
    for no, action in enumerate(standing.actions[: MOST_ACTIONS if is_whole else 1]):
        told.append((("last action: " if no == 0 else "before: ") + _acted(action),))
    if standing.stopped is not None:
        told[1:1] = [("put it back with ", Code(command(RESTORE, standing.key.key_hash)))]
    if is_whole and not standing.actions:
        told.append(("nothing was ever done to it by the monitor",))
    return told


_TITLES: Final = {
    Group.INCIDENTS: "Open incidents",
    Group.STOPPED: "Disabled or capped, can be put back",
    Group.SPENDING: "By spend this week",
}


def _group_title(group: Group, n_keys: int) -> str:
    if group is Group.SPENDING and n_keys > MOST_SPENDING:
        return f"{_TITLES[group]}: the first {MOST_SPENDING} of {n_keys:,}"
    return f"{_TITLES[group]}: {n_keys:,}"


def _folded(quiet: Sequence[Standing]) -> tuple[Words, ...]:
    """Keys nobody has to look at, in a line for each kind."""
    disabled = [each for each in quiet if each.key.settings.is_disabled]
    idle = [each for each in quiet if not each.key.settings.is_disabled]
    told: list[Words] = []
    for said, theirs in (("without usage lately", idle), ("disabled long ago or by others", disabled)):
        if theirs:
            named = ", ".join(shorten(_called(each.key), 40) for each in theirs[:MOST_NAMED])
            more = f" and {len(theirs) - MOST_NAMED:,} more" if len(theirs) > MOST_NAMED else ""
            told.append((f"{count(len(theirs), 'key')} {said}: {named}{more}",))
    return tuple(told)


def _called(key: ApiKey) -> str:
    return name(key.key_name)


def _mark(standing: Standing) -> Mark:
    worst = max((incident.severity for incident, _ in standing.incidents), default=None)
    if worst is not None:
        return Mark[worst.name]
    return Mark.OFF if standing.key.settings.is_disabled else Mark.FINE


def _summary(standings: Sequence[Standing], groups: Mapping[Group, Sequence[Standing]]) -> str:
    today = [each.key.usage_daily_nusd for each in standings if each.key.usage_daily_nusd is not None]
    usual = [each.usual_day_nusd for each in standings if each.usual_day_nusd is not None]
    n_open = sum(len(each.incidents) for each in standings)
    n_stopped = sum(each.stopped is not None for each in (*groups[Group.INCIDENTS], *groups[Group.STOPPED]))
    parts = [count(n_open, "open incident") if n_open else "no open incidents"]
    parts += [f"{n_stopped:,} disabled or capped"] if n_stopped else []
    spent = f"{money(sum(today))} today" if today else "today's spend is not known"
    return " · ".join([*parts, spent + (f", usual day {money(sum(usual))}" if usual and today else "")])


def _spend(standing: Standing) -> str:
    """This week, by which keys are ordered, and today, each against its usual."""
    key, usual = standing.key, standing.usual_day_nusd
    week = _against(key.usage_weekly_nusd, "this week", None if usual is None else DAYS_A_WEEK * usual)
    today = _against(key.usage_daily_nusd, "today", usual)
    return f"{week} · {today}{' (usual not known yet)' if usual is None else ''}"


def _against(spent: int | None, when: str, usual: int | None) -> str:
    if spent is None:
        return f"{when} not known"
    if usual is None:
        return f"{money(spent)} {when}"
    if usual <= 0:
        return f"{money(spent)} {when} (usually nothing)"
    times = f", {multiple(spent, usual)} that" if spent > NOTABLE * usual else ""
    return f"{money(spent)} {when} (usual {money(usual)}{times})"


def _limit(key: ApiKey) -> str:
    limit = key.settings.limit_usd
    if limit is None:
        return "no limit"
    reset = f" {one_line(key.settings.limit_reset)}" if key.settings.limit_reset else ""
    used = used_nusd(key)
    if used is None:
        return f"limit {dollars(limit)}{reset}, what is left is not known"
    return f"limit: {money(max(0, round(limit * NUSD) - used))} left of {dollars(limit)}{reset}"


def _incident_line(incident: Incident, url: str) -> Words:
    said = {IncidentState.ACKNOWLEDGED: "somebody looks after it", IncidentState.OPEN: "nobody has acknowledged it"}
    state = said.get(incident.state, incident.state.value)
    if incident.silenced_until is not None:
        state = f"snoozed until {moment(incident.silenced_until)}"
    return (
        Link(incident.incident_id, url),
        f" {SEVERITIES[incident.severity]}: {money(incident.spent_nusd)} above usual since {moment(incident.onset_at)},"
        f" {money(incident.per_hour_nusd)}/h now; {state}",
    )


def _acted(action: Action) -> str:
    who = one_line(action.requested_by)
    by = "automatically" if who in {"", "monitor"} else f"by {shorten(who, 80)}"
    by = f"in a rehearsal {by}" if action.reason is Reason.REHEARSAL else by
    at = moment(action.finished_at or action.intended_at)
    if action.state is ActionState.DONE:
        return f"{DONE[Verb(action.verb)]} {by}, {at}"
    told = {
        ActionState.INTENDED: "under way",
        ActionState.PROPOSED: "proposed, waits for a person",
        ActionState.APPROVED: "approved",
        ActionState.DENIED: "denied",
        ActionState.EXPIRED: "dropped",
    }
    return f"{action.verb.value} {told.get(action.state, 'FAILED')} ({by}), {at}"


def _notes(fresh: Fresh) -> tuple[Words, ...]:
    if fresh.as_of is None:
        return (("The monitor has not looked at the account yet.",),)
    late = " That is long ago: OpenRouter may be down, or the monitor in trouble." if fresh.is_late else ""
    return (
        (
            f"As of {moment(fresh.as_of)}; days and weeks are UTC.{late} ",
            Code(f"{COMMAND} help"),
            " says what can be asked.",
        ),
    )


def _listed(whom: Sequence[Mention]) -> Words:
    if not whom:
        return ("whoever runs openrouter-monitor",)
    words: list[str | Mention] = []
    for each in whom[:MOST_ACTIONS]:
        words += [", ", each] if words else [each]
    return tuple(words)
