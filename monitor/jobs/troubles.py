"""When a source fails: one message once it matters, one when it works again, nothing in between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.domain import MessageKind, Notice
from monitor.errors import SourceError, Unauthorized

PATIENCE = timedelta(minutes=10)
"""How long a source may be down before people are told; a refused key is told at once."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A lane that fails: since when, what it last said, and whether people were told."""

    lane: str
    since: datetime
    error: str
    is_told: bool


def note(
    before: Mapping[str, Trouble], errors: Mapping[str, SourceError], worked: frozenset[str], now: datetime
) -> tuple[dict[str, Trouble], tuple[Notice, ...]]:
    """The troubles after this cycle, and what people must be told. `worked`: lanes that answered in this cycle."""
    after = {lane: trouble for lane, trouble in before.items() if lane not in worked}
    notices = []
    for lane, error in errors.items():
        known = before.get(lane)
        since = known.since if known else now
        is_due = isinstance(error, Unauthorized) or now - since >= PATIENCE
        is_told = known is not None and known.is_told
        if is_due and not is_told:
            notices.append(Notice(MessageKind.SOURCE, now, detail=_down(lane, error, since)))
        after[lane] = Trouble(lane, since, str(error), is_told or is_due)
    mended = [before[lane] for lane in sorted(worked & before.keys()) if before[lane].is_told]
    notices.extend(Notice(MessageKind.SOURCE, now, detail=_up(trouble.lane, trouble, now)) for trouble in mended)
    return after, tuple(notices)


def _down(lane: str, error: SourceError, since: datetime) -> str:
    what = (
        "the management key is refused"
        if isinstance(error, Unauthorized)
        else f"no answer since {since:%Y-%m-%d %H:%M} UTC"
    )
    return f"{lane}: {what} ({error}). Keys are not fully watched and nothing automatic happens until this works again."


def _up(lane: str, trouble: Trouble, now: datetime) -> str:
    minutes = int((now - trouble.since).total_seconds() // 60)
    return f"{lane}: works again after {minutes} min; missed usage is being read again."
