"""The world behind the fake API: keys with state, traffic that stops when a key is disabled or over its limit.

Time enters through `advance(now)`; everything else is a pure function of the seed and of what was done to the keys.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from monitor.demo.attacks import Event, Theft
from monitor.demo.counters import LIFETIME, PERIOD_OF_RESET, Counters, sum_by_key
from monitor.demo.fleet import Fleet, Key
from monitor.demo.founding import found, new_key
from monitor.demo.record import RecordedRequest
from monitor.demo.traffic import DAY_S, Rows, Traffic, merge, no_rows, slice_of, split
from monitor.domain import HOUR_S, NUSD


@dataclass(slots=True)
class Lag:
    """How late the world's data appears, in seconds; a share of the usage rows may appear later still."""

    counters_s: float = 0.0
    analytics_s: float = 0.0
    late_share: float = 0.0
    late_s: float = 0.0

    @property
    def settled_s(self) -> float:
        """After this long every usage row is there."""
        return self.analytics_s + (self.late_s if self.late_share else 0.0)


@dataclass(slots=True)
class Slice:
    """Accepted usage of one stretch of live time (within one hour): rows, and the epoch second each becomes visible."""

    rows: Rows
    seen_at: npt.NDArray[np.float64]


@dataclass(slots=True)
class _Hour:
    slices: list[Slice] = field(default_factory=list)
    is_merged: bool = False

    def add(self, piece: Slice) -> None:
        self.slices.append(piece)
        if len(self.slices) > 32:  # a world that is asked every second stays quick
            rows = np.concatenate([each.rows for each in self.slices])
            self.slices = [Slice(rows, np.concatenate([each.seen_at for each in self.slices]))]


class World:
    """One account: `fleet`, what its keys did in the last `history_days`, and what they do from `founded_at` on.

    `events` may lie in the past, too. A world made again with the same arguments is the same world."""

    def __init__(
        self,
        fleet: Fleet,
        *,
        founded_at: datetime,
        history_days: int = 31,
        events: tuple[Event, ...] = (),
        lag: Lag | None = None,
        disable_delay_s: float = 0.0,
    ) -> None:
        self.fleet = fleet
        self.traffic = Traffic(fleet)
        self.events: list[Event] = list(events)
        self.lag = lag or Lag()
        self.disable_delay_s = disable_delay_s
        self.requests: list[RecordedRequest] = []
        self.founded_at = founded_at
        self._stops_at = {key.no: 0.0 for key in fleet.keys if key.is_disabled}
        self._first_hour = int(founded_at.timestamp()) // HOUR_S * HOUR_S
        self.history_start = (self._first_hour - history_days * DAY_S) // DAY_S * DAY_S
        self._cursor = float(self._first_hour)
        self._days: dict[int, Rows] = {}  # settled usage in hours, by day number
        self._live: dict[int, _Hour] = {}  # usage in minutes, by start of the hour
        # A reading asks for the same hours in each dimension.
        self._settled_minutes = lru_cache(maxsize=32)(self._split)
        self._hours: OrderedDict[int, Rows] = OrderedDict()  # minute rows before gating, most recently used last
        self._late = np.random.default_rng(np.random.SeedSequence([fleet.seed, 4]))
        self._pending: list[Slice] = []
        seeded = np.array([key.seeded_nusd for key in fleet.keys], dtype=np.int64)
        is_byok = np.array([key.is_byok for key in fleet.keys], dtype=np.bool_)
        self._true = Counters(seeded, is_byok, at_s=self.history_start)
        self._shown = Counters(seeded, is_byok, at_s=self.history_start)
        self._live_through_history()
        self.advance(founded_at)

    @classmethod
    def build(
        cls,
        *,
        seed: int = 7,
        n_keys: int = 250,
        n_workspaces: int = 2,
        founded_at: datetime,
        history_days: int = 31,
        events: tuple[Event, ...] = (),
        lag: Lag | None = None,
        has_hostile_names: bool = True,
    ) -> World:
        """A world with a fleet of its own."""
        fleet = found(
            seed=seed, n_keys=n_keys, n_workspaces=n_workspaces, now=founded_at, has_hostile_names=has_hostile_names
        )
        return cls(fleet, founded_at=founded_at, history_days=history_days, events=events, lag=lag)

    # --- for whoever tells a story

    def twins(self, *, at_least_usd_per_day: float = 1.0) -> tuple[Key, Key]:
        """Two live keys with the same name and traffic of their own; raises LookupError if there are none."""
        for mates in self.fleet.names_shared().values():
            live = [key for key in mates if not key.is_disabled and self._is_busy(key, at_least_usd_per_day)]
            if len(live) >= 2:
                return live[0], live[1]
        raise LookupError("no two busy keys share a name in this world")

    def busy(self, archetype: str, *, at_least_usd_per_day: float = 1.0) -> list[Key]:
        """Live keys of an archetype (without limit, BYOK, or a name that is not their own) that cost at least that."""
        shared = {key.no for mates in self.fleet.names_shared().values() for key in mates}
        return [
            key
            for key in self.fleet.keys
            if key.archetype == archetype
            and key.no not in shared
            and not (key.is_disabled or key.is_byok or key.limit_nusd is not None)
            and self._is_busy(key, at_least_usd_per_day)
        ]

    def _is_busy(self, key: Key, usd_per_day: float) -> bool:
        is_old = key.created_at.timestamp() < self.history_start
        return is_old and key.no < self.fleet.n_founders and bool(self.fleet.usd_per_day[key.no] >= usd_per_day)

    def spent_nusd(self, key: Key) -> int:
        """All the key ever spent until now, without any lag, whoever paid."""
        credits, byok = (int(family[LIFETIME, key.no]) for family in (self._true.credits, self._true.byok))
        return byok if key.is_byok else credits

    def stolen_nusd(self, theft: Theft) -> int:
        """What the thief got so far: usage of the stolen key on his models from his countries."""
        key = self.key_state(theft.key_hash)
        models = [self.fleet.prices.code(model) for phase in theft.phases for model in phase.models]
        countries = [self.fleet.countries.code(country) for phase in theft.phases for country in phase.countries]
        rows = self._lived(theft.start.timestamp())
        his = (rows["key"] == key.no) & np.isin(rows["model"], models) & np.isin(rows["country"], countries)
        return int(rows["cost"][his].sum())

    def _lived(self, since: float) -> Rows:
        hours = [live for hour, live in self._live.items() if hour + HOUR_S > since]
        rows = np.concatenate([no_rows(), *(piece.rows for live in hours for piece in live.slices)])
        return rows[rows["t"] >= since - 60]

    # --- what is done to the world

    def start(self, event: Event) -> None:
        """Lays an event over the traffic from its start on; a start in the past of this world is refused."""
        if event.start.timestamp() < self._cursor - 1:
            raise ValueError(f"{event.kind} starts {event.start:%H:%M:%S}, but the world has lived on")
        self.events.append(event)
        self._hours.clear()

    def key(self, key_hash: str) -> Key | None:
        """A key by hash, None if there is none (any more)."""
        return next((key for key in self.fleet.keys if key.key_hash == key_hash and not key.is_deleted), None)

    def key_state(self, key_hash: str) -> Key:
        """A key by hash, deleted ones included; raises KeyError."""
        for key in self.fleet.keys:
            if key.key_hash == key_hash:
                return key
        raise KeyError(f"no key {key_hash[:12]}")

    def set_disabled(self, key: Key, *, is_disabled: bool, now: datetime) -> None:
        """Disables or enables a key; requests are refused `disable_delay_s` later."""
        if is_disabled and not key.is_disabled:
            self._stops_at[key.no] = now.timestamp() + self.disable_delay_s
        if not is_disabled:
            self._stops_at.pop(key.no, None)
        key.is_disabled = is_disabled

    def create_key(
        self, name: str, *, now: datetime, workspace_id: str | None = None, creator: str | None = None
    ) -> Key:
        """A new key without traffic of its own, newest in its workspace."""
        self.advance(now)
        key = new_key(
            seed=self.fleet.seed,
            no=len(self.fleet.keys),
            name=name,
            workspace_id=workspace_id or self.fleet.workspaces[0].workspace_id,
            created_at=now,
            creator=creator,
            archetype="new",
        )
        self.fleet.keys.append(key)
        for counters in (self._true, self._shown):
            counters.add_key(is_byok=False)
        return key

    def delete_key(self, key: Key) -> None:
        """Removes a key for good; its past usage stays."""
        key.is_deleted = True
        self._stops_at[key.no] = 0.0

    # --- time

    def advance(self, now: datetime) -> None:
        """Lets the world live until `now`. Does nothing if `now` is in its past."""
        until = now.timestamp()
        while self._cursor < until:
            hour = int(self._cursor) // HOUR_S * HOUR_S
            stops = [at for at in self._stops_at.values() if self._cursor < at < until]
            step = min([float(hour + HOUR_S), until, *stops])
            self._live_from(self._cursor, step, hour)
            self._cursor = step

    def _live_from(self, since: float, until: float, hour: int) -> None:
        rows = slice_of(self._minutes_of(hour), since, until)
        self._true.roll(since)
        accepted = self._accept(rows, since)
        self._true.add(accepted, at_s=since)
        seen_at = np.minimum(accepted["t"] + 60.0, until)
        if self.lag.late_share:
            seen_at = seen_at + self.lag.late_s * (self._late.random(len(seen_at)) < self.lag.late_share)
        self._live.setdefault(hour, _Hour()).add(Slice(accepted, seen_at))
        self._pending.append(Slice(accepted, np.minimum(accepted["t"] + 60.0, until)))

    def _accept(self, rows: Rows, at_s: float) -> Rows:
        """The rows whose keys may spend: not disabled, not over their limit (the request that crosses it completes)."""
        refused = np.array([no for no, stops_at in self._stops_at.items() if stops_at <= at_s], dtype=np.int64)
        rows = rows[~np.isin(rows["key"], refused)]
        cost = sum_by_key(rows, len(self.fleet.keys))
        keep = np.ones(len(rows), dtype=np.bool_)
        for key in self.fleet.keys:
            if key.limit_nusd is not None and cost[key.no]:
                left = key.limit_nusd - self._spent(key, self._true)
                if cost[key.no] > left:
                    mine = np.flatnonzero(rows["key"] == key.no)
                    spent_before = np.cumsum(rows["cost"][mine]) - rows["cost"][mine]
                    keep[mine] = spent_before < left
        return rows[keep]

    def _spent(self, key: Key, counters: Counters) -> int:
        period = PERIOD_OF_RESET[key.limit_reset]
        spent = int(counters.credits[period, key.no])
        return spent + (int(counters.byok[period, key.no]) if key.include_byok_in_limit else 0)

    def _minutes_of(self, hour: int) -> Rows:
        """Minute rows of one hour with all events laid over, before anything is refused."""
        rows = self._hours.get(hour)
        if rows is None:
            rows = self.traffic.minutes(hour)
            for event in self._events_in(hour):
                rows = event.shape(rows, self.fleet, hour)
            rows = rows[np.argsort(rows["t"], kind="stable")]
            self._hours[hour] = rows
            while len(self._hours) > 3:
                self._hours.popitem(last=False)
        return rows

    def _events_in(self, hour: int) -> list[Event]:
        return [e for e in self.events if e.start.timestamp() < hour + HOUR_S and e.end.timestamp() > hour]

    def _live_through_history(self) -> None:
        """Accepts the history hour by hour, in minutes where an event begins or a limit may be reached."""
        for day in range(self.history_start, self._first_hour, DAY_S):
            rows = self.traffic.day(day)
            rows = rows[rows["t"] < self._first_hour]
            hours = [
                hour
                for hour in range(day, min(day + DAY_S, self._first_hour), HOUR_S)
                if any(not (e.is_lasting and e.start.timestamp() <= hour) for e in self._events_in(hour))
            ]
            rows = rows[~np.isin(rows["t"], hours)]
            for event in self._events_in(day):
                if event.is_lasting:
                    rows = event.shape(rows, self.fleet, day)
            parts = [self._accept_history(rows, day)]
            for hour in hours:
                minutes = self._minutes_of(hour)
                accepted = self._accept(minutes, hour)
                self._true.add(accepted, at_s=hour)
                self._live[hour] = _Hour([Slice(accepted, accepted["t"] + 60.0)], is_merged=True)
                parts.append(merge(accepted, bucket_s=HOUR_S))
            settled = np.concatenate(parts)
            self._days[day // DAY_S] = settled[np.argsort(settled["t"], kind="stable")]
            self._shown.add(settled, at_s=day)

    def _accept_history(self, rows: Rows, day: int) -> Rows:
        """Hour rows of one day that were not refused (to the hour)."""
        self._true.roll(day)
        accepted = self._accept(rows, day)
        self._true.add(accepted, at_s=day)
        return accepted

    # --- what the API shows

    def shown_counters(self, now: datetime) -> Counters:
        """The counters as they appear at `now`, `lag.counters_s` behind."""
        self.advance(now)
        horizon = now.timestamp() - self.lag.counters_s
        waiting: list[Slice] = []
        for piece in self._pending:
            n_seen = int(np.searchsorted(piece.seen_at, horizon, side="right"))
            if n_seen:
                self._shown.add(piece.rows[:n_seen], at_s=float(piece.rows["t"][0]))
            if n_seen < len(piece.rows):
                waiting.append(Slice(piece.rows[n_seen:], piece.seen_at[n_seen:]))
        self._pending = waiting
        self._shown.roll(horizon)
        return self._shown

    def limit_left_nusd(self, key: Key, counters: Counters) -> int | None:
        """What the key may still spend in the current window of its limit, None without a limit; never negative."""
        if key.limit_nusd is None:
            return None
        return max(0, key.limit_nusd - self._spent(key, counters))

    def usage(self, since: float, until: float, *, in_minutes: bool, now: datetime) -> Rows:
        """Accepted usage visible at `now` with `t` in [since, until): minute rows, or rows no coarser than an hour."""
        self.advance(now)
        horizon = now.timestamp() - self.lag.analytics_s
        first = max(int(since) // HOUR_S * HOUR_S, self.history_start)
        parts = [no_rows()]
        if not in_minutes:
            aligned = int(until) // HOUR_S * HOUR_S
            whole_since = first if first >= since else first + HOUR_S
            parts += self._settled(whole_since, aligned, horizon)
            edges = [hour for hour, live in self._live.items() if hour >= whole_since and not live.is_merged]
            edges += [hour for hour in (first, aligned) if hour < whole_since or hour >= aligned]
            hours = sorted({hour for hour in edges if since - HOUR_S < hour < until})
        else:
            hours = list(range(first, min(int(until), int(horizon) + HOUR_S), HOUR_S))
        for hour in hours:
            rows = self._fine(hour, horizon)
            parts.append(rows[(rows["t"] >= since) & (rows["t"] < until)])
        return np.concatenate(parts)

    def _settled(self, since: int, until: int, horizon: float) -> list[Rows]:
        """Hour rows of the whole hours in [since, until) that can no longer change, by day."""
        self._merge_settled(horizon)
        parts = []
        for day in range(since // DAY_S, -(-until // DAY_S)):
            rows = self._days.get(day)
            if rows is not None:
                lo, hi = np.searchsorted(rows["t"], (since, until))
                parts.append(rows[lo:hi])
        return parts

    def _merge_settled(self, horizon: float) -> None:
        for start, hour in self._live.items():
            if not hour.is_merged and start + HOUR_S + self.lag.late_s <= min(horizon, self._cursor):
                merged = merge(np.concatenate([piece.rows for piece in hour.slices]), bucket_s=HOUR_S)
                rows = np.concatenate([self._days.get(start // DAY_S, no_rows()), merged])
                self._days[start // DAY_S] = rows[np.argsort(rows["t"], kind="stable")]
                hour.is_merged = True

    def _fine(self, hour: int, horizon: float) -> Rows:
        """Minute rows of one hour that are visible at the horizon."""
        live = self._live.get(hour)
        if live is not None:
            return np.concatenate([no_rows(), *(piece.rows[piece.seen_at <= horizon] for piece in live.slices)])
        return self._settled_minutes(hour)

    def _split(self, hour: int) -> Rows:
        """Minute rows of an hour of which only the sums are kept; they never change."""
        rows = self._days.get(hour // DAY_S, no_rows())
        lo, hi = np.searchsorted(rows["t"], (hour, hour + 1))
        rng = np.random.default_rng(np.random.SeedSequence([self.fleet.seed, 3, hour]))
        return split(rows[lo:hi], rng, n_keys=self.fleet.n_founders)


def usd(nusd: int) -> float:
    """Nano-dollars as dollars."""
    return nusd / NUSD
