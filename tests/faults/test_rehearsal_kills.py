"""A rehearsal killed at any place of it: the key is as it was, or the journal is such that a restore puts it back exactly.

Whoever comes next may be the service, another rehearsal, or a person who types `restore KEY`."""

from __future__ import annotations

import contextlib
import random
from dataclasses import replace
from pathlib import Path

import pytest
from build import a_hash, a_key
from fault_life import Life, _bury, in_one_thread
from fault_points import ERRORS, Fault, Killed, Points, one_of_each
from jobs_build import a_store, an_inventory
from rehearsal_build import NO_MODELS, RULES, played_once, watched

from monitor.config import Settings
from monitor.domain import NUSD, ActionState, ApiKey, Reason, Verb
from monitor.errors import ActionFailed, MonitorError
from monitor.jobs import manual, rehearse, rehearsed
from monitor.jobs.app import App
from monitor.jobs.watch import Watch
from monitor.store.base import Delivery

SEED = 20261128
CANARY = a_hash(4)
AFTERWARDS = ("the service", "another rehearsal", "a restore by hand")
DETECTION = Settings.model_validate({"detection": {"rules": RULES}}).detection


def the_canary(keys: object) -> ApiKey:
    return next(key for key in keys if key.key_hash == CANARY)


class Rehearsing(Life):
    """A person rehearses; then nobody steals anything."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.issuer.live = lambda: None

    async def rehearsal(self) -> None:
        """One `rehearse KEY`, perhaps killed, and what stands then."""
        row = self.issuer.keys[CANARY]
        row |= {"usage_daily": 0.0, "byok_usage": 0.0, "byok_usage_daily": 0.0}
        store = a_store(self.state_dir)
        key = a_key(CANARY, usage_nusd=round(row["usage"] * NUSD))
        listed = [a_key(each, key_name=row["name"]) for each, row in self.issuer.keys.items()]
        store.keys.record(an_inventory(*listed, at=self.clock.now()))
        watched(store, self.clock.now(), key=key)
        store.maintenance.close()
        with in_one_thread(self.points), played_once():
            with contextlib.suppress(Killed, MonitorError):  # one that never began
                await self._typed()
            if self.points.is_dead:
                await _bury()
                self.clock.pass_time(5.0)
                self.points.revive()
            self._sound()

    async def then(self, what: str) -> None:
        """Whoever comes next."""
        with in_one_thread(self.points), played_once():
            if what == "the service":
                await self._until(self._quiet_life)
            elif what == "another rehearsal":
                assert (await self._typed()).problem == ""
            else:
                await self._restored_by_hand()
            self._sound()
        assert self.issuer.settings() == self.issuer.was

    async def _typed(self) -> rehearse.Rehearsal:
        app = self._app()
        try:
            return await rehearse.rehearse(app, the_canary, by="cli:ada", shipped=NO_MODELS)
        finally:
            app.store.maintenance.close()

    async def _restored_by_hand(self) -> None:
        app = self._app()
        try:
            await manual.restore(app, a_key(CANARY), requested_by="cli:ada")
        except ActionFailed:
            assert self.issuer.settings() == self.issuer.was, "the journal knows of nothing to restore"
        finally:
            app.store.maintenance.close()

    async def _quiet_life(self, app: App, watch: Watch) -> None:
        await self._cycles(app, watch, is_there=lambda: self._is_over(app))

    def _is_over(self, app: App) -> bool:
        state = (app.store.state.get(rehearsed.NAME) or {"state": "none"})["state"]
        return self.issuer.settings() == self.issuer.was and state not in {rehearsed.UNDER_WAY, rehearsed.LEFT}

    def _app(self) -> App:
        app = super()._app()
        return replace(app, settings=app.settings.model_copy(update={"detection": DETECTION}))

    def _sound(self) -> None:
        """Holds at every moment: nothing was changed that was not written down first, of one key alone, and exactly undoable."""
        assert not self.wrong, self.wrong
        app = self._app()
        try:
            journal = app.store.ledger.actions()
            assert {action.key_hash for action in journal} <= {CANARY}
            assert {action.reason for action in journal} <= {Reason.REHEARSAL}
            assert all(action.prior == self.issuer.was[CANARY] for action in journal)
            if self.issuer.settings() != self.issuer.was:
                ours = [each for each in journal if each.verb is Verb.DISABLE and each.state is not ActionState.EXPIRED]
                assert ours, "the key is changed and the journal does not say so"
            assert app.store.audit.verify().is_ok
        finally:
            app.store.maintenance.close()

    def messages(self) -> list[str]:
        """What is wrong with the messages, once the service was there."""
        app = self._app()
        try:
            entries = app.store.outbox.entries()
            times = self.sink.n_times
            return [
                f"{entry.message.title}: {entry.state}, {times[entry.message.message_id]} times"
                for entry in entries
                if entry.state is not Delivery.DELIVERED or times[entry.message.message_id] != 1
            ]
        finally:
            app.store.maintenance.close()


async def places(folder: Path) -> tuple[str, ...]:
    """Those of a rehearsal that nobody disturbs."""
    life = Rehearsing(folder / "calm", Points())
    await life.rehearsal()
    passed = tuple(life.points.passed)
    await life.then("the service")
    assert life.messages() == []
    return passed


async def survive(folder: Path, plan: dict[int, Fault], afterwards: str) -> Points:
    life = Rehearsing(folder, Points(plan))
    try:
        await life.rehearsal()
        await life.then(afterwards)
        assert afterwards != "the service" or life.messages() == []
    except AssertionError as error:
        where = [f"{number} {fault.name} at {life.points.passed[number]}" for number, fault in life.points.met()]
        raise AssertionError(f"plan {plan}, then {afterwards}\n{'; '.join(where)}\n{error}") from error
    return life.points


async def test_an_undisturbed_rehearsal_changes_the_key_twice_and_leaves_it_as_it_was(tmp_path: Path) -> None:
    life = Rehearsing(tmp_path, Points())
    await life.rehearsal()
    assert life.issuer.n_changes == {CANARY: 2} and life.issuer.settings() == life.issuer.was
    assert [message.title for message in life.sink.sent] == ["Rehearsal, no theft: team-4", "Rehearsal over: team-4"]


@pytest.mark.parametrize("afterwards", AFTERWARDS)
async def test_a_rehearsal_killed_at_one_place_of_each_kind_leaves_a_key_that_is_put_back_exactly(
    tmp_path: Path, afterwards: str
) -> None:
    passed = await places(tmp_path)
    assert {"PATCH keys: before sending", "PATCH keys: after the effect", "slack: after delivery"} <= set(passed)
    for number in one_of_each(passed, random.Random(f"{SEED} {afterwards}")):
        await survive(tmp_path / str(number), {number: Fault.KILL}, afterwards)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("afterwards", AFTERWARDS)
async def test_a_rehearsal_killed_at_any_place_leaves_a_key_that_is_put_back_exactly(
    tmp_path: Path, afterwards: str
) -> None:
    for number in range(len(await places(tmp_path))):
        points = await survive(tmp_path / str(number), {number: Fault.KILL}, afterwards)
        assert points.n_kills == 1


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(1_800)
async def test_one_error_at_any_place_of_a_rehearsal_leaves_a_key_that_is_put_back_exactly(tmp_path: Path) -> None:
    passed, rng = await places(tmp_path), random.Random(SEED)
    for number, place in enumerate(passed):
        if place != "database: after commit":  # what is on disk can only be followed by a kill
            await survive(tmp_path / str(number), {number: rng.choice(ERRORS)}, "the service")
