"""Who is run on what: each detector and recording in a process of its own, whose peak of memory is then its own."""

from __future__ import annotations

import multiprocessing
import re
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from detect import anomstack, grid, references, scorer, tuning
from detect.references import REFERENCES
from detect.scores import Scores, decided
from detect.variants import AS_SHIPPED, VARIANTS
from monitor.backtest import Decision, load, write

FROM_HISTORY = "clean history"
FROM_LABELS = "labels (!)"
AS_GIVEN = "as given"
OURS = "ours"
"""Where a threshold comes from."""

WARM_UP = 2 * grid.DAY
"""At the beginning of a recording everything looks new; it tunes nothing."""


@dataclass(frozen=True, slots=True)
class Task:
    """One detector on one recording. `judged_by`: the recording beside the scorer. `threshold`: found with labels elsewhere;
    None where these labels shall find it."""

    name: str
    folder: Path
    judged_by: Path
    seed: int = 0
    threshold: float | None = None

    @property
    def is_reference(self) -> bool:
        return self.name in REFERENCES


@dataclass(frozen=True, slots=True)
class Run:
    """What came of it: what the scorer counted, on all keys and on each half of them, and what it cost.

    `seconds` of CPU without reading the recording; `peak_mb` of the whole process with it."""

    name: str
    how: str
    folder: Path
    seed: int
    threshold: float | None
    judged: dict[str, Any]
    halves: list[dict[str, Any]] = field(repr=False)
    seconds: float
    peak_mb: float


def tasks(folders: Sequence[Path], *, judged_by: Path, seeds: Sequence[int], only: str) -> list[Task]:
    """The references and the variants on each recording; the shipped detector with each of the seeds. `only`: a regular
    expression searched in the names."""
    found = []
    for folder in folders:
        found += [Task(AS_SHIPPED, folder, judged_by, seed) for seed in seeds]
        found += [Task(name, folder, judged_by, seeds[0]) for name in VARIANTS if name != AS_SHIPPED]
        found += [
            Task(name, folder, judged_by) for name in REFERENCES if anomstack.is_installed() or name != references.PYOD
        ]
    return [task for task in found if re.search(only, task.name)]


def run_all(
    folder: Path,
    also: Sequence[Path],
    *,
    seeds: Sequence[int],
    only: str,
    out: Path,
    jobs: int,
    told: Callable[[str], None],
) -> list[Run]:
    """Everything on `folder`; then the references and the shipped detector on the others, with the thresholds that the labels
    of `folder` gave."""
    first = tasks([folder], judged_by=folder, seeds=seeds, only=only)
    runs = list(_run(first, out=out, jobs=jobs, told=told))
    tuned = {run.name: run.threshold for run in runs if run.how == FROM_LABELS}
    rest = [
        replace(task, threshold=tuned.get(task.name))
        for task in tasks(also, judged_by=folder, seeds=seeds, only=only)
        if task.is_reference or task.name == AS_SHIPPED
    ]
    return runs + list(_run(rest, out=out, jobs=jobs, told=told))


def _run(todo: Sequence[Task], *, out: Path, jobs: int, told: Callable[[str], None]) -> Iterator[Run]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, max_tasks_per_child=1) as pool:
        waiting = {pool.submit(execute, task, out): task for task in todo}
        for no, done in enumerate(as_completed(waiting), start=1):
            task = waiting[done]
            found = done.result()
            told(f"{no}/{len(todo)} {task.name} on {task.folder.name}, seed {task.seed}: {found[0].seconds:.0f} s")
            yield from found


def execute(task: Task, out: Path) -> list[Run]:
    """One task; its decisions are left in `out` for the scorer."""
    recording = load(task.folder)
    if task.is_reference:
        return _reference(task, grid.of(recording), out)
    begin = time.process_time()
    decisions = VARIANTS[task.name]().decisions(recording, seed=task.seed)
    return [_judged(task, OURS, decisions, threshold=None, seconds=time.process_time() - begin, out=out)]


def _reference(task: Task, table: grid.Grid, out: Path) -> list[Run]:
    reference = REFERENCES[task.name]
    begin = time.process_time()
    scores = reference.score(table)
    fitted = time.process_time() - begin
    found: list[tuple[str, Scores, float]] = [(FROM_HISTORY, scores, from_history(scores, table))]
    seconds = time.process_time() - begin
    peak_mb = _peak_mb()
    by_labels = with_labels(scores, table, task) if task.threshold is None else task.threshold
    found.append((FROM_LABELS, scores, by_labels))
    if reference.as_given is not None:
        found.append((AS_GIVEN, *reference.as_given(table, scores)))
    return [
        _judged(
            task,
            how,
            decided(reference, shown, table, threshold),
            threshold=threshold,
            seconds=seconds if how == FROM_HISTORY else fitted,
            out=out,
            peak_mb=peak_mb,
        )
        for how, shown, threshold in found
    ]


def from_history(scores: Scores, table: grid.Grid) -> float:
    """The threshold that clean history gives, and nothing else is known to."""
    return tuning.from_history(scores.alert, scores.fires, history=slice(WARM_UP, table.turn))


def with_labels(scores: Scores, table: grid.Grid, task: Task) -> float:
    """The lowest threshold that keeps within the budget of false incidents by the labels of the days that count."""
    judge = scorer.load(task.judged_by)
    rate = scorer.false_per_week(judge, judge.Truth(task.folder), table, fires=scores.fires)
    return tuning.lowest(tuning.candidates(scores.alert[:, table.turn :]), rate)


def _judged(
    task: Task,
    how: str,
    decisions: Sequence[Decision],
    *,
    threshold: float | None,
    seconds: float,
    out: Path,
    peak_mb: float | None = None,
) -> Run:
    peak_mb = _peak_mb() if peak_mb is None else peak_mb
    judge = scorer.load(task.judged_by)
    truth = judge.Truth(task.folder)
    place = out / "decisions" / task.folder.name
    place.mkdir(parents=True, exist_ok=True)
    write(decisions, place / f"{_slug(task.name)}-{_slug(how)}-{task.seed}.jsonl")
    return Run(
        task.name,
        how,
        task.folder,
        task.seed,
        threshold,
        scorer.judged(judge, truth, decisions),
        scorer.halves(judge, truth, decisions),
        seconds,
        peak_mb,
    )


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
