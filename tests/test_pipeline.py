from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from build import a_context, a_key, settings_with

from monitor import frames
from monitor.decide.incidents import FALSE_ALARM_RESOLUTION
from monitor.detect import memory
from monitor.detect.maker import YOUNG_NOTE
from monitor.detect.memory import Remembered
from monitor.detect.train import stack, train
from monitor.domain import HOUR_S, NUSD, ApiKey, Dimension, Incident, IncidentState, Quality, Rung, Spell
from monitor.features import NAMES, from_bytes, to_bytes
from monitor.features.replay import everything_known
from monitor.frames import Catalog
from monitor.pipeline import HOLD_FOR, Inventory, Judgement, Pipeline, held, new_state, windows

START = datetime(2026, 6, 1, tzinfo=UTC)
TEN = timedelta(minutes=10)
N_KEYS = 12
SHIFT = 0.55
"""Evidence of six hours that a thief of twelve cents in ten minutes has left after four and a half."""

HABITS = {Dimension.MODEL: "acme/mini", Dimension.PROVIDER: "acme", Dimension.COUNTRY: "DE", Dimension.APP: "shop"}
THEFT = {Dimension.MODEL: "acme/opus-9", Dimension.PROVIDER: "acme", Dimension.COUNTRY: "KP", Dimension.APP: ""}


@dataclass
class Fleet:
    """Keys 0 .. N_KEYS-1 that each spend about twenty cents an hour on one model, and what else is put onto them."""

    catalog: Catalog = field(default_factory=Catalog)
    keys: dict[str, ApiKey] = field(default_factory=dict)
    rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(4))

    def __post_init__(self) -> None:
        for number in range(N_KEYS):
            key = a_key(number + 1, created_at=START - timedelta(days=90), creator_user_id=f"user-{number}")
            self.keys[key.key_hash] = key
            self.catalog.key_no(key.key_hash)

    def hash_of(self, key_no: int) -> str:
        return self.catalog.key_hash(key_no)

    def bucket(self, start: datetime, *, stolen: dict[int, float] | None = None, seconds: int = 600) -> pd.DataFrame:
        """USAGE of one bucket; `stolen`: dollars of a thief by key_no, on values the keys never used."""
        rows: list[dict[str, Any]] = []
        for key_no in range(N_KEYS):
            usual = round(0.2 * NUSD * seconds / HOUR_S * self.rng.uniform(0.5, 1.5))
            rows += self._rows(start, key_no, HABITS, usual, seconds=seconds)
        for key_no, usd in (stolen or {}).items():
            rows += self._rows(start, key_no, THEFT, round(usd * NUSD), seconds=seconds)
        return pd.DataFrame(rows, columns=list(frames.USAGE)).astype(dict(frames.USAGE))

    def _rows(
        self, start: datetime, key_no: int, values: dict[Dimension, str], nusd: int, *, seconds: int
    ) -> Iterator[dict[str, Any]]:
        for dimension, value in values.items():
            yield {
                "bucket_start": start, "bucket_s": seconds, "key_no": key_no, "dimension": int(dimension),
                "value_no": self.catalog.value_no(dimension, value), "n_requests": 20, "tokens_prompt": 4_000,
                "tokens_completion": 1_000, "tokens_reasoning": 0, "cost_nusd": nusd,
            }  # fmt: skip


ARMED: dict[str, dict[str, Any]] = {
    "response": {"mode": "enforce"},
    "detection": {"min_usd_per_hour": 0.5},  # twelve keys of cents: their noise is not what these tests are about
}


@dataclass
class Lived:
    """A pipeline that has lived through five days of hours and a trained detector; `at` is where it stands."""

    fleet: Fleet
    pipeline: Pipeline
    at: datetime

    def live(self, *, stolen: dict[int, float] | None = None, **context: Any) -> Judgement:
        """One more bucket, judged at its end."""
        self.take(stolen=stolen)
        return self.judge(**context)

    def take(self, *, stolen: dict[int, float] | None = None) -> None:
        """One more bucket, not judged."""
        usage = self.fleet.bucket(self.at, stolen=stolen)
        self.pipeline.take(usage, everything_known(self.at, self.at + TEN, bucket_s=600))
        self.at += TEN

    def judge(self, **context: Any) -> Judgement:
        facts: dict[str, Any] = {"quality": {}, **context}
        return self.pipeline.judge(self.at, a_context(*self.fleet.keys.values(), **facts))


@cache
def _past() -> Lived:
    """Five days of hours, a detector trained on them, and an hour of live buckets."""
    settings = settings_with(**ARMED)
    fleet = Fleet()
    pipeline = Pipeline(settings, fleet.catalog, new_state(settings))
    batches = []
    for hour in range(5 * 24):
        start = START + timedelta(hours=hour)
        end = start + timedelta(hours=1)
        pipeline.take(fleet.bucket(start, seconds=HOUR_S), everything_known(start, end, bucket_s=HOUR_S))
        batches.append(pipeline.features(end, fleet.keys))
    pipeline.trained = train(stack(batches[60:], NAMES), settings, seed=2)
    one = Lived(fleet, pipeline, START + timedelta(days=5))
    for _ in range(7):
        one.live()
    return one


def lived(**settings: Any) -> Lived:
    """A pipeline of its own with that past; `settings` change from now on."""
    one = copy.deepcopy(_past())
    changes = {name: {**ARMED.get(name, {}), **settings.get(name, {})} for name in {*ARMED, *settings}}
    one.pipeline.settings = settings_with(**changes)
    return one


@pytest.fixture
def world() -> Lived:
    return lived()


def test_ordinary_hours_raise_nothing(world: Lived) -> None:
    judged = [world.live() for _ in range(6)]

    assert [judgement.findings for judgement in judged] == [()] * 6
    assert judged[0].n_judged == N_KEYS


def test_a_burst_on_strange_values_is_found_with_its_causes_and_the_key_disabled(world: Lived) -> None:
    judged = [world.live(stolen={3: 9.0}) for _ in range(6)]

    findings = [finding for judgement in judged for finding in judgement.findings]
    assert {finding.key_hash for finding in findings} == {world.fleet.hash_of(3)}
    assert any("acme/opus-9, never used by this key" in cause.sentence for cause in findings[-1].causes)
    assert findings[-1].rung is Rung.DISABLE
    disabled = {action.key_hash for judgement in judged for action in judgement.plan.actions}
    assert disabled == {world.fleet.hash_of(3)}


def test_judging_again_changes_nothing(world: Lived) -> None:
    first = world.live(stolen={3: 9.0})

    again = world.judge()

    assert len(first.findings) == 1
    assert again.findings == first.findings


def test_taking_the_same_answer_twice_is_taking_it_once(world: Lived) -> None:
    usage = world.fleet.bucket(world.at, stolen={3: 9.0})
    coverage = everything_known(world.at, world.at + TEN, bucket_s=600)
    world.pipeline.take(usage, coverage)
    world.at += TEN
    once = world.pipeline.features(world.at, world.fleet.keys)

    world.pipeline.take(usage, coverage)

    twice = world.pipeline.features(world.at, world.fleet.keys)
    assert np.array_equal(once.values, twice.values, equal_nan=True)


def test_a_restart_between_two_hot_buckets_does_not_forget_the_first(world: Lived) -> None:
    world.pipeline.trained = _wary(world)
    world.live(stolen={3: 0.6})
    restarted = Pipeline(world.pipeline.settings, world.fleet.catalog, world.pipeline.state, world.pipeline.trained)
    restarted.known = world.pipeline.known
    undisturbed = world.live(stolen={3: 0.6})

    after = restarted.judge(world.at, a_context(*world.fleet.keys.values(), quality={}))

    assert len(undisturbed.findings) == 1
    assert after.findings == undisturbed.findings


def test_a_restart_in_the_middle_of_a_theft_of_hours_judges_as_if_there_had_been_none() -> None:
    # given: a thief so patient that only the evidence of six hours tells of him, and five hours of him
    undisturbed, stopped, forgetful = (_patient() for _ in range(3))
    worlds = (undisturbed, stopped, forgetful)
    for _ in range(22):
        for world in worlds:
            world.live(stolen={3: 0.12})

    # when: two of three are ended, stand still for twenty minutes, and begin again; one of them from what was kept
    kept = memory.to_bytes(Remembered(stopped.at, stopped.pipeline.memory), *_identity(stopped))
    for world in (stopped, forgetful):
        world.pipeline = _begun_again(world)
    stopped.pipeline.kept = memory.from_bytes(kept, _identity(stopped)[0], stopped.fleet.catalog.known_key_no)
    for _ in range(2):
        undisturbed.live(stolen={3: 0.12})
        for world in (stopped, forgetful):
            world.take(stolen={3: 0.12})
    after = [[world.live(stolen={3: 0.12}) for _ in range(10)] for world in worlds]

    # then
    told, again, forgot = ([_figures(judgement) for judgement in judged] for judged in after)
    assert [bool(figures) for figures in told].index(True) > 0, (
        "it takes hours that were lived through before the restart"
    )
    assert again == told
    assert forgot != told, "else nothing of this had to be kept"
    mine, theirs = (world.pipeline.memory.patience.excess[3] for world in (stopped, undisturbed))
    assert [at for at, _ in mine] == [at for at, _ in theirs]
    assert [amount for _, amount in mine] == pytest.approx([amount for _, amount in theirs])


def _patient() -> Lived:
    """A world whose detector tells only by what adds up over six hours."""
    world = lived()
    made = world.pipeline.trained
    levels = msgspec.structs.replace(made.manifest.levels, alpha=1e-12, hour=1e9, shift=SHIFT, joint_nusd_per_hour=1e18)
    manifest = msgspec.structs.replace(made.manifest, levels=levels)
    world.pipeline.trained = replace(made, manifest=manifest)
    return world


def _identity(world: Lived) -> Any:
    return world.pipeline.trained.manifest, world.fleet.catalog.key_hash


def _begun_again(world: Lived) -> Pipeline:
    """What a restart leaves: the state from its file, and the detector."""
    state = from_bytes(to_bytes(world.pipeline.state), world.pipeline.state.params)
    begun = Pipeline(world.pipeline.settings, world.fleet.catalog, state, world.pipeline.trained)
    begun.known = world.pipeline.known
    return begun


def _figures(judgement: Judgement) -> list[tuple[str, float, float, Rung]]:
    return [(one.key_hash, one.p_value, one.score, one.rung) for one in judgement.findings]


def _wary(world: Lived) -> Any:
    """The detector with an alpha that a lone hot bucket never passes tenfold: a second one must confirm."""
    trained = world.pipeline.trained
    assert trained is not None
    levels = msgspec.structs.replace(trained.manifest.levels, alpha=trained.manifest.levels.alpha * 3)
    return type(trained)(
        trained.detector, trained.calibration, msgspec.structs.replace(trained.manifest, levels=levels)
    )


def test_without_a_detector_rules_speak() -> None:
    rule = {"name": "ceiling", "max_usd_per_hour": 5.0}
    one = lived(detection={"rules": [rule]})
    one.pipeline.trained = None

    judged = one.live(stolen={3: 9.0})

    assert [finding.detector for finding in judged.findings] == ["rules"]
    assert one.pipeline.describe().startswith("none yet")


def test_in_observe_mode_nothing_is_disabled() -> None:
    one = lived(response={"mode": "observe"})

    judged = one.live(stolen={3: 9.0})

    assert judged.findings
    assert judged.plan.actions == ()


def test_a_key_whose_last_hour_was_cut_off_is_told_of_but_not_disabled(world: Lived) -> None:
    cut = everything_known(world.at - 2 * TEN, world.at - TEN, bucket_s=600)
    cut = cut.assign(key_no=np.int32(3), quality=np.int8(frames.QUALITY_CODES["partial"]))
    world.pipeline.take(frames.empty(frames.USAGE), cut.astype(dict(frames.COVERAGE)))

    judged = world.live(stolen={3: 9.0})

    assert judged.findings[0].quality.state is Quality.PARTIAL
    assert judged.plan.actions == ()


def test_a_new_key_is_marked_young_and_never_disabled_by_the_detector() -> None:
    world = lived(detection={"rules": [{"name": "ceiling", "max_usd_per_hour": 5.0}]})
    young = a_key(500, created_at=world.at - timedelta(hours=1), key_name="new")
    world.fleet.keys[young.key_hash] = young

    judged = world.live(stolen={world.fleet.catalog.key_no(young.key_hash): 30.0})

    assert {finding.key_hash for finding in judged.findings} == {young.key_hash}
    assert all(YOUNG_NOTE in finding.quality.notes for finding in judged.findings)
    assert judged.plan.actions == ()


def _incident(at: datetime, *, hours: float, **changes: Any) -> Incident:
    fields: dict[str, Any] = dict.fromkeys(Incident.__dataclass_fields__)
    fields |= {
        "incident_id": "INC-1", "key_hash": "h", "state": IncidentState.OPEN, "onset_at": at, "opened_at": at,
        "last_seen_at": at + timedelta(hours=hours), "p_value": 1e-5, "spells": (),
    }  # fmt: skip
    return Incident(**(fields | changes))


def test_the_hours_of_an_incident_do_not_teach() -> None:
    assert held(_incident(START, hours=5)) == ((START, START + timedelta(hours=5)),)


def test_an_incident_that_never_ends_teaches_after_its_first_day() -> None:
    assert held(_incident(START, hours=500)) == ((START, START + HOLD_FOR),)


def test_each_spell_of_a_reopened_incident_is_held_and_the_pause_between_is_not() -> None:
    again = START + timedelta(hours=30)
    first = Spell(START, START + timedelta(hours=2), START + timedelta(hours=8))
    reopened = _incident(START, hours=31, spells=(first,), spell_since=again)
    assert held(reopened) == ((START, START + timedelta(hours=2)), (again, again + timedelta(hours=1)))


def test_what_a_person_called_a_false_alarm_teaches() -> None:
    assert held(_incident(START, hours=5, resolution=FALSE_ALARM_RESOLUTION)) == ()


def test_a_limit_nearly_used_does_not_stop_learning() -> None:
    assert held(_incident(START, hours=5, p_value=None)) == ()


def test_held_hours_are_excluded_from_the_state_until_a_person_clears_them(world: Lived) -> None:
    incident = _incident(world.at, hours=2, key_hash=world.fleet.hash_of(3))

    world.pipeline.hold([incident])
    world.pipeline.hold([incident])
    n_held = len(world.pipeline.state.exclusions)
    world.pipeline.hold([_incident(world.at, hours=2, key_hash=incident.key_hash, resolution=FALSE_ALARM_RESOLUTION)])

    assert n_held == 1
    assert len(world.pipeline.state.exclusions) == 0


def test_expected_spend_is_known_by_key(world: Lived) -> None:
    expected = world.pipeline.expected_per_hour_nusd(world.at)

    assert len(expected) == N_KEYS
    assert expected == pytest.approx(np.full(N_KEYS, 0.2 * NUSD), rel=0.5)


def test_the_inventory_numbers_owners_and_marks_what_is_unknown() -> None:
    catalog = Catalog()
    first, second = a_key(1, creator_user_id="u-1"), a_key(2, creator_user_id=None, workspace_id=None)
    third = a_key(3, creator_user_id="u-1", limit_remaining_usd=2.5)
    for key in (first, second, third):
        catalog.key_no(key.key_hash)

    frame = Inventory(catalog).frame({key.key_hash: key for key in (third, second, first)})

    assert frame["key_no"].tolist() == [0, 1, 2]
    assert frame["owner_no"].tolist() == [0, -1, 0]
    assert frame["limit_remaining_nusd"].tolist()[2] == 2.5 * NUSD
    assert frame["limit_nusd"].isna().all()


def test_every_bucket_has_its_window_even_without_rows() -> None:
    fleet = Fleet()
    usage = pd.concat([fleet.bucket(START), fleet.bucket(START + 3 * TEN)], ignore_index=True)
    usage = usage.astype(dict(frames.USAGE))

    found = list(windows(usage, since=START, until=START + 5 * TEN))

    assert [len(window.usage) for window in found] == [48, 0, 0, 48, 0]
    assert [window.at for window in found] == [START + n * TEN for n in range(1, 6)]
