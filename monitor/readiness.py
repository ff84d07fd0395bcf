"""`check`: would the service work? Reads only; nothing is changed, nothing is sent."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

from monitor.config import Settings
from monitor.domain import Check, Clock
from monitor.errors import MonitorError
from monitor.jobs import arming
from monitor.wiring import SystemClock, make_notifier, make_source, open_store, store_address

WATCHDOG_S = 300


async def check_all(settings: Settings) -> tuple[Check, ...]:
    """The settings were read already; this looks at the account, Slack, the state directory, the store and the schedule."""
    clock = SystemClock()
    found = [Check("settings", True, f"response.mode = {settings.response.mode}"), *await _account(settings, clock)]
    found += await _messages(settings, clock)
    found += [_state_dir(settings.store.state_dir), await asyncio.to_thread(_store, settings), _schedule(settings)]
    found.append(await asyncio.to_thread(_arming, settings, clock))
    return tuple(found)


async def _account(settings: Settings, clock: Clock) -> tuple[Check, ...]:
    from monitor.frames import Catalog

    try:
        source, transport = make_source(settings, clock, Catalog(), random.Random(0))
    except MonitorError as error:
        return (Check("management key", False, str(error)),)
    try:
        return await source.check()
    finally:
        await transport.close()


async def _messages(settings: Settings, clock: Clock) -> list[Check]:
    try:
        notifier = make_notifier(settings, clock)
    except MonitorError as error:
        return [Check("slack", False, str(error))]
    channels = {
        settings.slack.default_channel,
        settings.digest.channel,
        *(route.channel for route in settings.routes),
    } - {""}
    try:
        found = []
        for channel in sorted(channels):
            try:
                problems = await notifier.check(channel)
            except MonitorError as error:
                problems = (str(error),)
            found.append(
                Check(f"{notifier.name} {channel}", not problems, "; ".join(problems) or "messages can be sent")
            )
        return found
    finally:
        await notifier.close()


def _state_dir(path: Path) -> Check:
    """Looks at the directory, or at the nearest parent that exists: nothing is made."""
    nearest = next(parent for parent in (path, *path.absolute().parents) if parent.exists())
    is_ok = nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)
    return Check(
        "state directory",
        is_ok,
        str(path) if is_ok else f"{nearest} is not writable: change its owner, or store.state_dir",
    )


def _store(settings: Settings) -> Check:
    from monitor.store.database import store_path

    where = store_address(settings)
    try:
        if not store_path(where).exists():
            return Check("store", True, f"{where} will be made on the first start")
        store = open_store(settings, read_only=True)
    except MonitorError as error:
        return Check("store", False, str(error))
    try:
        store.maintenance.verify()
        return Check("store", True, f"{where}: {len(store.keys.keys())} keys, intact")
    except MonitorError as error:
        return Check("store", False, str(error))
    finally:
        store.maintenance.close()


def _arming(settings: Settings, clock: Clock) -> Check:
    """Whether the service would start in `enforce` mode; in the other modes nothing hinders it."""
    from monitor.store.database import store_path

    try:
        if not store_path(store_address(settings)).exists():
            why: str | None = "this account was never replayed"
        else:
            store = open_store(settings, read_only=True)
            try:
                why = arming.refusal(store, settings, clock.now())
            finally:
                store.maintenance.close()
    except MonitorError as error:
        return Check("replay before arming", False, str(error))
    if settings.response.mode != "enforce":
        return Check("replay before arming", True, f"not armed; enforce would be refused: {why}" if why else "done")
    if why and settings.response.armed_without_replay:
        return Check("replay before arming", True, f"OVERRIDDEN by response.armed_without_replay: {why}")
    return Check("replay before arming", not why, f"{why}; {arming.REMEDY}" if why else "done")


def _schedule(settings: Settings) -> Check:
    every_s = settings.schedule.keys_every.total_seconds()
    if every_s * 2 > WATCHDOG_S:
        return Check(
            "schedule",
            False,
            f"schedule.keys_every = {every_s:g} s is too slow for WatchdogSec=5min of the unit: at most 150s",
        )
    return Check(
        "schedule", True, f"keys every {every_s:g} s, usage every {settings.schedule.usage_every.total_seconds():g} s"
    )
