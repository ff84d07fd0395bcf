"""The reading calls about keys, workspaces and the account."""

from __future__ import annotations

from typing import Final, Protocol

from monitor.domain import ApiKey, Workspace
from monitor.errors import BadPayload
from monitor.openrouter.calls import Params
from monitor.openrouter.wire import (
    Credits,
    KeyPage,
    OwnKey,
    decode_credits,
    decode_key,
    decode_keys,
    decode_own_key,
    decode_workspaces,
)

PAGE_SIZE: Final = 100
"""Most rows of one page, of keys (fixed, docs: management-api-keys) and of workspaces (`limit` at most 100)."""

_MAX_WORKSPACE_PAGES: Final = 100


class Caller(Protocol):
    """What is needed of a `Transport` to read about keys."""

    async def call(self, method: str, path: str, *, params: Params | None = None) -> bytes:
        """The JSON of a 2xx answer. Raises SourceError."""
        ...


class KeysApi:
    """`GET /keys`, `/keys/{hash}`, `/key`, `/workspaces`, `/credits` as typed values. Every method raises SourceError."""

    def __init__(self, transport: Caller) -> None:
        self._transport = transport

    async def workspaces(self) -> tuple[Workspace, ...]:
        """All workspaces of the account; none where the account has no such thing.

        Ends when nothing new comes, so that a server that repeats its pages cannot hold it. Raises BadPayload when
        fewer came than the server counts: keys of a workspace not seen would go unwatched."""
        found: dict[str, Workspace] = {}
        for _ in range(_MAX_WORKSPACE_PAGES):
            params = {"offset": len(found), "limit": PAGE_SIZE}
            page = decode_workspaces(await self._transport.call("GET", "/workspaces", params=params))
            n_before = len(found)
            found.update((workspace.workspace_id, workspace) for workspace in page.workspaces)
            total = page.total_count
            if len(found) == n_before or (total is not None and len(found) >= total):
                break
            if total is None and len(page.workspaces) < PAGE_SIZE:
                break
        if total is not None and len(found) < total:
            raise BadPayload(f"GET /workspaces: {len(found)} of {total} workspaces were listed")
        return tuple(found.values())

    async def keys_page(self, workspace_id: str | None, offset: int) -> KeyPage:
        """Up to PAGE_SIZE keys of one workspace, newest first, disabled ones included. None: the default workspace, which
        is all that is listed without a workspace."""
        params: dict[str, str | int | bool] = {"include_disabled": True, "offset": offset}
        if workspace_id is not None:
            params["workspace_id"] = workspace_id
        return decode_keys(await self._transport.call("GET", "/keys", params=params))

    async def key(self, key_hash: str) -> ApiKey:
        """One key. Raises NotFound; BadPayload if the answer is about another key."""
        return about(key_hash, decode_key(await self._transport.call("GET", f"/keys/{key_hash}")))

    async def own_key(self) -> OwnKey:
        """The key this program uses: `is_management_key` tells whether it will do."""
        return decode_own_key(await self._transport.call("GET", "/key"))

    async def credits(self) -> Credits:
        """What the account has bought and used."""
        return decode_credits(await self._transport.call("GET", "/credits"))


def about(key_hash: str, key: ApiKey) -> ApiKey:
    """The key, if it is the one asked for. Raises BadPayload: acting on another key's state would hit the wrong one."""
    if key.key_hash != key_hash:
        raise BadPayload(f"asked about key {key_hash}, the answer is about {key.key_hash}")
    return key
