"""The watch fails again and again by a fault in this program: people are told once, and once more when it works again.

It is an incident of the source's kind: while it is open nothing automatic happens, a restart tells nobody again, and the first
completed cycle ends it."""

from __future__ import annotations

import asyncio
import traceback
from datetime import datetime
from pathlib import Path
from typing import Final

import monitor
from monitor.decide import sources
from monitor.decide.sources import Symptom
from monitor.domain import ALIVE, Plan, Severity
from monitor.jobs import act, health
from monitor.jobs.app import App

PROGRAM: Final = "program"

_OURS: Final = Path(monitor.__file__).parent


async def tell(app: App, error: Exception, now: datetime) -> None:
    """Writes the incident down and queues its message. Raises StoreError."""
    symptom = Symptom(PROGRAM, said(error), Severity.CRITICAL, is_urgent=True)
    lately = await asyncio.to_thread(health.lately, app.store, app.settings, now)
    before = sources.recalled(each for each in lately if each.state in ALIVE)
    noted = sources.noted(before, (symptom,), frozenset(), lately, app.settings, now)
    messages = await asyncio.to_thread(act.compose, app, noted.notices, now)
    if noted.incidents or messages:
        await asyncio.to_thread(app.store.ledger.commit, (), Plan(now, incidents=noted.incidents), messages)


def said(error: Exception) -> str:
    """The kind of a fault and its place; never its own text, in which anything may stand."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(_OURS)]
    place = f" in {Path(ours[-1].filename).relative_to(_OURS)}:{ours[-1].lineno}" if ours else ""
    return (
        f"the monitor's own watch fails by a fault in the program ({type(error).__name__}{place}); "
        "it ends and is restarted, the traceback is in its log (job_fault): please report it"
    )
