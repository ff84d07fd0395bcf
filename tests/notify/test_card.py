"""The alert as it stands now: the same story gives the same card, and whatever happened is on it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from build import NOW, a_cause, a_key, an_action, an_incident
from hostile import TEXT
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.demo import blockkit
from monitor.domain import (
    ActionState,
    ApiKey,
    Choice,
    Incident,
    IncidentState,
    Message,
    MessageKind,
    Notice,
    Picture,
    Severity,
    Verb,
)
from monitor.notify.card import Story, card
from monitor.notify.message import compose
from monitor.notify.slack_blocks import render

INCIDENT = an_incident()
KEY = a_key()


def a_root(incident: Incident = INCIDENT, key: ApiKey = KEY) -> Message:
    return compose(
        Notice(MessageKind.ALERT, NOW, incident=incident),
        key,
        channel="#alerts",
        owner="team-search",
        workspace_name="Production",
        now=NOW,
        data_as_of=NOW,
    )


def a_card(story: Story, **changes: object) -> Message:
    return card(a_root(), story, owner="team-search", workspace_name="Production", picture=None, **changes)  # type: ignore[arg-type]


def stands(message: Message) -> tuple[str, ...]:
    return dict(message.sections)["Where it stands"]


def test_an_open_incident_says_so_and_keeps_what_happens_now() -> None:
    made = a_card(Story(INCIDENT, KEY))

    assert stands(made) == ("Open: nobody has acknowledged it yet",)
    assert "What happens now" in dict(made.sections)
    assert made.message_id == a_root().message_id and made.created_at == a_root().created_at


def test_actions_and_decisions_stand_in_order_of_time() -> None:
    disabled = an_action(1, state=ActionState.DONE, finished_at=NOW + timedelta(minutes=1))
    restored = replace(disabled, verb=Verb.RESTORE, requested_by="cli:ada", finished_at=NOW + timedelta(minutes=9))
    story = Story(
        INCIDENT, KEY, actions=(restored, disabled), decisions=((NOW + timedelta(minutes=5), "acknowledged (bob)"),)
    )

    assert stands(a_card(story))[1:] == (
        "23 Nov 12:01 UTC: key disabled automatically",
        "23 Nov 12:05 UTC: acknowledged (bob)",
        "23 Nov 12:09 UTC: key restored by cli:ada",
    )


def test_of_a_long_story_the_latest_stands() -> None:
    decisions = tuple((NOW + timedelta(minutes=minute), f"decision {minute}") for minute in range(40))

    lines = stands(a_card(Story(INCIDENT, KEY, decisions=decisions)))

    assert len(lines) == 1 + 12 and lines[-1].endswith("decision 39")


@pytest.mark.parametrize("state", list(IncidentState))
def test_every_state_has_words(state: IncidentState) -> None:
    assert stands(a_card(Story(replace(INCIDENT, state=state), KEY)))[0]


def test_a_resolved_card_keeps_its_causes_and_says_the_damage() -> None:
    over = replace(INCIDENT, state=IncidentState.RESOLVED, resolved_at=NOW + timedelta(hours=6), resolution="quiet")

    made = a_card(Story(over, KEY))

    assert made.kind is MessageKind.RESOLVED and made.severity is Severity.CRITICAL
    assert made.evidence == a_root().evidence
    assert stands(made)[0] == "Resolved 23 Nov 18:00 UTC: quiet"
    assert "$194.96 above its usual in all" in made.summary and "noticed 10 min after it began" in made.summary
    assert dict(made.facts)["Total damage"] == "$194.96 above usual" and dict(made.facts)["Time to detect"] == "10 min"
    assert made.ask is None


def test_an_alert_whose_key_is_disabled_says_so_first_and_no_more_that_it_spends() -> None:
    off = replace(KEY, settings=replace(KEY.settings, is_disabled=True))

    made = a_card(Story(INCIDENT, off))

    assert made.title == "Key disabled: search-prod"
    assert made.summary == (
        "“search-prod” is disabled. It spent $194.96 above its usual, from 23 Nov 10:50 UTC on. A leak or a runaway job."
    )
    assert "At risk" in dict(a_root().facts) and "At risk" not in dict(made.facts)


def test_a_resolved_card_of_a_disabled_key_offers_its_restore() -> None:
    off = replace(KEY, settings=replace(KEY.settings, is_disabled=True))
    over = replace(INCIDENT, state=IncidentState.RESOLVED, resolved_at=NOW)

    made = a_card(Story(over, off))

    assert made.ask is not None and made.ask.choices == (Choice.RESTORE,)
    assert made.undo.startswith("openrouter-monitor restore")


def test_nobody_is_accused() -> None:
    said = str(a_card(Story(INCIDENT, KEY))).lower()

    assert not any(word in said for word in ("stolen", "thief", "attacker", "hacked"))


@settings(max_examples=25, deadline=None)
@given(TEXT, TEXT, st.lists(TEXT, max_size=14))
def test_any_card_is_within_slacks_limits(key_name: str, cause: str, decisions: list[str]) -> None:
    key = a_key(1, key_name=key_name)
    incident = an_incident(causes=(a_cause(cause, sentence=cause),))
    story = Story(incident, key, decisions=tuple((NOW, said) for said in decisions))
    made = card(
        a_root(incident, key),
        story,
        owner=key_name,
        workspace_name=cause,
        picture=Picture("F0PICTURE1", cause),
        routed=f"slack.default_channel: {key_name}",
    )

    _, blocks, _ = render(made, has_buttons=True)

    assert blockkit.problems(blocks) == []
    assert blockkit.length(blocks) <= blockkit.MAX_SUM
