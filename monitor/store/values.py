"""Frozen values as JSON documents, and times as integers. What goes in comes out: enums, tuples, times, any float."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

import msgspec

from monitor.errors import StoreCorrupt

T = TypeVar("T")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def to_document(value: object) -> str:
    """A frozen value as JSON. The standard encoder, unlike msgspec's, keeps infinite floats and any text from outside."""
    return json.dumps(msgspec.to_builtins(value), separators=(",", ":"))


def from_document(document: str, type_: type[T]) -> T:
    """The inverse. Fields it does not know are left out, those missing get their default. Raises StoreCorrupt."""
    try:
        return msgspec.convert(json.loads(document), type_)
    except (msgspec.ValidationError, ValueError) as error:
        raise StoreCorrupt(f"a stored {type_.__name__} cannot be read: {error}; verify the store") from error


def digest_of(document: str) -> str:
    """Identity of a document by its content."""
    return hashlib.sha256(document.encode()).hexdigest()[:32]


def to_us(moment: datetime) -> int:
    """Microseconds since the epoch, exact."""
    return (moment - _EPOCH) // _MICROSECOND


def to_us_or_none(moment: datetime | None) -> int | None:
    """The same, None stays None."""
    return None if moment is None else to_us(moment)


def from_us(microseconds: int) -> datetime:
    """The inverse of `to_us`."""
    return _EPOCH + timedelta(microseconds=microseconds)


def from_us_or_none(microseconds: int | None) -> datetime | None:
    """The same, None stays None."""
    return None if microseconds is None else from_us(microseconds)
