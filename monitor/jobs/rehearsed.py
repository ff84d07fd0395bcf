"""What is remembered of the last rehearsal, and the key that one left behind when it was cut off. One small document in the store.

A rehearsal is written down before it touches anything. Whoever comes next (the service, another rehearsal, `restore KEY`) finds its
disable in the journal, and puts the key back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from monitor.config import Settings
from monitor.domain import Action, ActionState, MessageKind, Notice, Reason, Rung, Verb, Verdict
from monitor.errors import ActionFailed, MonitorError, SourceError
from monitor.jobs import act, manual
from monitor.jobs.app import App
from monitor.report.figures import LastRehearsal
from monitor.respond import undoing
from monitor.store.base import Store
from monitor.wording import duration, one_line, seconds

log = logging.getLogger(__name__)

NAME: Final = "rehearsal"

UNDER_WAY, DONE, FAILED, LEFT = "under way", "done", "failed", "left"
"""States. LEFT: it failed, and its key may still be disabled."""

LASTS: Final = timedelta(minutes=10)
"""One under way for longer was cut off."""

AGAIN: Final = timedelta(minutes=10)
"""Pause after a failed attempt to put a key back; doubled with each, up to six hours."""

_LONGEST: Final = timedelta(hours=6)
_BACK: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Step:
    """One step: how many seconds it took, and what was seen."""

    name: str
    seconds: float
    is_ok: bool
    detail: str


def begin(store: Store, *, rehearsal_id: str, key_hash: str, key_name: str, by: str, at: datetime) -> None:
    """Written before anything is touched. Raises StoreError."""
    about = {"id": rehearsal_id, "key_hash": key_hash, "key_name": key_name, "by": by, "at": at.isoformat()}
    store.state.put(NAME, {**about, "state": UNDER_WAY, "problem": "", "steps": []})


def end(store: Store, *, steps: Sequence[Step], problem: str, is_left: bool) -> None:
    """What came of it. Raises StoreError."""
    told = [{"name": s.name, "seconds": round(s.seconds, 3), "ok": s.is_ok, "detail": s.detail} for s in steps]
    state = LEFT if is_left else FAILED if problem else DONE
    _change(store, {"state": state, "problem": problem, "steps": told})


def _change(store: Store, changes: Mapping[str, object]) -> None:
    store.state.put(NAME, {**(store.state.get(NAME) or {}), **changes})


def told(store: Store, settings: Settings, now: datetime) -> tuple[str, bool]:
    """(the last rehearsal in one line, whether that is well), for `status` and `check`. Raises StoreError."""
    last = store.state.get(NAME)
    if last is None:
        never = "never: the chain from a finding to a disabled key has not been tried on this account"
        hint = "; on a key of no importance: `openrouter-monitor rehearse KEY`"
        return never + (hint if settings.response.mode == "enforce" else ""), True
    at, state = datetime.fromisoformat(str(last["at"])), str(last["state"])
    who = f"{duration(now - at)} ago on {one_line(str(last['key_name'])) or 'a key'} ({str(last['key_hash'])[:12]})"
    if state == UNDER_WAY and now - at < LASTS:
        return f"{who}: under way", True
    if state == DONE:
        return f"{who}: ok; {delays(_steps(last))}", True
    problem = "it was cut off" if state == UNDER_WAY else one_line(str(last["problem"]))
    if state != FAILED and not _is_left(store.ledger.actions(key_hash=str(last["key_hash"]))):
        return f"{who}: FAILED, it was cut off or could not put its key back; that is as it was by now", False
    undo = f"; THE KEY MAY STILL BE DISABLED: `openrouter-monitor restore {str(last['key_hash'])[:12]}`"
    return f"{who}: FAILED, {problem}{'' if state == FAILED else undo}", False


def last(store: Store, now: datetime) -> LastRehearsal | None:
    """The last rehearsal as the digest tells it; None where there was none, or the first is under way. Raises StoreError."""
    document = store.state.get(NAME)
    if document is None:
        return None
    at, state, key_hash = datetime.fromisoformat(str(document["at"])), document["state"], str(document["key_hash"])
    if state == UNDER_WAY and now - at < LASTS:
        return None
    problem = "" if state == DONE else "it was cut off" if state == UNDER_WAY else str(document["problem"])
    is_left = state in {UNDER_WAY, LEFT} and _is_left(store.ledger.actions(key_hash=key_hash))
    steps = tuple((step.name, step.seconds) for step in _steps(document))
    return LastRehearsal(at, key_hash, str(document["key_name"]), problem, steps, is_left)


def delays(steps: Sequence[Step]) -> str:
    """`read 0.3 s, detect 12.1 s, …`"""
    return ", ".join(f"{step.name} {seconds(step.seconds)}" for step in steps)


def _steps(document: Mapping[str, Any]) -> list[Step]:
    return [Step(str(s["name"]), float(s["seconds"]), bool(s["ok"]), str(s["detail"])) for s in document["steps"]]


async def put_back(app: App, *, older_than: timedelta = timedelta(0)) -> tuple[Action, ...]:
    """Puts back the key of a rehearsal that was cut off, once its intent is resolved; returns what was done.

    `older_than` leaves one alone that may be under way at this moment. What does not work is tried again later, and told once.
    Raises StoreError."""
    last = await asyncio.to_thread(app.store.state.get, NAME)
    if last is None or last["state"] not in {UNDER_WAY, LEFT}:
        return ()
    key_hash, now = str(last["key_hash"]), app.now()
    journal = await asyncio.to_thread(app.store.ledger.actions, since=now - _BACK, key_hash=key_hash)
    disable = _in_force(journal)
    if disable is None:
        is_over = last["state"] == LEFT or now - datetime.fromisoformat(str(last["at"])) >= LASTS  # it acts no more
        if is_over and not _is_open(journal):
            problem = "it was cut off, or could not put its key back; that is as it was by now"
            await asyncio.to_thread(_change, app.store, {"state": FAILED, "problem": problem})
        return ()
    if now - disable.intended_at < older_than or _is_open(journal) or now < _next_try(journal, disable):
        return ()
    return await _restored(app, disable, now)


async def _restored(app: App, disable: Action, now: datetime) -> tuple[Action, ...]:
    """The restore, its outcome in the document, and a line for people."""
    key = next((each for each in app.store.keys.keys(include_vanished=True) if each.key_hash == disable.key_hash), None)
    try:
        fresh = key or await app.control.read(disable.key_hash)
        done = await manual.restore(app, fresh, requested_by=disable.requested_by)
    except (ActionFailed, SourceError) as error:
        log.warning("rehearsal_not_put_back", extra={"key": disable.key_hash[:12], "error": str(error)})
        if isinstance(error, ActionFailed):
            await _tell(
                app, disable, f"A rehearsal was cut off, and its key could not be put back: {error}", is_ok=False
            )
        return ()
    if done.state is ActionState.DONE:
        problem = "it was cut off; the key was put back afterwards, and read back equal"
        await asyncio.to_thread(_change, app.store, {"state": FAILED, "problem": problem})
        off = duration((done.finished_at or now) - disable.intended_at)
        text = f"A rehearsal was cut off. Its key was put back exactly, and read back; it was off for {off} at most."
        await _tell(app, disable, text, is_ok=True)
    return (done,)


async def _tell(app: App, disable: Action, text: str, *, is_ok: bool) -> None:
    """Once: the message is the same whenever it is composed."""
    rung, at = Rung.NONE if is_ok else Rung.DISABLE, disable.intended_at
    verdict = Verdict(disable.key_hash, disable.incident_id or "", at, rung, is_ok, Reason.REHEARSAL, text)
    notice = Notice(
        MessageKind.REHEARSAL, disable.intended_at, verdict=verdict, detail=text, thread=disable.incident_id
    )
    messages = await asyncio.to_thread(act.compose, app, (notice,), app.now())
    await asyncio.to_thread(app.store.outbox.add, messages, app.now())


def _in_force(journal: Sequence[Action]) -> Action | None:
    """The disable of a rehearsal that nothing has undone, nor anybody acted on the key since."""
    undo = undoing.undo_of(journal)
    return undo.latest if undo is not None and undo.latest.reason is Reason.REHEARSAL else None


def _is_left(journal: Sequence[Action]) -> bool:
    return _in_force(journal) is not None or _is_open(journal)


def _is_open(journal: Sequence[Action]) -> bool:
    return any(action.state is ActionState.INTENDED for action in journal)


def _next_try(journal: Sequence[Action], disable: Action) -> datetime:
    """When the next attempt is due, by how many failed since."""
    failed = [
        each
        for each in journal
        if each.verb is Verb.RESTORE and each.state is ActionState.FAILED and each.intended_at >= disable.intended_at
    ]
    if not failed:
        return disable.intended_at
    last: datetime = max(each.finished_at or each.intended_at for each in failed)
    doubled: timedelta = AGAIN * 2 ** min(len(failed) - 1, 8)
    return last + min(_LONGEST, doubled)


async def settle(app: App) -> None:
    """Before a rehearsal: what an earlier one left is put back first. Raises MonitorError where that did not work."""
    await act.resolve_open(app, reason=Reason.REHEARSAL)
    await put_back(app)
    last = await asyncio.to_thread(app.store.state.get, NAME)
    if last is not None and last["state"] == LEFT:
        key_hash = str(last["key_hash"])[:12]
        raise MonitorError(
            f"an earlier rehearsal left key {key_hash} disabled: `openrouter-monitor restore {key_hash}` first"
        )
