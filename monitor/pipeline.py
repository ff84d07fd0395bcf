"""Usage in, judgement out: the one path that the live service and the replay of the past both run.

Order of a moment: `take` what was read, `take_counters`, then `judge(now)`: features -> findings -> plan. The pipeline owns
what lives in memory between moments: the state of the fleet, what is known of the data, the memory of hot buckets, the
detector. Nothing here reads a clock, a network or a disk. Without a detector only hard rules and limits speak.

What keeps the detector from learning a theft, and from alerting for ever about a new habit: habits learn an hour only after
the quarantine; hours of an incident teach nothing for its first `HOLD_FOR`, and nothing at all if a person calls it abuse;
what goes on longer, and nobody stopped, is learned like everything else; and so is what a person has called expected or a
false alarm, from the first hour on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from monitor import frames
from monitor.collect.quality import Known
from monitor.config import Settings
from monitor.decide import Context, decide
from monitor.decide.incidents import FALSE_ALARM_RESOLUTION
from monitor.detect import bars, findings
from monitor.detect.artifact import Trained
from monitor.detect.findings import Memory
from monitor.detect.limits import Breach
from monitor.detect.memory import Remembered
from monitor.domain import (
    BUCKET_S,
    HOUR_S,
    NUSD,
    ApiKey,
    DataQuality,
    Dimension,
    Feedback,
    Finding,
    Incident,
    IncidentState,
    Opinion,
    Plan,
    utc,
)
from monitor.features import FleetState, HabitParams, build
from monitor.features.baseline import expectations
from monitor.features.params import FINE_HOURS, FINE_PER_HOUR
from monitor.features.transplants import transplant
from monitor.frames import Catalog, FeatureBatch

RECALL_S: Final = 2 * HOUR_S
"""How far back hot buckets and evidence are recalled from the state after a restart; what is older must have been kept."""

HOLD_FOR: Final = timedelta(hours=24)
"""How long after its onset an incident keeps a key's hours from teaching."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one moment found and wants done; nothing of it has happened yet. `n_judged`: keys with features."""

    at: datetime
    findings: tuple[Finding, ...]
    plan: Plan
    n_judged: int


class Pipeline:
    """Features, detection and decision for one moment after another. Not safe to share between threads."""

    def __init__(self, settings: Settings, catalog: Catalog, state: FleetState, trained: Trained | None = None) -> None:
        self.settings = settings
        self.catalog = catalog
        self.state = state
        self.trained = trained
        self.known = Known()
        self.memory: Memory | None = None  # what judging remembers; on the first moment it is recalled (`_recalled`)
        self.judged_at: datetime | None = None
        self.kept: Remembered | None = None  # by an earlier process, where there was one; set before the first moment
        self.ramps: tuple[Breach, ...] = ()  # keys that grow too fast, as the days say; set by who reads them
        self._inventory = Inventory(catalog)
        self._said: tuple[Feedback, ...] = ()
        self._held: dict[str, tuple[tuple[tuple[datetime, datetime], ...], str | None]] = {}
        self._usual: tuple[npt.NDArray[np.float64], Mapping[str, int], int] | None = None
        self._expected: tuple[tuple[int, int, int], npt.NDArray[np.float64], npt.NDArray[np.float64]] | None = None

    def take(self, usage: pd.DataFrame, coverage: pd.DataFrame) -> None:
        """Takes in what was read: frames.USAGE with the frames.COVERAGE of that reading. Twice is once.

        Time is the end of what was asked for: our own windows, never a time that only stands in an answer."""
        if len(coverage) == 0:
            return
        self.state.advance(utc(int(frames.epoch_s(coverage["until"]).max())))
        self.state.take_window(usage, coverage)
        self.known.take(coverage)

    def take_counters(self, deltas: pd.DataFrame) -> None:
        """Takes in spend between two samples of the counters (frames.DELTAS)."""
        if len(deltas) == 0:
            return
        self.state.advance(utc(int(frames.epoch_s(deltas["until"]).max())))
        self.state.take_counters(deltas)

    def hear(self, said: Iterable[Feedback]) -> None:
        """Everything people said of keys; each counts from when it was said. In place of what was heard before."""
        self._said = tuple(said)

    def forget(self) -> None:
        """Evidence that another detector gathered, or that came of habits not yet known, is none: it is recalled anew."""
        self.memory = self.judged_at = self.kept = None

    def features(self, now: datetime, keys: Mapping[str, ApiKey]) -> FeatureBatch:
        """The feature rows of the keys active at `now`, as `judge` sees them and training needs them: without the evidence in words."""
        return build(self.state, self._inventory.frame(keys), now, is_told=False)

    def robbed(
        self,
        now: datetime,
        keys: Mapping[str, ApiKey],
        rng: np.random.Generator,
        *,
        active: npt.NDArray[np.int32],
        n: int,
    ) -> tuple[FeatureBatch, npt.NDArray[np.int64], npt.NDArray[np.bool_]] | None:
        """What `features` would be if strangers used some keys: (feature rows, the key behind each, whether it is stolen).

        Half of the keys are drawn from those `active` now, half from all. None where the fleet did too little to learn from."""
        inventory = self._inventory.frame(keys)
        drawn = rng.choice(inventory["key_no"].to_numpy(), size=n - n // 2 if len(active) else n)
        hosts = np.concatenate([drawn, rng.choice(active, size=n // 2)]) if len(active) else drawn
        no_app = self.catalog.known_value_no(Dimension.APP, "")
        n_values = self.catalog.n_values
        made = transplant(
            self.state,
            inventory,
            hosts.astype(np.int64),
            now,
            rng,
            n_values=n_values,
            no_app=n_values + int(Dimension.APP) if no_app is None else no_app,
        )
        if made is None:
            return None
        batch = build(made.state, made.keys, now, is_told=False)
        return batch, made.host[batch.key_no], made.is_stolen[batch.key_no]

    def judge(self, now: datetime, context: Context) -> Judgement:
        """Findings and plan at `now`. `context.quality` may be left empty: the pipeline knows what it was given."""
        self.state.advance(now)
        keys = self._inventory.frame(context.keys)
        if self.memory is None:
            self.memory = self._recalled(keys, now)
        batch = build(self.state, keys, now)
        found, self.memory = self._find(batch, keys, context.keys, self.memory)
        self.judged_at = now
        quality = {finding.key_hash: finding.quality for finding in found}
        asked = {one.key_hash for one in context.incidents if one.state is not IncidentState.RESOLVED} - quality.keys()
        quality |= self.quality(asked, now) | dict(context.quality)
        usual, fleet = self._usual_day(now) if found else ({}, 0)
        told = replace(
            context,
            quality=quality,
            usual_day_nusd=context.usual_day_nusd or usual,
            fleet_day_nusd=context.fleet_day_nusd or fleet,
        )
        plan = decide(found, told, self.settings, now)
        self.hold((*context.incidents, *plan.incidents))
        return Judgement(now, found, plan, len(batch.key_no))

    def quality(self, key_hashes: Iterable[str], now: datetime) -> dict[str, DataQuality]:
        """What is known of the last hours of these keys."""
        numbers = {key_hash: self.catalog.known_key_no(key_hash) for key_hash in key_hashes}
        known = self.known.of([no for no in numbers.values() if no is not None], now)
        return {key_hash: known[no] for key_hash, no in numbers.items() if no is not None}

    def expected_per_hour_nusd(self, now: datetime) -> npt.NDArray[np.float64]:
        """What each key usually spends in this hour of the week, by key_no; NaN where it has no history to say so."""
        return self._medians(now)[0]

    def _usual_day(self, now: datetime) -> tuple[Mapping[str, int], int]:
        """Normal spend of a day by key_hash, as far as it is known, and that of the fleet."""
        median = self._medians(now)[1]
        if self._usual is None or self._usual[0] is not median:
            known = np.flatnonzero(np.isfinite(median)).tolist()
            usual = {self.catalog.key_hash(no): round(float(median[no])) for no in known}
            self._usual = (median, usual, sum(usual.values()))
        return self._usual[1:]

    def _medians(self, now: datetime) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Normal spend by key_no of the hour and of the day that end with this one; kept for as long as it is the same."""
        hour = int(now.timestamp()) // HOUR_S
        stamp = (hour, self.state.version, self.state.n_keys)
        if self._expected is None or self._expected[0] != stamp:
            born_hour = np.zeros(self.state.n_keys + 1, dtype=np.int64)
            expected = expectations(self.state, "level_cost", hour, born_hour=born_hour)
            self._expected = (stamp, expected["1h"].median[1:], expected["24h"].median[1:])
        return self._expected[1:]

    def describe(self) -> str:
        """The detector in a few words, for `status` and the log."""
        if self.trained is None:
            return "none yet: hard rules and limits only"
        manifest = self.trained.manifest
        return (
            f"{manifest.detector}, trained on {manifest.n_keys} keys up to {manifest.trained_until:%Y-%m-%d %H:%M} UTC; "
            f"{manifest.clean_incidents_per_week:.1f} false alerts a week expected"
        )

    def hold(self, incidents: Iterable[Incident]) -> None:
        """Keeps the hours of these incidents from teaching (see `held`); those of a false alarm teach after all.

        Called again on start, with the ledger's. Where hours were passed over already, `state.needs_rebuild` says so."""
        abused = abused_incidents(self._said)
        for incident in incidents:
            key_no = self.catalog.known_key_no(incident.key_hash)
            windows_held = held(incident, is_abuse=incident.incident_id in abused)
            told = (windows_held, incident.resolution)
            if key_no is None or self._held.get(incident.incident_id) == told:
                continue
            self._held[incident.incident_id] = told
            for window in windows_held:
                self.state.exclude(key_no, *window)
            if incident.resolution == FALSE_ALARM_RESOLUTION:
                self.state.acknowledge(key_no, incident.onset_at, incident.last_seen_at)

    def _find(
        self, batch: FeatureBatch, keys: pd.DataFrame, listed: Mapping[str, ApiKey], memory: Memory
    ) -> tuple[tuple[Finding, ...], Memory]:
        hashes = ((no, self.catalog.key_hash(no)) for no in batch.key_no.tolist())
        return findings.find(
            batch,
            self.trained,
            memory,
            keys=keys,
            names={no: listed[key_hash].key_name for no, key_hash in hashes if key_hash in listed},
            quality_of=lambda key_no: self.known.of([key_no], batch.at)[key_no],
            catalog=self.catalog,
            settings=self.settings,
            said=bars.in_force(self._said, self.catalog, batch.at),
            ramps=self.ramps,
        )

    def _recalled(self, keys: pd.DataFrame, now: datetime) -> Memory:
        """What was kept, and what the buckets since then leave to remember, as the state tells it. A restart forgets nothing;
        where nothing was kept, or long ago, it forgets of the evidence of six hours what the ten-minute cells no longer hold."""
        last = (int(now.timestamp()) - 1) // BUCKET_S
        held_from = (self.state.head_hour - FINE_HOURS + 2) * FINE_PER_HOUR  # a clock may have gone back a little
        since, memory = max(last - RECALL_S // BUCKET_S, held_from), Memory()
        if self.kept is not None and self.kept.at <= now:
            since, memory = max(since, int(self.kept.at.timestamp()) // BUCKET_S), self.kept.memory
        for bucket in range(since, last):
            batch = build(self.state, keys, utc((bucket + 1) * BUCKET_S))
            _, memory = self._find(batch, keys, {}, memory)
        return memory


def new_state(settings: Settings) -> FleetState:
    """A state that has seen nothing, with the pace of habits that the settings ask for."""
    return FleetState(HabitParams.from_settings(settings.detection))


class Inventory:
    """Keys as values -> frames.KEYS; owners are numbered in the order in which they are first seen."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._owner_no: dict[str, int] = {}
        self._last: tuple[Mapping[str, ApiKey], pd.DataFrame] = ({}, frames.empty(frames.KEYS))

    def frame(self, keys: Mapping[str, ApiKey]) -> pd.DataFrame:
        """The inventory as vectors, sorted by key_no; the same mapping again costs nothing."""
        if keys is not self._last[0]:
            self._last = (keys, self._frame(keys))
        return self._last[1]

    def _frame(self, keys: Mapping[str, ApiKey]) -> pd.DataFrame:
        numbered = sorted((self._catalog.key_no(key_hash), key) for key_hash, key in keys.items())
        listed = [key for _, key in numbered]
        columns = {
            "key_no": np.array([no for no, _ in numbered], dtype=np.int32),
            "created_at": frames.utc_seconds(np.array([int(k.created_at.timestamp()) for k in listed], dtype=np.int64)),
            "owner_no": np.array([self._owner(key) for key in listed], dtype=np.int32),
            "is_disabled": np.array([key.settings.is_disabled for key in listed], dtype=np.bool_),
            "limit_nusd": _nusd([key.settings.limit_usd for key in listed]),
            "limit_remaining_nusd": _nusd([key.limit_remaining_usd for key in listed]),
        }
        return frames.check(pd.DataFrame(columns), frames.KEYS)

    def _owner(self, key: ApiKey) -> int:
        owner = key.creator_user_id or key.workspace_id
        return -1 if owner is None else self._owner_no.setdefault(owner, len(self._owner_no))


def _nusd(dollars: Sequence[float | None]) -> npt.NDArray[np.float64]:
    return np.array([np.nan if usd is None else usd * NUSD for usd in dollars], dtype=np.float64)


def held(incident: Incident, *, is_abuse: bool = False) -> tuple[tuple[datetime, datetime], ...]:
    """The windows in which an incident keeps its key's hours from teaching, one a spell; none for one a person called false.

    `is_abuse`: a person said so; then nothing of it ever teaches, however long it went on."""
    if incident.resolution == FALSE_ALARM_RESOLUTION or incident.p_value is None:
        return ()
    spells = [(spell.onset_at, spell.last_seen_at) for spell in incident.spells]
    spells.append((incident.spell_onset_at, incident.last_seen_at))
    windows_held = ((since, until if is_abuse else min(until, since + HOLD_FOR)) for since, until in spells)
    return tuple((since, until) for since, until in windows_held if until > since)


def abused_incidents(said: Iterable[Feedback]) -> frozenset[str]:
    """Incidents that a person called abuse."""
    return frozenset(one.incident_id for one in said if one.opinion is Opinion.ABUSE and one.incident_id is not None)


@dataclass(frozen=True, slots=True)
class Window:
    """What became known by the moment `at`: usage of the buckets that end there, and its coverage."""

    at: datetime
    usage: pd.DataFrame
    coverage: pd.DataFrame


def windows(usage: pd.DataFrame, *, since: datetime, until: datetime) -> Iterator[Window]:
    """Recorded usage as it would have arrived: one window after each bucket of [since, until), complete at its end.

    `usage`: frames.USAGE of one bucket size, sorted by bucket_start. Buckets without a row are known to be empty."""
    bucket_s = int(usage["bucket_s"].iloc[0]) if len(usage) else BUCKET_S
    starts = np.arange(int(since.timestamp()), int(until.timestamp()), bucket_s)
    edges = np.searchsorted(frames.epoch_s(usage["bucket_start"]), np.append(starts, starts[-1:] + bucket_s))
    known = _all_known(starts, bucket_s=bucket_s)
    n = len(Dimension)
    for no, start in enumerate(starts.tolist()):
        rows = usage.iloc[int(edges[no]) : int(edges[no + 1])]
        yield Window(utc(start + bucket_s), rows, known.iloc[no * n : (no + 1) * n])


def _all_known(starts: npt.NDArray[np.int64], *, bucket_s: int) -> pd.DataFrame:
    """COVERAGE of all keys: each of these buckets is known, one row a dimension. One frame, because making one is slow."""
    begin = np.repeat(starts, len(Dimension))
    columns = {
        "key_no": np.full(len(begin), frames.ALL_KEYS, dtype=np.int32),
        "dimension": np.tile(np.arange(len(Dimension), dtype=np.int8), len(starts)),
        "bucket_s": np.full(len(begin), bucket_s, dtype=np.int32),
        "since": frames.utc_seconds(begin),
        "until": frames.utc_seconds(begin + bucket_s),
        "quality": np.full(len(begin), frames.QUALITY_CODES["known"], dtype=np.int8),
        "as_of": frames.utc_seconds(begin + bucket_s),
    }
    return frames.check(pd.DataFrame(columns), frames.COVERAGE)
