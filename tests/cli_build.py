"""The keys in the store that tests of the command line look at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from build import a_hash, a_key
from hostile import VECTORS

from monitor.demo.fleet import Key
from monitor.demo.world import World
from monitor.domain import ApiKey

STOLEN = "1f0c9a2b7d3e" + a_hash(1)[12:]
TWINS = ("aaaaaa11" + a_hash(2)[8:], "aaaaaa22" + a_hash(3)[8:])
STORABLE = [name for name in VECTORS if name.encode("utf-8", "ignore").decode() == name]
"""Half characters (lone surrogates) are dropped where answers are read; no store can hold them."""

HOSTILE = {f"{number:04x}" + "b" * 60: name for number, name in enumerate(STORABLE, start=0xB000)}

NOW = datetime(2026, 6, 15, 10, 7, tzinfo=UTC)
MANAGEMENT_KEY = "management-key-of-a-test"


def stored(key: Key) -> ApiKey:
    return a_key(key.key_hash, key_name=key.name, created_at=NOW - timedelta(days=40))


def a_live_key(world: World) -> Key:
    """With a limit, so that there is something to put back."""
    live = (key for key in world.fleet.keys if not key.is_disabled)
    return next(key for key in live if key.limit_nusd is not None and key.limit_reset == "monthly")


def settings_of(world: World, key: Key) -> tuple[bool, int | None, str | None, bool]:
    now = world.key_state(key.key_hash)
    return now.is_disabled, now.limit_nusd, now.limit_reset, now.include_byok_in_limit


def typed_name(key: Key) -> str:
    return key.name if key.name.isascii() and key.name.strip() == key.name else key.key_hash[:12]
