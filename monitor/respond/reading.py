"""What the responders share: errors of the issuer as `ActionFailed`, and reading a key after an attempt to change it."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final

from monitor.domain import ApiKey, KeySettings
from monitor.errors import ActionFailed, BadRequest, NotFound, SourceError, Unauthorized
from monitor.respond.base import KeyControl

SETTINGS: Final = ("is_disabled", "limit_usd", "limit_reset", "include_byok_in_limit")
"""The names of what a response may change."""

_PERMANENT: Final = (Unauthorized, BadRequest, NotFound)
"""Refusals: the issuer did not do it, and will not by asking again. Everything else may or may not have been done."""


async def read(control: KeyControl, key_hash: str, *, is_after_change: bool) -> ApiKey:
    """The key as it is now. Raises NotFound, and ActionFailed for everything else that goes wrong.

    `is_after_change`: a change was sent before, so that without this reading its outcome is unknown."""
    try:
        return await control.read(key_hash)
    except NotFound:
        raise
    except SourceError as error:
        when = "after the change" if is_after_change else "before the change"
        raise ActionFailed(
            f"key {key_hash[:12]} could not be read {when} ({error})",
            permanent=isinstance(error, _PERMANENT),
            is_outcome_unknown=is_after_change,
        ) from error


async def sent(change: Awaitable[ApiKey], key_hash: str) -> SourceError | None:
    """Awaits a change. Returns the error of an unclear outcome (reading back decides), None if it was answered.

    Raises NotFound, and ActionFailed where the issuer refused it for good."""
    try:
        await change
    except NotFound:
        raise
    except _PERMANENT as error:
        raise ActionFailed(f"the issuer refuses to change key {key_hash[:12]} ({error})", permanent=True) from error
    except SourceError as error:
        return error
    return None


def difference(found: KeySettings, wanted: KeySettings) -> str:
    """What is not as it should be, setting by setting."""
    pairs = ((name, getattr(found, name), getattr(wanted, name)) for name in SETTINGS)
    return ", ".join(f"{name} is {is_!r} instead of {should!r}" for name, is_, should in pairs if is_ != should)
