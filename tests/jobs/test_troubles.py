"""A failing source is told of once, and once more when it is back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from monitor.errors import Unauthorized, Unavailable
from monitor.jobs.troubles import PATIENCE, Trouble, note

T0 = datetime(2026, 3, 1, tzinfo=UTC)
NOTHING: frozenset[str] = frozenset()


def test_a_refused_management_key_is_told_at_once_and_only_once() -> None:
    state: dict[str, Trouble] = {}
    told = 0
    for minute in range(120):
        state, notices = note(state, {"keys": Unauthorized("401")}, NOTHING, T0 + timedelta(minutes=minute))
        told += len(notices)
    assert told == 1


def test_a_short_outage_is_not_told_and_a_long_one_once_with_its_end() -> None:
    state, notices = note({}, {"usage": Unavailable("503")}, NOTHING, T0)
    assert not notices
    state, notices = note(state, {}, frozenset({"usage"}), T0 + timedelta(minutes=5))
    assert not notices and not state
    state, _ = note({}, {"usage": Unavailable("503")}, NOTHING, T0)
    state, notices = note(state, {"usage": Unavailable("503")}, NOTHING, T0 + PATIENCE)
    assert len(notices) == 1 and "usage" in notices[0].detail
    state, notices = note(state, {}, frozenset({"usage"}), T0 + timedelta(hours=6))
    assert len(notices) == 1 and "360 min" in notices[0].detail and not state


def test_a_lane_that_did_not_run_keeps_its_trouble() -> None:
    state, _ = note({}, {"settle": Unavailable("503")}, NOTHING, T0)
    later, notices = note(state, {}, frozenset({"keys"}), T0 + timedelta(minutes=1))
    assert later == state and not notices
