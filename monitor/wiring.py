"""Config -> concrete parts. The only file that names concrete classes, the clock and the seed."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from monitor.domain import Clock, Verb
from monitor.errors import AlreadyRunning, ConfigError, StoreError

if TYPE_CHECKING:
    from pydantic import SecretStr

    from monitor.collect.account import OpenRouterSource
    from monitor.config import Settings
    from monitor.features import FleetState
    from monitor.frames import Catalog
    from monitor.jobs.app import App
    from monitor.notify.asked import Asked
    from monitor.notify.base import Notifier
    from monitor.notify.pressed import Pressed
    from monitor.notify.slack_socket import SlackListener
    from monitor.openrouter.lanes import Budget, LaneName
    from monitor.openrouter.transport import Transport
    from monitor.respond.base import KeyDeletion
    from monitor.store.base import Store

SEED = 20_260_601
"""Seeds the forest and the jitter of retries; fixed so that a refit on the same data is the same detector."""

STORE_FILE = "monitor.db"


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        """Aware UTC wall time."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that only ever grow."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        await asyncio.sleep(seconds)


def store_address(settings: Settings) -> str:
    """Where the store is: `store.url`, or the file in the state directory."""
    return settings.store.url or str(settings.store.state_dir / STORE_FILE)


def open_store(settings: Settings, *, read_only: bool = False) -> Store:
    """The store; made and migrated on first use unless `read_only`. Raises StoreError."""
    from monitor.store import sqlite

    if not read_only:
        settings.store.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    return sqlite.open_store(store_address(settings), read_only=read_only)


@contextmanager
def only_instance(settings: Settings) -> Iterator[None]:
    """Holds the lock of the state directory. Raises AlreadyRunning: two monitors would alert and act twice."""
    with _locked(settings, "lock", f"{settings.store.state_dir} is in use by a running monitor; stop it first"):
        yield


@contextmanager
def only_rehearsal(settings: Settings) -> Iterator[None]:
    """Holds the lock of rehearsals; the service may run beside. Raises AlreadyRunning: one would put back the other's key."""
    with _locked(settings, "rehearsal.lock", "another rehearsal is under way; wait until it is over"):
        yield


@contextmanager
def _locked(settings: Settings, name: str, problem: str) -> Iterator[None]:
    from filelock import FileLock, Timeout

    folder = settings.store.state_dir
    lock = FileLock(folder / name)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock.acquire(timeout=0)
    except Timeout:
        raise AlreadyRunning(problem) from None
    except OSError as error:
        raise StoreError(
            f"store.state_dir: {folder} cannot be written to ({error.strerror}); name another, or change its owner"
        ) from error
    try:
        yield
    finally:
        lock.release()


def make_source(
    settings: Settings,
    clock: Clock,
    catalog: Catalog,
    rng: random.Random,
    *,
    budgets: Mapping[LaneName, Budget] | None = None,
) -> tuple[OpenRouterSource, Transport]:
    """The account and the door to it (close that). `budgets`: other than the documented ones, where time is not the real
    one. Raises ConfigError where the management key is missing."""
    from monitor.collect.account import OpenRouterSource
    from monitor.openrouter.transport import Transport

    key = _management_key(settings)
    transport = Transport(None, settings.openrouter, key, clock, rng, budgets=budgets)
    return OpenRouterSource(transport, catalog, settings, clock), transport


@asynccontextmanager
async def open_app(
    settings: Settings,
    *,
    clock: Clock | None = None,
    notifier: Notifier | None = None,
    budgets: Mapping[LaneName, Budget] | None = None,
) -> AsyncIterator[App]:
    """Everything a job needs, closed again at the end. Raises ConfigError where a credential is missing."""
    from monitor.jobs.app import App
    from monitor.notify import further
    from monitor.openrouter.control import OpenRouterControl
    from monitor.pipeline import Pipeline
    from monitor.respond.cap import CapKey, ZeroLimit
    from monitor.respond.delete import DeleteKey
    from monitor.respond.disable import DisableKey
    from monitor.respond.restore import RestoreKey

    clock = clock or SystemClock()
    notifier = notifier or make_notifier(settings, clock)
    board = getattr(notifier, "board", None)
    store = open_store(settings)
    source, transport = make_source(settings, clock, store.keys.catalog, random.Random(SEED), budgets=budgets)
    source.remember(store.keys.keys(include_vanished=True))
    control = OpenRouterControl(transport)
    try:
        yield App(
            settings=settings,
            clock=clock,
            state_dir=settings.store.state_dir,
            store=store,
            source=source,
            history=source,
            control=control,
            responders={
                Verb.DISABLE: DisableKey(control),
                Verb.CAP: CapKey(control),
                Verb.ZERO: ZeroLimit(control),
                Verb.RESTORE: RestoreKey(control),
                Verb.DELETE: DeleteKey(control),
            },
            notifier=notifier,
            pipeline=Pipeline(settings, store.keys.catalog, new_state(settings)),
            seed=SEED,
            board=board,
            people=board,
            directory=source,
            further=further.notifiers(settings.further.addresses, clock),
        )
    finally:
        await notifier.close()
        await transport.close()
        await asyncio.to_thread(store.maintenance.close)


@asynccontextmanager
async def open_deletion(settings: Settings, clock: Clock) -> AsyncIterator[KeyDeletion]:
    """The one client that can delete a key, and nothing else. Raises ConfigError where the management key is missing."""
    from monitor.openrouter.calls import DELETION
    from monitor.openrouter.control import OpenRouterDeletion
    from monitor.openrouter.transport import Transport

    key = _management_key(settings)
    transport = Transport(None, settings.openrouter, key, clock, random.Random(SEED), allowed=DELETION)
    try:
        yield OpenRouterDeletion(transport)
    finally:
        await transport.close()


def _management_key(settings: Settings) -> SecretStr:
    key = settings.openrouter.management_key
    if key is None:
        raise ConfigError(
            "openrouter.management_key", "is not set", remedy="set OPENROUTER_MANAGEMENT_KEY, or management_key_file"
        )
    return key


def new_state(settings: Settings) -> FleetState:
    """An empty state of the fleet."""
    from monitor.features import FleetState, HabitParams

    return FleetState(HabitParams.from_settings(settings.detection))


def make_notifier(settings: Settings, clock: Clock) -> Notifier:
    """Slack, or the terminal where Slack is turned off. Raises ConfigError where the token or the channel is missing."""

    from monitor.notify.slack import SlackNotifier
    from monitor.notify.terminal import TerminalNotifier

    if not settings.slack.enabled:
        return TerminalNotifier(clock)
    if settings.slack.bot_token is None:
        raise ConfigError(
            "slack.bot_token", "is not set", remedy="set SLACK_BOT_TOKEN or bot_token_file, or slack.enabled = false"
        )
    if not settings.slack.default_channel:
        raise ConfigError("slack.default_channel", "is empty", remedy='name a channel, for example "#key-alerts"')
    return SlackNotifier(settings.slack.bot_token, settings.slack, clock, takes_approvals=settings.takes_approvals)


def make_listener(
    settings: Settings,
    clock: Clock,
    handle: Callable[[Pressed], Awaitable[None]],
    *,
    answer: Callable[[Asked], Awaitable[None]] | None = None,
) -> SlackListener | None:
    """Who listens for pressed buttons and for questions; None where no app-level token is set."""
    from monitor.notify.slack_door import SlackDoor
    from monitor.notify.slack_socket import SlackListener

    token = settings.slack.app_token
    if not settings.slack.enabled or token is None:
        return None
    door = SlackDoor(token, settings.slack.base_url, clock, place="slack.app_token")
    return SlackListener(door, clock, handle, answer=answer)


def shipped_models() -> Path:
    """The folder with the detector shipped for the first hours: beside the package, or where the wheel put it."""
    beside = Path(__file__).resolve().parent.parent / "models"
    return beside if beside.is_dir() else Path(sys.prefix) / "share" / "openrouter-monitor" / "models"
