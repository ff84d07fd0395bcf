"""The fixed limits OpenRouter offers: a daily credit limit a key, a daily budget a workspace, and e-mails about both."""

from __future__ import annotations

import numpy as np

from detect.grid import DAY, Floats, Grid, Ints, within_day
from detect.scores import Scores

MIN_LIMIT_USD = 1.0
"""Nobody gives a key a daily limit of cents."""

MIN_HISTORY = 2 * DAY
"""A key gets a limit once there are two days to take it from."""

E_MAIL_SHARE = 0.8
"""OpenRouter tells of a limit at this share of it, and when it is reached (its documentation on notifications)."""


def so_far(usd: Floats, day: Ints) -> Floats:
    """Spend since midnight UTC, at the end of each bucket."""
    total = np.cumsum(usd, axis=1)
    begin = np.flatnonzero(np.diff(day, prepend=day[0] - 1))
    before = np.where(begin > 0, total[:, begin - 1], 0.0)
    return np.maximum(total - before[:, day - day[0]], 0.0)


def largest_day(usd: Floats, day: Ints, *, turn: int) -> Floats:
    """The largest whole day of the history, at each bucket; on the days of the history themselves, the largest other one."""
    begin = np.flatnonzero(np.diff(day, prepend=day[0] - 1))
    n_past = int(np.searchsorted(begin[1:], turn, side="right"))
    past = np.add.reduceat(usd, begin, axis=1)[:, :n_past]
    largest = np.repeat(past.max(axis=1, keepdims=True, initial=0.0), len(begin), axis=1)
    for number in range(n_past):
        largest[:, number] = np.delete(past, number, axis=1).max(axis=1, initial=0.0)
    return largest[:, day - day[0]]


def of_keys(grid: Grid) -> Scores:
    """A daily credit limit for each key: its largest day, times the threshold. E-mail at 80 %, refusal at the limit."""
    day = within_day(grid)
    limit = np.maximum(largest_day(grid.usd, day, turn=grid.turn), MIN_LIMIT_USD)
    limit[grid.turn - grid.born < MIN_HISTORY] = np.inf
    ratio = so_far(grid.usd, day) / limit
    return Scores(ratio / E_MAIL_SHARE, stop=ratio, day=day, refuses=True)


def of_workspaces(grid: Grid) -> Scores:
    """The same for whole workspaces, e-mails at 80 % and at the budget only. They name no key; here they count for the key
    that is most dollars above its own largest day, which is more than they say."""
    day = within_day(grid)
    spaces = np.zeros((int(grid.workspace_no.max()) + 1, grid.n_buckets))
    np.add.at(spaces, grid.workspace_no, grid.usd)
    budget = np.maximum(largest_day(spaces, day, turn=grid.turn), MIN_LIMIT_USD)
    ratio = so_far(spaces, day) / budget
    excess = so_far(grid.usd, day) - largest_day(grid.usd, day, turn=grid.turn)
    members = [np.flatnonzero(grid.workspace_no == space) for space in range(len(spaces))]
    key_of = np.stack([keys[excess[keys].argmax(axis=0)] for keys in members])
    return Scores(ratio / E_MAIL_SHARE, stop=ratio, day=day, key_of=key_of, n_keys=len(grid.usd))
