"""What judging remembers, as bytes and back: a restart must not give a patient thief a fresh start.

A JSON document with its own checksum. Keys stand in it by hash, for the numbers of a store that was put back may be others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec

from monitor.detect.artifact import Manifest
from monitor.detect.findings import Memory
from monitor.detect.patience import Patience

FORMAT: Final = 1

_Bucket = int  # its start, epoch seconds


@dataclass(frozen=True, slots=True)
class Remembered:
    """A memory, and the moment judged last."""

    at: datetime
    memory: Memory


class _Key(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    hot: tuple[_Bucket, _Bucket] | None = None
    excess: tuple[tuple[_Bucket, float], ...] = ()
    probe: tuple[_Bucket, _Bucket] | None = None


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    format: int
    detector: str
    at: int
    keys: dict[str, _Key]


class _File(msgspec.Struct, forbid_unknown_fields=True):
    sha256: str
    document: msgspec.Raw


def to_bytes(remembered: Remembered, manifest: Manifest, key_hash_of: Callable[[int], str]) -> bytes:
    """The memory of the detector with this manifest."""
    memory = remembered.memory
    numbers = sorted(memory.hot_s.keys() | memory.patience.excess.keys() | memory.probes.keys())
    keys = {
        key_hash_of(no): _Key(memory.hot_s.get(no), memory.patience.excess.get(no, ()), memory.probes.get(no))
        for no in numbers
    }
    document = msgspec.json.encode(_Document(FORMAT, _id(manifest), int(remembered.at.timestamp()), keys))
    return msgspec.json.encode(_File(hashlib.sha256(document).hexdigest(), msgspec.Raw(document)))


def from_bytes(data: bytes, manifest: Manifest, key_no_of: Callable[[str], int | None]) -> Remembered:
    """What was remembered; keys that `key_no_of` does not know are left out. Raises ValueError if it is damaged, of another
    format, or of another detector than that with this manifest."""
    try:
        file = msgspec.json.decode(data, type=_File)
        if hashlib.sha256(file.document).hexdigest() != file.sha256:
            raise ValueError("what judging remembered is damaged")
        document = msgspec.json.decode(file.document, type=_Document)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError("what judging remembered cannot be read") from error
    if document.format != FORMAT:
        raise ValueError(f"what judging remembered has format {document.format}, this version reads {FORMAT}")
    if document.detector != _id(manifest):
        raise ValueError("it was another detector that remembered this")
    numbered = ((key_no_of(key_hash), key) for key_hash, key in document.keys.items())
    known = {no: key for no, key in numbered if no is not None}
    memory = Memory(
        hot_s={no: key.hot for no, key in known.items() if key.hot is not None},
        patience=Patience({no: key.excess for no, key in known.items() if key.excess}),
        probes={no: key.probe for no, key in known.items() if key.probe is not None},
    )
    return Remembered(datetime.fromtimestamp(document.at, UTC), memory)


def _id(manifest: Manifest) -> str:
    """Tells detectors apart by all that scores and levels depend on: the manifest holds the checksum of the rest."""
    return hashlib.sha256(msgspec.json.encode(manifest, order="deterministic")).hexdigest()
