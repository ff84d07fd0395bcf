"""From a finding to a changed key and a told team, with a fault at any request, transaction or message: nothing is done that was
not written down first, nothing is lost or doubled, and in the end the same keys are stopped.

MONITOR_TEST_KILL_POINTS: how many kill points the random runs have in all. MONITOR_TEST_SEED: which ones; a failure names the
seed and the plan that failed. `make test-kills` runs every position, and 2,000 random kill points."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from build import a_hash
from fault_life import Life, Seen
from fault_points import ERRORS, Fault, Points, fits, one_of_each
from fault_world import STOLEN, Sink

from monitor.store.ledger import SqliteLedger

SEED = int(os.environ.get("MONITOR_TEST_SEED", "20261128"))
N_KILL_POINTS = int(os.environ.get("MONITOR_TEST_KILL_POINTS", "8"))
MOST_FAULTS = 24
PAUSES_S = (1.0, 5.0, 90.0, 700.0)
"""How long the monitor stays dead: from a quick restart to longer than an intent is valid."""

Plan = dict[int, Fault]


@dataclass(frozen=True)
class Calm:
    """The run without a fault, with which every other one is compared."""

    seen: Seen
    places: tuple[str, ...]


_calm: list[Calm] = []


async def undisturbed(folder: Path) -> Calm:
    if not _calm:
        points = Points()
        seen = await Life(folder / "calm", points).run()
        _calm.append(Calm(seen, tuple(points.passed)))
    return _calm[0]


async def survive(folder: Path, plan: Plan, *, pauses: tuple[float, ...] = (5.0,)) -> Points:
    """One run with this plan. Fails with everything that is needed to run it again."""
    calm, points = await undisturbed(folder.parent), Points(plan)
    try:
        seen = await Life(folder, points, pauses).run()
        assert (seen.disabled, seen.capped) == (calm.seen.disabled, calm.seen.capped), "other keys were stopped"
    except AssertionError as error:
        where = [f"{number} {fault.name} at {points.passed[number]}" for number, fault in points.met()]
        said = f"MONITOR_TEST_SEED={SEED}, plan {plan}, pauses {pauses}\n{'; '.join(where)}"
        raise AssertionError(f"{said}\n{error}") from error
    return points


async def test_undisturbed_the_stolen_keys_are_stopped_and_the_others_left_alone(tmp_path: Path) -> None:
    calm = await undisturbed(tmp_path)

    assert calm.seen.disabled == {a_hash(number) for number, asked in STOLEN.items() if asked == "disable"}
    assert calm.seen.capped == {a_hash(number) for number, asked in STOLEN.items() if asked == "cap"}
    for kind in ("PATCH keys", "GET keys", "POST analytics", "database", "slack"):
        assert any(place.startswith(kind) for place in calm.places)


async def test_a_monitor_that_acts_before_it_writes_would_be_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = SqliteLedger.commit

    def forgetful(ledger: SqliteLedger, findings: Any, plan: Any, messages: Any) -> None:
        commit(ledger, findings, replace(plan, actions=()), messages)

    monkeypatch.setattr(SqliteLedger, "commit", forgetful)
    with pytest.raises(AssertionError, match="changed with 0 open intents"):
        await Life(tmp_path, Points()).run()


async def test_a_monitor_that_sends_without_looking_would_be_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def blind(*_: Any, **__: Any) -> None:
        return None

    sent = (await undisturbed(tmp_path)).places.index("slack: after delivery")
    monkeypatch.setattr(Sink, "find", blind)
    with pytest.raises(AssertionError, match="is 2 times in Slack"):
        await survive(tmp_path / "blind", {sent: Fault.KILL})


async def test_killed_at_one_place_of_each_kind_it_ends_as_if_undisturbed(tmp_path: Path) -> None:
    calm = await undisturbed(tmp_path)
    for number in one_of_each(calm.places, random.Random(SEED)):
        points = await survive(tmp_path / f"kill-{number}", {number: Fault.KILL})
        assert points.n_kills == 1


async def test_one_error_at_one_place_of_each_kind_changes_nothing_in_the_end(tmp_path: Path) -> None:
    calm, rng = await undisturbed(tmp_path), random.Random(SEED + 1)
    for number in one_of_each(calm.places, rng):
        if fitting := [fault for fault in ERRORS if fits(fault, calm.places[number])]:
            await survive(tmp_path / f"error-{number}", {number: rng.choice(fitting)})


async def test_killed_again_and_again_at_random_it_ends_as_if_undisturbed(tmp_path: Path) -> None:
    await random_runs(tmp_path, N_KILL_POINTS, seed=SEED + 2)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.name.lower())
async def test_with_one_fault_at_every_single_place_it_ends_as_if_undisturbed(tmp_path: Path, fault: Fault) -> None:
    calm = await undisturbed(tmp_path)
    for number, place in enumerate(calm.places):
        if fits(fault, place):
            await survive(tmp_path / str(number), {number: fault})


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(7_200)
async def test_2000_random_kill_points_leave_nothing_lost_doubled_or_invented(tmp_path: Path) -> None:
    await random_runs(tmp_path, max(2_000, N_KILL_POINTS), seed=SEED + 3)


async def random_runs(folder: Path, n_kill_points: int, *, seed: int) -> None:
    """Runs with several kills each, and errors among them, until there were so many kills."""
    calm, rng, n_kills, n_runs = await undisturbed(folder), random.Random(seed), 0, 0
    while n_kills < n_kill_points:
        reach = 2 * len(calm.places)  # a run that is killed is longer
        plan: Plan = {
            rng.randrange(reach): Fault.KILL if rng.random() < 0.8 else rng.choice(ERRORS)
            for _ in range(rng.randint(2, MOST_FAULTS))
        }
        pauses = tuple(rng.choice(PAUSES_S) for _ in range(4))
        points = await survive(folder / f"run-{n_runs}", plan, pauses=pauses)
        n_kills, n_runs = n_kills + points.n_kills, n_runs + 1
