"""Replay before arming: `response.mode = "enforce"` needs a recent replay of this account with the policy that is armed.

The record is one document in the store: when, over what, with which settings, and what came out. A policy that only became
more careful since needs no new replay, so that nobody hesitates to protect one more key.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from monitor import __version__
from monitor.config import Settings
from monitor.errors import ConfigError
from monitor.store.base import Store
from monitor.wording import duration

log = logging.getLogger(__name__)

NAME: Final = "replay"

LEAST_KNOWN: Final = timedelta(days=1)
"""A replay that decided on less known usage than that is for looking, not for arming."""

WARN_BEFORE: Final = timedelta(days=7)
"""So long before a replay becomes too old to start with, every digest says so."""

REMEDY: Final = (
    "run `openrouter-monitor backtest --store --report replay.html`, look at what would have been done, and start again; "
    "or set response.armed_without_replay = true"
)

_SECTIONS: Final = ("detection", "response", "incidents")
_OF_NO_MATTER: Final = (
    "mode",
    "intent_ttl",
    "kill_switch",
    "replay_valid_for",
    "armed_without_replay",
    "approvers",
    "approve_within",
    "escalate_after",
)
"""Settings of `response` that change no decision of a replay."""

_MORE_CAREFUL: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "response.protected_keys": lambda replayed, armed: set(replayed) <= set(armed),
    "response.max_per_hour": lambda replayed, armed: armed <= replayed,
    "response.max_per_day": lambda replayed, armed: armed <= replayed,
    "response.max_share_of_keys": lambda replayed, armed: armed <= replayed,
    "response.max_share_of_spend": lambda replayed, armed: armed <= replayed,
    "response.max_per_run": lambda replayed, armed: armed <= replayed,
    "response.max_reenables": lambda replayed, armed: armed <= replayed,
    "response.quiet_hours": lambda replayed, armed: set(replayed) <= set(armed),
    "response.approve": lambda replayed, armed: armed != "off",
    "response.correlated_keys": lambda replayed, armed: armed <= replayed,
    "response.min_usd_per_hour": lambda replayed, armed: armed >= replayed,
}
"""Settings by which fewer keys are disabled, and which way that is."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay of the store leaves behind. It decided on [since, until), of which `known` is known; money in
    nano-dollars. `policy`: the settings that bear on decisions, by dotted name."""

    at: datetime
    since: datetime
    until: datetime
    known: timedelta
    policy: Mapping[str, object]
    detector: str
    n_alerts: int
    n_caps: int
    n_disables: int
    alerts_per_week: float
    stopped_nusd: int


def policy_of(settings: Settings) -> dict[str, object]:
    """The settings that bear on decisions, by dotted name, as JSON values. Routes do, where a policy goes by owner."""
    ladder = [policy.model_dump(mode="json") for policy in settings.policies]
    routes = [route.model_dump(mode="json") for route in settings.routes]
    by_owner = any(policy.owner is not None for policy in settings.policies)
    return {
        "policies": ladder,
        "routes": routes if by_owner else [],
        **_sections(settings),
    }


def _sections(settings: Settings) -> dict[str, object]:
    return {
        f"{section}.{name}": value
        for section in _SECTIONS
        for name, value in getattr(settings, section).model_dump(mode="json").items()
        if section != "response" or name not in _OF_NO_MATTER
    }


def fingerprint(policy: Mapping[str, object]) -> str:
    """Twelve digits that two policies share only if they are the same."""
    return hashlib.sha256(json.dumps(policy, sort_keys=True).encode()).hexdigest()[:12]


def record(store: Store, replayed: Replayed) -> None:
    """Writes down that this account was replayed. Raises StoreError."""
    store.state.put(
        NAME,
        {
            "at": replayed.at.isoformat(),
            "since": replayed.since.isoformat(),
            "until": replayed.until.isoformat(),
            "known_s": round(replayed.known.total_seconds()),
            "version": __version__,
            "policy": dict(replayed.policy),
            "fingerprint": fingerprint(replayed.policy),
            "detector": replayed.detector,
            "alerts": replayed.n_alerts,
            "caps": replayed.n_caps,
            "disables": replayed.n_disables,
            "alerts_per_week": round(replayed.alerts_per_week, 2),
            "stopped_nusd": replayed.stopped_nusd,
        },
    )


def refusal(store: Store, settings: Settings, now: datetime) -> str | None:
    """Why the last replay of this account does not allow to arm this policy; None where it does. Raises StoreError."""
    last = store.state.get(NAME)
    if last is None:
        return "this account was never replayed"
    at, longest = datetime.fromisoformat(str(last["at"])), settings.response.replay_valid_for
    if now - at > longest:
        return f"the last replay is {duration(now - at)} old (response.replay_valid_for allows {duration(longest)})"
    replayed = last["policy"]
    bolder = _bolder(replayed if isinstance(replayed, Mapping) else {}, policy_of(settings))
    if bolder:
        return f"the last replay was made with another policy: {'; '.join(bolder)}"
    return None


def require(store: Store, settings: Settings, now: datetime) -> None:
    """Lets an armed service start only if `refusal` has nothing to say, or the override is set (which is logged).

    Raises ConfigError that names the remedy, StoreError."""
    if settings.response.mode != "enforce":
        return
    why = refusal(store, settings, now)
    if why is None:
        return
    if not settings.response.armed_without_replay:
        raise ConfigError("response.mode", f'is "enforce", but {why}', remedy=REMEDY)
    log.warning("armed_without_replay", extra={"reason": why})


def warnings(store: Store, settings: Settings, now: datetime) -> tuple[str, ...]:
    """What people must go on hearing while keys are acted upon: the override, and that the replay is about to be too old."""
    if settings.response.mode != "enforce":
        return ()
    why = refusal(store, settings, now)
    if settings.response.armed_without_replay:
        return (f"response.armed_without_replay is set: {why or 'not needed, there is a replay of this policy'}",)
    if why is not None:
        return (f"the service would not start again in this mode: {why}; {REMEDY}",)
    left = valid_until(store, settings) - now
    if left < WARN_BEFORE:
        return (f"in {duration(left)} the last replay is too old to start with: {REMEDY}",)
    return ()


def valid_until(store: Store, settings: Settings) -> datetime:
    """When the last replay becomes too old to start with. Raises KeyError where there is none."""
    last = store.state.get(NAME) or {}
    return datetime.fromisoformat(str(last["at"])) + settings.response.replay_valid_for


def _bolder(replayed: Mapping[str, object], armed: Mapping[str, object]) -> list[str]:
    """What differs, but for settings that only became more careful. A setting younger than the replay had its default."""
    defaults = policy_of(Settings())
    found = []
    for name, now in armed.items():
        before = replayed.get(name, defaults[name])
        is_careful = _MORE_CAREFUL.get(name, lambda *_: False)
        if before != now and not is_careful(before, now):
            found.append(f"{name} was {json.dumps(before)} and is {json.dumps(now)}")
    return found
