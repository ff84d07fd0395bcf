"""Disable a key: the only thing done to a key without being asked. Its undo is `restore.py`."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.domain import Action, Verb
from monitor.errors import ActionFailed, NotFound
from monitor.respond import reading
from monitor.respond.base import Applied, KeyControl

GONE = "the key no longer exists at the issuer: contained"


@dataclass(frozen=True, slots=True)
class DisableKey:
    """Sets `disabled` and nothing else, and believes only what it reads back."""

    control: KeyControl

    @property
    def verb(self) -> Verb:
        """Disable."""
        return Verb.DISABLE

    async def apply(self, action: Action) -> Applied:
        """Reads, disables if need be, reads back; returns what was seen. A key that is gone is contained.

        Raises ActionFailed: permanent where the issuer refuses, else worth another try."""
        try:
            before = await reading.read(self.control, action.key_hash, is_after_change=False)
            if before.settings.is_disabled:
                return Applied("was disabled already", before.settings)
            change = self.control.set_disabled(action.key_hash, is_disabled=True)
            unclear = await reading.sent(change, action.key_hash)
            after = await reading.read(self.control, action.key_hash, is_after_change=True)
        except NotFound:
            return Applied(GONE)
        if not after.settings.is_disabled:
            raise ActionFailed(
                f"key {action.key_hash[:12]} is still enabled after the issuer was told to disable it", permanent=False
            ) from unclear
        return Applied("disabled, and read back as disabled", before.settings)

    async def is_applied(self, action: Action) -> bool:
        """Whether the key is disabled, or gone. Raises SourceError."""
        try:
            return (await self.control.read(action.key_hash)).settings.is_disabled
        except NotFound:
            return True
