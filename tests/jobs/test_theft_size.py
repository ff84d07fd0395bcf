"""The simulated theft is one that the disable is meant for: by the key's habits and its policy, never beyond its limit."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from build import a_key, key_settings, settings_with
from fake_keys import FakeKeys
from hypothesis import given
from hypothesis import strategies as st
from jobs_build import NOW
from rehearsal_build import CANARY, NO_MODELS, an_app_on, choose

from monitor.config import Policy, Response
from monitor.domain import NUSD
from monitor.errors import RequestRefused
from monitor.jobs import rehearse, staged_theft
from monitor.jobs.theft_size import TIMES_USUAL, USD_PER_HOUR, left_usd, theft_of
from monitor.wiring import shipped_models

FREE = replace(CANARY, settings=key_settings())
DEFAULT = Policy(name="default")


@pytest.mark.parametrize(
    ("usual_usd", "policy", "response", "usd_per_hour", "why"),
    [
        (0.0, {}, {}, USD_PER_HOUR, "more than a colleague"),
        (100.0, {}, {}, 300.0, "3 times its usual hour"),
        (1.0, {"usd_per_hour": 90.0}, {}, 180.0, "2 times what its policy asks for"),
        (1.0, {"usd_at_risk": 400.0}, {"people_within": "4h"}, 200.0, "2 times the risk"),
        (1.0, {}, {"min_usd_per_hour": 50.0}, 100.0, "response.min_usd_per_hour"),
    ],
)
def test_the_theft_is_as_large_as_the_disable_of_this_key_asks(usual_usd, policy, response, usd_per_hour, why):
    made = Policy.model_validate({"name": "p", "disable": policy})
    theft = theft_of(FREE, made, Response.model_validate(response), usual_hour_nusd=usual_usd * NUSD)
    assert (theft.usd_per_hour, theft.at_most_usd) == (usd_per_hour, None)
    assert why in theft.told and f"${usd_per_hour:,.2f}/h" in theft.told


@given(st.floats(0, 1e6), st.floats(0, 1e4), st.floats(0, 1e4), st.floats(0, 1e3))
def test_the_theft_is_never_less_than_anything_asks_for(usual_usd, asked, at_risk, floor):
    policy = Policy.model_validate({"name": "p", "disable": {"usd_per_hour": asked, "usd_at_risk": at_risk}})
    response = Response.model_validate({"min_usd_per_hour": floor})
    theft = theft_of(FREE, policy, response, usual_hour_nusd=usual_usd * NUSD)
    within_h = response.people_within.total_seconds() / 3600
    wanted = (USD_PER_HOUR, TIMES_USUAL * usual_usd, 2 * asked, 2 * floor, 2 * at_risk / within_h)
    assert theft.usd_per_hour == pytest.approx(max(wanted))


@pytest.mark.parametrize(
    ("fields", "left"),
    [
        ({"settings": key_settings()}, None),
        ({"settings": key_settings(limit_usd=20.0), "limit_remaining_usd": 7.5}, 7.5),
        ({"settings": key_settings(limit_usd=20.0), "limit_remaining_usd": -1.0}, 0.0),
        ({"settings": key_settings(limit_usd=20.0), "usage_nusd": 5 * NUSD}, 15.0),
        ({"settings": key_settings(limit_usd=20.0), "usage_nusd": None}, 20.0),
    ],
    ids=["no limit", "told", "overdrawn", "by the counter", "nothing known"],
)
def test_what_a_limit_leaves_bounds_the_theft(fields, left):
    key = replace(a_key(1), limit_remaining_usd=None)
    assert left_usd(replace(key, **fields)) == left


async def planned(app):
    return await rehearse.plan(app, choose, shipped=NO_MODELS)


async def test_a_limit_that_leaves_too_little_is_said_before_anything_begins(tmp_path: Path) -> None:
    # given: a rule from 30 USD/h on, and a limit that leaves 20
    tight = replace(CANARY, settings=key_settings(limit_usd=20.0), limit_remaining_usd=20.0)
    app = an_app_on(tmp_path, FakeKeys.holding(tight))

    plan = await planned(app)

    assert "$20.00 at most, which its limit leaves" in plan.problem
    assert plan.staged is not None and plan.staged.after is None
    assert app.store.ledger.actions() == () and app.store.outbox.entries() == ()


async def test_a_limit_that_leaves_enough_is_kept_to(tmp_path: Path) -> None:
    enough = replace(CANARY, settings=key_settings(limit_usd=40.0), limit_remaining_usd=35.0)
    plan = await planned(an_app_on(tmp_path, FakeKeys.holding(enough)))
    assert plan.problem == "" and plan.staged is not None and plan.staged.incident is not None
    assert plan.staged.incident.per_hour_nusd <= 35 * NUSD


async def test_a_young_key_is_refused_with_the_day_from_which_it_may_be(tmp_path: Path) -> None:
    young = replace(CANARY, created_at=NOW - timedelta(hours=5))
    app = an_app_on(tmp_path, FakeKeys.holding(young), detection={"rules": []})
    with pytest.raises(RequestRefused, match=r"younger than detection.grace_period.*from 2026-11-2\d .* UTC on"):
        await planned(app)
    ruled = an_app_on(tmp_path / "ruled", FakeKeys.holding(young))
    assert (await planned(ruled)).problem == ""  # a rule that disables asks for no age


async def test_what_was_planned_a_moment_ago_is_not_played_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = an_app_on(tmp_path, FakeKeys.holding(CANARY))
    plan, n_played = await planned(app), 0
    play = staged_theft.play

    def counted(*args: Any, **more: Any) -> staged_theft.Staged:
        nonlocal n_played
        n_played += 1
        return play(*args, **more)

    monkeypatch.setattr(staged_theft, "play", counted)
    done = await rehearse.rehearse(app, choose, by="cli:ada", shipped=NO_MODELS, planned=plan)
    assert (done.problem, n_played, done.staged) == ("", 0, plan.staged)
    assert [step.name for step in done.steps] == ["read", "detect", "alert", "disable", "restore"]

    app.clock.pass_time(1.0)
    old = replace(plan, at=plan.at - timedelta(minutes=11))
    assert (await rehearse.rehearse(app, choose, by="cli:ada", shipped=NO_MODELS, planned=old)).problem == ""
    assert n_played == 1


@pytest.mark.parametrize("usd", [0.0, 0.001, 0.01], ids=["idle", "tenths of a cent an hour", "a cent an hour"])
async def test_the_shipped_detector_alone_stops_the_theft_on_an_ordinary_canary(tmp_path: Path, usd: float) -> None:
    app = an_app_on(tmp_path, FakeKeys.holding(CANARY), days=8, usd=usd, detection={"rules": []})
    plan = await rehearse.plan(app, choose, shipped=shipped_models())
    assert plan.problem == ""
    assert plan.staged is not None and plan.staged.after is not None and plan.staged.after <= timedelta(hours=1)


def test_settings_without_a_policy_have_the_default_one() -> None:
    assert theft_of(FREE, DEFAULT, settings_with().response, usual_hour_nusd=0.0).usd_per_hour == USD_PER_HOUR
