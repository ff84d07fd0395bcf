"""What a responder is, and the narrow door through which keys are changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from monitor.domain import Action, ApiKey, KeySettings, Verb


class KeyControl(Protocol):
    """The only calls that change a key. Each raises SourceError; none retries an unclear outcome by itself."""

    async def read(self, key_hash: str) -> ApiKey:
        """The key as it is now. Raises NotFound."""
        ...

    async def set_disabled(self, key_hash: str, *, is_disabled: bool) -> ApiKey:
        """Sets only `disabled`; returns the key the issuer answered with."""
        ...

    async def put_limit(self, key_hash: str, settings: KeySettings) -> ApiKey:
        """Sets limit, limit_reset and include_byok_in_limit to exactly these; `disabled` is not sent."""
        ...

    async def put_settings(self, key_hash: str, settings: KeySettings) -> ApiKey:
        """Sets disabled, limit, limit_reset and include_byok_in_limit to exactly these."""
        ...


class KeyDeletion(Protocol):
    """The one call that cannot be undone; held only where a person has typed the key's name."""

    async def delete(self, key_hash: str) -> None:
        """Deletes the key. Raises SourceError."""
        ...


@dataclass(frozen=True, slots=True)
class Applied:
    """`said`: what was seen, in words. `before`: the settings found before anything was sent; None where nothing was found."""

    said: str
    before: KeySettings | None = None


class Responder(Protocol):
    """Carries out one verb. Idempotent: applied to a key already in the target state it changes nothing and succeeds."""

    @property
    def verb(self) -> Verb:
        """What it does."""
        ...

    async def apply(self, action: Action) -> Applied:
        """Makes the change and reads it back; returns what was seen. Raises ActionFailed."""
        ...

    async def is_applied(self, action: Action) -> bool:
        """Whether the key is in the state the action wants; resolves an intent found after a crash. A key that is gone
        counts as contained. Raises SourceError."""
        ...
