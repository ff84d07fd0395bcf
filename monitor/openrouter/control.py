"""The only calls that change a key: `respond.base.KeyControl` for OpenRouter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from monitor.domain import ApiKey, KeySettings
from monitor.openrouter.calls import Params
from monitor.openrouter.keys_api import about
from monitor.openrouter.wire import decode_key


class Changer(Protocol):
    """What is needed of a `Transport` to change a key."""

    async def call(
        self, method: str, path: str, *, params: Params | None = None, body: Mapping[str, object] | None = None
    ) -> bytes:
        """The JSON of a 2xx answer. Raises SourceError."""
        ...


class OpenRouterControl:
    """Reads and changes one key. Every method raises SourceError.

    A change is sent once. After any error but BadRequest, Unauthorized, NotFound and RateLimited it may have happened all
    the same: read the key back. How soon a disabled key stops is not documented."""

    def __init__(self, transport: Changer) -> None:
        self._transport = transport

    async def read(self, key_hash: str) -> ApiKey:
        """The key as it is now. Raises NotFound."""
        return about(key_hash, decode_key(await self._transport.call("GET", f"/keys/{key_hash}")))

    async def set_disabled(self, key_hash: str, *, is_disabled: bool) -> ApiKey:
        """Sets `disabled` and nothing else; returns the key as the API answered."""
        return await self._patch(key_hash, {"disabled": is_disabled})

    async def put_limit(self, key_hash: str, settings: KeySettings) -> ApiKey:
        """Sets limit, limit_reset and include_byok_in_limit to exactly these; None is sent as null."""
        return await self._patch(key_hash, _limit_fields(settings))

    async def put_settings(self, key_hash: str, settings: KeySettings) -> ApiKey:
        """Sets disabled, limit, limit_reset and include_byok_in_limit to exactly these; None is sent as null."""
        return await self._patch(key_hash, {"disabled": settings.is_disabled, **_limit_fields(settings)})

    async def _patch(self, key_hash: str, body: Mapping[str, object]) -> ApiKey:
        return about(key_hash, decode_key(await self._transport.call("PATCH", f"/keys/{key_hash}", body=body)))


class OpenRouterDeletion:
    """`respond.base.KeyDeletion` for OpenRouter: final."""

    def __init__(self, transport: Changer) -> None:
        self._transport = transport

    async def delete(self, key_hash: str) -> None:
        """Deletes the key for good; sent once. Raises SourceError."""
        await self._transport.call("DELETE", f"/keys/{key_hash}")


def _limit_fields(settings: KeySettings) -> dict[str, object]:
    return {
        "limit": settings.limit_usd,
        "limit_reset": settings.limit_reset,
        "include_byok_in_limit": settings.include_byok_in_limit,
    }
