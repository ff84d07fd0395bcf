"""What a refund claim needs of one incident, as files: figures by hour, what was used, what was done, and checksums. Pure.

Everything stems from usage the issuer told and from the ledger; no secret is in any of it (a key's label is masked by the issuer)."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
import pandas as pd

from monitor.domain import NUSD, Action, ApiKey, AuditHead, AuditRow, Dimension, Incident
from monitor.frames import Catalog, epoch_s
from monitor.report import response_times
from monitor.report.markdown import escape, escape_cell
from monitor.wording import moment, money, name, one_line, to_the_cent

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
_MAX_CELL: Final = 300


@dataclass(frozen=True, slots=True)
class Evidence:
    """All a bundle is made of. `hourly`, `fine`: frames.USAGE of this key from a day before the onset on."""

    incident: Incident
    key: ApiKey | None
    owner: str
    workspace_name: str
    hourly: pd.DataFrame
    fine: pd.DataFrame
    catalog: Catalog
    actions: tuple[Action, ...]
    trail: tuple[AuditRow, ...]
    head: AuditHead
    version: str


@dataclass(frozen=True, slots=True)
class First:
    """The first bucket with what the key never did before: its start and length, and what was seen in it."""

    at: datetime
    bucket_s: int
    what: str
    n_requests: int
    cost_nusd: int


def files(evidence: Evidence, now: datetime) -> dict[str, bytes]:
    """Content by file name; `manifest.json` holds the SHA-256 and size of every other file."""
    first = first_abnormal(evidence)
    texts = {
        "summary.md": _summary(evidence, first, now),
        "hourly.csv": to_csv(_HOURLY, _hour_rows(evidence)),
        "models.csv": to_csv(_USED, _used_rows(evidence, Dimension.MODEL)),
        "countries.csv": to_csv(_USED, _used_rows(evidence, Dimension.COUNTRY)),
        "actions.csv": to_csv(_ACTIONS, _action_rows(evidence.actions)),
        "trail.csv": to_csv(_TRAIL, _trail_rows(evidence.trail)),
    }
    made = {file: text.encode() for file, text in texts.items()}
    return made | {"manifest.json": _manifest(evidence, made, first, now)}


def to_csv(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """RFC 4180, one line a row; text that a spreadsheet would take for a formula begins with an apostrophe."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([cell(each) if isinstance(each, str) else each for each in row] for row in rows)
    return out.getvalue()


def cell(text: str) -> str:
    """Text from outside for one cell: on one line, cut, and never a formula."""
    is_formula = text.startswith(_FORMULA)
    plain = one_line(text)[:_MAX_CELL]
    return f"'{plain}" if is_formula or plain.startswith(_FORMULA) else plain


def first_abnormal(evidence: Evidence) -> First | None:
    """The first bucket since the onset in which a first-seen model, country, app or provider of the causes appears; where the
    causes name none, the first with any request. The finest buckets that are kept tell."""
    novel = {
        value_no
        for cause in evidence.incident.causes
        if cause.dimension is not None and cause.is_first_seen
        if (value_no := evidence.catalog.known_value_no(cause.dimension, cause.value)) is not None
    }
    for usage in (evidence.fine, evidence.hourly):
        since = int(evidence.incident.onset_at.timestamp())
        rows = usage[
            (epoch_s(usage["bucket_start"]) + usage["bucket_s"].to_numpy() > since) & (usage["n_requests"] > 0)
        ]
        wanted = rows[rows["value_no"].isin(list(novel))] if novel else rows
        if len(wanted):
            row = wanted.sort_values(["bucket_start", "cost_nusd"], ascending=[True, False], kind="stable").iloc[0]
            value_no = int(row["value_no"])
            dimension = Dimension(int(row["dimension"])).name.lower()
            return First(
                at=row["bucket_start"].to_pydatetime(),
                bucket_s=int(row["bucket_s"]),
                what=f"{dimension} {name(evidence.catalog.value(value_no), fallback='(none)')}",
                n_requests=int(row["n_requests"]),
                cost_nusd=int(row["cost_nusd"]),
            )
    return None


_HOURLY: Final = (
    "hour_utc", "in_incident", "dimension", "value", "requests", "tokens_prompt", "tokens_completion", "tokens_reasoning",
    "cost_usd",
)  # fmt: skip
_USED: Final = (
    "value",
    "first_seen_in_incident",
    "first_hour_utc",
    "requests",
    "tokens_prompt",
    "tokens_completion",
    "cost_usd",
)
_ACTIONS: Final = ("intended_at_utc", "finished_at_utc", "verb", "state", "requested_by", "reason", "detail")
_TRAIL: Final = ("row", "at_utc", "kind", "by", "subject", "why", "chain")


def _is_inside(incident: Incident, hour_s: int) -> bool:
    spans = [*((spell.onset_at, spell.last_seen_at) for spell in incident.spells)]
    spans.append((incident.spell_onset_at, incident.last_seen_at))
    return any(int(since.timestamp()) // 3600 * 3600 <= hour_s <= until.timestamp() for since, until in spans)


def _hour_rows(evidence: Evidence) -> Iterable[Sequence[object]]:
    for hour_s, row in zip(epoch_s(evidence.hourly["bucket_start"]).tolist(), _tuples(evidence.hourly), strict=True):
        yield (
            f"{datetime.fromtimestamp(hour_s, UTC):%Y-%m-%d %H:%M}",
            "yes" if _is_inside(evidence.incident, hour_s) else "no",
            Dimension(row["dimension"]).name.lower(),
            evidence.catalog.value(row["value_no"]),
            row["n_requests"],
            row["tokens_prompt"],
            row["tokens_completion"],
            row["tokens_reasoning"],
            _usd(row["cost_nusd"]),
        )


def _used_rows(evidence: Evidence, dimension: Dimension) -> Iterable[Sequence[object]]:
    rows = evidence.hourly[(evidence.hourly["dimension"] == int(dimension)).to_numpy()]
    hours_s = epoch_s(rows["bucket_start"]).tolist()
    inside = np.array([_is_inside(evidence.incident, hour_s) for hour_s in hours_s], dtype=np.bool_)
    ours, before = rows[inside], set(rows[~inside]["value_no"].tolist())
    grouped = ours.groupby("value_no", as_index=False)
    columns = ["n_requests", "tokens_prompt", "tokens_completion", "cost_nusd"]
    totals = grouped[columns].sum().merge(grouped["bucket_start"].min(), on="value_no")
    told = {c.value for c in evidence.incident.causes if c.dimension is dimension and c.is_first_seen}
    ordered = totals.sort_values(["cost_nusd", "value_no"], ascending=[False, True])
    hours = epoch_s(ordered["bucket_start"]).tolist()
    lists = (ordered[column].tolist() for column in ("value_no", *columns))
    for hour_s, value_no, n_requests, n_prompt, n_completion, cost_nusd in zip(hours, *lists, strict=True):
        value = evidence.catalog.value(value_no)
        is_new = value in told or value_no not in before
        first_hour = f"{datetime.fromtimestamp(hour_s, UTC):%Y-%m-%d %H:%M}"
        yield value, "yes" if is_new else "no", first_hour, n_requests, n_prompt, n_completion, _usd(cost_nusd)


def _action_rows(actions: Sequence[Action]) -> Iterable[Sequence[object]]:
    for action in actions:
        yield (
            f"{action.intended_at:%Y-%m-%d %H:%M:%S}",
            f"{action.finished_at:%Y-%m-%d %H:%M:%S}" if action.finished_at else "",
            action.verb.value,
            action.state.value,
            action.requested_by,
            action.reason.value,
            action.detail,
        )


def _trail_rows(trail: Sequence[AuditRow]) -> Iterable[Sequence[object]]:
    for row in trail:
        at = datetime.fromtimestamp(row.at_us / 1e6, UTC)
        yield row.number, f"{at:%Y-%m-%d %H:%M:%S}", row.kind, row.by, row.subject, row.why, row.chain


def _tuples(usage: pd.DataFrame) -> Iterable[dict[str, int]]:
    columns = [
        "dimension",
        "value_no",
        "n_requests",
        "tokens_prompt",
        "tokens_completion",
        "tokens_reasoning",
        "cost_nusd",
    ]
    for values in zip(*(usage[column].tolist() for column in columns), strict=True):
        yield dict(zip(columns, values, strict=True))


def _usd(nusd: int) -> str:
    """Exact dollars: nothing is rounded in a claim."""
    return f"{nusd // NUSD}.{nusd % NUSD:09d}" if nusd >= 0 else f"-{_usd(-nusd)}"


def _summary(evidence: Evidence, first: First | None, now: datetime) -> str:
    incident, key = evidence.incident, evidence.key
    times = response_times.lines(response_times.of(incident, evidence.actions))
    facts = [
        ("Key", name(key.key_name) if key else "(no longer in the inventory)"),
        ("Masked label", name(key.label, fallback="-") if key else "-"),
        ("Key hash", incident.key_hash),
        ("Owner", name(evidence.owner, fallback="nobody named")),
        ("Workspace", name(evidence.workspace_name, fallback="default")),
        ("Began", moment(incident.onset_at)),
        ("Last seen", moment(incident.last_seen_at)),
        ("Above the usual", to_the_cent(incident.spent_nusd)),
        ("Usual an hour", money(incident.expected_per_hour_nusd)),
        ("State", incident.state.value),
    ]
    if first is not None:
        seen = f"{first.n_requests:,} requests, {money(first.cost_nusd)}, {first.what}"
        facts.append(("First abnormal bucket", f"{moment(first.at)}, {first.bucket_s // 60} min: {seen}"))
    table = "\n".join(["| | |", "|---|---|", *(f"| {label} | {escape_cell(value)} |" for label, value in facts)])
    parts = [
        f"# Incident {incident.incident_id}",
        "Unusual use of an API key, as recorded by openrouter-monitor from the usage that the issuer reports. Usage alone cannot"
        " tell a leaked key from a runaway job: whoever claims a refund must say which it was.",
        table,
        "## What was unusual\n\n" + _list(cause.sentence for cause in incident.causes),
        "## How long it took\n\n" + _list(times),
        "## What was done\n\n" + _list(_done(each) for each in evidence.actions),
        "## Files\n\n"
        "- `hourly.csv`: use by hour from a day before it began, by model, provider, country and app. Each of the four is a"
        " whole: never add them up.\n"
        "- `models.csv`, `countries.csv`: what was used in the hours of the incident.\n"
        "- `actions.csv`, `trail.csv`: what was done to the key, and who decided what.\n"
        "- `manifest.json`: SHA-256 of each file, and the head of the audit trail when this was written.",
        f"Written {moment(now)}.",
    ]
    return "\n\n".join(parts) + "\n"


def _done(action: Action) -> str:
    at = moment(action.finished_at or action.intended_at)
    return f"{at}: {action.verb.value}, {action.state.value}, asked by {action.requested_by}. {action.detail}".strip()


def _list(texts: Iterable[str]) -> str:
    return "\n".join(f"- {escape(text)}" for text in texts) or "Nothing."


def _manifest(evidence: Evidence, made: Mapping[str, bytes], first: First | None, now: datetime) -> bytes:
    document = {
        "incident_id": evidence.incident.incident_id,
        "key_hash": evidence.incident.key_hash,
        "written_at": now.isoformat(),
        "program": f"openrouter-monitor {evidence.version}",
        "audit_head": str(evidence.head),
        "first_abnormal_bucket": None if first is None else first.at.isoformat(),
        "files": {
            file: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
            for file, content in made.items()
        },
    }
    return (json.dumps(document, indent=2) + "\n").encode()
