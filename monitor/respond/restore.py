"""Restore a key: put its prior settings back, exactly. Its undo is a disable."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.domain import Action, KeySettings, Verb
from monitor.errors import ActionFailed, NotFound
from monitor.respond import reading
from monitor.respond.base import Applied, KeyControl


@dataclass(frozen=True, slots=True)
class RestoreKey:
    """Puts back `action.prior`: disabled, limit, limit_reset and include_byok_in_limit, as they were before the disable."""

    control: KeyControl

    @property
    def verb(self) -> Verb:
        """Restore."""
        return Verb.RESTORE

    async def apply(self, action: Action) -> Applied:
        """Reads, puts the prior settings back if they differ, reads back and compares; returns what was seen.

        Raises ActionFailed: permanent for a key that is gone, an action without prior settings, or a refusal."""
        prior = _prior(action)
        try:
            before = await reading.read(self.control, action.key_hash, is_after_change=False)
            if before.settings == prior:
                return Applied("had its prior settings already", before.settings)
            unclear = await reading.sent(self.control.put_settings(action.key_hash, prior), action.key_hash)
            after = await reading.read(self.control, action.key_hash, is_after_change=True)
        except NotFound as error:
            raise ActionFailed(
                f"key {action.key_hash[:12]} no longer exists at the issuer and cannot be restored; create a new one",
                permanent=True,
            ) from error
        if after.settings != prior:
            raise ActionFailed(
                f"key {action.key_hash[:12]} does not have its prior settings after the restore:"
                f" {reading.difference(after.settings, prior)}",
                permanent=False,
            ) from unclear
        return Applied("prior settings put back, and read back equal", before.settings)

    async def is_applied(self, action: Action) -> bool:
        """Whether the key has its prior settings; a key that is gone has not. Raises SourceError."""
        if action.prior is None:
            return False
        try:
            return (await self.control.read(action.key_hash)).settings == action.prior
        except NotFound:
            return False


def _prior(action: Action) -> KeySettings:
    if action.prior is None:
        raise ActionFailed(f"{action.action_id} holds no prior settings of key {action.key_hash[:12]}", permanent=True)
    return action.prior
