"""Replays for reports: incidents, what was done about them, and hourly spend, in few words."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from build import a_cause, a_hash, a_key, an_incident
from hypothesis import strategies as st

from monitor.domain import HOUR_S, NUSD, ApiKey, Dimension, Incident, Reason, Rung, Verb, Verdict
from monitor.frames import Catalog
from monitor.report.replay import figures
from monitor.report.replay.build import build
from monitor.report.replay.figures import Span, Summary
from monitor.report.replay.values import ReplayReport

SINCE = datetime(2026, 6, 10, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
MODELS = ("acme/mini", "acme/opus-9", "lab/a", "lab/b", "lab/c", "lab/d", "lab/e")


class Verbs(enum.StrEnum):
    """What can be done to a key, also by a version that caps."""

    CAP = "cap"
    DISABLE = "disable"


@dataclass(frozen=True)
class AStop:
    """As the replay's ledger writes it down."""

    at: datetime
    incident_id: str
    verb: Any
    spent_nusd: int


@dataclass(frozen=True)
class Story:
    """One incident of a key (by number), hours after SINCE; `stops`: (verb, at hour, dollars spent until then)."""

    key: int = 1
    opened: float = 10.0
    lasts: float = 6.0
    spent_usd: float = 30.0
    stops: tuple[tuple[Any, float, float], ...] = ()
    reason: Reason | None = Reason.BELOW_THRESHOLD
    detail: str = ""
    changes: tuple[tuple[str, Any], ...] = ()

    @property
    def incident_id(self) -> str:
        return f"INC-{self.key}-{self.opened:g}"

    @property
    def incident(self) -> Incident:
        opened_at = SINCE + self.opened * HOUR
        fields: dict[str, Any] = {
            "incident_id": self.incident_id,
            "opened_at": opened_at,
            "onset_at": opened_at - 2 * HOUR,
            "last_seen_at": opened_at + self.lasts * HOUR,
            "spent_nusd": round(self.spent_usd * NUSD),
            "causes": (a_cause("acme/opus-9"),),
        }
        return replace(an_incident(self.key), **(fields | dict(self.changes)))

    @property
    def done(self) -> list[AStop]:
        return [AStop(SINCE + at * HOUR, self.incident_id, verb, round(usd * NUSD)) for verb, at, usd in self.stops]

    @property
    def verdicts(self) -> list[Verdict]:
        if self.reason is None:
            return []
        at = SINCE + self.opened * HOUR
        return [Verdict(a_hash(self.key), self.incident_id, at, Rung.CAP, False, self.reason, self.detail)]


DISABLED = Story(stops=((Verb.DISABLE, 11.0, 10.0),))


def a_summary(
    stories: Sequence[Story] = (DISABLED,),
    *,
    keys: Sequence[ApiKey] | None = None,
    owners: dict[str, str] | None = None,
    days: float = 7.0,
    gaps: tuple[tuple[datetime, datetime], ...] = (),
    budget: float = 5.0,
) -> Summary:
    """The figures of these stories among three hundred keys, or those given."""
    return figures.summarize(
        [story.incident for story in stories],
        [verdict for story in stories for verdict in story.verdicts],
        [stop for story in stories for stop in story.done],
        keys=[a_key(number, key_name=f"key-{number}") for number in range(300)] if keys is None else keys,
        owners=owners or {},
        span=Span(SINCE - 8 * DAY, SINCE, SINCE + days * DAY, gaps),
        max_false_alerts_per_week=budget,
        detector="contrast, trained on 300 keys",
    )


def hourly(rows: Sequence[tuple[int, int, int, int]] = ()) -> pd.DataFrame:
    """Spend from (hour after SINCE, key number, model number, nano-dollars) each."""
    table = np.array(rows, dtype=np.int64).reshape(-1, 4)
    start = int(SINCE.timestamp()) + table[:, 0] * HOUR_S
    return pd.DataFrame({"hour_s": start, "key_no": table[:, 1], "value_no": table[:, 2], "cost_nusd": table[:, 3]})


def a_catalog(n_keys: int = 300, models: Sequence[str] = MODELS) -> Catalog:
    return Catalog([a_hash(number) for number in range(n_keys)], [(int(Dimension.MODEL), model) for model in models])


def a_report(
    stories: Sequence[Story] = (DISABLED,),
    rows: Sequence[tuple[int, int, int, int]] = ((0, 1, 0, NUSD), (10, 1, 1, 9 * NUSD)),
    *,
    usual_usd: float = 0.5,
    catalog: Catalog | None = None,
    detector: tuple[tuple[str, str], ...] = (("Trained on", "300 keys"),),
    title: str = "Recording june",
    **summary: Any,
) -> ReplayReport:
    """The report of these stories; every key usually spends `usual_usd` an hour."""
    made = a_summary(stories, **summary)
    hours = np.arange(int(SINCE.timestamp()), int(made.until.timestamp()), HOUR_S, dtype=np.int64)
    return build(
        made,
        [story.incident for story in stories],
        hourly=hourly(rows),
        usual=lambda _: (hours, np.full(len(hours), usual_usd * NUSD)),
        catalog=catalog or a_catalog(),
        title=title,
        made_at=SINCE + 30 * DAY,
        policy=(("Mode", "replayed as enforce"),),
        detector=detector,
    )


STORIES = st.lists(
    st.builds(
        Story,
        key=st.integers(0, 9),
        opened=st.integers(1, 160).map(float),
        lasts=st.integers(0, 30).map(float),
        spent_usd=st.integers(0, 10**6).map(float),
        reason=st.sampled_from([None, *Reason]),
    ).flatmap(
        lambda story: st.sampled_from([(), ("cap",), ("disable",), ("cap", "disable")]).map(
            lambda verbs: replace(
                story,
                stops=tuple((Verbs(verb), story.opened + no, story.spent_usd / 2) for no, verb in enumerate(verbs)),
            )
        )
    ),
    max_size=12,
    unique_by=lambda story: story.incident_id,
)

ROWS = st.lists(
    st.tuples(st.integers(0, 7 * 24 - 1), st.integers(0, 12), st.integers(0, len(MODELS) - 1), st.integers(0, 10**13)),
    max_size=40,
)
