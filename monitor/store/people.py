"""What a store keeps of people: what they decided, said and pressed, what they are shown, and the trail of it. See `base`."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from monitor.domain import (
    AuditEntry,
    AuditHead,
    AuditKind,
    AuditRow,
    Feedback,
    Incident,
    Message,
    Silence,
    Verified,
)


@dataclass(frozen=True, slots=True)
class Decided:
    """What a person's word makes of an incident, and what is written down and told with it."""

    incident: Incident
    entry: AuditEntry
    messages: tuple[Message, ...] = ()


class Desk(Protocol):
    """What people decide: about one incident, or which incidents they do not want to hear of."""

    def change(self, incident_id: str, decide: Callable[[Incident], Decided | None]) -> Incident:
        """Hands the incident as it stands to `decide` and writes what it returns (None: nothing), in one transaction that no
        other writer can come between; returns the incident as it stands then. Raises UnknownIncident, and what `decide` raises."""
        ...

    def silences(self, *, active_at: datetime | None = None) -> tuple[Silence, ...]:
        """Silences, the one that ends last first; with `active_at` only those in force then."""
        ...

    def put_silence(self, silence: Silence, entry: AuditEntry, messages: Sequence[Message] = ()) -> None:
        """Writes a silence (new, or ended early) with its audit row, in one transaction."""
        ...


class AuditLog(Protocol):
    """The trail of who did what: append-only, each row chained to the one before. Never pruned."""

    def append(self, entries: Iterable[AuditEntry]) -> AuditHead:
        """Writes entries that tell of nothing else in the store; returns the new head. All others are written together with
        what they tell of: by `Ledger.commit`, `Ledger.finish` and `Desk`."""
        ...

    def rows(
        self, *, incident_id: str | None = None, kind: AuditKind | None = None, limit: int | None = None
    ) -> tuple[AuditRow, ...]:
        """Rows, oldest first; with `limit` only the newest that many."""
        ...

    def head(self) -> AuditHead:
        """The last row's number and hash."""
        ...

    def verify(self, outside: AuditHead | None = None) -> Verified:
        """Walks the whole trail; against a head kept outside, a tail that was cut is found, too."""
        ...


@dataclass(frozen=True, slots=True)
class Card:
    """What a sink shows of an incident: the message that is edited in place, and its picture.

    `shown`: what was shown last (a digest, empty before the first edit), at `shown_at`; nothing is tried before `due_at`.
    `n_refused`: how often the sink refused the picture inside the message. `file_id`: the picture, once the sink holds it;
    `n_tries`: how often it was tried, not to be tried before `picture_due_at`."""

    incident_id: str
    shown: str = ""
    shown_at: datetime | None = None
    due_at: datetime | None = None
    n_refused: int = 0
    file_id: str | None = None
    alt_text: str = ""
    n_tries: int = 0
    picture_due_at: datetime | None = None


class Outcome(enum.StrEnum):
    """What became of a press of a button."""

    TAKEN = "taken"  # under way, or cut off by a kill
    DONE = "done"
    REFUSED = "refused"  # a stranger, no button of ours, or nothing left to do
    EXPIRED = "expired"  # the incident has moved on since the button was made
    DUPLICATE = "duplicate"  # answered by an earlier press
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Press:
    """One press of a button: by whom, on which question, and what became of it. `press_id` is the sink's own, the same
    when it tells of a press again."""

    press_id: str
    incident_id: str
    step: int
    choice: str
    by: str
    at: datetime
    outcome: Outcome = Outcome.TAKEN
    detail: str = ""


class CardStore(Protocol):
    """What is shown of incidents, and who answered."""

    def card(self, incident_id: str) -> Card:
        """The card; an empty one if nothing was shown yet."""
        ...

    def put(self, card: Card) -> None:
        """Writes the card."""
        ...

    def take(self, press: Press, *, stale_before: datetime) -> Press | None:
        """Writes down a press, with its row in the audit trail, and takes it up, unless the same one, or the same choice on the
        same step, was taken up before (and is done, or under way since `stale_before`): then returns that one. None: it is
        yours to carry out."""
        ...

    def note(self, press: Press, *, at: datetime | None = None) -> None:
        """Writes down a press that is not taken up, or what became of one that was (at `at`), with a row in the audit trail.
        A press that has ended keeps what became of it, and makes no further row."""
        ...

    def presses(self, incident_id: str | None = None, *, since: datetime | None = None) -> tuple[Press, ...]:
        """Presses, oldest first; of one incident or of all."""
        ...


class FeedbackStore(Protocol):
    """What people said of keys. Only ever added to."""

    def add(self, said: Feedback) -> None:
        """Writes it down, synced to disk before it returns; the same feedback_id twice is once."""
        ...

    def said(self, *, key_hash: str | None = None) -> tuple[Feedback, ...]:
        """Everything that was said, oldest first; of one key, if one is named."""
        ...
