"""Walks a recording through the pipeline, window by window, as an armed service would have lived it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.backtest.books import Books, Stop
from monitor.backtest.decisions import Decision, decided
from monitor.backtest.recording import Recording
from monitor.backtest.spending import Watching
from monitor.backtest.training import learn, warm_from
from monitor.config import Settings
from monitor.detect.artifact import Trained
from monitor.domain import BUCKET_S, Feedback, Incident, Verdict
from monitor.notify import routing
from monitor.pipeline import Pipeline, Window, new_state

BUCKET = timedelta(seconds=BUCKET_S)

Progress = Callable[[int, int], None]
"""Told after each window: how many ten-minute buckets are done, and how many there are."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What came out: decisions, verdicts and stopped keys in order of time, the incidents behind them, and the detector
    that was used."""

    recording: Recording
    decisions: tuple[Decision, ...]
    incidents: tuple[Incident, ...]
    verdicts: tuple[Verdict, ...]
    stops: tuple[Stop, ...]
    trained: Trained | None


def replay(
    recording: Recording,
    settings: Settings,
    *,
    seed: int,
    trained: Trained | None = None,
    progress: Progress | None = None,
    watching: Watching | None = None,
    said: Iterable[Feedback] = (),
    workspaces: Mapping[str, str] | None = None,
) -> Replay:
    """Replays a recording as an armed service with this policy would have lived it; `watching` is told of
    the moment from which on it is judged, and of each judgement. `said`: by people of keys, each heard when it was said.
    `workspaces`: name by id, for policies and routes.

    Without `trained`, the history before `evaluate_from` trains the detector; where that is too short, only rules speak.
    No decision sees anything after its own bucket. What a person would have to approve counts as approved at once."""
    armed = settings.model_copy(
        update={"response": settings.response.model_copy(update={"mode": "enforce", "approve": "off"})}
    )
    pipeline = Pipeline(armed, recording.catalog, new_state(armed), trained)
    names = workspaces or {}
    owners = routing.owners(recording.keys, routes=settings.routes, workspaces=names)
    books = Books(recording.keys, cooldown=settings.response.cooldown, said=said, owners=owners, workspaces=names)
    turn = _turn(recording)
    past = _counted(recording, recording.since, turn, progress=progress)
    rest = _counted(recording, turn, recording.until, progress=progress)
    if trained is None:
        warm_at = warm_from(recording.since, recording.evaluate_from)
        n_moments = (turn - warm_at) // BUCKET
        pipeline.trained = learn(pipeline, past, books, warm_at=warm_at, n_moments=n_moments, settings=armed, seed=seed)
    else:
        _live_through(pipeline, past, books)
    if watching is not None:
        watching(pipeline, turn)
    decisions, verdicts = _judge(pipeline, rest, books, watching=watching)
    return Replay(recording, decisions, books.everything(), verdicts, tuple(books.stops), pipeline.trained)


def _judge(
    pipeline: Pipeline, rest: Iterable[Window], books: Books, *, watching: Watching | None
) -> tuple[tuple[Decision, ...], tuple[Verdict, ...]]:
    decisions: list[Decision] = []
    verdicts: list[Verdict] = []
    for window in rest:
        books.advance(window.at)
        pipeline.take(window.usage, window.coverage)
        pipeline.hear(books.hear(window.at))
        judgement = pipeline.judge(window.at, books.context())
        decisions += decided(judgement)
        verdicts += judgement.plan.verdicts
        books.enter(judgement)
        if watching is not None:
            watching(pipeline, window.at)
    return tuple(decisions), tuple(verdicts)


def _turn(recording: Recording) -> datetime:
    """End of the last bucket that only teaches: decisions are made after buckets that end later than `evaluate_from`."""
    n_buckets = (min(recording.evaluate_from, recording.until) - recording.since) // BUCKET
    return recording.since + max(n_buckets, 0) * BUCKET


def _live_through(pipeline: Pipeline, past: Iterable[Window], books: Books) -> None:
    for window in past:
        books.advance(window.at)
        pipeline.take(window.usage, window.coverage)


def _counted(recording: Recording, since: datetime, until: datetime, *, progress: Progress | None) -> Iterator[Window]:
    """The windows of a part; `progress` is told after each has been dealt with."""
    n_buckets = (recording.until - recording.since) // BUCKET
    for window in recording.windows(since, until):
        yield window
        if progress is not None:
            progress((window.at - recording.since) // BUCKET, n_buckets)
