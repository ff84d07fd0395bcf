"""Shapes of the fake API: errors, keys, workspaces, time stamps. A request that does not fit is `Refused`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web

from monitor.demo.counters import DAILY, LIFETIME, MONTHLY, WEEKLY, Counters
from monitor.demo.fleet import Key
from monitor.demo.world import World
from monitor.domain import NUSD, Member, Workspace


class Refused(Exception):
    """The request gets an error answer with this status, message and these headers."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})


def error(status: int, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """`{"error": {"code", "message"}}` with the status it names."""
    return ok({"error": {"code": status, "message": message}}, status=status, headers=headers)


def ok(body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON answer."""
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json", headers=headers)


def stamp(at: datetime | None, *, is_long: bool = False) -> str | None:
    """`2025-08-24T10:30:00Z`, or with `is_long` as the guide shows it: `2025-02-19T20:52:27.363244+00:00`."""
    if at is None:
        return None
    if is_long:
        return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f+00:00")
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def spend_of(no: int, counters: Counters) -> dict[str, float]:
    """Both families of spend counters of key number `no`, in dollars."""
    names = (("", LIFETIME), ("_daily", DAILY), ("_weekly", WEEKLY), ("_monthly", MONTHLY))
    spend = {f"usage{suffix}": int(counters.credits[period, no]) / NUSD for suffix, period in names}
    return spend | {f"byok_usage{suffix}": int(counters.byok[period, no]) / NUSD for suffix, period in names}


def key_json(key: Key, world: World, counters: Counters) -> dict[str, Any]:
    """A key as `GET /keys` returns it. Every third key shows its times in the longer form."""
    left = world.limit_left_nusd(key, counters)
    is_long = key.no % 3 == 0
    return {
        "hash": key.key_hash,
        "name": key.name,
        "label": key.label,
        "disabled": key.is_disabled,
        "limit": None if key.limit_nusd is None else key.limit_nusd / NUSD,
        "limit_remaining": None if left is None else left / NUSD,
        "limit_reset": key.limit_reset,
        "include_byok_in_limit": key.include_byok_in_limit,
        **spend_of(key.no, counters),
        "created_at": stamp(key.created_at, is_long=is_long),
        "updated_at": stamp(key.updated_at, is_long=is_long),
        "expires_at": stamp(key.expires_at),
        "creator_user_id": key.creator,
        "workspace_id": key.workspace_id,
    }


def member_json(member: Member) -> dict[str, Any]:
    """A member as `GET /organization/members` returns it."""
    first, _, last = member.name.partition(" ")
    return {
        "id": member.user_id,
        "email": member.email,
        "first_name": first or None,
        "last_name": last or None,
        "role": "org:member",
    }


def workspace_json(workspace: Workspace, created_at: datetime) -> dict[str, Any]:
    """A workspace as `GET /workspaces` returns it."""
    return {
        "id": workspace.workspace_id,
        "name": workspace.name,
        "slug": workspace.name.lower().replace(" ", "-"),
        "description": None,
        "created_at": stamp(created_at),
        "updated_at": None,
        "created_by": None,
        "default_guardrail_id": workspace.workspace_id,
        "default_text_model": None,
        "default_image_model": None,
        "default_provider_sort": None,
        "include_byok_in_budgets": False,
        "io_logging_api_key_ids": None,
        "io_logging_sampling_rate": 1,
        "is_data_discount_logging_enabled": False,
        "is_observability_broadcast_enabled": False,
        "is_observability_io_logging_enabled": False,
    }


def only_parameters(query: Mapping[str, str], allowed: set[str]) -> None:
    """Raises Refused for a query parameter this endpoint does not know: stricter than the real API."""
    unknown = sorted(set(query) - allowed)
    if unknown:
        raise Refused(400, f"Unrecognized query parameter: {', '.join(unknown)}")


def whole(query: Mapping[str, str], name: str, default: int, *, low: int, high: int | None = None) -> int:
    """A whole number of the query. Raises Refused."""
    text = query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or int(text) < low or (high is not None and int(text) > high):
        raise Refused(400, f"{name}: Invalid input")
    return int(text)
