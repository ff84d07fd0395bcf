"""What the report concludes: never a promise, and every doubt named."""

from __future__ import annotations

from dataclasses import replace

import pytest
from build import a_key, settings_with
from replay_build import DAY, DISABLED, HOUR, SINCE, Story, a_report

from monitor.config import Settings
from monitor.domain import Reason
from monitor.report.replay import words
from monitor.report.replay.words import Mood


def test_a_quiet_time_would_have_changed_nothing() -> None:
    said = words.opinion(a_report([]))

    assert (said.mood, said.concerns) == (Mood.QUIET, ())
    assert "No key would have been touched" in said.headline


@pytest.mark.parametrize(("n_keys", "named"), [(1, "the key it"), (3, "each of the 3 keys it")])
def test_keys_acted_on_must_be_looked_at_before_arming(n_keys: int, named: str) -> None:
    said = words.opinion(a_report([replace(DISABLED, key=number) for number in range(n_keys)]))

    assert said.mood is Mood.LOOK
    assert f"Look at {named} would have acted on before you arm." in said.headline


DOUBTS = {
    "too loud": {"stories": [Story(key=number) for number in range(6)]},
    "too bold": {"stories": [replace(DISABLED, key=number) for number in range(7)], "budget": 99.0},
    "too little to judge": {"days": 2.0, "budget": 99.0},
    "not known": {"gaps": ((SINCE, SINCE + DAY),)},
    "No detector": {"detector": ()},
}


@pytest.mark.parametrize("doubt", list(DOUBTS))
def test_a_doubt_speaks_against_arming_now(doubt: str) -> None:
    said = words.opinion(a_report(**DOUBTS[doubt]))

    assert said.mood is Mood.NOT_YET
    assert [doubt in concern for concern in said.concerns] == [True]


def test_in_a_small_account_one_key_is_not_too_bold() -> None:
    assert words.opinion(a_report(keys=[a_key(number) for number in range(5)])).mood is Mood.LOOK


def test_what_the_fuses_held_back_is_told() -> None:
    held = [Story(key=1, reason=Reason.FUSE_HOUR), Story(key=2, reason=Reason.FUSE_SHARE)]

    assert any("fuses held back 2 incidents" in point for point in words.opinion(a_report(held)).points)


def test_less_than_a_week_is_told() -> None:
    assert any("4 d are less than a week" in point for point in words.opinion(a_report(days=4.0)).points)


@pytest.mark.parametrize("stories", [[], [DISABLED], [replace(DISABLED, key=number) for number in range(9)]])
def test_nothing_is_ever_promised(stories: list[Story]) -> None:
    said = words.opinion(a_report(stories))

    text = " ".join((said.headline, *said.concerns, *said.points)).lower()
    assert not any(word in text for word in ("safe", "guarantee", "will be", "no risk"))


def test_the_policy_names_the_settings_that_were_replayed() -> None:
    settings = settings_with(response={"min_usd_per_hour": 7, "max_per_day": 4, "protected_keys": ["a", "b"]})

    said = dict(words.policy(settings))

    assert said["Disables from"] == "$7.00/h unusual"
    assert "4 a day" in said["Fuses"]
    assert said["Protected keys"] == "2 patterns"
    assert said["Mode"] == "replayed as enforce (response.mode is observe)"
    assert set(said) == set(dict(words.policy(Settings())))


def test_every_reason_has_words_and_an_unknown_one_stands_as_it_is() -> None:
    assert all(words.meaning(reason.value) != reason.value for reason in Reason)
    assert words.meaning("something_new") == "something_new"


def test_what_was_known_is_told_of_the_time_decided_on() -> None:
    said = dict(words.data(a_report(gaps=((SINCE - DAY, SINCE + 2 * HOUR),))))

    assert said["Not known"] == "2 h (1%)"
    assert said["Taught by"] == "8 d before that"
