"""What `decide` is told: above all, that a person who switches a key on again is not fought."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import build
from fake_keys import FakeKeys
from jobs_build import NOW, an_app, an_app_that_acts, an_inventory

from monitor.config import Settings
from monitor.domain import ActionState, Plan
from monitor.jobs import act, context, manual
from monitor.respond import requests

KEY = build.a_key(1, settings=build.key_settings())
OFF = replace(KEY, settings=replace(KEY.settings, is_disabled=True))


async def test_a_key_that_a_person_switched_on_again_is_known_with_the_time_it_was_seen(tmp_path: Path) -> None:
    # given: a key that was disabled, and seen disabled
    app = an_app_that_acts(tmp_path, KEY, FakeKeys.holding(KEY))
    await manual.revoke(app, KEY, requested_by="cli:ada")
    app.store.keys.record(an_inventory(OFF, at=NOW + timedelta(minutes=1)))
    assert not context.gather(app, app.now(), is_healthy=True).reenabled_at

    # when: the next inventory finds it enabled, by somebody else's hand
    app.store.keys.record(an_inventory(KEY, at=NOW + timedelta(minutes=2)))

    # then
    assert context.gather(app, app.now(), is_healthy=True).reenabled_at == {KEY.key_hash: NOW + timedelta(minutes=2)}


async def test_an_intent_without_outcome_is_resolved_while_the_service_runs_and_a_fresh_one_is_left_alone(
    tmp_path: Path,
) -> None:
    keys = FakeKeys.holding(OFF)
    app = an_app_that_acts(tmp_path, KEY, keys)
    now = app.now()
    intent = requests.revoke_request(KEY, requested_by="cli:ada", now=now, ttl=timedelta(minutes=10))
    app.store.ledger.commit((), Plan(at=now, actions=(intent,)), ())

    assert await act.resolve_open(app, older_than=timedelta(minutes=2)) == ()
    await app.clock.sleep(121)
    (done,) = await act.resolve_open(app, older_than=timedelta(minutes=2))

    assert (done.action_id, done.state) == (intent.action_id, ActionState.DONE)


async def test_d6_how_often_people_switched_a_key_on_again_is_counted_for_thirty_days(tmp_path: Path) -> None:
    app = an_app_that_acts(tmp_path, KEY, FakeKeys.holding(KEY))
    await manual.revoke(app, KEY, requested_by="cli:ada")
    for day in (1, 2):
        app.store.keys.record(an_inventory(OFF, at=NOW + timedelta(days=day)))
        app.store.keys.record(an_inventory(KEY, at=NOW + timedelta(days=day, hours=1)))

    def counted(days: int) -> dict[str, int]:
        return dict(context.gather(app, NOW + timedelta(days=days), is_healthy=True).n_reenabled)

    assert counted(3) == {KEY.key_hash: 2}
    assert context.gather(app, NOW + timedelta(days=9), is_healthy=True).reenabled_at == {}
    assert counted(40) == {}


def test_a_policy_by_owner_is_told_who_owns_what(tmp_path: Path) -> None:
    routes = [{"channel": "#search", "key_name": "^search-", "owner": "Search team"}]
    app = an_app(tmp_path)
    app.store.keys.record(an_inventory(KEY))
    by_owner = Settings.model_validate({"routes": routes, "policies": [{"name": "p", "owner": "Search team"}]})
    assert context.gather(app, NOW, is_healthy=True).owners == {}
    app.settings = by_owner
    assert context.gather(app, NOW, is_healthy=True).owners == {KEY.key_hash: "Search team"}
