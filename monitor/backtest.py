"""Recorded usage through the same pipeline as live, bucket by bucket; acts on nothing.

A recording is a folder with `usage.parquet` (one row a bucket, key, dimension and value, dollars as floats), `keys.json`
(the answer of `GET /keys`) and, if there is one, `meta.json` (`evaluation_start`: what lies before only teaches). Whatever
else lies in the folder is not read. The settings and counters in `keys.json` are those of its last moment, which nobody
knows while the recording runs: only a key's identity, name, owner and time of creation are used, from that time on.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from monitor import frames
from monitor.config import Settings
from monitor.decide import Context
from monitor.detect.artifact import Trained
from monitor.detect.train import Gathering, train
from monitor.domain import (
    BUCKET_S,
    NUSD,
    Action,
    ActionState,
    ApiKey,
    Dimension,
    Finding,
    Incident,
    IncidentState,
    KeySettings,
    Rung,
    Verb,
    Verdict,
)
from monitor.errors import ArtifactError, StoreError
from monitor.features import NAMES
from monitor.pipeline import Judgement, Pipeline, new_state, windows

Progress = Callable[[int, int], None]
"""Told after each bucket: how many are done, and how many there are."""

ALERT: Final = "alert"
REVOKE: Final = "revoke"

KEEP: Final = timedelta(hours=48)
"""How long the replay's ledger keeps what is over: longer than any fuse or cooldown looks back by default."""

MAX_WARM_UP: Final = timedelta(hours=48)
"""At the beginning of a recording everything looks new; rows of that time do not train the detector."""

COUNTS: Final = {
    "request_count": "n_requests",
    "tokens_prompt": "tokens_prompt",
    "tokens_completion": "tokens_completion",
    "reasoning_tokens": "tokens_reasoning",
}


@dataclass(frozen=True, slots=True)
class Recording:
    """Usage of some keys over [since, until), sorted by time; `evaluate_from`: before it, nothing is decided."""

    catalog: frames.Catalog
    keys: tuple[ApiKey, ...]
    usage: pd.DataFrame
    since: datetime
    until: datetime
    evaluate_from: datetime


def load(folder: Path) -> Recording:
    """The recording in a folder. Raises StoreError naming the file that is missing or does not fit."""
    try:
        listed = json.loads((folder / "keys.json").read_text(encoding="utf-8"))["data"]
        keys = sorted((_key(entry) for entry in listed), key=lambda key: (key.created_at, key.key_hash))
        meta_file = folder / "meta.json"
        meta = json.loads(meta_file.read_text(encoding="utf-8")) if meta_file.exists() else {}
        table = pq.read_table(folder / "usage.parquet").to_pandas()
        catalog = frames.Catalog(key.key_hash for key in keys)
        usage = _usage(table, catalog)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{folder}: not a recording ({error}); it needs usage.parquet and keys.json") from error
    if usage.empty:
        raise StoreError(f"{folder}: usage.parquet has no rows")
    starts = frames.epoch_s(usage["bucket_start"])
    first, last = _utc(int(starts[0])), _utc(int(starts[-1]) + BUCKET_S)
    return Recording(catalog, tuple(keys), usage, first, last, _time(meta.get("evaluation_start")) or first)


def _key(entry: dict[str, Any]) -> ApiKey:
    """Identity, name, owner and creation: all else in the listing belongs to the end of the recording."""
    created = _time(entry["created_at"])
    assert created is not None
    return ApiKey(
        key_hash=entry["hash"],
        key_name=entry.get("name") or "",
        label=entry.get("label") or "",
        workspace_id=entry.get("workspace_id"),
        creator_user_id=entry.get("creator_user_id"),
        settings=KeySettings(is_disabled=False, limit_usd=None, limit_reset=None, include_byok_in_limit=False),
        limit_remaining_usd=None,
        usage_nusd=None,
        usage_daily_nusd=None,
        usage_weekly_nusd=None,
        usage_monthly_nusd=None,
        byok_usage_nusd=None,
        created_at=created,
    )


def _usage(table: pd.DataFrame, catalog: frames.Catalog) -> pd.DataFrame:
    """Recorded rows as frames.USAGE, sorted by time. Numbers are given in order of appearance: the future changes none."""
    texts = {name: table[name].astype("category") for name in ("api_key_hash", "dimension", "value")}
    ranks = {name: column.cat.codes.to_numpy().astype(np.int64) for name, column in texts.items()}
    start = table["bucket_start"].dt.tz_convert("UTC").to_numpy(dtype="datetime64[s]").astype(np.int64)
    order = np.lexsort((ranks["value"], ranks["dimension"], ranks["api_key_hash"], start))
    key_no = np.array([catalog.key_no(text) for text in texts["api_key_hash"].cat.categories], dtype=np.int32)
    named = [Dimension[text.upper()] for text in texts["dimension"].cat.categories]
    dimension = np.array([int(d) for d in named], dtype=np.int8)
    n_values = len(texts["value"].cat.categories)
    pair = (ranks["dimension"] * n_values + ranks["value"])[order]
    distinct, first = np.unique(pair, return_index=True)
    value_no = np.zeros(len(named) * n_values, dtype=np.int32)
    values = texts["value"].cat.categories
    for at in np.argsort(first).tolist():
        code = int(distinct[at])
        value_no[code] = catalog.value_no(named[code // n_values], values[code % n_values])
    columns: dict[str, Any] = {
        "bucket_start": frames.utc_seconds(start[order]),
        "bucket_s": np.full(len(order), BUCKET_S, dtype=np.int32),
        "key_no": key_no[ranks["api_key_hash"][order]],
        "dimension": dimension[ranks["dimension"][order]],
        "value_no": value_no[pair],
    }
    columns |= {ours: table[theirs].to_numpy(dtype=np.int64)[order] for theirs, ours in COUNTS.items()}
    columns["cost_nusd"] = np.rint(table["total_usage"].to_numpy(dtype=np.float64)[order] * NUSD).astype(np.int64)
    return frames.check(pd.DataFrame(columns), frames.USAGE)


@dataclass(frozen=True, slots=True)
class Decision:
    """What an armed service would have done after the bucket that ended at `at`: ALERT or REVOKE."""

    at: datetime
    key_hash: str
    action: str
    score: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Replay:
    """What came out: decisions and verdicts in order of time, the incidents behind them, and the detector that was used."""

    recording: Recording
    decisions: tuple[Decision, ...]
    incidents: tuple[Incident, ...]
    verdicts: tuple[Verdict, ...]
    trained: Trained | None
    n_buckets: int

    def __str__(self) -> str:
        """One line an incident, oldest first, then the sum. Names come from outside: control characters are dropped."""
        names = {key.key_hash: key.key_name for key in self.recording.keys}
        lines = [_line(incident, names[incident.key_hash], self._disabled_at(incident)) for incident in self.incidents]
        n_disabled = len({d.key_hash for d in self.decisions if d.action == REVOKE})
        days = (self.recording.until - self.recording.evaluate_from) / timedelta(days=1)
        total = (
            f"{len(self.incidents)} incidents on {len({i.key_hash for i in self.incidents})} of {len(names)} keys "
            f"in {days:.1f} days; {n_disabled} keys would have been disabled"
        )
        return "\n".join([*lines, total])

    def _disabled_at(self, incident: Incident) -> datetime | None:
        acts = (v.at for v in self.verdicts if v.is_act and v.incident_id == incident.incident_id)
        return next(acts, None)


def _line(incident: Incident, name: str, disabled_at: datetime | None) -> str:
    printable = "".join(sign for sign in name if sign.isprintable())[:40]
    cause = incident.causes[0].sentence if incident.causes else ""
    disabled = f", disabled {disabled_at:%d %H:%M}" if disabled_at else ""
    return (
        f"{incident.opened_at:%Y-%m-%d %H:%M} {incident.severity.name.lower():8} {incident.key_hash[:10]} {printable}: "
        f"{cause}{disabled}"
    )


def backtest(folder: Path, out: Path, *, settings: Settings, seed: int = 0, progress: Progress | None = None) -> Replay:
    """Replays the recording in a folder and writes the decisions to `out`. Raises StoreError."""
    found = replay(load(folder), settings, seed=seed, progress=progress)
    write(found, out)
    return found


def replay(
    recording: Recording,
    settings: Settings,
    *,
    seed: int,
    trained: Trained | None = None,
    progress: Progress | None = None,
) -> Replay:
    """Replays a recording as an armed service with this policy would have lived it.

    Without `trained`, the history before `evaluate_from` trains the detector; where that is too short, only rules speak.
    No decision sees anything after its own bucket."""
    armed = settings.model_copy(update={"response": settings.response.model_copy(update={"mode": "enforce"})})
    pipeline = Pipeline(armed, recording.catalog, new_state(armed), trained)
    books = Books(recording.keys)
    history = Gathering(NAMES)
    warm_at = min(recording.since + MAX_WARM_UP, recording.since + (recording.evaluate_from - recording.since) / 2)
    n_buckets = int((recording.until - recording.since).total_seconds()) // BUCKET_S
    is_trained = False
    decisions: list[Decision] = []
    verdicts: list[Verdict] = []
    for no, window in enumerate(windows(recording.usage, since=recording.since, until=recording.until), start=1):
        books.advance(window.at)
        if window.at > recording.evaluate_from and trained is None and not is_trained:
            pipeline.trained, is_trained = _trained(history, armed, seed=seed), True
        pipeline.take(window.usage, window.coverage)
        if window.at > recording.evaluate_from:
            judgement = pipeline.judge(window.at, books.context())
            decisions += decided(judgement)
            verdicts += judgement.plan.verdicts
            books.enter(judgement)
        elif trained is None and window.at > warm_at:
            history.add(pipeline.features(window.at, books.keys))
        if progress is not None:
            progress(no, n_buckets)
    return Replay(recording, tuple(decisions), books.everything(), tuple(verdicts), pipeline.trained, n_buckets)


def _trained(history: Gathering, settings: Settings, *, seed: int) -> Trained | None:
    try:
        return train(history.rows(), settings, seed=seed)
    except ArtifactError:
        return None  # too little history: rules only, as a live service on its first day


def decided(judgement: Judgement) -> list[Decision]:
    """The decisions of one moment: an alert for each key with a finding people are told of, a revoke for each disable."""
    told = [f for f in judgement.findings if not f.is_shadow and f.rung >= Rung.NOTIFY]
    by_key: dict[str, list[Finding]] = {}
    for finding in told:
        by_key.setdefault(finding.key_hash, []).append(finding)
    disabled = {action.key_hash for action in judgement.plan.actions if action.verb is Verb.DISABLE}
    return [
        Decision(
            judgement.at,
            key_hash,
            REVOKE if key_hash in disabled else ALERT,
            max(rarity(finding) for finding in found),
            tuple(cause.sentence for finding in found for cause in finding.causes),
        )
        for key_hash, found in sorted(by_key.items())
    ]


def rarity(finding: Finding) -> float:
    """-log10 of the p-value; a broken rule is certain and counts its severity in hundreds."""
    return 100.0 * finding.severity if finding.p_value is None else -math.log10(finding.p_value)


def write(replay: Replay, out: Path) -> None:
    """One JSON object a line, at once or not at all: {"at", "key", "action", "score", "reasons"}."""
    lines = [
        json.dumps(
            {
                "at": decision.at.isoformat().replace("+00:00", "Z"),
                "key": decision.key_hash,
                "action": decision.action,
                "score": round(decision.score, 4),
                "reasons": list(decision.reasons),
            },
            ensure_ascii=False,
        )
        for decision in replay.decisions
    ]
    partial = out.with_name(f".{out.name}.part")
    partial.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    partial.replace(out)


class Books:
    """The ledger of a replay: incidents, verdicts, and actions that all succeed at once.

    The recorded traffic of a key goes on after a simulated disable. So that a later theft of the same key can be judged,
    the key counts as restored by its owner once the incident is over."""

    def __init__(self, keys: Sequence[ApiKey]) -> None:
        self._unborn = deque(sorted(keys, key=lambda key: key.created_at))
        self.keys: Mapping[str, ApiKey] = {}
        self._incidents: dict[str, Incident] = {}
        self._done: dict[str, Incident] = {}
        self._actions: list[Action] = []
        self._verdicts: dict[str, Verdict] = {}

    def advance(self, now: datetime) -> None:
        """Keys created by now exist."""
        born = []
        while self._unborn and self._unborn[0].created_at <= now:
            born.append(self._unborn.popleft())
        if born:
            self.keys = {**self.keys, **{key.key_hash: key for key in born}}

    def context(self) -> Context:
        """What `decide` may know."""
        return Context(
            incidents=tuple(self._incidents.values()),
            actions=tuple(self._actions),
            verdicts=tuple(self._verdicts.values()),
            keys=self.keys,
            n_live_keys=sum(not key.settings.is_disabled for key in self.keys.values()),
            is_enforcing=True,
        )

    def enter(self, judgement: Judgement) -> None:
        """Writes down what was judged; actions are carried out at once."""
        plan = judgement.plan
        self._verdicts |= {verdict.incident_id: verdict for verdict in plan.verdicts}
        for action in plan.actions:
            self._actions.append(replace(action, state=ActionState.DONE, finished_at=plan.at))
            self._switch(action.key_hash, is_disabled=True)
        for incident in plan.incidents:
            self._incidents[incident.incident_id] = incident
            if incident.state is IncidentState.RESOLVED:
                self._switch(incident.key_hash, is_disabled=False)
        for incident in list(self._incidents.values()):
            if incident.resolved_at is not None and plan.at - incident.resolved_at > KEEP:
                self._done[incident.incident_id] = self._incidents.pop(incident.incident_id)
                self._verdicts.pop(incident.incident_id, None)
        self._actions = [action for action in self._actions if plan.at - action.intended_at <= KEEP]

    def everything(self) -> tuple[Incident, ...]:
        """All incidents, oldest first."""
        return tuple(sorted([*self._done.values(), *self._incidents.values()], key=lambda one: one.opened_at))

    def _switch(self, key_hash: str, *, is_disabled: bool) -> None:
        key = self.keys.get(key_hash)
        if key is not None and key.settings.is_disabled != is_disabled:
            switched = replace(key, settings=replace(key.settings, is_disabled=is_disabled))
            self.keys = {**self.keys, key_hash: switched}


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text).astimezone(UTC)


def _utc(epoch_s: int) -> datetime:
    return datetime.fromtimestamp(epoch_s, tz=UTC)
