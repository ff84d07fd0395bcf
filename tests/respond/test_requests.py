"""What people ask for."""

from __future__ import annotations

from datetime import timedelta

import pytest
from build import NOW, a_hash, a_key, an_action, key_settings

from monitor.domain import ActionState, Reason, Verb
from monitor.errors import ActionFailed
from monitor.respond import requests

TTL = timedelta(minutes=10)
PRIOR = key_settings(limit_usd=12.5)
OFF = key_settings(limit_usd=12.5, is_disabled=True)


def hours_ago(hours, **changes):
    at = NOW - timedelta(hours=hours)
    return an_action(intended_at=at, **({"finished_at": at, "state": ActionState.DONE, "prior": PRIOR} | changes))


def restore(*journal, found=None):
    return requests.restore_request(found or a_key(1, settings=OFF), journal, requested_by="cli:ada", now=NOW, ttl=TTL)


def test_a_restore_puts_back_what_the_latest_disable_found():
    older = hours_ago(9, prior=key_settings(limit_usd=1.0))
    restored = hours_ago(8, verb=Verb.RESTORE)
    latest = hours_ago(2)
    action = restore(latest, older, restored)

    assert (action.verb, action.key_hash, action.prior) == (Verb.RESTORE, a_hash(1), PRIOR)
    assert (action.requested_by, action.reason, action.incident_id) == ("cli:ada", Reason.REQUESTED, latest.incident_id)
    assert (action.intended_at, action.expires_at, action.state) == (NOW, NOW + TTL, ActionState.INTENDED)


def test_a_second_disable_of_a_disabled_key_does_not_hide_the_settings_to_put_back():
    first, second = hours_ago(3), hours_ago(2, prior=key_settings(is_disabled=True, limit_usd=12.5))
    assert restore(first, second).prior == PRIOR


def test_a_disable_that_failed_can_be_undone():
    assert restore(hours_ago(1, state=ActionState.FAILED)).prior == PRIOR


def test_actions_on_other_keys_are_not_looked_at():
    with pytest.raises(ActionFailed, match="was never disabled by this monitor"):
        restore(hours_ago(1, key_hash=a_hash(2)))


@pytest.mark.parametrize("state", [ActionState.INTENDED, ActionState.EXPIRED])
def test_an_intent_that_was_not_carried_out_has_nothing_to_undo(state):
    with pytest.raises(ActionFailed, match="was never disabled by this monitor"):
        restore(hours_ago(1, state=state))


def test_a_key_that_was_disabled_before_is_not_enabled():
    with pytest.raises(ActionFailed, match="was disabled before this monitor touched it"):
        restore(hours_ago(1, prior=key_settings(is_disabled=True)))


def test_a_restored_key_is_not_restored_twice():
    with pytest.raises(ActionFailed, match="was restored already") as failure:
        restore(hours_ago(2), hours_ago(1, verb=Verb.RESTORE))
    assert failure.value.permanent


def test_a_restore_that_failed_may_be_repeated():
    assert restore(hours_ago(2), hours_ago(1, verb=Verb.RESTORE, state=ActionState.FAILED)).prior == PRIOR


@pytest.mark.parametrize("journal", [[], [hours_ago(1, prior=key_settings(is_disabled=True))]])
def test_an_error_names_the_key_and_the_remedy(journal):
    with pytest.raises(ActionFailed, match="enable it in OpenRouter's settings") as failure:
        restore(*journal)
    assert a_hash(1)[:12] in str(failure.value)


def test_a_revoke_is_a_disable_that_a_person_asked_for():
    key = a_key(settings=PRIOR)
    action = requests.revoke_request(key, requested_by="cli:ada", now=NOW, ttl=TTL, incident_id="INC-1")
    assert (action.verb, action.prior, action.requested_by) == (Verb.DISABLE, PRIOR, "cli:ada")
    assert (action.reason, action.incident_id, action.expires_at) == (Reason.REQUESTED, "INC-1", NOW + TTL)


def test_requests_at_different_times_are_different_actions():
    ids = {
        requests.revoke_request(a_key(), requested_by="cli:ada", now=NOW + timedelta(seconds=n), ttl=TTL).action_id
        for n in range(3)
    }
    assert len(ids) == 3


def test_a_clock_that_was_set_back_does_not_put_a_restore_before_what_it_undoes():
    latest = hours_ago(-1)
    action = restore(latest)
    assert action.intended_at > latest.intended_at
    assert action.expires_at - action.intended_at == TTL
