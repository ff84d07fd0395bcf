"""Walks a recording through the pipeline, bucket by bucket, as an armed service would have lived it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from monitor.backtest.books import Books
from monitor.backtest.decisions import REVOKE, Decision, decided, write
from monitor.backtest.recording import Recording, load
from monitor.backtest.training import learn, warm_from
from monitor.config import Settings
from monitor.detect.artifact import Trained
from monitor.domain import BUCKET_S, Incident, Verdict
from monitor.pipeline import Pipeline, Window, new_state, windows

BUCKET = timedelta(seconds=BUCKET_S)

Progress = Callable[[int, int], None]
"""Told after each bucket: how many are done, and how many there are."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What came out: decisions and verdicts in order of time, the incidents behind them, and the detector that was used."""

    recording: Recording
    decisions: tuple[Decision, ...]
    incidents: tuple[Incident, ...]
    verdicts: tuple[Verdict, ...]
    trained: Trained | None
    n_buckets: int

    def __str__(self) -> str:
        """One line an incident, oldest first, then the sum. Names come from outside: control characters are dropped."""
        names = {key.key_hash: key.key_name for key in self.recording.keys}
        lines = [_line(incident, names[incident.key_hash], self._disabled_at(incident)) for incident in self.incidents]
        n_disabled = len({d.key_hash for d in self.decisions if d.action == REVOKE})
        days = (self.recording.until - self.recording.evaluate_from) / timedelta(days=1)
        total = (
            f"{len(self.incidents)} incidents on {len({i.key_hash for i in self.incidents})} of {len(names)} keys "
            f"in {days:.1f} days; {n_disabled} keys would have been disabled"
        )
        return "\n".join([*lines, total])

    def _disabled_at(self, incident: Incident) -> datetime | None:
        acts = (v.at for v in self.verdicts if v.is_act and v.incident_id == incident.incident_id)
        return next(acts, None)


def _line(incident: Incident, name: str, disabled_at: datetime | None) -> str:
    printable = "".join(sign for sign in name if sign.isprintable())[:40]
    cause = incident.causes[0].sentence if incident.causes else ""
    disabled = f", disabled {disabled_at:%d %H:%M}" if disabled_at else ""
    return (
        f"{incident.opened_at:%Y-%m-%d %H:%M} {incident.severity.name.lower():8} {incident.key_hash[:10]} {printable}: "
        f"{cause}{disabled}"
    )


def backtest(folder: Path, out: Path, *, settings: Settings, seed: int = 0, progress: Progress | None = None) -> Replay:
    """Replays the recording in a folder and writes the decisions to `out`. Raises StoreError."""
    found = replay(load(folder), settings, seed=seed, progress=progress)
    write(found.decisions, out)
    return found


def replay(
    recording: Recording,
    settings: Settings,
    *,
    seed: int,
    trained: Trained | None = None,
    progress: Progress | None = None,
) -> Replay:
    """Replays a recording as an armed service with this policy would have lived it.

    Without `trained`, the history before `evaluate_from` trains the detector; where that is too short, only rules speak.
    No decision sees anything after its own bucket."""
    armed = settings.model_copy(update={"response": settings.response.model_copy(update={"mode": "enforce"})})
    pipeline = Pipeline(armed, recording.catalog, new_state(armed), trained)
    books = Books(recording.keys)
    since, turn = recording.since, _turn(recording)
    n_past, n_buckets = _n_buckets(since, turn), _n_buckets(since, recording.until)
    past = _counted(_between(recording, since, turn), progress, done=0, total=n_buckets)
    rest = _counted(_between(recording, turn, recording.until), progress, done=n_past, total=n_buckets)
    if trained is None:
        warm_at = warm_from(since, recording.evaluate_from)
        n_moments = _n_buckets(warm_at, turn)
        pipeline.trained = learn(pipeline, past, books, warm_at=warm_at, n_moments=n_moments, settings=armed, seed=seed)
    else:
        _live_through(pipeline, past, books)
    decisions, verdicts = _judge(pipeline, rest, books)
    return Replay(recording, decisions, books.everything(), verdicts, pipeline.trained, n_buckets)


def _judge(
    pipeline: Pipeline, rest: Iterable[Window], books: Books
) -> tuple[tuple[Decision, ...], tuple[Verdict, ...]]:
    decisions: list[Decision] = []
    verdicts: list[Verdict] = []
    for window in rest:
        books.advance(window.at)
        pipeline.take(window.usage, window.coverage)
        judgement = pipeline.judge(window.at, books.context())
        decisions += decided(judgement)
        verdicts += judgement.plan.verdicts
        books.enter(judgement)
    return tuple(decisions), tuple(verdicts)


def _turn(recording: Recording) -> datetime:
    """End of the last bucket that only teaches: decisions are made after buckets that end later than `evaluate_from`."""
    n_buckets = _n_buckets(recording.since, min(recording.evaluate_from, recording.until))
    return recording.since + max(n_buckets, 0) * BUCKET


def _n_buckets(since: datetime, until: datetime) -> int:
    return (until - since) // BUCKET


def _between(recording: Recording, since: datetime, until: datetime) -> Iterator[Window]:
    return windows(recording.usage, since=since, until=until)


def _live_through(pipeline: Pipeline, past: Iterable[Window], books: Books) -> None:
    for window in past:
        books.advance(window.at)
        pipeline.take(window.usage, window.coverage)


def _counted(passing: Iterable[Window], progress: Progress | None, *, done: int, total: int) -> Iterator[Window]:
    """The same windows; `progress` is told after each has been dealt with."""
    for no, window in enumerate(passing, start=done + 1):
        yield window
        if progress is not None:
            progress(no, total)
