"""Digest -> a document for programs. Its names are stable and described by docs/digest.schema.json. Pure.

Money is in nano-dollars, times are UTC, names are text from outside as it came: whoever shows them escapes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from monitor.domain import Action, Incident
from monitor.report.care import debt_rows
from monitor.report.figures import Digest, KeyWeek, LastRehearsal, ModelWeek, Mover, OwnerWeek
from monitor.report.forecast import SHARE, Forecast
from monitor.report.hygiene import Debt
from monitor.report.limits import LimitForecast
from monitor.report.response_times import Taken
from monitor.report.weeks import Window

SCHEMA: Final = 1
"""Grows when a name goes or changes its meaning; new names may come without it."""

Document = dict[str, Any]


def to_document(digest: Digest) -> Document:
    """The whole digest."""
    weeks = digest.weeks
    return {
        "schema": SCHEMA,
        "week": _span(weeks.current),
        "week_before": _span(weeks.previous),
        "timezone": weeks.zone.key,
        "owner": digest.owner,
        "warnings": list(digest.warnings),
        "totals": {
            "spent_nusd": digest.spent_nusd,
            "before_nusd": digest.before_nusd,
            "usual_nusd": digest.norm_of(digest.norm_nusd),
            "n_usual_weeks": digest.n_norm,
            "unattributed_nusd": digest.unattributed_nusd,
            "gap_nusd": digest.gap_nusd,
            "account_total_nusd": digest.account_total_nusd,
        },
        "data": {
            "n_unknown_hours": digest.gaps.n_hours,
            "n_unknown_hours_before": digest.gaps_before.n_hours,
            "gaps": [_span(each) for each in digest.gaps.account],
        },
        "forecast": {**_span(weeks.month), **_forecast(digest.month)},
        "alerts": _alerts(digest),
        "response_times": _times(digest),
        "owners": [_owner(digest, each) for each in digest.owners],
        "keys": [_key(digest, each) for each in digest.keys],
        "models": [_model(digest, each) for each in digest.models],
        "movers": [_mover(each) for each in digest.movers],
        "limits": [_limit(each) for each in digest.limits],
        "incidents": [_incident(digest, each) for each in digest.incidents],
        "actions": [_action(each) for each in digest.actions],
        "probes": [{"key_hash": each.key_hash, "at": _at(each.at), "detail": each.detail} for each in digest.probes],
        "hygiene": {
            **{debt.name.lower(): [each.key_hash for each in digest.owing(debt)] for debt in Debt},
            "no_route": [each.key_hash for each in digest.unowned],
            "n_debts": sum(len(lines) for _, lines, _ in debt_rows(digest)),
            "n_unknown_hours": digest.n_unknown_month_hours,
        },
        "monitor": _monitor(digest),
        "audit_head": digest.audit_head,
    }


def _alerts(digest: Digest) -> Document:
    alerts = digest.alerts
    return {
        "n_opened": alerts.n_opened,
        "n_false": alerts.n_false,
        "n_unreviewed": alerts.n_unreviewed,
        "budget_per_week": alerts.budget,
        "is_over_budget": alerts.is_over_budget,
        "median_to_detect_s": _seconds(alerts.median_to_detect),
        "longest_to_detect_s": _seconds(alerts.longest_to_detect),
        "n_disabled": alerts.n_disabled,
        "unusual_nusd": alerts.unusual_nusd,
        "saved_nusd": alerts.saved_nusd,
    }


def _times(digest: Digest) -> Document:
    times = digest.times
    named = {
        "detect": times.detect,
        "acknowledge": times.acknowledge,
        "contain": times.contain,
        "resolve": times.resolve,
    }
    told = {name: _taken(taken) for name, taken in named.items()}
    return {"n_incidents": times.n_incidents, **told}


def _taken(taken: Taken) -> Document:
    return {"n": taken.n, "median_s": _seconds(taken.median), "longest_s": _seconds(taken.longest)}


def _monitor(digest: Digest) -> Document:
    health = digest.health
    return {
        "mode": health.mode,
        "detector": health.detector,
        "watched_since": _at(health.watched_since),
        "watched_s": _seconds(health.watched),
        "silences": [{"since": _at(since), "until": _at(until)} for since, until in health.silences],
        "troubles": list(health.troubles),
        "n_undelivered": health.n_undelivered,
        "rehearsal": None if health.rehearsal is None else _rehearsal(health.rehearsal),
    }


def _rehearsal(last: LastRehearsal) -> Document:
    return {
        "at": _at(last.at),
        "key_hash": last.key_hash,
        "key_name": last.key_name,
        "ok": not last.problem,
        "problem": last.problem,
        "may_still_be_disabled": last.is_left,
        "steps": [{"name": step, "seconds": round(span_s, 3)} for step, span_s in last.steps],
    }


def _owner(digest: Digest, part: OwnerWeek) -> Document:
    return {
        "owner": part.owner,
        **_money(digest, part),
        "n_keys": len(part.keys),
        "n_incidents": len(part.incidents),
        "n_actions": len(part.actions),
        "forecast": None if part.month is None else _forecast(part.month),
        "models": [_model(digest, each) for each in part.models],
    }


def _key(digest: Digest, line: KeyWeek) -> Document:
    key = line.key
    return {
        "key_hash": line.key_hash,
        "key_name": key.key_name if key else line.gone_name,
        "owner": line.owner,
        "state": "gone" if key is None else "disabled" if key.settings.is_disabled else "live",
        **_money(digest, line),
        "n_requests": line.n_requests,
        "top_model": line.top_model,
        "limit_usd": key.settings.limit_usd if key else None,
        "limit_reset": key.settings.limit_reset if key else None,
        "n_unknown_hours": line.n_unknown_hours,
        "debts": [debt.name.lower() for debt in digest.debts.get(line.key_hash, ())],
    }


def _model(digest: Digest, each: ModelWeek) -> Document:
    return {"model": each.model, **_money(digest, each), "n_requests": each.n_requests}


def _mover(each: Mover) -> Document:
    return {
        "key_hash": each.line.key_hash,
        "delta_nusd": each.delta_nusd,
        "models": [{"model": model, "delta_nusd": nusd} for model, nusd in each.models],
        "apps": [{"app": app, "delta_nusd": nusd} for app, nusd in each.apps],
    }


def _limit(each: LimitForecast) -> Document:
    return {
        "key_hash": each.key_hash,
        "limit_nusd": each.limit_nusd,
        "remaining_nusd": each.remaining_nusd,
        "outlook": each.outlook.value,
        "resets_at": _at(each.resets_at),
        "at": _at(each.at),
        "earliest": _at(each.earliest),
        "latest": _at(each.latest),
        "doubt": each.doubt.value if each.doubt else None,
    }


def _incident(digest: Digest, each: Incident) -> Document:
    return {
        "incident_id": each.incident_id,
        "key_hash": each.key_hash,
        "state": each.state.value,
        "severity": each.severity.name.lower(),
        "onset_at": _at(each.onset_at),
        "opened_at": _at(each.opened_at),
        "spent_nusd": each.spent_nusd,
        "review": str(digest.reviews.get(each.incident_id, "unreviewed")),
    }


def _action(each: Action) -> Document:
    return {
        "action_id": each.action_id,
        "verb": each.verb.value,
        "key_hash": each.key_hash,
        "incident_id": each.incident_id,
        "state": each.state.value,
        "reason": each.reason.value,
        "requested_by": each.requested_by,
        "intended_at": _at(each.intended_at),
        "finished_at": _at(each.finished_at),
    }


def _money(digest: Digest, each: KeyWeek | ModelWeek | OwnerWeek) -> Document:
    usual = digest.norm_of(each.norm_nusd)
    return {"spent_nusd": each.spent_nusd, "before_nusd": each.before_nusd, "usual_nusd": usual}


def _forecast(month: Forecast) -> Document:
    return {
        "spent_nusd": month.spent_nusd,
        "expected_nusd": month.expected_nusd,
        "low_nusd": month.low_nusd,
        "high_nusd": month.high_nusd,
        "chance": SHARE,
        "doubt": month.doubt.value if month.doubt else None,
    }


def _span(window: Window) -> Document:
    return {"since": _at(window.since), "until": _at(window.until)}


def _at(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else None


def _seconds(span: timedelta | None) -> int | None:
    return None if span is None else round(span.total_seconds())
