"""Delete a key at the issuer: final, only because a person typed its name, and never repeated by the program."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.domain import Action, Verb
from monitor.errors import ActionFailed, NotFound, SourceError
from monitor.respond import reading
from monitor.respond.base import Applied, KeyControl, KeyDeletion

TYPED = "cli:"
"""Prefix of `Action.requested_by` where a person typed it."""

NEVER_AGAIN = (
    "a delete is never repeated by the program; look at the key at the issuer and ask again: revoke KEY --delete"
)


@dataclass(frozen=True, slots=True)
class DeleteKey:
    """Deletes the key, and believes only that it can no longer be read.

    `deletion` is None in the service: it settles what a crash left open by reading, and can delete nothing."""

    control: KeyControl
    deletion: KeyDeletion | None = None

    @property
    def verb(self) -> Verb:
        """Delete."""
        return Verb.DELETE

    async def apply(self, action: Action) -> Applied:
        """Reads, deletes, and reads that it is gone. Raises ActionFailed, always permanent: a person decides whether to try
        again."""
        if self.deletion is None or not action.requested_by.startswith(TYPED):
            raise ActionFailed(NEVER_AGAIN, permanent=True)
        try:
            await reading.read(self.control, action.key_hash, is_after_change=False)
        except NotFound:
            return Applied("was deleted already")
        except ActionFailed as error:
            raise ActionFailed(f"nothing was deleted: {error}", permanent=True) from error
        unclear: SourceError | None = None
        try:
            await self.deletion.delete(action.key_hash)
        except SourceError as error:
            unclear = error
        try:
            await reading.read(self.control, action.key_hash, is_after_change=True)
        except NotFound:
            return Applied("deleted, and no longer found at the issuer")
        except ActionFailed as error:
            raise ActionFailed(str(error), permanent=True, is_outcome_unknown=True) from unclear
        raise ActionFailed(f"key {action.key_hash[:12]} still exists after the delete", permanent=True) from unclear

    async def is_applied(self, action: Action) -> bool:
        """Whether the key is gone. Raises SourceError."""
        try:
            await self.control.read(action.key_hash)
        except NotFound:
            return True
        return False
