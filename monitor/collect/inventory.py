"""The inventory: every key of every workspace, and what became of those known before."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from monitor.collect.listing import Listing, PageReader, list_keys
from monitor.domain import ApiKey, Inventory, Workspace
from monitor.errors import NotFound, SourceError, Unauthorized

MAX_CONFIRMS: Final = 100
"""Known but unlisted keys asked for one by one in a run."""

MAX_CONFIRMS_SUSPECT: Final = 20
"""The same when so many are missing that the listing itself is suspect."""

SUSPECT_MISSING: Final = 3
SUSPECT_SHARE: Final = 0.3
"""A listing that lacks more than this share of the known keys (and more than SUSPECT_MISSING of them) is suspect."""

_WORKSPACES_AT_ONCE: Final = 4


class KeysReader(PageReader, Protocol):
    """The reading calls needed here: `openrouter.keys_api.KeysApi` is one."""

    async def workspaces(self) -> tuple[Workspace, ...]:
        """All workspaces; empty where the account has only the default one. Raises SourceError."""
        ...

    async def key(self, key_hash: str) -> ApiKey:
        """One key. Raises NotFound."""
        ...


@dataclass(slots=True)
class _Confirmed:
    """What asking for single keys showed."""

    found: dict[str, ApiKey] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    errors: list[SourceError] = field(default_factory=list)


async def take_inventory(api: KeysReader, known: Collection[str], now: datetime) -> Inventory:
    """Reads every key of every workspace, disabled ones included; confirms each hash of `known` that is not listed.

    A known key is `vanished` only when it is missing from complete listings, the issuer answers 404 for it, and the
    listing as a whole is credible. Otherwise it is unconfirmed and `is_complete` is False: an empty or much shorter
    listing never means that all those keys are gone. A real mass deletion is believed step by step, at most
    MAX_CONFIRMS_SUSPECT keys a run. Expired keys may be left out of listings and cost a request each run: leave
    keys out of `known` once they have expired.

    Raises Unauthorized at once, other SourceErrors when no workspace at all could be listed."""
    workspaces, warnings = await _workspaces(api)
    is_complete = not warnings
    listings = await _list_all(api, [workspace.workspace_id for workspace in workspaces] or [None])
    keys = {key_hash: key for listing in listings for key_hash, key in listing.keys.items()}
    listed = {key_hash for listing in listings for key_hash in listing.hashes}
    for listing in listings:
        is_complete &= listing.is_complete
        warnings += listing.warnings + ([f"keys not listed: {listing.error}"] if listing.error else [])
    missing = sorted(set(known) - listed)
    vanished: tuple[str, ...] = ()
    n_unsettled = 0
    if missing and not is_complete:
        warnings.append(f"{len(missing)} known keys are not in the incomplete listing; none is taken as gone")
    elif missing:
        confirmed, is_settled = await _confirm(api, missing, n_known=len(set(known)), is_empty=not listed, now=now)
        keys |= confirmed.found
        is_complete = is_settled
        vanished = tuple(confirmed.gone)
        n_unsettled = 0 if is_settled else len(missing)
        warnings += [] if is_settled else [_unsettled(missing, len(set(known)), confirmed)]
    return Inventory(
        taken_at=now,
        keys=tuple(keys.values()),
        workspaces=workspaces,
        vanished=vanished,
        is_complete=is_complete,
        warnings=tuple(warnings),
        n_unsettled=n_unsettled,
    )


async def _workspaces(api: KeysReader) -> tuple[tuple[Workspace, ...], list[str]]:
    try:
        return await api.workspaces(), []
    except NotFound as error:
        return (), [f"only keys of the default workspace are read: {error}"]


async def _list_all(api: KeysReader, workspace_ids: Sequence[str | None]) -> list[Listing]:
    """The listing of each workspace, a few at once. Raises when the source refuses us, or none could be listed."""
    slots = asyncio.Semaphore(_WORKSPACES_AT_ONCE)

    async def one(workspace_id: str | None) -> Listing:
        async with slots:
            return await list_keys(api, workspace_id)

    listings = await asyncio.gather(*(one(workspace_id) for workspace_id in workspace_ids))
    errors = [listing.error for listing in listings if listing.error is not None]
    _raise_refusal(errors)
    if len(errors) == len(listings) and not any(listing.hashes for listing in listings):
        raise errors[0]
    return listings


async def _confirm(
    api: KeysReader, missing: Sequence[str], *, n_known: int, is_empty: bool, now: datetime
) -> tuple[_Confirmed, bool]:
    """Asks for missing keys one by one; returns what was learned and whether that settles all of them."""
    n_missing = len(missing)
    is_suspect = n_missing > SUSPECT_MISSING and n_missing > SUSPECT_SHARE * n_known
    is_foreign = is_empty or (is_suspect and n_missing == n_known)  # as if another account answered
    n_asked = min(n_missing, MAX_CONFIRMS_SUSPECT if is_suspect or is_foreign else MAX_CONFIRMS)
    first = int(now.timestamp() // 60) * n_asked % n_missing  # others each minute, so that each has its turn
    confirmed = _Confirmed()
    await asyncio.gather(*(_ask(api, missing[(first + no) % n_missing], confirmed) for no in range(n_asked)))
    _raise_refusal(confirmed.errors)
    if is_foreign:
        confirmed.gone = []
    confirmed.gone.sort()
    is_settled = not (confirmed.errors or is_suspect or is_foreign or n_asked < n_missing)
    return confirmed, is_settled


async def _ask(api: KeysReader, key_hash: str, confirmed: _Confirmed) -> None:
    try:
        confirmed.found[key_hash] = await api.key(key_hash)
    except NotFound:
        confirmed.gone.append(key_hash)
    except SourceError as error:
        confirmed.errors.append(error)


def _raise_refusal(errors: Sequence[SourceError]) -> None:
    """A refused management key is no partial inventory: nothing of what follows would be true."""
    for error in errors:
        if isinstance(error, Unauthorized):
            raise error


def _unsettled(missing: Sequence[str], n_known: int, confirmed: _Confirmed) -> str:
    reason = f"; {confirmed.errors[0]}" if confirmed.errors else ""
    return (
        f"{len(missing)} of {n_known} known keys are not listed: {len(confirmed.found)} still there, "
        f"{len(confirmed.gone)} confirmed gone, the rest unconfirmed{reason}"
    )
