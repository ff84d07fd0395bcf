"""What would be sent, without sending it: the newest incident of the store, or a made-up one where there is none."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from monitor import frames
from monitor.config import Settings
from monitor.domain import (
    HOUR_S,
    NUSD,
    ApiKey,
    Cause,
    DataQuality,
    Dimension,
    Incident,
    IncidentState,
    KeySettings,
    Message,
    MessageKind,
    Notice,
    Picture,
    Quality,
    Reason,
    Rung,
    Severity,
    Verdict,
)
from monitor.frames import Catalog
from monitor.jobs import digest, overview, owners, pictures
from monitor.notify.message import compose
from monitor.notify.overview import keys_page
from monitor.notify.pages import Page
from monitor.notify.parts import parts
from monitor.report import alert_chart
from monitor.store.base import Store

PICTURE_ID: Final = "F0PREVIEW1"
SAMPLE_HASH: Final = "5a3b1e" + "0" * 58
_NEW_MODEL: Final = "anthropic/claude-opus-4.1"
_USUAL_MODELS: Final = (
    ("anthropic/claude-sonnet-4.5", 0.55),
    ("openai/gpt-5-mini", 0.3),
    ("google/gemini-2.5-flash", 0.15),
)


@dataclass(frozen=True, slots=True)
class Preview:
    """Messages in the order in which they would be sent, and the picture of the first. `note`: where they come from."""

    messages: tuple[Message, ...]
    picture: bytes | None
    note: str


def alert(store: Store | None, settings: Settings, now: datetime, *, key_hash: str | None = None) -> Preview:
    """The alert of the newest incident (of that key); a made-up one where there is none. Raises StoreError."""
    incidents = store.ledger.incidents() if store is not None else ()
    found = [each for each in incidents if key_hash is None or each.key_hash == key_hash]
    if store is None or not found:
        return _sample(settings, now)
    incident = found[0]
    keys = {key.key_hash: key for key in store.keys.keys(include_vanished=True)}
    key, workspaces = keys.get(incident.key_hash), store.keys.workspaces()
    to = owners.where(store, settings, key, workspaces)
    verdicts = [each for each in store.ledger.verdicts(incident.opened_at) if each.incident_id == incident.incident_id]
    picture, alt_text = pictures.draw(store, incident, min(now, incident.last_seen_at + timedelta(hours=6)))
    notice = Notice(MessageKind.ALERT, now, incident=incident, verdict=verdicts[-1] if verdicts else None)
    message = compose(
        notice,
        key,
        channel=to.channel,
        owner=to.owner,
        workspace_name=workspaces.get(key.workspace_id or "") if key else None,
        now=min(now, incident.last_seen_at + timedelta(minutes=5)),
        data_as_of=incident.quality.as_of,
        routed=to.why,
    )
    return _with(
        message, picture, alt_text, note=f"{incident.incident_id}, from the store; goes to: {to.channel} ({to.why})"
    )


def home(store: Store, now: datetime) -> Page:
    """The app's home as an operator sees it; owners see their own keys of it. Raises StoreError."""
    standings, fresh = overview.read(store, store.keys.keys(), now)
    return keys_page(standings, fresh, of_all=True)


def weekly(store: Store, settings: Settings, now: datetime) -> Preview:
    """The digest as it would be sent now. Raises StoreError."""
    messages = digest.messages(store, settings, now)
    channels = ", ".join(dict.fromkeys(message.channel for message in messages if message.channel))
    return Preview(messages, None, f"goes to: {channels or 'no channel is set'}")


def _with(message: Message, picture: bytes, alt_text: str, *, note: str) -> Preview:
    first, *rest = parts(message)
    return Preview((replace(first, picture=Picture(PICTURE_ID, alt_text)), *rest), picture, note)


def _sample(settings: Settings, now: datetime) -> Preview:
    incident, key = _incident(now), _key(now)
    message = compose(
        Notice(
            MessageKind.ALERT,
            now,
            incident=incident,
            verdict=Verdict(SAMPLE_HASH, incident.incident_id, now, Rung.DISABLE, False, Reason.OBSERVE_MODE),
        ),
        key,
        channel=settings.slack.default_channel,
        owner="the key's creator",
        workspace_name="Production",
        now=now,
        data_as_of=incident.quality.as_of,
    )
    shown = _week(incident, now)
    return _with(
        message, pictures.drawn(shown), alert_chart.told(shown), note="a made-up incident: the store has none yet"
    )


def _key(now: datetime) -> ApiKey:
    settings = KeySettings(is_disabled=False, limit_usd=500.0, limit_reset="monthly", include_byok_in_limit=False)
    return ApiKey(
        key_hash=SAMPLE_HASH,
        key_name="search-prod",
        label="sk-or-v1-5a3...c1d",
        workspace_id=None,
        creator_user_id=None,
        settings=settings,
        created_at=now - timedelta(days=90),
    )


def _incident(now: datetime) -> Incident:
    spent = 46_700_000_000
    return Incident(
        incident_id="INC-5a3b1e0000",
        fingerprint="sample",
        key_hash=SAMPLE_HASH,
        state=IncidentState.OPEN,
        severity=Severity.CRITICAL,
        step=1,
        opened_at=now - timedelta(minutes=2),
        onset_at=now - timedelta(minutes=34),
        last_seen_at=now - timedelta(minutes=2),
        spent_nusd=spent,
        per_hour_nusd=82 * NUSD,
        expected_per_hour_nusd=1_300_000_000,
        at_risk_nusd=500 * NUSD,
        score=0.93,
        p_value=1e-5,
        rung=Rung.DISABLE,
        detectors=("contrast", "forest"),
        causes=(
            Cause(
                Dimension.MODEL,
                _NEW_MODEL,
                spent,
                0.96,
                True,
                0,
                f"96% on model {_NEW_MODEL}, never used by this key before",
            ),
            Cause(Dimension.COUNTRY, "VN", 41_000_000_000, 0.84, True, 0, "84% from country VN, never seen before"),
        ),
        quality=DataQuality(Quality.KNOWN, complete_until=now, as_of=now - timedelta(minutes=4)),
    )


def _week(incident: Incident, now: datetime) -> alert_chart.Chart:
    """Five weeks of a key that works by day, and the last half hour of somebody else."""
    catalog = Catalog((SAMPLE_HASH,))
    hour_s = int(now.timestamp()) // HOUR_S * HOUR_S
    hours = hour_s - HOUR_S * np.arange(5 * 7 * 24, dtype=np.int64)[::-1]
    of_day = hours // HOUR_S % 24
    usd = 0.3 + 1.9 * np.clip(np.sin((of_day - 6) / 24 * 2 * np.pi), 0, None) * (1 + 0.35 * np.sin(hours / 7_919.0))
    rows = [
        (int(hour), catalog.value_no(Dimension.MODEL, model), round(float(cost) * share * NUSD))
        for model, share in _USUAL_MODELS
        for hour, cost in zip(hours, usd, strict=True)
    ]
    last_s = int(incident.last_seen_at.timestamp()) // HOUR_S * HOUR_S  # not `hour_s`: on the hour that has not begun
    rows.append((last_s, catalog.value_no(Dimension.MODEL, _NEW_MODEL), incident.spent_nusd))
    usage = (
        frames.empty(frames.USAGE)
        .reindex(range(len(rows)))
        .assign(
            bucket_start=frames.utc_seconds(np.array([row[0] for row in rows], dtype=np.int64)),
            key_no=0,
            dimension=int(Dimension.MODEL),
            value_no=[row[1] for row in rows],
            cost_nusd=[row[2] for row in rows],
        )
    )
    return alert_chart.chart(
        usage, frames.empty(frames.COVERAGE), key_no=0, catalog=catalog, incident=incident, now=now
    )
