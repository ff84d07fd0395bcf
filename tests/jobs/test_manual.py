"""What people ask for goes through the journal like anything automatic, and is undone exactly."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import build
import pytest
from fake_keys import FakeKeys, always
from jobs_build import an_app_that_acts

from monitor.domain import ActionState, MessageKind, Reason, Verb
from monitor.errors import ActionFailed, NotFound, Unavailable
from monitor.jobs import desk, manual
from monitor.jobs.app import App

KEY = build.a_key(1, settings=build.key_settings(limit_usd=12.34, limit_reset="weekly", include_byok_in_limit=True))


class WatchedKeys(FakeKeys):
    """Notes, at each change, what the journal held by then."""

    app: App | None = None

    async def set_disabled(self, key_hash: str, *, is_disabled: bool) -> object:
        assert self.app is not None
        self.journal = [(action.verb, action.state) for action in self.app.store.ledger.actions()]
        return await super().set_disabled(key_hash, is_disabled=is_disabled)


async def test_a_revoke_is_journalled_before_it_is_done_and_told_of_after(tmp_path: Path) -> None:
    keys = WatchedKeys.holding(KEY)
    app = keys.app = an_app_that_acts(tmp_path, KEY, keys)

    done = await manual.revoke(app, KEY, requested_by="cli:ada")

    assert keys.journal == [(Verb.DISABLE, ActionState.INTENDED)]
    assert app.store.ledger.actions() == (done,)
    assert (done.state, done.reason, done.requested_by, done.prior) == (
        ActionState.DONE,
        Reason.REQUESTED,
        "cli:ada",
        KEY.settings,
    )
    assert [entry.message.kind for entry in app.store.outbox.entries()] == [MessageKind.ACTION]


async def test_a_restore_puts_back_exactly_what_the_revoke_found_at_the_issuer(tmp_path: Path) -> None:
    keys = FakeKeys.holding(KEY)
    app = an_app_that_acts(tmp_path, KEY, keys)
    stale = build.a_key(1, settings=build.key_settings(limit_usd=99.0))  # what we knew was out of date

    await manual.revoke(app, stale, requested_by="cli:ada")
    assert keys.keys[KEY.key_hash].settings.is_disabled
    app.clock.pass_time(60)
    done = await manual.restore(app, stale, requested_by="cli:bob")

    assert keys.keys[KEY.key_hash] == KEY
    assert done.state is ActionState.DONE
    assert [action.verb for action in app.store.ledger.actions()] == [Verb.DISABLE, Verb.RESTORE]


async def test_a_second_restore_has_nothing_to_put_back(tmp_path: Path) -> None:
    app = an_app_that_acts(tmp_path, KEY, FakeKeys.holding(KEY))
    with pytest.raises(ActionFailed, match="never disabled by this monitor"):
        await manual.restore(app, KEY, requested_by="cli:bob")
    await manual.revoke(app, KEY, requested_by="cli:ada")
    app.clock.pass_time(60)
    await manual.restore(app, KEY, requested_by="cli:bob")
    app.clock.pass_time(60)

    with pytest.raises(ActionFailed, match="restored already"):
        await manual.restore(app, KEY, requested_by="cli:bob")

    assert len(app.store.ledger.actions()) == 2


@pytest.mark.parametrize("error", [Unavailable("503"), NotFound("404")], ids=["down", "gone"])
async def test_a_key_that_cannot_be_read_is_not_revoked_since_it_could_not_be_put_back(
    tmp_path: Path, error: Exception
) -> None:
    app = an_app_that_acts(tmp_path, KEY, FakeKeys.holding(KEY, faults=always(error)))

    with pytest.raises(type(error)):
        await manual.revoke(app, KEY, requested_by="cli:ada")

    assert app.store.ledger.actions() == ()


async def test_a_revoke_that_fails_is_journalled_as_failed_and_people_are_told(tmp_path: Path) -> None:
    app = an_app_that_acts(tmp_path, KEY, FakeKeys.holding(KEY, faults=always(Unavailable("503"), first=1)))

    done = await manual.revoke(app, KEY, requested_by="cli:ada")

    assert done.state is ActionState.FAILED
    assert app.store.ledger.actions() == (done,)
    assert [entry.message.kind for entry in app.store.outbox.entries()] == [MessageKind.ACTION_FAILED]


async def test_the_kill_switch_stops_what_is_automatic_and_not_what_a_person_asks_for(tmp_path: Path) -> None:
    keys = FakeKeys.holding(KEY)
    app = an_app_that_acts(tmp_path, KEY, keys)
    app.kill_switch.touch()

    done = await manual.revoke(app, KEY, requested_by="cli:ada")

    assert done.state is ActionState.DONE
    assert done.expires_at - done.intended_at > timedelta(0)


async def test_what_was_done_to_a_silenced_key_is_told_all_the_same(tmp_path: Path) -> None:
    app = an_app_that_acts(tmp_path, KEY, FakeKeys.holding(KEY))
    conditions = {"key_hash": KEY.key_hash}
    await desk.add_silence(app, by="cli:bob", lasting=timedelta(hours=2), comment="load test", conditions=conditions)

    await manual.revoke(app, KEY, requested_by="cli:ada")

    assert [entry.message.kind for entry in app.store.outbox.entries()] == [MessageKind.ACTION]


async def test_a_revoke_and_a_restore_are_in_the_trail_with_who_asked(tmp_path: Path) -> None:
    app = an_app_that_acts(tmp_path, KEY, FakeKeys.holding(KEY))
    await manual.revoke(app, KEY, requested_by="cli:ada")
    app.clock.pass_time(60)
    await manual.restore(app, KEY, requested_by="cli:bob")
    rows = [(row.kind, row.by, json.loads(row.detail)["verb"]) for row in app.store.audit.rows()]
    assert rows == [
        ("intent", "cli:ada", "disable"),
        ("outcome", "cli:ada", "disable"),
        ("intent", "cli:bob", "restore"),
        ("outcome", "cli:bob", "restore"),
    ]
