"""When the monitor did not watch: noted by the first cycle after a pause, so that the digest can say so.

One document, written only when there was a pause: the time of the last cycle is in what `status` shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from monitor.config import Settings
from monitor.store.base import Store

NAME: Final = "silences"

KEEP: Final = timedelta(days=62)
_LEAST: Final = timedelta(minutes=5)
_MOST: Final = 500


@dataclass(frozen=True, slots=True)
class Watched:
    """`since`: the first cycle on record. `spans`: when none was completed. `last_at`: the newest cycle."""

    since: datetime | None = None
    spans: tuple[tuple[datetime, datetime], ...] = ()
    last_at: datetime | None = None


def note(store: Store, settings: Settings, at: datetime) -> None:
    """A cycle was completed; called before `status` is published with it. Raises StoreError.

    A pause is longer than three beats, and than five minutes. A clock that was set back makes none."""
    kept, last = store.state.get(NAME), _last(store)
    if kept is None:
        store.state.put(NAME, {"since": at.isoformat(), "spans": []})
        return
    if last is None or at - last <= max(_LEAST, 3 * settings.schedule.keys_every):
        return
    spans = [span for span in _spans(kept) if span[1] >= at - KEEP]
    spans = [*spans, (last, at)][-_MOST:]
    store.state.put(
        NAME, {"since": kept["since"], "spans": [[since.isoformat(), until.isoformat()] for since, until in spans]}
    )


def read(store: Store) -> Watched:
    """What is on record. Raises StoreError."""
    kept = store.state.get(NAME)
    if kept is None:
        return Watched(last_at=_last(store))
    return Watched(datetime.fromisoformat(str(kept["since"])), tuple(_spans(kept)), _last(store))


def _last(store: Store) -> datetime | None:
    status = store.state.get("status")
    return datetime.fromisoformat(str(status["at"])) if status else None


def _spans(kept: Mapping[str, object]) -> list[tuple[datetime, datetime]]:
    spans = kept["spans"]
    pairs = spans if isinstance(spans, list) else []
    return [(datetime.fromisoformat(since), datetime.fromisoformat(until)) for since, until in pairs]
