"""A listing of keys that changes while it is read, as `openrouter.keys_api.KeysApi` would show it."""

from __future__ import annotations

import asyncio
import functools
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from build import a_hash, a_key

from monitor.domain import ApiKey, Workspace
from monitor.errors import NotFound, SourceError
from monitor.openrouter.wire import KeyPage

Churn = Callable[["FakeListing"], None]


_key = functools.cache(a_key)
_hash = functools.cache(a_hash)


@dataclass
class FakeListing:
    """Keys by workspace, newest first. `churn` runs before each page is served; `faults` are raised by offset or hash."""

    keys: dict[str | None, list[int]]
    page_size: int = 100
    churn: Churn = lambda _: None
    faults: dict[int | str, SourceError] = field(default_factory=dict)
    unreadable: frozenset[int] = frozenset()
    always_alive: set[int] = field(default_factory=set)
    next_number: int = 1_000_000
    calls: Counter[str] = field(default_factory=Counter)
    n_under_way: int = 0
    most_under_way: int = 0

    def __post_init__(self) -> None:
        self.always_alive = {number for numbers in self.keys.values() for number in numbers}

    async def workspaces(self) -> tuple[Workspace, ...]:
        return tuple(Workspace(name, name.upper()) for name in self.keys if name is not None)

    async def keys_page(self, workspace_id: str | None, offset: int) -> KeyPage:
        self.calls["page"] += 1
        self.n_under_way += 1
        self.most_under_way = max(self.most_under_way, self.n_under_way)
        await asyncio.sleep(0)
        self.n_under_way -= 1
        if offset in self.faults:
            raise self.faults[offset]
        self.churn(self)
        return self.page(self.keys[workspace_id][offset : offset + self.page_size])

    async def key(self, key_hash: str) -> ApiKey:
        self.calls["key"] += 1
        if key_hash in self.faults:
            raise self.faults[key_hash]
        for numbers in self.keys.values():
            for number in numbers:
                if _hash(number) == key_hash:
                    return _key(number)
        raise NotFound(f"GET /keys/{key_hash}: 404 Resource not found")

    def page(self, numbers: list[int]) -> KeyPage:
        return KeyPage(
            keys=tuple(_key(number) for number in numbers if number not in self.unreadable),
            hashes=tuple(_hash(number) for number in numbers),
            n_rows=len(numbers),
            warnings=tuple(f"row of key {number} is unreadable" for number in numbers if number in self.unreadable),
        )

    def create(self, workspace_id: str | None) -> None:
        self.keys[workspace_id].insert(0, self.next_number)
        self.next_number += 1

    def delete(self, workspace_id: str | None, place: int) -> None:
        self.always_alive.discard(self.keys[workspace_id].pop(place))


def random_churn(rng: random.Random, *, most: int) -> Churn:
    """Up to `most` keys created and up to `most` deleted, anywhere, before each page."""

    def churn(listing: FakeListing) -> None:
        for name, numbers in listing.keys.items():
            for _ in range(rng.randint(0, most)):
                listing.create(name)
            for _ in range(min(rng.randint(0, most), len(numbers))):
                listing.delete(name, rng.randrange(len(numbers)))

    return churn
