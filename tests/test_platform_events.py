"""Events that concern many keys at once, through features, detection and decision: one matter for people, nothing automatic."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from functools import cache

import build
import msgspec
import plants
import pytest
from plants import HOUR, N_KEYS, START, USD_EACH, Fleet, mixed, new_values, rows_of

from monitor import frames
from monitor.detect.train import stack, train
from monitor.domain import TWIN, ApiKey, Dimension, Finding, MessageKind, Notice, Reason, Severity
from monitor.features import NAMES
from monitor.frames import Catalog
from monitor.pipeline import Judgement, Pipeline, new_state

DAYS = 6
NOW = START + timedelta(days=DAYS, hours=12)  # Sunday noon: all keys at work
TEN = timedelta(minutes=10)
KEYS: dict[str, ApiKey] = {build.a_hash(no): build.a_key(no, created_at=START - 90 * 24 * HOUR) for no in range(N_KEYS)}
Row = tuple[object, ...]
Hour = Callable[[Fleet, int], Iterable[Row]]


@cache
def past() -> tuple[Fleet, Pipeline]:
    """A fleet of two models that lived by the hour, and a detector trained on it that is alarmed easily."""
    fleet = Fleet(n_models=2)
    every_rung = {"name": "every rung", "cap": {"enabled": True}}
    settings = build.settings_with(response={"mode": "enforce"}, policies=[every_rung])
    values = [(int(d), f"{d.name.lower()}-{number}") for d in Dimension for number in range(plants.N_VALUES[d])]
    pipeline = Pipeline(settings, Catalog(KEYS, values), new_state(settings))
    usage, batches = fleet.history(NOW), []
    starts = frames.epoch_s(usage["bucket_start"])
    at = START
    while at < NOW:
        end = at + HOUR
        pipeline.take(usage[starts == int(at.timestamp())], build.coverage(at, end, bucket_s=3600))
        if at > START + 72 * HOUR:
            batches.append(pipeline.features(end, KEYS))
        at = end
    trained = train(stack(batches, NAMES), settings, seed=1)
    easily = msgspec.structs.replace(trained.manifest.levels, alpha=0.2)
    pipeline.trained = replace(trained, manifest=msgspec.structs.replace(trained.manifest, levels=easily))
    return fleet, pipeline


def lived(do: Hour, *, wrong_by: timedelta = timedelta(0)) -> list[Judgement]:
    """An hour from NOW on in which every key does what `do` says, judged three times from its middle on.

    `wrong_by`: how far the clock that says when to judge is off."""
    fleet, pipeline = past()
    pipeline = copy.deepcopy(pipeline)
    context, judged = build.a_context(*KEYS.values(), quality={}), []
    for bucket in range(6):
        at = NOW + bucket * TEN
        rows = [(at, *row[1:]) for no in range(N_KEYS) for row in do(fleet, no)]
        pipeline.take(build.usage(*rows), build.coverage(at, at + TEN))
        if bucket >= 3:
            judged.append(pipeline.judge(at + TEN + wrong_by, context))
            context = build.after(context, judged[-1].plan)
    return judged


def usual(fleet: Fleet, no: int, **changes: object) -> Iterable[Row]:
    habit = fleet.habits[no]
    return rows_of(NOW, no, changes.pop("use", habit.use), n=max(1, round(habit.requests / 6)), **changes)


def dearer(fleet: Fleet, no: int) -> Iterable[Row]:
    """The price of everything is three times what it was."""
    return usual(fleet, no, usd_each=3 * USD_EACH)


def failed_over(fleet: Fleet, no: int) -> Iterable[Row]:
    """Two requests in three go through a provider nobody has used before."""
    provider = {new_values(Dimension.PROVIDER)[0]: 1.0}
    return usual(fleet, no, use=mixed(fleet.habits[no].use, Dimension.PROVIDER, provider, share=0.66))


def stolen(fleet: Fleet, no: int) -> Iterable[Row]:
    """Ten keys are used by ten strangers, each with a model, a country and an app of their own."""
    yield from usual(fleet, no)
    if no < 10:
        use = {d: {new_values(d, 10)[no]: 1.0} for d in (Dimension.MODEL, Dimension.COUNTRY)}
        yield from rows_of(
            NOW, no, use | {Dimension.PROVIDER: {new_values(Dimension.PROVIDER)[0]: 1.0}}, n=200, usd_each=0.05
        )


def one_stolen(fleet: Fleet, no: int) -> Iterable[Row]:
    """The first of those ten thefts alone."""
    return stolen(fleet, no) if no == 0 else usual(fleet, no)


def beside_theft(event: Hour, *, provider: int) -> Hour:
    """That event, while the first key is used by a stranger with a model and a country that nobody else uses. Prices are dearer for
    it, too; its owner's own requests do not fail over."""

    def do(fleet: Fleet, no: int) -> Iterable[Row]:
        yield from usual(fleet, no) if no == 0 and event is failed_over else event(fleet, no)
        if no == 0:
            use = {d: {new_values(d, 10)[0]: 1.0} for d in (Dimension.MODEL, Dimension.COUNTRY)}
            yield from rows_of(NOW, no, use | {Dimension.PROVIDER: {provider: 1.0}}, n=200, usd_each=0.05)

    return do


def acted_on(judged: list[Judgement]) -> set[str]:
    return {action.key_hash for judgement in judged for action in judgement.plan.intents}


def told(judged: list[Judgement]) -> list[Notice]:
    return [notice for judgement in judged for notice in judgement.plan.notices]


def is_explained(finding: Finding, cause: str) -> bool:
    """Whether the finding says that this explains it (not only a part of it)."""
    return any(each.value == TWIN and each.sentence.startswith(cause) for each in finding.causes)


def found(judged: list[Judgement]) -> set[str]:
    return {finding.key_hash for judgement in judged for finding in judgement.findings if not finding.is_shadow}


@pytest.mark.parametrize(
    ("do", "cause"),
    [(dearer, "looks like a price change"), (failed_over, "looks like a provider failover: ")],
    ids=["price", "failover"],
)
def test_d3_o18_what_befalls_the_whole_fleet_disables_and_caps_nothing_and_is_one_matter(do: Hour, cause: str) -> None:
    judged = lived(do)

    assert len(found(judged)) >= N_KEYS // 3  # it does look unusual
    assert [action for judgement in judged for action in judgement.plan.actions] == []
    assert {notice.kind for notice in told(judged)} == {MessageKind.SOURCE}
    assert len({notice.thread for notice in told(judged)}) == 1
    assert cause in told(judged)[0].detail
    mild = [each for judgement in judged for each in judgement.findings if each.severity is Severity.NOTICE]
    explained = [each for judgement in judged for each in judgement.findings if is_explained(each, cause)]
    assert explained and set(explained) <= set(mild)
    assert len(explained) >= len(found(judged)) / 2


@pytest.mark.parametrize("event", [dearer, failed_over], ids=["price", "failover"])
def test_a_theft_beside_what_befalls_the_whole_fleet_is_stopped_and_nobody_else(event: Hour) -> None:
    judged = lived(beside_theft(event, provider=plants.value_no(Dimension.PROVIDER, 0)))

    assert acted_on(judged) == {build.a_hash(0)}
    assert len(found(judged)) >= N_KEYS // 3
    alerts = [notice for notice in told(judged) if notice.kind is MessageKind.ALERT]
    assert {notice.incident.key_hash for notice in alerts if notice.incident} == {build.a_hash(0)}
    assert "None of them, nor any key like them" in next(n.detail for n in told(judged) if n.kind is MessageKind.SOURCE)


def test_a_theft_that_shares_what_is_new_to_the_fleet_waits_for_people() -> None:
    judged = lived(beside_theft(failed_over, provider=new_values(Dimension.PROVIDER)[0]))

    assert build.a_hash(0) in found(judged)
    assert [action for judgement in judged for action in judgement.plan.actions] == []


def test_ten_keys_stolen_during_a_price_change_wait_for_people_too() -> None:
    def both(fleet: Fleet, no: int) -> Iterable[Row]:
        return stolen(fleet, no) if no < 10 else dearer(fleet, no)

    judged = lived(both)

    assert {build.a_hash(no) for no in range(10)} <= found(judged)
    assert [action for judgement in judged for action in judgement.plan.actions] == []


def test_ten_keys_stolen_at_once_wait_for_people_too() -> None:
    judged = lived(stolen)

    assert {build.a_hash(no) for no in range(10)} <= found(judged)
    assert [action for judgement in judged for action in judgement.plan.actions] == []
    assert Reason.CORRELATED in {verdict.reason for judgement in judged for verdict in judgement.plan.verdicts}
    assert {notice.kind for notice in told(judged)} == {MessageKind.SOURCE}


@pytest.mark.parametrize("hours", [2, 72, 9_000])
def test_o15_a_clock_of_ours_that_jumps_ahead_disables_and_caps_nothing(hours: int) -> None:
    jumped = timedelta(hours=hours)

    assert [action for judgement in lived(usual, wrong_by=jumped) for action in judgement.plan.actions] == []


@pytest.mark.parametrize("hours", [0, 2, 72, 9_000])
def test_o15_a_theft_is_acted_upon_now_and_never_by_a_clock_that_jumped_ahead(hours: int) -> None:
    judged = lived(one_stolen, wrong_by=timedelta(hours=hours))

    acted = {action.key_hash for judgement in judged for action in judgement.plan.actions}
    assert acted == ({build.a_hash(0)} if hours == 0 else set())


def test_the_usual_is_no_event() -> None:
    judged = lived(usual)

    assert len(found(judged)) < 5
    assert MessageKind.SOURCE not in {notice.kind for notice in told(judged)}
