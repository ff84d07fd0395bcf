"""`check`: would the service work? Reads only; nothing is changed, and nothing is sent unless a test message is asked for."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

from monitor.config import Settings
from monitor.domain import Check, Clock, MessageKind, Notice
from monitor.errors import MonitorError
from monitor.jobs import arming, rehearsed
from monitor.notify.base import Notifier
from monitor.notify.pressed import Pressed
from monitor.wiring import SystemClock, make_listener, make_notifier, make_source, open_store, store_address

WATCHDOG_S = 300


async def check_all(settings: Settings, *, is_sending: bool = False) -> tuple[Check, ...]:
    """The settings were read already; this looks at the account, Slack, the state directory, the store and the schedule.

    `is_sending`: a test message goes to every channel."""
    clock = SystemClock()
    found = [Check("settings", True, f"response.mode = {settings.response.mode}"), *await _account(settings, clock)]
    found += await _messages(settings, clock, is_sending=is_sending)
    found += await _buttons(settings, clock)
    found += await _heartbeat(settings, is_sending=is_sending)
    store = await asyncio.to_thread(_store, settings)
    found += [_state_dir(settings.store.state_dir), store, _schedule(settings)]
    if store.is_ok:  # else it is said once, and what it would have told is not known
        found.append(await asyncio.to_thread(_arming, settings, clock))
        found.append(await asyncio.to_thread(_rehearsal, settings, clock))
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


async def _messages(settings: Settings, clock: Clock, *, is_sending: bool) -> list[Check]:
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
            if is_sending:
                found.append(await _sent(notifier, channel, clock))
    finally:
        await notifier.close()
    return found + await _further(settings, clock, is_sending=is_sending)


async def _further(settings: Settings, clock: Clock, *, is_sending: bool) -> list[Check]:
    """Further channels: whether their addresses are understood."""
    from monitor.notify import further

    found = []
    for notifier in further.notifiers(settings.further.addresses, clock):
        problems = await notifier.check(notifier.name)
        found.append(
            Check(f"further {notifier.name}", not problems, "; ".join(problems) or "its address is understood")
        )
        if is_sending:
            found.append(await _sent(notifier, notifier.name, clock))
    return found


async def _heartbeat(settings: Settings, *, is_sending: bool) -> list[Check]:
    """The receiver of the sign of life; it hears from `check` only when something may be sent."""
    from monitor.notify.heartbeat import HeartbeatSender

    address = settings.heartbeat.address
    if address is None:
        return [Check("heartbeat", True, "not used (heartbeat.address): nobody outside notices a dead monitor")]
    if not is_sending:
        return [Check("heartbeat", True, "set; --send tries it")]
    try:
        await HeartbeatSender(address).send()
    except MonitorError as error:
        return [Check("heartbeat", False, str(error))]
    return [Check("heartbeat", True, "its receiver heard us")]


async def _sent(notifier: Notifier, channel: str, clock: Clock) -> Check:
    """Sends a test message: the one thing `check` changes, and only when it is told to."""
    from monitor.notify.message import compose

    now = clock.now()
    notice = Notice(MessageKind.TEST, now, detail="")
    message = compose(notice, None, channel=channel, owner="", workspace_name=None, now=now, data_as_of=None)
    try:
        receipt = await notifier.send(message)
    except MonitorError as error:
        return Check(f"test message to {channel}", False, str(error))
    return Check(
        f"test message to {channel}", True, f"sent ({receipt.channel} {receipt.reference}): look whether it is there"
    )


async def _buttons(settings: Settings, clock: Clock) -> list[Check]:
    """Whether pressed buttons reach the monitor: the app-level token, and somebody who may press."""
    slack = settings.slack
    is_approving = settings.response.approve == "slack"  # then somebody is named: the settings ask for it
    has_people = bool(slack.allowed_users or slack.allowed_groups) or is_approving
    if not slack.enabled or (slack.app_token is None and not has_people):
        return [Check("slack buttons", True, "not used (slack.app_token is not set)")]
    if slack.app_token is None:
        remedy = "set SLACK_APP_TOKEN or app_token_file; until then messages carry no buttons"
        return [Check("slack buttons", False, f"slack.app_token is not set; {remedy}")]
    if not has_people:
        remedy = "name them in slack.allowed_users or slack.allowed_groups (the command and the home work without)"
        return [Check("slack buttons", False, f"nobody is allowed to press them; {remedy}")]
    try:
        listener = make_listener(settings, clock, _ignored)
    except MonitorError as error:
        return [Check("slack buttons", False, str(error))]
    assert listener is not None
    try:
        problems = await listener.check()
    finally:
        await listener.close()
    scope = "; the app-level token needs the scope connections:write" if problems else ""
    return [Check("slack buttons", not problems, "; ".join(problems) + scope or "they reach the monitor")]


async def _ignored(pressed: Pressed) -> None:
    """Nobody listens while it is only looked whether somebody could."""


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


def _rehearsal(settings: Settings, clock: Clock) -> Check:
    """How the last rehearsal went; that there was none is a hint, no failure."""
    from monitor.store.database import store_path

    try:
        if not store_path(store_address(settings)).exists():
            return Check("rehearsal", True, "never")
        store = open_store(settings, read_only=True)
        try:
            said, is_ok = rehearsed.told(store, settings, clock.now())
        finally:
            store.maintenance.close()
    except MonitorError as error:
        return Check("rehearsal", False, str(error))
    return Check("rehearsal", is_ok, said)


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
