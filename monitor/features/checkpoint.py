"""A fleet state as bytes and back: a checkpoint saves the time of a replay, and nothing depends on it.

Layout: magic, SHA-256 of the rest, length of a JSON header, header, then an .npz of plain arrays (never a pickle). Slots are
written in canonical order and empty ones left out, so that equal states give equal bytes, however they came about."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from monitor.errors import ArtifactError
from monitor.features.columns import Array
from monitor.features.params import HabitParams
from monitor.features.state import FleetState

VERSION: Final = 1
_MAGIC: Final = b"openrouter-monitor fleet state\n"
_DIGEST: Final = 32
_LENGTH: Final = 8


def to_bytes(state: FleetState) -> bytes:
    """The whole state; equal for equal states."""
    header = {
        "version": VERSION,
        "params": asdict(state.params),
        "head_hour": state.head_hour,
        "learned_hour": state.learned_hour,
        "n_rescaled": state.n_rescaled,
        "needs_rebuild": sorted(state.needs_rebuild),
    }
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **_arrays(state))
    text = json.dumps(header, sort_keys=True).encode()
    body = len(text).to_bytes(_LENGTH, "big") + text + buffer.getvalue()
    return _MAGIC + hashlib.sha256(body).digest() + body


def from_bytes(data: bytes, params: HabitParams) -> FleetState:
    """The state of a checkpoint. Raises ArtifactError if it is damaged, of another version, or made with other parameters:
    then replay the store instead."""
    start = len(_MAGIC) + _DIGEST
    body = data[start:]
    if not data.startswith(_MAGIC) or hashlib.sha256(body).digest() != data[len(_MAGIC) : start]:
        raise ArtifactError("the checkpoint of the fleet state is damaged; the state is replayed from the store")
    n = int.from_bytes(body[:_LENGTH], "big")
    header = json.loads(body[_LENGTH : _LENGTH + n])
    if header.get("version") != VERSION or header.get("params") != asdict(params):
        raise ArtifactError("the checkpoint was made by another version or with other settings; the store is replayed")
    try:
        with np.load(io.BytesIO(body[_LENGTH + n :]), allow_pickle=False) as arrays:
            return _restored(params, header, {name: arrays[name] for name in arrays.files})
    except (ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ArtifactError("the checkpoint of the fleet state does not fit; the state is replayed") from error


def _arrays(state: FleetState) -> dict[str, Array]:
    order = state.slots.canonical()
    order = order[~state.slots.is_empty()[order]]
    arrays = {f"slot.{name}": np.ascontiguousarray(state.slots[name][..., order]) for name in state.slots.table}
    arrays |= {f"key.{name}": np.ascontiguousarray(state.keys[name]) for name in state.keys}
    return arrays | {"exclusions": state.exclusions}


def _restored(params: HabitParams, header: dict[str, Any], arrays: dict[str, Array]) -> FleetState:
    state = FleetState(params)
    state.head_hour, state.learned_hour = int(header["head_hour"]), int(header["learned_hour"])
    state.n_rescaled = int(header["n_rescaled"])
    state.slots.table.put({name: arrays[f"slot.{name}"] for name in state.slots.table})
    state.slots.index()
    state.keys.put({name: arrays[f"key.{name}"] for name in state.keys})
    state.exclusions = arrays["exclusions"]
    state.restore_rebuild([int(key_no) + 1 for key_no in header["needs_rebuild"]])
    return state
