"""What people are told: the sentence, the facts, what happens, how to undo it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from build import NOW, a_cause, a_key, a_quality, an_action, an_incident, key_settings

from monitor.domain import (
    ActionState,
    Dimension,
    Message,
    MessageKind,
    Notice,
    Quality,
    Reason,
    Rung,
    Severity,
    Spell,
    Verb,
    Verdict,
)
from monitor.notify.message import compose, message_id
from monitor.notify.wording import cause_line, command
from monitor.wording import REASONS


def composed(notice: Notice, **changes: Any) -> Message:
    fields: dict[str, Any] = {
        "key": a_key(),
        "channel": "C0TEAM01",
        "owner": "team-search",
        "workspace_name": "Production",
        "now": NOW,
        "data_as_of": NOW - timedelta(minutes=4),
    }
    given = fields | changes
    return compose(notice, given.pop("key"), **given)


def an_alert(**changes: Any) -> Notice:
    return Notice(MessageKind.ALERT, NOW, incident=an_incident(**changes))


def a_verdict(*, is_act: bool, reason: Reason) -> Verdict:
    return Verdict(an_incident().key_hash, an_incident().incident_id, NOW, Rung.DISABLE, is_act, reason)


def test_the_first_sentence_says_amount_window_rate_multiple_and_key() -> None:
    summary = composed(an_alert()).summary

    assert summary == (
        "“search-prod” spent $194.96 above its usual in 1 h 10 min: $167.11/h now, 836 times its usual."
        " A leak or a runaway job."
    )


def test_nobody_is_accused() -> None:
    message = composed(an_alert())

    said = f"{message.title} {message.summary} {message.sections}".lower()
    assert not any(word in said for word in ("stolen", "thief", "theft", "attacker", "abuse", "hacked"))


def test_a_key_without_usual_spend_gets_no_multiple() -> None:
    message = composed(an_alert(expected_per_hour_nusd=0))

    assert "where it usually spends nothing" in message.summary
    assert "times" not in message.summary


def test_an_alert_without_excess_spend_does_not_claim_one() -> None:
    message = composed(an_alert(spent_nusd=0, severity=Severity.NOTICE))

    assert message.summary == "“search-prod” spends $167.11/h (usual $0.20/h) and needs a look."


def test_the_facts_are_the_few_that_a_responder_acts_on_money_first() -> None:
    assert composed(an_alert()).facts == (
        ("At risk", "$1,337 until a person is expected to look; critical, the evidence is enough to disable"),
        ("Owner", "team-search"),
        ("Key", "000000000000 · sk-or-v1-abc...xyz, workspace Production"),
        ("Began", "23 Nov 10:50 UTC; usual $0.20/h before"),
    )


def test_who_found_it_and_how_rare_it_is_closes_the_evidence() -> None:
    evidence = composed(an_alert()).evidence

    assert len(evidence) > 1
    assert evidence[-1] == "Found by: unlike its habits (forest); as rare as once in 500,000"


def test_no_message_has_more_than_five_facts() -> None:
    spell = Spell(NOW, NOW, NOW)
    came_back = replace(an_incident(), spells=(spell, spell))

    assert len(composed(Notice(MessageKind.ALERT, NOW, incident=came_back)).facts) == 5
    for kind in (MessageKind.RESOLVED, MessageKind.ACTION, MessageKind.ACTION_FAILED, MessageKind.PROPOSAL):
        notice = Notice(kind, NOW, incident=came_back, action=an_action(1, prior=key_settings()))
        assert 2 <= len(composed(notice).facts) <= 4


def test_an_automatic_disable_is_announced_with_its_undo() -> None:
    notice = replace(an_alert(), verdict=a_verdict(is_act=True, reason=Reason.CROSSED_THRESHOLD))

    message = composed(notice)

    assert message.sections[0][1][0].startswith("The key is being disabled automatically")
    assert message.undo == "openrouter-monitor restore 000000000000"


@pytest.mark.parametrize("reason", [each for each in Reason if each is not Reason.CROSSED_THRESHOLD])
def test_a_verdict_not_to_act_says_why_and_offers_no_undo(reason: Reason) -> None:
    message = composed(replace(an_alert(), verdict=a_verdict(is_act=False, reason=reason)))

    head = "Not yet" if reason in {Reason.HELD, Reason.AWAITING_APPROVAL} else "Nothing automatic"
    assert message.sections[0][1][0] == f"{head}: {REASONS[reason]}."
    assert message.undo == ""


def test_every_reason_has_words() -> None:
    assert set(REASONS) == set(Reason)


def test_an_unseen_key_is_called_by_its_hash() -> None:
    message = composed(an_alert(), key=None)

    assert message.summary.startswith("key 000000000000 spent")
    assert dict(message.facts)["Key"] == "000000000000 · not in the inventory, workspace Production"


def test_an_invisible_name_falls_back_to_the_hash() -> None:
    message = composed(an_alert(), key=a_key(key_name="\u202e\u200b\x00"))

    assert message.title == "Unusual spend: 000000000000"


def test_incomplete_ambiguous_and_old_data_is_stated_in_the_footer() -> None:
    quality = a_quality(state=Quality.PARTIAL, is_ambiguous=True, notes=("truncated by the source",))

    footer = composed(an_alert(quality=quality), data_as_of=NOW - timedelta(hours=6)).footer

    assert footer == (
        "INC-0001 · step 1 · data 6 h old · data incomplete: figures are a lower bound · not certain which key"
        " · truncated by the source"
    )


def test_a_disable_is_told_with_when_how_much_and_how_to_undo() -> None:
    action = an_action(state=ActionState.DONE, finished_at=NOW, detail="disabled is true")

    message = composed(Notice(MessageKind.ACTION, NOW, incident=an_incident(), action=action))

    assert message.summary == (
        "“search-prod” was disabled at 23 Nov 12:00 UTC, 1 h 10 min after the unusual spend began;"
        " $194.96 above its usual by then."
    )
    assert dict(message.facts)["Before"] == "enabled, no limit"
    assert message.undo == "openrouter-monitor restore 000000000000"


def test_a_restore_is_told_as_a_notice_by_whom() -> None:
    action = an_action(verb=Verb.RESTORE, requested_by="alice", state=ActionState.DONE, finished_at=NOW)

    message = composed(Notice(MessageKind.ACTION, NOW, incident=an_incident(), action=action))

    assert message.severity is Severity.NOTICE
    assert message.title == "Key restored: search-prod"
    assert message.sections == (("What was done", ("By alice.",)),)
    assert message.undo == "openrouter-monitor revoke 000000000000"


def test_a_failed_disable_is_the_loudest_message() -> None:
    action = an_action(state=ActionState.FAILED, detail="the issuer accepted the change but the key is still enabled")

    message = composed(
        Notice(MessageKind.ACTION_FAILED, NOW, incident=an_incident(severity=Severity.WARNING), action=action)
    )

    assert message.severity is Severity.CRITICAL
    assert message.title == "COULD NOT DISABLE: search-prod"
    assert "was NOT disabled" in message.summary
    assert "It spends $167.11/h; $1,337 is at risk." in message.summary
    assert "Disable the key yourself now, on the issuer's key page," in message.sections[0][1]
    assert message.undo == ""


def test_a_resolved_incident_tells_the_total_and_that_the_key_is_still_off() -> None:
    key = a_key(settings=key_settings(is_disabled=True))
    incident = an_incident(resolved_at=NOW, resolution="quiet for 6 h")

    message = composed(Notice(MessageKind.RESOLVED, NOW, incident=incident), key=key)

    assert "$194.96 above its usual in all" in message.summary
    assert message.sections == (("How it ended", ("Why: quiet for 6 h", "The key is still disabled.")),)
    assert message.undo == "openrouter-monitor restore 000000000000"


def test_the_same_notice_is_the_same_message_whenever_it_is_composed() -> None:
    first = composed(an_alert())
    later = composed(an_alert(), now=NOW + timedelta(hours=1))

    assert first.message_id == later.message_id == "INC-0001:1:alert"
    assert first.thread == "INC-0001"


def test_disable_restore_and_disable_again_are_three_messages() -> None:
    actions = [an_action(action_id=f"ACT-{number}") for number in range(3)]

    ids = {message_id(Notice(MessageKind.ACTION, NOW, incident=an_incident(), action=each)) for each in actions}

    assert len(ids) == 3


def test_an_action_without_incident_still_has_its_own_message() -> None:
    action = an_action(incident_id=None, requested_by="alice", state=ActionState.DONE)

    message = composed(Notice(MessageKind.ACTION, NOW, action=action))

    assert message.message_id == f"NONE:0:action:{action.action_id}"
    assert message.thread is None


def test_a_notice_of_many_incidents_lists_them_and_takes_the_worst_severity() -> None:
    incidents = (an_incident(1, severity=Severity.NOTICE), an_incident(2, severity=Severity.CRITICAL))

    message = composed(
        Notice(MessageKind.SOURCE, NOW, detail="2 keys together.\nkey a\nkey b", incidents=incidents), key=None
    )

    assert message.title == "2 keys: $389.92 above usual"
    assert message.thread and message.thread.startswith("LIST-"), "it is found again by its thread, to be edited"
    assert message.about == tuple(each.incident_id for each in incidents)
    assert message.summary == "2 keys together."
    assert message.sections == (("Keys", ("key a", "key b")),)
    assert message.severity is Severity.CRITICAL


def test_an_alert_tells_at_most_five_causes_and_none_twice() -> None:
    lead = a_cause("spend", dimension=None, sentence="99% is vendor/opus; 99% comes from VN")
    parts = tuple(a_cause(f"vendor/{no}") for no in range(7))

    whole = composed(Notice(MessageKind.ALERT, NOW, incident=an_incident(causes=(lead, *parts))))
    alone = composed(Notice(MessageKind.ALERT, NOW, incident=an_incident(causes=(lead, parts[0]))))

    assert len(whole.evidence) == 5 + 1 and "vendor/0" in whole.evidence[0]
    assert alone.evidence[0] == "99% is vendor/opus; 99% comes from VN"


def test_two_troubles_at_one_moment_are_two_messages() -> None:
    first, second = (Notice(MessageKind.SOURCE, NOW, detail=text) for text in ("usage: down", "keys: down"))

    assert message_id(first) != message_id(second)


@pytest.mark.parametrize("kind", list(MessageKind))
def test_a_notice_that_carries_nothing_is_still_a_message(kind: MessageKind) -> None:
    message = composed(Notice(kind, NOW), key=None)

    assert message.title and message.summary and message.message_id


def test_a_cause_without_a_sentence_is_told_from_its_fields() -> None:
    cause = a_cause(sentence="")
    usual = a_cause("DE", dimension=Dimension.COUNTRY, sentence="", is_first_seen=False, usual_nusd=2 * 10**9)

    assert cause_line(cause) == "$39.00: 97% on model vendor/opus, never used by this key before"
    assert cause_line(usual) == "$39.00: 97% on country DE, usually $2.00/h"


def test_a_hash_that_is_no_hash_cannot_become_a_shell_command() -> None:
    assert command("openrouter-monitor restore", "$(reboot)") == "openrouter-monitor restore '$(reboot)'"
