"""A rehearsal: detect, alert, disable, read back and restore, once, on one key that nobody would miss, against the real account.

1. read     the key and all others, now; whether this one may be rehearsed on (`rehearsable`)
2. detect   a simulated theft, judged in memory by what is at work (`staged_theft`); everything after this is real
3. alert    the alert it would have been, marked as a rehearsal, through the outbox to where the routes say; delivered
4. disable  intent, act, read back
5. restore  whatever came of that: put back exactly, read back equal; or the loudest words there are, with the command
6. the last line in the thread: the delay of each step

Each step is timed and written into the audit trail as it ends. A rehearsal counts for no fuse, cooldown or figure."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypeVar

from monitor.domain import (
    Action,
    ActionState,
    ApiKey,
    AuditEntry,
    AuditKind,
    Message,
    MessageKind,
    Notice,
    Plan,
    Reason,
    Rung,
    Severity,
    Verb,
    Verdict,
    short_id,
)
from monitor.errors import ActionFailed, DeliveryError, MonitorError, RequestRefused, SourceError, StoreError
from monitor.features import NAMES
from monitor.jobs import act, artifacts, auditing, manual, rehearsable, rehearsed, staged_theft, startup
from monitor.jobs.app import App
from monitor.jobs.deliver import deliver
from monitor.jobs.rehearsed import Step
from monitor.jobs.staged_theft import Stage, Staged
from monitor.respond import reading, requests
from monitor.store.base import Delivery
from monitor.wording import REASONS, duration, one_line, seconds

PATIENCE_S: Final = 60.0
"""How long an alert may take to arrive; a rehearsal that nobody would have heard of touches no key."""

RESTORE_AGAIN_S: Final = (2.0, 10.0, 30.0)
"""Pauses before a restore that did not work is begun anew, beside the attempts each of them makes."""

PLAN_LASTS: Final = timedelta(minutes=10)
"""What was judged before a person was asked counts for so long."""

Tell = Callable[[Step], None]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What came of it. `problem`: empty where everything worked. `is_left`: the key may still be disabled. `staged`: what
    the detector said of the simulated theft; `note`: what would hold a real one back, in words."""

    rehearsal_id: str
    key: ApiKey
    at: datetime
    steps: tuple[Step, ...] = ()
    problem: str = ""
    is_left: bool = False
    staged: Staged | None = None
    note: str = ""


@dataclass(slots=True)
class _Run:
    """One under way."""

    app: App
    key: ApiKey
    by: str
    rehearsal_id: str
    at: datetime
    tell: Tell
    steps: list[Step] = field(default_factory=list)
    is_left: bool = False

    async def step(self, name: str, doing: Awaitable[_T], said: Callable[[_T], str]) -> _T:
        """Does one step, timed, and writes down how it went. Raises what it raises."""
        begun = self.app.clock.monotonic()
        try:
            done = await doing
        except BaseException as error:
            why = one_line(str(error)) or type(error).__name__
            await self.note(Step(name, self.app.clock.monotonic() - begun, False, why))
            raise
        await self.note(Step(name, self.app.clock.monotonic() - begun, True, said(done)))
        return done

    async def note(self, step: Step) -> None:
        """Into the trail, and to whoever waits; a store that fails here must not keep the key from being put back."""
        self.steps.append(step)
        self.tell(step)
        try:
            await self.write(step.name, "ok" if step.is_ok else "failed", step.detail, f"{step.seconds:.3f}")
        except StoreError:
            if step.is_ok and step.name in _BEFORE:
                raise

    async def write(self, step: str, outcome: str, why: str, seconds: str = "") -> None:
        """One row of the audit trail. Raises StoreError."""
        detail = {"step": step, "outcome": outcome} | ({"seconds": seconds} if seconds else {})
        entry = AuditEntry(
            at=self.app.now(),
            kind=AuditKind.REHEARSAL,
            by=self.by,
            subject=self.rehearsal_id,
            key_hash=self.key.key_hash,
            incident_id=self.rehearsal_id,
            why=why,
            detail=detail,
        )
        await asyncio.to_thread(self.app.store.audit.append, (entry,))


READ, DETECT, ALERT, DISABLE, RESTORE = "read", "detect", "alert", "disable", "restore"
_BEFORE: Final = frozenset({READ, DETECT, ALERT})


async def plan(app: App, choose: rehearsable.Choose, *, shipped: Path) -> Rehearsal:
    """Steps 1 and 2 alone, for `--dry-run`: nothing is written, sent or changed. Raises RequestRefused, SourceError, StoreError."""
    begun = app.clock.monotonic()
    key, stage = await _stage(app, choose, shipped)
    read = Step(READ, app.clock.monotonic() - begun, True, "the key may be rehearsed on")
    begun = app.clock.monotonic()
    staged = await asyncio.to_thread(staged_theft.play, app.store, app.settings, stage, app.now())
    missed = missing(staged)
    detect = Step(DETECT, app.clock.monotonic() - begun, not missed, missed or detected(staged))
    return Rehearsal("", key, app.now(), (read, detect), missed, staged=staged, note=held_back(app, staged))


async def rehearse(
    app: App,
    choose: rehearsable.Choose,
    *,
    by: str,
    shipped: Path,
    tell: Tell = lambda step: None,
    planned: Rehearsal | None = None,
) -> Rehearsal:
    """The whole of it. `by`: `cli:<user>`. `planned`: what `plan` said a moment ago, whose theft is not played again.

    Raises RequestRefused where the key may not be rehearsed on, SourceError and StoreError where it never began; what goes wrong
    afterwards is told in what is returned, after the key was put back."""
    await rehearsed.settle(app)
    begun = app.clock.monotonic()
    key, stage = await _stage(app, choose, shipped)
    at = app.now()
    run = _Run(app, key, by, short_id("REH", key.key_hash, by, at.isoformat(), uuid.uuid4().hex), at, tell)
    await asyncio.to_thread(
        rehearsed.begin,
        app.store,
        rehearsal_id=run.rehearsal_id,
        key_hash=key.key_hash,
        key_name=key.key_name,
        by=by,
        at=at,
    )
    await run.write("begin", "ok", "a rehearsal: no theft")
    await run.note(Step(READ, app.clock.monotonic() - begun, True, "complete and fresh; the key may be rehearsed on"))
    staged: Staged | None = None
    problem = "it was interrupted"
    try:
        staged = await _detected(run, stage, planned)
        await run.step(ALERT, _alert(run, staged), str)
        await _act(run)
        problem = ""
    except MonitorError as error:
        problem = str(error)
    finally:
        problem = await _ended(run, problem)
    note = "" if staged is None else held_back(app, staged)
    return Rehearsal(run.rehearsal_id, key, at, tuple(run.steps), problem, run.is_left, staged, note)


async def _stage(app: App, choose: rehearsable.Choose, shipped: Path) -> tuple[ApiKey, Stage]:
    key, keys, workspaces = await rehearsable.chosen(app, choose)
    why = await asyncio.to_thread(rehearsable.refusal, app, key, app.now())
    if why is not None:
        raise RequestRefused(f"no rehearsal on key {key.key_hash[:12]}: {why}; nothing was touched")
    trained, _ = await asyncio.to_thread(
        artifacts.choose, app.settings.detection.artifact, startup.at_work(app), shipped, NAMES
    )
    return key, Stage(key, keys, workspaces, trained)


async def _detected(run: _Run, stage: Stage, planned: Rehearsal | None) -> Staged:
    """Step 2: as planned, where that is of a moment ago and the key is as it was then."""
    if planned is not None and planned.staged is not None and not planned.problem:
        is_same = (planned.key.key_hash, planned.key.settings) == (run.key.key_hash, run.key.settings)
        if is_same and run.at - planned.at <= PLAN_LASTS:
            await run.note(planned.steps[-1])
            return planned.staged
    return await run.step(DETECT, _detect(run.app, stage), detected)


async def _detect(app: App, stage: Stage) -> Staged:
    staged = await asyncio.to_thread(staged_theft.play, app.store, app.settings, stage, app.now())
    if missed := missing(staged):
        raise RequestRefused(f"the simulated theft did not reach the disable rung: {missed}; the key was not touched")
    return staged


def missing(staged: Staged) -> str:
    """Why the disable rung was not reached; empty where it was."""
    if staged.after is not None:
        return ""
    if staged.verdict is None:
        return f"{_theft(staged)} was not noticed (a young key, no trained detector yet, or too little money?)"
    why = f"{REASONS[staged.verdict.reason]}. {staged.verdict.detail}".rstrip(". ")
    return f"{_theft(staged)} was noticed, but {why} ({staged.policy})"


def detected(staged: Staged) -> str:
    """What the detector said, honest about what was simulated."""
    after = duration(staged.after) if staged.after is not None else "?"
    return f"SIMULATED: {_theft(staged)} reaches the disable rung {after} after it begins ({staged.policy})"


def _theft(staged: Staged) -> str:
    return f"{staged.theft.told}, laid over its own usage"


def held_back(app: App, staged: Staged) -> str:
    """What would keep a real theft from being stopped like this now; empty where nothing would."""
    response, verdict = app.settings.response, staged.verdict
    if response.mode != "enforce":
        return f"response.mode is {response.mode}: a real theft would be told of, and no key disabled"
    if verdict is None or staged.after is None or verdict.is_act:
        return ""
    return f"a real theft would not be stopped at once: {REASONS[verdict.reason]}. {verdict.detail}".rstrip(". ")


async def _alert(run: _Run, staged: Staged) -> str:
    """The alert, in the outbox and then in the hands of its sink."""
    app, incident, now = run.app, staged.incident, run.app.now()
    assert incident is not None  # a verdict is about one
    shown = replace(incident, incident_id=run.rehearsal_id, step=1, severity=Severity.NOTICE)
    notice = Notice(MessageKind.REHEARSAL, now, incident=shown, verdict=staged.verdict)
    messages = await asyncio.to_thread(act.compose, app, (notice,), now)
    await asyncio.to_thread(app.store.outbox.add, messages, now)
    return await _delivered(run, [each for each in messages if "@" not in each.message_id], patience_s=PATIENCE_S)


async def _delivered(run: _Run, messages: list[Message], *, patience_s: float) -> str:
    """Waits until they have arrived, by our own hands or the running service's. Raises DeliveryError."""
    app = run.app
    until = app.clock.monotonic() + patience_s
    wanted = {each.message_id for each in messages}
    while True:
        await deliver(app)
        entries = await asyncio.to_thread(app.store.outbox.entries, thread=run.rehearsal_id)
        mine = [each for each in entries if each.message.message_id in wanted]
        if all(each.state is Delivery.DELIVERED for each in mine):
            where = dict.fromkeys(each.receipt.channel for each in mine if each.receipt)
            return f"delivered to {', '.join(where)} by {app.notifier.name}"
        if any(each.state is Delivery.DEAD for each in mine) or app.clock.monotonic() >= until:
            said = "; ".join(dict.fromkeys(each.last_error for each in mine if each.last_error)) or "no answer yet"
            raise DeliveryError(f"the message did not arrive within {patience_s:g} s: {said}", permanent=False)
        await app.clock.sleep(1.0)


async def _act(run: _Run) -> None:
    """Disables, and puts back whatever came of it, also when it is interrupted. Raises what went wrong, the restore first."""
    app = run.app
    fresh = await app.control.read(run.key.key_hash)
    if fresh.settings != run.key.settings:
        what = reading.difference(fresh.settings, run.key.settings)
        raise ActionFailed(f"somebody changed the key meanwhile ({what}); it was not touched", permanent=True)
    journal = await asyncio.to_thread(app.store.ledger.actions, key_hash=run.key.key_hash)
    after = (each.intended_at + timedelta(milliseconds=1) for each in journal)
    intent = requests.revoke_request(
        fresh,
        requested_by=run.by,
        now=max((app.now(), *after)),  # the journal is read in this order, whatever a clock that was set back says
        ttl=app.settings.response.intent_ttl,
        incident_id=run.rehearsal_id,
        reason=Reason.REHEARSAL,
    )
    run.is_left = True
    await asyncio.to_thread(app.store.ledger.commit, (), Plan(at=intent.intended_at, actions=(intent,)), ())
    try:
        await run.step(DISABLE, _disable(app, intent), lambda done: done.detail)
    finally:
        await run.step(RESTORE, _restore(run), str)
        run.is_left = False


async def _disable(app: App, intent: Action) -> Action:
    (done,) = await act.carry_out(app, (intent,))
    if done.state is not ActionState.DONE:
        raise ActionFailed(f"disable {done.state.value}: {done.detail}", permanent=True)
    return done


async def _restore(run: _Run) -> str:
    """Until the key is read back as it was, or patience is over."""
    for wait_s in (*RESTORE_AGAIN_S, None):
        try:
            return await _restored(run)
        except (SourceError, StoreError, ActionFailed) as error:
            if wait_s is None or (isinstance(error, ActionFailed) and error.permanent):
                raise ActionFailed(_loud(run, error), permanent=True) from error
        await run.app.clock.sleep(wait_s)
    raise AssertionError("the last attempt returns or raises")


async def _restored(run: _Run) -> str:
    app, was = run.app, run.key.settings
    await act.resolve_open(app, reason=Reason.REHEARSAL)
    journal = await asyncio.to_thread(app.store.ledger.actions, key_hash=run.key.key_hash)
    mine = [each for each in journal if each.incident_id == run.rehearsal_id]
    if not _is_untouched(mine) and not _is_put_back(mine):
        done = await manual.restore(app, run.key, requested_by=run.by)
        if done.state is not ActionState.DONE:
            raise ActionFailed(f"restore {done.state.value}: {done.detail}", permanent=False)
    after = (await app.control.read(run.key.key_hash)).settings
    if after != was:
        raise ActionFailed(f"it is not as it was: {reading.difference(after, was)}", permanent=True)
    return "limit, limit_reset, include_byok_in_limit and disabled read back equal to before"


def _is_untouched(mine: list[Action]) -> bool:
    """The intent grew too old before anything was sent."""
    return all(each.state is ActionState.EXPIRED for each in mine)


def _is_put_back(mine: list[Action]) -> bool:
    """By the service, or by an attempt of ours whose answer was lost."""
    return any(each.verb is Verb.RESTORE and each.state is ActionState.DONE for each in mine)


def _loud(run: _Run, error: Exception) -> str:
    short = run.key.key_hash[:12]
    return (
        f"KEY {short} COULD NOT BE PUT BACK AND MAY STILL BE DISABLED ({error}). Undo by hand, now: `openrouter-monitor restore"
        f" {short}` (with --force where somebody changed it since), or enable it in OpenRouter's settings"
    )


async def _ended(run: _Run, problem: str) -> str:
    """Writes down and tells how it ended; returns the problem, with what went wrong in that: the key must not go unmentioned."""
    try:
        await _end(run, problem)
    except MonitorError as error:
        return "; and ".join(filter(None, (problem, f"how it ended could not be written down ({error})")))
    return problem


async def _end(run: _Run, problem: str) -> None:
    """The document, the trail, and the last line in the thread."""
    app, ok = run.app, not problem
    await asyncio.to_thread(rehearsed.end, app.store, steps=run.steps, problem=problem, is_left=run.is_left)
    await run.write("end", "ok" if ok else "failed", problem or rehearsed.delays(run.steps))
    await asyncio.to_thread(auditing.publish, app.store)
    if not any(step.name == ALERT for step in run.steps):
        return  # nobody has heard of it
    rung = Rung.DISABLE if run.is_left else Rung.NONE
    verdict = Verdict(run.key.key_hash, run.rehearsal_id, app.now(), rung, ok, Reason.REHEARSAL, problem)
    detail = "\n".join([problem or "Everything worked.", *(_line(step) for step in run.steps)])
    notice = Notice(MessageKind.REHEARSAL, app.now(), verdict=verdict, detail=detail, thread=run.rehearsal_id)
    messages = await asyncio.to_thread(act.compose, app, (notice,), app.now())
    await asyncio.to_thread(app.store.outbox.add, messages, app.now())
    await deliver(app)  # what does not arrive now is on its way like any other message


def _line(step: Step) -> str:
    return f"{step.name}: {seconds(step.seconds)}{'' if step.is_ok else ' FAILED'}; {step.detail}"
