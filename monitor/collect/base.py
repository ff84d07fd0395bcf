"""What the rest of the program may ask of a key issuer. One implementation an issuer; nothing above knows its API."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import pandas as pd

from monitor.domain import ApiKey, Check, Inventory, LaneHealth, Member


@dataclass(frozen=True, slots=True)
class UsageBatch:
    """Usage read from a source, with what the reading covers.

    `usage`: frames.USAGE. `coverage`: frames.COVERAGE, one row for each window asked, also where the answer was partial or
    failed (quality unknown), so that silence is never taken for zero. `unattributed`: dollars (nano) by key name that no
    single hash could be given; they count for no key. `unattributed_by_hour`: the same dollars by start of the hour in epoch
    seconds. `as_of`: when the source computed the oldest answer used.
    `n_requests`: requests spent."""

    usage: pd.DataFrame
    coverage: pd.DataFrame
    as_of: datetime | None
    unattributed: dict[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    n_requests: int = 0
    unattributed_by_hour: dict[int, int] = field(default_factory=dict)


class Source(Protocol):
    """An account at a key issuer. Every method raises `SourceError`; times are aware UTC, windows half-open."""

    @property
    def skew(self) -> timedelta:
        """How far the source's clock is ahead of ours; windows follow the source's time."""
        ...

    async def inventory(self, known: Collection[str]) -> Inventory:
        """Every key of every workspace, disabled ones included; each hash of `known` that is not listed is confirmed."""
        ...

    async def key(self, key_hash: str) -> ApiKey:
        """One key, read directly. Raises NotFound."""
        ...

    async def recent(self, since: datetime, until: datetime) -> UsageBatch:
        """Usage of all keys in ten-minute buckets (the last may be under way: then partial)."""
        ...

    async def hourly(self, since: datetime, until: datetime) -> UsageBatch:
        """Usage of all keys in whole hours."""
        ...

    async def drilldown(self, key_hashes: Collection[str], since: datetime, until: datetime) -> UsageBatch:
        """Ten-minute usage of a few keys, each asked by its hash, newest data the source has."""
        ...

    def health(self) -> tuple[LaneHealth, ...]:
        """What the planner chose and how each lane fares."""
        ...


class Directory(Protocol):
    """Who the people of an account are."""

    async def members(self) -> tuple[Member, ...]:
        """All people; none where the account is one person's. Raises SourceError."""
        ...


class History(Protocol):
    """What the first start asks of an account, beside `Source`."""

    async def history(self, since: datetime, until: datetime) -> UsageBatch:
        """Usage of all keys in whole hours, asked without regard to earlier readings."""
        ...

    def chunk(self) -> timedelta:
        """How much history one step may hold."""
        ...

    def remember(self, keys: Iterable[ApiKey]) -> None:
        """Tells it of keys known from earlier runs: their usage is still served by name."""
        ...

    async def check(self) -> tuple[Check, ...]:
        """Whether the account can be watched; raises nothing."""
        ...
