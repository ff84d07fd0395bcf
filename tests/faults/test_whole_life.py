"""A fault at any place of a life in which people approve, alerts are edited and drawn, the digest is due, and files are written:
an edit that was lost is made again, a picture is posted once, the digest is sent once, and what comes back from a file is true.

Places are numbered as in `test_any_position`. A life takes seconds, so these are slow; every place is tried by `make test-kills`."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest
from build import a_hash
from fault_life import Seen
from fault_points import ERRORS, Fault, Points, fits, one_of_each
from fault_whole import Wall, WholeLife
from fault_world import STOLEN

from monitor.jobs import cards

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SEED = int(os.environ.get("MONITOR_TEST_SEED", "20261128"))
BESIDE = ("board: ", "file: ", "POST analytics by ")
"""Places that only a whole life has."""

_calm: list[tuple[Seen, tuple[str, ...]]] = []


async def undisturbed(folder: Path) -> tuple[Seen, tuple[str, ...]]:
    if not _calm:
        points = Points()
        seen = await WholeLife(folder / "calm", points).run()
        _calm.append((seen, tuple(points.passed)))
    return _calm[0]


async def survive(folder: Path, plan: dict[int, Fault], *, pauses: tuple[float, ...] = (5.0,)) -> Points:
    """One whole life with this plan. Fails with everything that is needed to run it again."""
    (calm, _), points = await undisturbed(folder.parent), Points(plan)
    try:
        seen = await WholeLife(folder, points, pauses).run()
        assert (seen.disabled, seen.capped) == (calm.disabled, calm.capped), "other keys were stopped"
    except AssertionError as error:
        where = "; ".join(f"{number} {fault.name} at {points.passed[number]}" for number, fault in points.met())
        raise AssertionError(f"MONITOR_TEST_SEED={SEED}, plan {plan}, pauses {pauses}\n{where}\n{error}") from error
    return points


async def test_undisturbed_it_goes_through_edits_pictures_drill_downs_settling_and_files(tmp_path: Path) -> None:
    seen, places = await undisturbed(tmp_path)

    assert seen.disabled == {a_hash(number) for number, asked in STOLEN.items() if asked == "disable"}
    assert seen.capped == {a_hash(number) for number, asked in STOLEN.items() if asked == "cap"}
    kinds = {place.partition(":")[0] + ":" + place.partition(":")[2] for place in places}
    assert kinds >= {
        "board: before edit",
        "board: after upload",
        "file: written",
        "file: in place",
        "POST analytics by hour: after the effect",
        "POST analytics by minute of some keys: before sending",
    }


async def test_a_monitor_that_uploads_without_looking_would_be_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def blind(*_: Any) -> None:
        return None

    _, places = await undisturbed(tmp_path)
    monkeypatch.setattr(Wall, "find_attached", blind)
    with pytest.raises(AssertionError, match="2 pictures"):
        await survive(tmp_path / "blind", {places.index("board: after upload"): Fault.KILL})


async def test_a_monitor_that_forgets_a_failed_edit_would_be_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edited, _edited = [], cards._edited

    async def once(*args: Any) -> bool:
        edited.append(args)
        return await _edited(*args) if len(edited) < 4 else False

    await undisturbed(tmp_path)
    monkeypatch.setattr(cards, "_edited", once)
    with pytest.raises(AssertionError, match="its alert does not say what is known"):
        await WholeLife(tmp_path / "forgetful", Points()).run()


async def test_killed_at_one_place_of_each_kind_beside_watching_it_ends_as_if_undisturbed(tmp_path: Path) -> None:
    _, places = await undisturbed(tmp_path)
    for number in one_of_each(places, random.Random(SEED), beginning=BESIDE):
        points = await survive(tmp_path / f"kill-{number}", {number: Fault.KILL})
        assert points.n_kills == 1


async def test_one_error_at_one_place_of_each_kind_beside_watching_changes_nothing_in_the_end(tmp_path: Path) -> None:
    (_, places), rng = await undisturbed(tmp_path), random.Random(SEED + 1)
    for number in one_of_each(places, rng, beginning=BESIDE):
        if fitting := [fault for fault in ERRORS if fits(fault, places[number])]:
            await survive(tmp_path / f"error-{number}", {number: rng.choice(fitting)})


@pytest.mark.long
@pytest.mark.timeout(3 * 3_600)
@pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.name.lower())
async def test_with_one_fault_at_every_single_place_of_a_whole_life_it_ends_as_if_undisturbed(
    tmp_path: Path, fault: Fault
) -> None:
    _, places = await undisturbed(tmp_path)
    for number, place in enumerate(places):
        if fits(fault, place):
            await survive(tmp_path / str(number), {number: fault})
