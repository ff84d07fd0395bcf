"""A small fake of the key issuer behind `KeyControl`: it keeps keys, and fails where a test says so."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from monitor.domain import ApiKey, KeySettings
from monitor.errors import NotFound, SourceError


class Moment(enum.Enum):
    """When a call fails: before the issuer did anything, or after it did, with the answer lost."""

    BEFORE = "before the effect"
    AFTER = "after the effect"


@dataclass(frozen=True)
class Fault:
    """One call that fails, counted from 0 over all calls."""

    error: BaseException
    moment: Moment = Moment.BEFORE


@dataclass
class FakeKeys:
    """`faults` by number of the call. `ignores_changes`: answers as told, changes nothing."""

    keys: dict[str, ApiKey]
    faults: Mapping[int, Fault] = field(default_factory=dict)
    ignores_changes: bool = False
    calls: list[str] = field(default_factory=list)

    @classmethod
    def holding(cls, *keys: ApiKey, **changes: object) -> FakeKeys:
        return cls({key.key_hash: key for key in keys}, **changes)

    async def read(self, key_hash: str) -> ApiKey:
        return self._call("read", key_hash, None)

    async def set_disabled(self, key_hash: str, *, is_disabled: bool) -> ApiKey:
        before = self.keys.get(key_hash)
        settings = replace(before.settings, is_disabled=is_disabled) if before else None
        return self._call("set_disabled", key_hash, settings)

    async def put_limit(self, key_hash: str, settings: KeySettings) -> ApiKey:
        before = self.keys.get(key_hash)
        kept = replace(settings, is_disabled=before.settings.is_disabled) if before else None
        return self._call("put_limit", key_hash, kept)

    async def put_settings(self, key_hash: str, settings: KeySettings) -> ApiKey:
        return self._call("put_settings", key_hash, settings)

    def _call(self, name: str, key_hash: str, settings: KeySettings | None) -> ApiKey:
        fault = self.faults.get(len(self.calls))
        self.calls.append(name)
        if fault is not None and fault.moment is Moment.BEFORE:
            raise fault.error
        if key_hash not in self.keys:
            raise NotFound(f"no key {key_hash[:12]}")
        answer = self.keys[key_hash]
        if settings is not None:
            answer = replace(answer, settings=settings)
            if not self.ignores_changes:
                self.keys[key_hash] = answer
        if fault is not None:
            raise fault.error
        return answer


@dataclass
class FakeClock:
    """Time that only passes in `sleep`."""

    at: datetime
    slept: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return self.at + timedelta(seconds=sum(self.slept))

    def monotonic(self) -> float:
        return sum(self.slept)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def always(error: SourceError, *, first: int = 0, n_calls: int = 1000) -> dict[int, Fault]:
    """Every call from `first` on fails."""
    return {number: Fault(error) for number in range(first, n_calls)}
