"""`openrouter-monitor demo`: the main job in two minutes, against the embedded world. Succeeds only if all of it really happened.

The monitor is the real one: real HTTP on loopback, real store, real detector, real Slack calls. Only time is by hand: a
minute of the world passes as fast as the machine can live it.
"""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from monitor import backtest, daemon
from monitor.config import Settings
from monitor.configfile import load
from monitor.demo import attacks
from monitor.demo.clock import ManualClock
from monitor.demo.fleet import Key
from monitor.demo.server import FakeOpenRouter
from monitor.demo.slack import FakeSlack
from monitor.demo.world import World
from monitor.domain import NUSD, Incident, Message, MessageKind
from monitor.jobs import arming, cards
from monitor.jobs.app import App
from monitor.jobs.deliver import deliver
from monitor.jobs.progress import shown
from monitor.jobs.watch import Watch
from monitor.notify.terminal import show
from monitor.store.base import Delivery, Outcome, Press
from monitor.wiring import shipped_models
from monitor.wording import duration, money

START: Final = datetime(2026, 6, 15, 10, 7, tzinfo=UTC)
MANAGEMENT_KEY: Final = "management-key-of-the-demo-world"
BOT_TOKEN: Final = "bot-token-of-the-demo-world"  # noqa: S105 - opens nothing but the fake of this process
APP_TOKEN: Final = "app-token-of-the-demo-world"  # noqa: S105 - likewise
OWNER: Final = "U0DEMO0001"
MAX_POLLS_OF_BURST: Final = 3

HISTORY_DAYS: Final = 21
"""Of the 31 that an account has: three of each weekday are enough to learn a week by, and the demo must not take long."""


@dataclass
class Stage:
    """What the scenes of the story work with, and what was checked on the way."""

    console: Console
    world: World
    clock: ManualClock
    app: App
    watch: Watch
    failed: list[str]

    async def minute(self) -> None:
        """A minute passes; the monitor polls, judges, acts and delivers."""
        self.clock.advance(60)
        await self.watch.cycle()
        await deliver(self.app)
        await cards.refresh(self.app)

    def scene(self, title: str) -> None:
        """A heading."""
        self.console.print()
        self.console.print(Rule(Text(title, style="bold"), align="left", style="dim"))

    def say(self, text: str, *, style: str = "") -> None:
        """A line of the story."""
        self.console.print(Text(text, style=style))

    def check(self, what: str, *, is_true: bool) -> None:
        """States what must have happened; the demo fails if it did not."""
        self.console.print(Text(f"  {'✓' if is_true else '✗'} {what}", style="green" if is_true else "bold red"))
        if not is_true:
            self.failed.append(what)


async def tell(console: Console, *, n_keys: int = 40, seed: int = 7) -> list[str]:
    """Plays the story; returns what should have happened and did not."""
    clock = ManualClock(START)
    world = World.build(seed=seed, n_keys=n_keys, n_workspaces=2, founded_at=START, has_hostile_names=False)
    with tempfile.TemporaryDirectory(prefix="openrouter-monitor-demo-") as folder:
        async with (
            FakeOpenRouter(world, clock=clock, management_key=MANAGEMENT_KEY) as api,
            FakeSlack(clock=clock, token=BOT_TOKEN, app_token=APP_TOKEN) as slack,
        ):
            environ = {
                "MONITOR__OPENROUTER__BASE_URL": api.base_url,
                "MONITOR__SLACK__BASE_URL": slack.base_url,
                "MONITOR__SLACK__DEFAULT_CHANNEL": "#alerts",
                "MONITOR__STORE__STATE_DIR": str(Path(folder)),
                "MONITOR__COLLECT__HISTORY": f"{HISTORY_DAYS}d",
                "OPENROUTER_MANAGEMENT_KEY": MANAGEMENT_KEY,
                "MONITOR__SLACK__ALLOWED_USERS": f'["{OWNER}"]',
                "SLACK_BOT_TOKEN": BOT_TOKEN,
                "SLACK_APP_TOKEN": APP_TOKEN,
            }
            failed: list[str] = []
            observing, armed = load(None, environ), load(None, environ | {"MONITOR__RESPONSE__MODE": "enforce"})
            async with daemon.opened(observing, clock=clock, budgets={}) as (app, watch):
                stage = Stage(console, world, clock, app, watch, failed)
                await _learn(stage)
                await _replay(stage, armed)
            async with daemon.opened(armed, clock=clock, budgets={}) as (app, watch):
                await _play(Stage(console, world, clock, app, watch, failed), slack)
            return failed


async def _play(stage: Stage, slack: FakeSlack) -> None:
    await _ordinary(stage)
    busy, stolen = _cast(stage.world)
    await _benign_spike(stage, busy)
    incident = await _theft(stage, stolen)
    _slack(stage, slack, stolen)
    await _disabled(stage, stolen, busy)
    async with daemon.listening(stage.app):
        await slack.socket.connected()
        await _restore(stage, stolen, incident, slack)


def _cast(world: World) -> tuple[Key, Key]:
    """A busy key that will work ten times as hard, and a key that will be stolen."""
    candidates = [key for name in ("batch", "service") for key in world.busy(name)]
    batch = max(candidates, key=lambda key: float(world.fleet.usd_per_day[key.no]))
    stolen = next(key for name in ("developer", "product", "service") for key in world.busy(name) if key.no != batch.no)
    return batch, stolen


async def _learn(stage: Stage) -> None:
    fleet = stage.world.fleet
    stage.scene("1  An account with history")
    stage.say(
        f"{len(fleet.keys)} keys in {len(fleet.workspaces)} workspaces, 31 days of traffic, of which {HISTORY_DAYS} are read here. "
        "First poll, then the backfill:"
    )
    await stage.watch.cycle()
    with shown("reading history") as progress:
        await daemon.read_history(stage.app, stage.watch, progress)
    stage.say(f"detector: {stage.app.pipeline.describe()}")
    stage.check("history is read and the detector is trained on it", is_true=stage.app.pipeline.trained is not None)


async def _replay(stage: Stage, armed: Settings) -> None:
    """What comes before arming: the account's own last two weeks, as an armed service would have lived them."""
    stage.scene("2  Replay before arming")
    store, now = stage.app.store, stage.app.now()
    stage.check("it does not start armed yet", is_true=arming.refusal(store, armed, now) is not None)
    stage.say("$ openrouter-monitor backtest --store", style="bold")
    found = await asyncio.to_thread(
        backtest.of_store, store, armed, now=now, seed=stage.app.seed, shipped=shipped_models(), bar=shown
    )
    stage.say(str(found.summary))
    backtest.record(store, found.summary, armed, at=now)
    stage.check("no healthy key would have been disabled", is_true=not found.summary.n_disabled_keys)
    stage.check("now it starts armed", is_true=arming.refusal(store, armed, now) is None)


async def _ordinary(stage: Stage) -> None:
    stage.scene("3  Ten ordinary minutes")
    await _minutes(stage, 10)
    open_now = _alerts(stage)
    stage.say(f"10 polls, {len(open_now)} alerts")
    stage.check("nothing was disabled", is_true=not stage.app.store.ledger.actions())


async def _benign_spike(stage: Stage, key: Key) -> None:
    stage.scene("4  A benign spike: a busy key does ten times its usual work")
    stage.world.start(attacks.BatchBackfill(key.key_hash, stage.clock.now(), timedelta(hours=2), 10.0))
    before = stage.world.spent_nusd(key)
    await _minutes(stage, 10)
    stage.say(
        f"“{key.name}” spent {money(stage.world.spent_nusd(key) - before)} in 10 minutes, on its usual models from its usual places"
    )
    stage.check("it goes on undisturbed", is_true=not key.is_disabled)


async def _theft(stage: Stage, key: Key) -> Incident | None:
    stage.scene("5  A key is stolen: a tiny probe on a model it never used, then a burst")
    theft = attacks.smash_and_grab(key, stage.world.fleet, start=stage.clock.now(), burst_after=timedelta(minutes=4))
    stage.world.start(theft)
    n_polls = 0
    for _ in range(15):
        await stage.minute()
        stolen = stage.world.stolen_nusd(theft)
        is_burst = stolen > 10_000_000
        n_polls += is_burst
        what = f"{'burst' if is_burst else 'probe'}: {money(stolen)} stolen"
        stage.say(f"  {stage.clock.now():%H:%M}  {what}{'; key disabled' if key.is_disabled else ''}")
        if key.is_disabled:
            break
    incident = next((one for one in stage.app.store.ledger.incidents() if one.key_hash == key.key_hash), None)
    stage.check(
        f"stopped within {MAX_POLLS_OF_BURST} polls of the burst",
        is_true=key.is_disabled and n_polls <= MAX_POLLS_OF_BURST,
    )
    burst = theft.phases[-1]
    wanted = money(round(burst.usd_per_minute * burst.duration.total_seconds() / 60 * NUSD))
    stage.say(f"left alone: {wanted} in {duration(burst.duration)}; stolen: {money(stage.world.stolen_nusd(theft))}")
    return incident


def _slack(stage: Stage, slack: FakeSlack, key: Key) -> None:
    stage.scene("6  What Slack was told")
    delivered = [one.message for one in stage.app.store.outbox.entries(states={Delivery.DELIVERED})]
    mine = [
        message
        for message in delivered
        if message.kind in {MessageKind.ALERT, MessageKind.ACTION} and key.name in message.title
    ]
    for message in mine:
        show(message, stage.console)
    kinds = [message.kind for message in mine]
    is_told = kinds.count(MessageKind.ACTION) == 1 and MessageKind.ALERT in kinds
    stage.check("an alert for each step, and one message of the action", is_true=is_told)
    sent = [message for message in slack.messages() if not message.files]
    stage.check("Slack has each message exactly once", is_true=len(sent) == len(delivered))
    edited = [message for message in sent if message.edits and key.name in message.text]
    stage.say(
        f"{len(slack.files.shared())} pictures; the alert was edited in place {sum(len(m.edits) for m in edited)} times"
    )
    has_picture = any(block["type"] == "image" for message in edited for block in message.blocks)
    stage.check("the alert stands as things are now, with a picture of the key's week", is_true=has_picture)
    stage.check("the alert names its causes in dollars", is_true=any(_names_causes(message) for message in mine))


def _names_causes(message: Message) -> bool:
    return message.kind is MessageKind.ALERT and any("$" in line and "never used" in line for line in message.evidence)


async def _disabled(stage: Stage, stolen: Key, busy: Key) -> None:
    stage.scene("7  Read back")
    now = await stage.app.control.read(stolen.key_hash)
    stage.say(f"GET /keys/{stolen.key_hash[:12]}…: disabled = {str(now.settings.is_disabled).lower()}")
    stage.check("the stolen key is disabled at the account", is_true=now.settings.is_disabled)
    actions = stage.app.store.ledger.actions()
    stage.check(
        "exactly one key was acted on, and it is in the journal",
        is_true=[one.key_hash for one in actions] == [stolen.key_hash],
    )
    stage.check(f"the busy key “{busy.name}” still works", is_true=not busy.is_disabled)


async def _restore(stage: Stage, key: Key, incident: Incident | None, slack: FakeSlack) -> None:
    stage.scene("8  Undo in one step: its owner presses Restore in Slack")
    prior = next((one.prior for one in stage.app.store.ledger.actions() if one.key_hash == key.key_hash), None)
    told = next(message for message in slack.messages() if message.offers("restore"))
    await slack.socket.press(told, "restore", user=OWNER)
    press = await _ended(stage.app)
    stage.say(f"[ Restore ]  pressed by {press.by}: {press.outcome.value}; {press.detail}", style="bold")
    stage.say(f"or: $ openrouter-monitor restore {key.key_hash[:12]}")
    now = await stage.app.control.read(key.key_hash)
    stage.check("the key is exactly as it was before", is_true=prior is not None and now.settings == prior)
    if incident is not None:
        took = duration(incident.last_seen_at - incident.onset_at)
        stage.say(f"{incident.incident_id}: {money(incident.spent_nusd)} above habit in {took}")


async def _ended(app: App) -> Press:
    """The press, once something has become of it."""
    async with asyncio.timeout(30):
        while True:
            ended = [press for press in app.store.cards.presses() if press.outcome is not Outcome.TAKEN]
            if ended:
                return ended[-1]
            await asyncio.sleep(0.01)


async def _minutes(stage: Stage, n: int) -> None:
    for _ in range(n):
        await stage.minute()


def _alerts(stage: Stage) -> list[Message]:
    return [one.message for one in stage.app.store.outbox.entries() if one.message.kind is MessageKind.ALERT]


def run(*, n_keys: int = 40, seed: int = 7) -> list[str]:
    """Plays the story on standard output; returns what failed."""
    return asyncio.run(tell(Console(highlight=False), n_keys=n_keys, seed=seed))
