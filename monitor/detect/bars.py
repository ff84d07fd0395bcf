"""What people said of a key moves its bar, for a while. Pure.

expected   The key did what its people say was theirs: for two weeks more is asked before it is told of.
planned    Until the time they named, only a sign that clean keys never show is told of, and no key is taken away for it.
abuse      Somebody has the key, or had it: for a month less is asked, and one bucket is enough.

A raised bar never touches what it takes to disable a key, except that a planned use disables nothing: who announces a load
test does not announce a theft, and a thief may come on that very day. docs/adr/0012.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt

from monitor.domain import PLANNED, Cause, Feedback, Finding, Opinion, Rung
from monitor.frames import Catalog

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

LASTS: Final[Mapping[Opinion, timedelta]] = {Opinion.EXPECTED: timedelta(days=14), Opinion.ABUSE: timedelta(days=30)}
"""How long an opinion counts where nobody says until when."""

LONGEST_PLAN: Final = timedelta(days=31)
"""A plan is for a time; what stays is a habit, and habits are learned."""

ALPHA_TIMES: Final[Mapping[Opinion, float]] = {Opinion.EXPECTED: 0.2, Opinion.ABUSE: 5.0}
"""The p-value of an alarm, in times of that for other keys."""

EVIDENCE_TIMES: Final[Mapping[Opinion, float]] = {Opinion.EXPECTED: 2.0, Opinion.ABUSE: 0.5}
"""The score-hours of an alarm, in times of those for other keys."""


@dataclass(frozen=True, slots=True)
class Bars:
    """By row of a batch: `alpha`, `evidence` in times of the detector's levels; who is `planned`, who is `abused`."""

    alpha: Floats
    evidence: Floats
    planned: Bools
    abused: Bools


def in_force(said: Iterable[Feedback], catalog: Catalog, now: datetime) -> dict[int, Feedback]:
    """By key_no, what counts at `now`: the newest of what was said by then and is not over."""
    counts = sorted((one for one in said if one.is_in_force(now)), key=lambda one: (one.said_at, one.feedback_id))
    numbered = ((catalog.known_key_no(one.key_hash), one) for one in counts)
    return {key_no: one for key_no, one in numbered if key_no is not None}


def of(key_no: npt.NDArray[np.integer], said: Mapping[int, Feedback]) -> Bars:
    """The bars of these keys; where nothing is in force, those of everybody."""
    n = len(key_no)
    alpha, evidence = np.ones(n), np.ones(n)
    planned, abused = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    if said:
        at = {no: row for row, no in enumerate(key_no.tolist()) if no in said}
        for no, row in at.items():
            opinion = said[no].opinion
            alpha[row], evidence[row] = ALPHA_TIMES.get(opinion, 1.0), EVIDENCE_TIMES.get(opinion, 1.0)
            planned[row], abused[row] = opinion is Opinion.PLANNED, opinion is Opinion.ABUSE
    return Bars(alpha, evidence, planned, abused)


def noted(finding: Finding, feedback: Feedback | None, *, is_proof: bool) -> Finding:
    """The finding with what people said of its key. A planned use is recorded in shadow, or told, if it is what only thieves
    do (`is_proof`), without asking for the key."""
    if feedback is None:
        return finding
    cause = Cause(None, PLANNED, 0, 0.0, False, 0, sentence(feedback))
    told = replace(finding, causes=(*finding.causes, cause))
    if feedback.opinion is not Opinion.PLANNED:
        return told
    return replace(told, rung=min(told.rung, Rung.NOTIFY), is_shadow=told.is_shadow or not is_proof)


def sentence(feedback: Feedback) -> str:
    """What was said, in words. Holds text from outside."""
    who = f"{feedback.said_by} on {feedback.said_at:%Y-%m-%d %H:%M} UTC"
    note = f": {feedback.note}" if feedback.note else ""
    if feedback.opinion is Opinion.PLANNED:
        return f"announced by {who} as planned until {feedback.until:%Y-%m-%d %H:%M} UTC{note}"
    if feedback.opinion is Opinion.ABUSE:
        return f"called abused by {who}: watched more closely until {feedback.until:%Y-%m-%d} UTC{note}"
    return f"called expected by {who}: more is asked before an alert until {feedback.until:%Y-%m-%d} UTC{note}"
