"""A fleet state as bytes and back: a checkpoint saves the time of a replay, and nothing depends on it.

Layout: magic, SHA-256 of the rest, length of a JSON header, header, then plain .npy arrays one after another (never a
pickle), deflated. Slots are written in canonical order and empty ones left out: equal states give equal bytes, however they
came about.
"""

from __future__ import annotations

import hashlib
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from monitor.features.columns import Array
from monitor.features.params import HabitParams
from monitor.features.state import FleetState

VERSION: Final = 1
_MAGIC: Final = b"openrouter-monitor fleet state\n"
_DIGEST: Final = 32
_LENGTH: Final = 8
_START: Final = len(_MAGIC) + _DIGEST
_LEVEL: Final = 1  # 120 MB become 42 in 1.6 s of CPU at 10,000 dense keys; more effort gains little


def to_bytes(state: FleetState) -> bytes:
    """The whole state; equal for equal states. Copies and deflates one array at a time, so that memory stays flat."""
    header = {
        "version": VERSION,
        "params": asdict(state.params),
        "head_hour": state.head_hour,
        "learned_hour": state.learned_hour,
        "n_rescaled": state.n_rescaled,
        "needs_rebuild": sorted(state.needs_rebuild),
    }
    text = json.dumps(header, sort_keys=True).encode()
    buffer = io.BytesIO()
    buffer.write(_MAGIC + bytes(_DIGEST) + len(text).to_bytes(_LENGTH, "big") + text)
    deflate = zlib.compressobj(_LEVEL)
    for _, array in _arrays(state):
        plain = io.BytesIO()
        np.lib.format.write_array(plain, array, allow_pickle=False)
        buffer.write(deflate.compress(plain.getbuffer()))
    buffer.write(deflate.flush())
    with buffer.getbuffer() as view:
        view[len(_MAGIC) : _START] = hashlib.sha256(view[_START:]).digest()
    return buffer.getvalue()


def from_bytes(data: bytes, params: HabitParams) -> FleetState:
    """The state of a checkpoint. Raises ValueError if it is damaged, of another version, or made with other parameters:
    then replay the store instead."""
    body = memoryview(data)[_START:]
    if not data.startswith(_MAGIC) or hashlib.sha256(body).digest() != data[len(_MAGIC) : _START]:
        raise ValueError("the checkpoint of the fleet state is damaged; replay the store")
    n = int.from_bytes(body[:_LENGTH], "big")
    try:
        header = json.loads(bytes(body[_LENGTH : _LENGTH + n]))
        if header["version"] != VERSION or header["params"] != asdict(params):
            raise ValueError("the checkpoint was made by another version or with other settings; replay the store")
        return _restored(params, header, io.BytesIO(zlib.decompress(body[_LENGTH + n :])))
    except (KeyError, TypeError, EOFError, zlib.error) as error:
        raise ValueError("the checkpoint of the fleet state does not fit; replay the store") from error


def _arrays(state: FleetState) -> Iterator[tuple[str, Array]]:
    order = state.slots.canonical()
    order = order[~state.slots.is_empty()[order]]
    for name in state.slots.table:
        yield name, np.ascontiguousarray(state.slots[name][..., order])
    for name in state.keys:
        yield name, np.ascontiguousarray(state.keys[name])
    yield "exclusions", state.exclusions


def _restored(params: HabitParams, header: dict[str, Any], plain: io.BytesIO) -> FleetState:
    def arrays(names: Iterator[str]) -> dict[str, Array]:
        return {name: np.lib.format.read_array(plain, allow_pickle=False) for name in names}

    state = FleetState(params)
    state.head_hour, state.learned_hour = int(header["head_hour"]), int(header["learned_hour"])
    state.n_rescaled = int(header["n_rescaled"])
    state.slots.table.put(arrays(iter(state.slots.table)))
    state.slots.index()
    state.keys.put(arrays(iter(state.keys)))
    state.exclusions = arrays(iter(("exclusions",)))["exclusions"]
    state.restore_rebuild([int(key_no) + 1 for key_no in header["needs_rebuild"]])
    return state
