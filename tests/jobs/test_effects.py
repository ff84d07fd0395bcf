"""Whether a disable helped is told by the counters of the inventories after it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from build import NOW, a_hash, a_key, an_action, key_settings
from jobs_build import a_store

from monitor.domain import NUSD, ActionState, Verb
from monitor.jobs import effects

MINUTE = timedelta(minutes=1)
GRACE = timedelta(minutes=10)
DISABLE = an_action(1, intended_at=NOW, finished_at=NOW, state=ActionState.DONE)
NOBODY: frozenset[str] = frozenset()


def lived(state_dir: Path, *usage_usd: float, action=DISABLE, is_disabled=True, first=1, **changes):
    """What is known after inventories a minute apart, the first a minute after the act."""
    state = a_store(state_dir).state
    for minute, usd in enumerate(usage_usd, start=first):
        settings = key_settings(is_disabled=is_disabled)
        key = a_key(1, settings=settings, **({"usage_nusd": round(usd * NUSD)} | changes))
        effects.note(state, [action], {key.key_hash: key}, NOW + minute * MINUTE, grace=GRACE)
    return effects.known(state, [action], NOBODY)


def test_a_disable_is_proven_once_two_inventories_show_the_same_counter(tmp_path: Path) -> None:
    assert lived(tmp_path, 5.0).proven == NOBODY
    assert lived(tmp_path, 5.1, first=2).proven == NOBODY
    assert lived(tmp_path, 5.1, first=3).proven == {DISABLE.action_id}


def test_what_was_proven_stays_proven_and_late_bills_within_the_grace_are_no_growth(tmp_path: Path) -> None:
    known = lived(tmp_path, 5.0, 5.0, 5.5, 5.6)
    assert known.proven == {DISABLE.action_id}
    assert known.grown_nusd == {}


def test_growth_counts_from_the_end_of_the_grace(tmp_path: Path) -> None:
    known = lived(tmp_path, *[5.0 + minute for minute in range(1, 13)])
    assert known.grown_nusd == {DISABLE.action_id: 2 * NUSD}  # at 10 minutes 15, at 12 minutes 17


def test_a_key_that_is_on_again_proves_nothing(tmp_path: Path) -> None:
    assert lived(tmp_path, 5.0, 5.0, is_disabled=False).proven == NOBODY


def test_what_a_key_spent_while_somebody_had_it_on_again_is_no_growth_of_a_disabled_one(tmp_path: Path) -> None:
    # given: disabled by us, still for 12 minutes; then on again for an hour, by its owner, and off again, by its owner
    lived(tmp_path, *[5.0] * 12)
    lived(tmp_path, *[5.0 + minute for minute in range(60)], first=13, is_disabled=False)
    off_again = lived(tmp_path, *[65.0] * 30, first=73)

    # then: nothing it does now is an effect that our disable lacks
    assert off_again.grown_nusd == {DISABLE.action_id: 0}
    assert off_again.proven == {DISABLE.action_id}


def test_late_bills_after_it_was_switched_off_again_are_no_growth_and_later_use_is(tmp_path: Path) -> None:
    lived(tmp_path, *[5.0] * 12)
    lived(tmp_path, 8.0, first=13, is_disabled=False)
    assert lived(tmp_path, *[8.5] * 9, first=14).grown_nusd == {}
    assert lived(tmp_path, 8.5, 9.5, first=23).grown_nusd == {DISABLE.action_id: NUSD}


def test_use_of_the_owners_own_provider_key_counts_too(tmp_path: Path) -> None:
    lived(tmp_path, 5.0, first=10, byok_usage_nusd=0)
    known = lived(tmp_path, 5.0, first=11, byok_usage_nusd=NUSD)
    assert known.grown_nusd == {DISABLE.action_id: NUSD}


def test_a_key_that_is_gone_is_contained(tmp_path: Path) -> None:
    state = a_store(tmp_path).state
    known = effects.known(state, [DISABLE], frozenset({a_hash(1)}))
    assert known.proven == {DISABLE.action_id}


def test_acts_without_outcome_and_acts_of_yesterday_are_not_followed(tmp_path: Path) -> None:
    state, key = a_store(tmp_path).state, a_key(1)
    intended = an_action(1, action_id="ACT-a")
    old = an_action(1, action_id="ACT-b", finished_at=NOW - timedelta(hours=26), state=ActionState.DONE)
    cap = an_action(1, action_id="ACT-c", finished_at=NOW, state=ActionState.DONE, verb=Verb.CAP)
    effects.note(state, [intended, old, cap], {key.key_hash: key}, NOW, grace=GRACE)
    assert not state.get(effects.NAME)
