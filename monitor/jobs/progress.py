"""How far a long job is: a bar on a terminal, log lines without one."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with (done, total)."""


def logged(what: str, *, every: float = 0.1) -> Progress:
    """Writes a log line each time another tenth is done."""
    said = -1

    def tell(done: int, total: int) -> None:
        nonlocal said
        step = int(done / max(total, 1) / every)
        if step != said:
            said = step
            log.info("progress", extra={"job": what, "done": done, "total": total})

    return tell


@contextmanager
def shown(what: str) -> Iterator[Progress]:
    """A progress bar on standard error where that is a terminal, log lines otherwise."""
    if not sys.stderr.isatty():
        yield logged(what)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
