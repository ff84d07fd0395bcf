"""Lower a key's limit: to what it may still need (cap), or to nothing (zero). The undo of both is `restore.py`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from monitor.domain import NUSD, Action, ApiKey, KeySettings, Verb, is_limited_to, used_nusd
from monitor.errors import ActionFailed, NotFound
from monitor.respond import reading
from monitor.respond.base import Applied, KeyControl
from monitor.respond.disable import GONE

Check = Callable[[ApiKey, float], None]


@dataclass(frozen=True, slots=True)
class CapKey:
    """Lowers `limit` to `action.limit_usd` and keeps everything else; never raises one, and never goes below what was used."""

    control: KeyControl

    @property
    def verb(self) -> Verb:
        """Cap."""
        return Verb.CAP

    async def apply(self, action: Action) -> Applied:
        """Reads, lowers the limit if it is higher, reads back; returns what was seen. A key that is gone is contained.

        Raises ActionFailed: permanent where the issuer refuses, where somebody changed the key's settings since it was judged,
        or where it used more than the cap meanwhile (then a cap made anew is right, not this one)."""
        limit_usd = _limit_of(action)
        return await _lowered(self.control, action, limit_usd, check=_check_use)

    async def is_applied(self, action: Action) -> bool:
        """Whether the limit is as low, or the key gone. Raises SourceError."""
        return await _is_as_low(self.control, action, _limit_of(action))


@dataclass(frozen=True, slots=True)
class ZeroLimit:
    """Sets `limit` to 0 and keeps everything else: for a key that spends although it is disabled."""

    control: KeyControl

    @property
    def verb(self) -> Verb:
        """Zero."""
        return Verb.ZERO

    async def apply(self, action: Action) -> Applied:
        """As `CapKey.apply`, whatever was used: nothing more may be."""
        return await _lowered(self.control, action, 0.0, check=None)

    async def is_applied(self, action: Action) -> bool:
        """Whether the limit is 0, or the key gone. Raises SourceError."""
        return await _is_as_low(self.control, action, 0.0)


async def _lowered(control: KeyControl, action: Action, limit_usd: float, *, check: Check | None) -> Applied:
    key_hash = action.key_hash
    try:
        before = await reading.read(control, key_hash, is_after_change=False)
        if is_limited_to(before, limit_usd):
            return Applied(f"limit was {before.settings.limit_usd:g} USD already", before.settings)
        if action.prior is not None and _differs(before.settings, action.prior):
            raise ActionFailed(
                f"the settings of key {key_hash[:12]} were changed since it was judged; nothing was done, it is judged anew",
                permanent=True,
            )
        if check is not None:
            check(before, limit_usd)
        wanted = replace(before.settings, limit_usd=limit_usd)
        unclear = await reading.sent(control.put_limit(key_hash, wanted), key_hash)
        after = await reading.read(control, key_hash, is_after_change=True)
    except NotFound:
        return Applied(GONE)
    if _differs(after.settings, wanted):
        raise ActionFailed(
            f"key {key_hash[:12]} does not have the limit it was given:"
            f" {reading.difference(after.settings, replace(wanted, is_disabled=after.settings.is_disabled))}",
            permanent=False,
        ) from unclear
    return Applied(f"limit lowered to {limit_usd:g} USD, and read back", before.settings)


async def _is_as_low(control: KeyControl, action: Action, limit_usd: float) -> bool:
    try:
        return is_limited_to(await control.read(action.key_hash), limit_usd)
    except NotFound:
        return True


def _limit_of(action: Action) -> float:
    if action.limit_usd is None:
        raise ActionFailed(f"{action.action_id} does not say to what the limit is lowered", permanent=True)
    return action.limit_usd


def _differs(found: KeySettings, other: KeySettings) -> bool:
    """In what a cap touches or must keep; whether it is disabled is not its business."""
    return replace(found, is_disabled=False) != replace(other, is_disabled=False)


def _check_use(key: ApiKey, limit_usd: float) -> None:
    used = used_nusd(key)
    if used is not None and used > round(limit_usd * NUSD):
        raise ActionFailed(
            f"key {key.key_hash[:12]} used more than the cap of {limit_usd:g} USD meanwhile; nothing was done,"
            " it is judged anew",
            permanent=True,
        )
