"""`GET /activity`: one row a completed UTC day, model and endpoint, for the last thirty days."""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import numpy as np

from monitor.demo.traffic import DAY_S, Rows, merge, no_rows
from monitor.demo.wire import Refused
from monitor.demo.world import World
from monitor.domain import NUSD

_DAYS = 30


def activity(world: World, query: Mapping[str, str], *, now: datetime, coin: random.Random) -> list[dict[str, Any]]:
    """Rows for the filters of `query`, newest day first; never today. Raises Refused.

    Dates come as documented or, by the coin, with a time of midnight behind them, as has been seen."""
    today = int(now.timestamp()) // DAY_S * DAY_S
    since, until = today - _DAYS * DAY_S, today
    if "date" in query:
        since = _day(query["date"])
        if not today - _DAYS * DAY_S <= since < today:
            raise Refused(400, "Date must be within the last 30 (completed) UTC days")
        until = since + DAY_S
    if query.get("group_by", "workspace") != "workspace":
        raise Refused(400, "group_by: Invalid option: expected workspace")
    keys = _keys(world, query)
    rows = world.usage(since, until, in_minutes=False, now=now)
    rows = rows[keys[rows["key"]]] if len(rows) else no_rows()
    style = "%Y-%m-%d" if coin.random() < 0.5 else "%Y-%m-%d 00:00:00"
    return _table(world, rows, by_workspace="group_by" in query, style=style)


def _day(text: str) -> int:
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
        raise Refused(400, "date: Invalid date, expected YYYY-MM-DD")
    try:
        day = date.fromisoformat(text)
    except ValueError as problem:
        raise Refused(400, "date: Invalid date, expected YYYY-MM-DD") from problem
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())


def _keys(world: World, query: Mapping[str, str]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which key numbers pass the filters."""
    keys = world.fleet.keys
    passes = np.ones(len(keys), dtype=np.bool_)
    if "api_key_hash" in query:
        if world.key(query["api_key_hash"]) is None:
            raise Refused(404, "API key not found")
        passes &= np.array([key.key_hash == query["api_key_hash"] for key in keys])
    if "user_id" in query:
        passes &= np.array([key.creator == query["user_id"] for key in keys])
    if "workspace_id" in query:
        if all(workspace.workspace_id != query["workspace_id"] for workspace in world.fleet.workspaces):
            raise Refused(404, "Workspace not found")
        passes &= np.array([key.workspace_id == query["workspace_id"] for key in keys])
    return passes


def _table(world: World, rows: Rows, *, by_workspace: bool, style: str) -> list[dict[str, Any]]:
    fleet = world.fleet
    place = {workspace.workspace_id: no for no, workspace in enumerate(fleet.workspaces)}
    is_byok = np.array([key.is_byok for key in fleet.keys], dtype=np.bool_)
    labelled = rows.copy()
    # the columns not grouped by are set to one value; BYOK usage is kept apart in `app` until it is priced below
    labelled["app"] = is_byok[rows["key"]] if len(rows) else 0
    labelled["country"] = 0
    place_of_key = np.array([place[key.workspace_id] for key in fleet.keys], dtype=np.int32)
    labelled["key"] = place_of_key[rows["key"]] if by_workspace else 0
    by_label: dict[tuple[int, int, int, int], dict[str, Any]] = {}
    for row in merge(labelled, bucket_s=DAY_S):
        day, where, model, provider = (int(row[name]) for name in ("t", "key", "model", "provider"))
        entry = by_label.setdefault((-day, where, model, provider), _entry(world, day, model, provider, style))
        if by_workspace:
            entry["workspace_id"] = fleet.workspaces[where].workspace_id
        cost = int(row["cost"])
        entry["usage"] += cost // 20 if row["app"] else cost
        entry["byok_usage_inference"] += cost if row["app"] else 0
        for name, column in (("requests", "n"), ("prompt_tokens", "prompt"), ("completion_tokens", "completion"),
                             ("reasoning_tokens", "reasoning")):  # fmt: skip
            entry[name] += int(row[column])
    for entry in by_label.values():
        entry["usage"] /= NUSD
        entry["byok_usage_inference"] /= NUSD
    return [by_label[label] for label in sorted(by_label)]


def _entry(world: World, day: int, model: int, provider: int, style: str) -> dict[str, Any]:
    of_model = world.fleet.prices.models[model]
    name = world.fleet.providers.texts[provider]
    return {
        "date": datetime.fromtimestamp(day, UTC).strftime(style),
        "model": of_model.slug,
        "model_permaslug": of_model.permaslug,
        "endpoint_id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{of_model.permaslug}/{name}")),
        "provider_name": name,
        "usage": 0,
        "byok_usage_inference": 0,
        "requests": 0,
        "prompt_tokens": 0,
        "completion_tokens": 0,
        "reasoning_tokens": 0,
    }
