"""A life through all that the service does beside watching: people approve each act, alerts are edited and get their picture,
the digest is due, the state of the fleet is kept as a file and comes back from it, copies of the store are made.

The rest is as in `fault_life`; the pipeline here keeps its state, so that bursts are looked into, and the settle lane's hours
are taken in."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

import build
import httpx
from fault_life import HandMade, Job, Life, Seen, in_one_thread
from fault_points import Points, faulty_files
from fault_world import Issuer, Sink, refuse
from lived import differences

from monitor.config import Settings
from monitor.domain import NUSD, ActionState, Message, MessageKind, Receipt, Verb
from monitor.errors import MonitorError
from monitor.jobs import approvals, cards, checkpoint, digest, pictures, startup, upkeep
from monitor.jobs.app import App
from monitor.jobs.deliver import deliver
from monitor.jobs.watch import Watch
from monitor.pipeline import Pipeline, new_state
from monitor.report.gaps import find_gaps
from monitor.report.weeks import Window
from monitor.store.base import Store
from monitor.store.copying import check_file

PERSON = "cli:op"
LAST_WEEK = build.NOW - timedelta(days=7)
"""When the last digest was sent: the next one is due at nine this morning."""


class Keeping(HandMade):
    """Judges by hand, and keeps the state of the fleet as the product does."""

    take = Pipeline.take
    take_counters = Pipeline.take_counters
    expected_per_hour_nusd = Pipeline.expected_per_hour_nusd


@dataclass
class Wall:
    """A board that shows what was delivered to it, as last edited, and the pictures in each thread."""

    points: Points
    sink: Sink

    def __post_init__(self) -> None:
        self.shown: dict[str, Message] = {}
        self.pictures: dict[str, list[str]] = {}

    async def update(self, message: Message, at: Receipt) -> None:
        refuse(self.points.at("board: before edit"), is_outcome_unknown=False)
        self.shown[at.reference] = message
        refuse(self.points.at("board: after edit"), is_outcome_unknown=True)

    async def attach(self, picture: bytes, *, file_name: str, alt_text: str, thread: Receipt) -> str:
        refuse(self.points.at("board: before upload"), is_outcome_unknown=False)
        assert picture and alt_text
        self.pictures.setdefault(thread.reference, []).append(file_name)
        refuse(self.points.at("board: after upload"), is_outcome_unknown=True)
        return f"F-{file_name}"

    async def find_attached(self, file_name: str, thread: Receipt) -> str | None:
        refuse(self.points.at("board: looking for a picture"), is_outcome_unknown=False)
        return f"F-{file_name}" if file_name in self.pictures.get(thread.reference, ()) else None


class ByLane(Issuer):
    """An issuer whose places tell a drill-down and a settling from the other questions about usage."""

    def name_of(self, request: httpx.Request) -> str:
        name = super().name_of(request)
        if name != "POST analytics":
            return name
        asked = json.loads(request.content)
        return f"{name} by {asked['granularity']}{' of some keys' if asked.get('filters') else ''}"


@cache
def _approving() -> Settings:
    return Settings.model_validate(
        {
            "response": {
                "mode": "enforce",
                "armed_without_replay": True,
                "max_share_of_keys": 1.0,
                "max_share_of_spend": 1.0,
                "approve": "cli",
                "approvers": [PERSON],
            },
            "policies": [{"name": "all", "cap": {"enabled": True}}],
            "slack": {"default_channel": "#alerts"},
        }
    )


@dataclass
class WholeLife(Life):
    def __post_init__(self) -> None:
        super().__post_init__()
        self.wall = Wall(self.points, self.sink)

    def _issuer(self) -> Issuer:
        return ByLane(self.clock, self.points, before_change=self._journalled_before)

    def _settings(self) -> Settings:
        settings = _approving()
        return settings.model_copy(
            update={"store": settings.store.model_copy(update={"state_dir": self.state_dir, "keep_backups": 2})}
        )

    def _pipeline(self, settings: Settings, store: Store) -> Pipeline:
        return Keeping(settings, store.keys.catalog, new_state(settings))

    def _prepare(self, store: Store) -> None:
        store.state.put("digest", {"at": LAST_WEEK.isoformat()})

    def _app(self) -> App:
        app = super()._app()
        app.board = self.wall
        return app

    @contextlib.contextmanager
    def _world(self) -> Iterator[None]:
        with in_one_thread(self.points) as patch, faulty_files(self.points):
            patch.setattr(pictures, "drawn", lambda chart: b"PNG")  # pure, and slow
            yield

    def _jobs(self, app: App, watch: Watch) -> Sequence[Job]:
        async def answer() -> None:
            for action in approvals.pending(app.store, app.now()):
                if action.state is ActionState.PROPOSED:
                    await approvals.approve(app, action.action_id, by=PERSON)

        async def save() -> None:
            checkpoint.save(app)

        return (
            watch.cycle,
            lambda: deliver(app),
            answer,
            lambda: cards.refresh(app),
            lambda: digest.send_due(app),
            save,
            lambda: upkeep.back_up_if_due(app),
        )

    def _is_quiet(self, app: App) -> bool:
        return super()._is_quiet(app) and not approvals.pending(app.store, app.now())

    async def _restored(self, app: App, watch: Watch) -> None:
        """As ever; then a quarter of an hour passes, so that nothing is put off any more, and all is done once again."""
        await super()._restored(app, watch)
        self.clock.pass_time(15 * 60.0)
        await self._cycles(app, watch, is_there=lambda: self.issuer.settings() == self.issuer.was)
        self.clock.pass_time(15 * 60.0)
        for job in self._jobs(app, watch)[
            1:
        ]:  # nothing is read any more: what is shown can be compared with what is known
            with contextlib.suppress(MonitorError):
                await job()

    def _wrong(self, app: App, at_work: Seen) -> Iterator[str]:
        yield from super()._wrong(app, at_work)
        for action in app.store.ledger.actions(states={ActionState.DONE}):
            if action.verb is not Verb.RESTORE and action.decided_by != PERSON:
                yield f"{action.action_id} was done, and nobody approved it"
        yield from self._alerts_wrong(app)
        yield from self._digest_wrong(app)
        yield from self._usage_wrong(app)
        yield from self._files_wrong(app)

    def _alerts_wrong(self, app: App) -> Iterator[str]:
        """Each alert says what is known of its incident, and has its one picture."""
        for shown in cards._shown(app):
            incident, card = shown.incident.incident_id, app.store.cards.card(shown.incident.incident_id)
            if self.wall.shown.get(shown.at.reference, shown.root) != cards.current(app, shown, card):
                yield f"{incident}: its alert does not say what is known"
            n_pictures = len(self.wall.pictures.get(shown.at.reference, ()))
            if n_pictures != 1 or card.file_id is None:
                yield f"{incident}: {n_pictures} pictures, card {card.file_id}"
        if strangers := self.wall.pictures.keys() - {shown.at.reference for shown in cards._shown(app)}:
            yield f"pictures where no alert is: {strangers}"

    def _digest_wrong(self, app: App) -> Iterator[str]:
        messages = (entry.message for entry in app.store.outbox.entries())
        found = sorted(each.message_id for each in messages if each.kind is MessageKind.DIGEST)
        week = f"DIGEST-{build.NOW - timedelta(days=7):%Y%m%d}T00-{build.NOW:%Y%m%d}T00"
        if found != [f"{week}:0:digest", f"{week}:1:digest"]:
            yield f"digests: {found}"

    def _usage_wrong(self, app: App) -> Iterator[str]:
        """What was spent is in the store to the nano-dollar up to the last reading, and every hour to be settled was read."""
        until = build.NOW - timedelta(hours=1)  # at first the last hour is too young to be settled
        window = Window(until - timedelta(hours=5), until)
        coverage = app.store.usage.coverage(window.since, window.until, bucket_s=3600)
        if missing := find_gaps(coverage, window).n_hours:
            yield f"{missing} hours were never settled"
        fresh = self.clock.now() - timedelta(minutes=15)
        rows = app.store.usage.read(build.NOW - timedelta(hours=1), fresh, bucket_s=600)
        for key_hash in self.issuer.keys:
            spent = sum(each.cost_nusd for each in self.issuer.account.requests if each.key_hash == key_hash)
            mine = rows[(rows["key_no"] == app.store.keys.catalog.key_no(key_hash)) & (rows["dimension"] == 0)]
            if int(mine["cost_nusd"].sum()) != spent:
                yield f"key {key_hash[:12]} spent ${spent / NUSD:.2f}, the store says ${mine['cost_nusd'].sum() / NUSD:.2f}"

    def _files_wrong(self, app: App) -> Iterator[str]:
        """The state from the file and the store is the one from the store alone; every copy of the store is whole."""
        now = app.now()
        startup.bring_up(app, now)
        anew = self._pipeline(app.settings, app.store)
        startup.bring_up(app, now, pipeline=anew)
        found = differences(app.pipeline.state, anew.state)
        if (
            self.points.n_kills
        ):  # after a longer pause in sampling the living state has no counters of it (docs/adr/0003)
            found = [each for each in found if not each.startswith("counter_")]
        if found:
            yield f"the state of the fleet that came back from its file is not the store's: {found}"
        copies = list((self.state_dir / "backups").glob("monitor-*.db"))
        if not copies:
            yield "no copy of the store was made"
        for path in copies:
            check_file(path)
