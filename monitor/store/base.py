"""What a store must offer, split by noun. Methods are synchronous and safe to call from worker threads.

Every method raises `StoreError`. Writes are one transaction each: after a kill either all of it is there or nothing.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from monitor.domain import (
    Action,
    ActionState,
    ApiKey,
    Dimension,
    Finding,
    Incident,
    IncidentState,
    Inventory,
    Message,
    Plan,
    Receipt,
    Verdict,
)
from monitor.frames import Catalog
from monitor.store.people import AuditLog, Card, CardStore, Decided, Desk, FeedbackStore, Outcome, Press

__all__ = [
    "AuditLog",
    "Card",
    "CardStore",
    "DayStore",
    "Decided",
    "Delivery",
    "Desk",
    "FeedbackStore",
    "KeyChange",
    "KeyStore",
    "Ledger",
    "Maintenance",
    "Outbox",
    "OutboxEntry",
    "Outcome",
    "Press",
    "StateStore",
    "Store",
    "UsageStore",
]


class UsageStore(Protocol):
    """Usage in long form, and what is known of it."""

    def write(self, usage: pd.DataFrame, coverage: pd.DataFrame) -> None:
        """Upserts USAGE rows by (bucket_s, bucket_start, key_no, value_no), saves what the catalog learned, adds COVERAGE.

        A re-read row replaces the earlier one. A stored row that `usage` no longer holds goes, where its whole bucket lies in
        `coverage` that is known for its dimension and key (or all keys). Writing the same twice is writing it once."""
        ...

    def read(
        self, since: datetime, until: datetime, *, bucket_s: int, key_nos: Collection[int] | None = None
    ) -> pd.DataFrame:
        """USAGE of one bucket size with bucket_start in [since, until), sorted by (bucket_start, key_no, value_no)."""
        ...

    def read_hourly(
        self,
        since: datetime,
        until: datetime,
        *,
        key_nos: Collection[int] | None = None,
        dimensions: Collection[Dimension] | None = None,
    ) -> pd.DataFrame:
        """USAGE in hours: an hour's own hourly rows where they were read (coverage known), else the sum of its fine rows.
        `dimensions`: only these; each that is not asked for makes reading faster."""
        ...

    def coverage(self, since: datetime, until: datetime, *, bucket_s: int | None = None) -> pd.DataFrame:
        """COVERAGE rows that overlap the window, oldest first (a later row for the same span wins)."""
        ...

    def write_counters(self, counters: pd.DataFrame) -> None:
        """Appends COUNTERS samples."""
        ...

    def counters(self, since: datetime, until: datetime) -> pd.DataFrame:
        """COUNTERS sampled in the window, sorted by (sampled_at, key_no)."""
        ...

    def prune(self, *, fine_before: datetime, hourly_before: datetime) -> int:
        """Deletes usage, counters and coverage older than that (whole hours); returns rows deleted. May thin old counters
        to one sample an hour and join old coverage. What is deleted is unknown from then on, not zero."""
        ...


@dataclass(frozen=True, slots=True)
class KeyChange:
    """One change of one key's settings between two inventories: `field` from `before` to `after` (as text)."""

    key_hash: str
    seen_at: datetime
    field: str
    before: str | None
    after: str | None


class KeyStore(Protocol):
    """The inventory, now and through time."""

    @property
    def catalog(self) -> Catalog:
        """The one catalog of this store, loaded on open."""
        ...

    def record(self, inventory: Inventory) -> None:
        """Takes a snapshot: keys seen, settings that changed (into the history), keys that vanished."""
        ...

    def keys(self, *, include_vanished: bool = False) -> tuple[ApiKey, ...]:
        """The keys as last seen, in order of key_no."""
        ...

    def workspaces(self) -> Mapping[str, str]:
        """Workspace name by id, as last seen."""
        ...

    def history(self, key_hash: str) -> tuple[KeyChange, ...]:
        """Changes of one key, oldest first."""
        ...


class Ledger(Protocol):
    """Findings, incidents, verdicts and the action journal."""

    def commit(self, findings: Sequence[Finding], plan: Plan, messages: Sequence[Message]) -> None:
        """One transaction, synced to disk before it returns: findings, incidents (upsert, but for what a person decided since
        they were read), verdicts, intents, outbox messages (a message_id already there is kept as it is), audit rows."""
        ...

    def finish(self, action: Action, messages: Sequence[Message]) -> None:
        """Writes an action's outcome, with the messages that tell of it, in one transaction."""
        ...

    def incidents(
        self, *, states: Collection[IncidentState] | None = None, since: datetime | None = None
    ) -> tuple[Incident, ...]:
        """Incidents in those states, last seen at `since` or later, newest first."""
        ...

    def actions(
        self,
        *,
        states: Collection[ActionState] | None = None,
        since: datetime | None = None,
        key_hash: str | None = None,
    ) -> tuple[Action, ...]:
        """Journalled actions, oldest first."""
        ...

    def findings(self, since: datetime, *, key_hash: str | None = None) -> tuple[Finding, ...]:
        """Findings at `since` or later, oldest first."""
        ...

    def verdicts(self, since: datetime, *, key_hash: str | None = None) -> tuple[Verdict, ...]:
        """Verdicts at `since` or later, oldest first."""
        ...


class Delivery(enum.StrEnum):
    """Where an outbox message stands. SENDING found at start, like UNKNOWN, is looked up at the sink before any resend."""

    WAITING = "waiting"
    SENDING = "sending"
    UNKNOWN = "unknown"
    DELIVERED = "delivered"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """One message on its way."""

    message: Message
    state: Delivery
    n_attempts: int
    due_at: datetime
    receipt: Receipt | None = None
    last_error: str = ""


class Outbox(Protocol):
    """Messages not yet known to be delivered, and receipts of those that are."""

    def add(self, messages: Sequence[Message], now: datetime) -> None:
        """Queues messages; a message_id already there is kept as it is."""
        ...

    def claim(self, now: datetime, *, limit: int, sink: str = "") -> tuple[OutboxEntry, ...]:
        """Atomically takes up to `limit` entries due at `now` (WAITING or UNKNOWN; urgent first, then oldest) and marks
        them SENDING; returns them with the state they had before, `n_attempts` counting this one. A message never tried
        is due whatever its writer's clock said; one claimed minutes ago without an outcome is due again, as SENDING. Of
        messages for this further sink (`…@sink` in their id); empty: of those
        for the notifier itself."""
        ...

    def delivered(self, message_id: str, receipt: Receipt, at: datetime) -> None:
        """Marks an entry delivered."""
        ...

    def postponed(self, message_id: str, *, until: datetime, error: str, is_outcome_unknown: bool) -> None:
        """Back to WAITING (or UNKNOWN), due at `until`."""
        ...

    def dead(self, message_id: str, error: str) -> None:
        """Gives a message up; it stays listed for people."""
        ...

    def recover(self, now: datetime) -> int:
        """At start: entries left SENDING by a killed process become UNKNOWN; returns how many."""
        ...

    def entries(
        self,
        *,
        states: Collection[Delivery] | None = None,
        thread: str | None = None,
        thread_prefix: str | None = None,
    ) -> tuple[OutboxEntry, ...]:
        """Entries, oldest first; those of one thread, or of all threads whose name begins with something."""
        ...


class DayStore(Protocol):
    """What keys spent by UTC day; a day is numbered from the epoch."""

    def write(self, day: int, key_no: npt.NDArray[np.integer], cost_nusd: npt.NDArray[np.int64]) -> None:
        """Writes one day down; a day written again takes its newest sums."""
        ...

    def known(self) -> frozenset[int]:
        """Days written."""
        ...

    def read(self, since: int, until: int, *, n_keys: int) -> npt.NDArray[np.float64]:
        """Nano-dollars (days, keys) of the days [since, until), keys by key_no; NaN in a day that was never written."""
        ...


class StateStore(Protocol):
    """Small named documents: when a job last ran, which digest was sent, which replay was seen."""

    def get(self, name: str) -> Mapping[str, object] | None:
        """The document, None if there is none."""
        ...

    def put(self, name: str, document: Mapping[str, object]) -> None:
        """Writes the document (JSON values only)."""
        ...


class Maintenance(Protocol):
    """Care of the store itself."""

    def backup(self, target: Path) -> None:
        """A consistent copy while others read and write."""
        ...

    def verify(self) -> None:
        """Raises StoreCorrupt if the store's own check finds damage."""
        ...

    def vacuum(self) -> None:
        """Gives freed space back."""
        ...

    def prune_ledger(self, before: datetime) -> int:
        """Deletes findings, verdicts, delivered messages and resolved incidents older than that; never an action."""
        ...

    @property
    def has_reserve(self) -> bool:
        """False where space was wanted for hard times (`hold_reserve`) and the disk had none, or it was given up since."""
        ...

    def hold_reserve(self) -> bool:
        """Keeps some space of the disk for what is written when there is no other; returns whether it has it. Never raises."""
        ...

    def close(self) -> None:
        """Releases files and locks."""
        ...


class Store(Protocol):
    """All of it, over one database."""

    @property
    def usage(self) -> UsageStore:
        """What was read of usage, counters and their coverage."""
        ...

    @property
    def keys(self) -> KeyStore:
        """Keys, workspaces, and the numbers they have here."""
        ...

    @property
    def ledger(self) -> Ledger:
        """Findings, incidents, verdicts and the journal of actions."""
        ...

    @property
    def desk(self) -> Desk:
        """What people decide about incidents."""
        ...

    @property
    def audit(self) -> AuditLog:
        """Who did what, when and why; append-only."""
        ...

    @property
    def outbox(self) -> Outbox:
        """Messages on their way to people."""
        ...

    @property
    def cards(self) -> CardStore:
        """What a sink shows of incidents, and who pressed which button."""
        ...

    @property
    def days(self) -> DayStore:
        """Sums of whole days, kept for longer than hours."""
        ...

    @property
    def feedback(self) -> FeedbackStore:
        """What people said of keys."""
        ...

    @property
    def state(self) -> StateStore:
        """Small named documents."""
        ...

    @property
    def maintenance(self) -> Maintenance:
        """Care of the database itself."""
        ...
