"""What judging remembers comes back from its bytes, or not at all."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging import CATALOG, trained

from monitor.detect import memory
from monitor.detect.findings import Memory
from monitor.detect.memory import Remembered
from monitor.detect.patience import Patience

MANIFEST = trained().manifest
AT = datetime(2026, 6, 6, 12, 30, tzinfo=UTC)

BUCKETS = st.integers(0, 4_000_000).map(lambda number: number * 600)
PAIRS = st.tuples(BUCKETS, BUCKETS)
AMOUNTS = st.floats(min_value=0.0, max_value=1e9, exclude_min=True)
KEY_NOS = st.integers(0, 1)
MEMORIES = st.builds(
    Memory,
    hot_s=st.dictionaries(KEY_NOS, PAIRS),
    patience=st.builds(
        Patience, st.dictionaries(KEY_NOS, st.lists(st.tuples(BUCKETS, AMOUNTS), min_size=1, max_size=36).map(tuple))
    ),
    probes=st.dictionaries(KEY_NOS, PAIRS),
)


def packed(remembered: Remembered) -> bytes:
    return memory.to_bytes(remembered, MANIFEST, CATALOG.key_hash)


@given(MEMORIES)
def test_what_goes_in_comes_out_to_the_last_bit(remembered: Memory) -> None:
    data = packed(Remembered(AT, remembered))
    assert memory.from_bytes(data, MANIFEST, CATALOG.known_key_no) == Remembered(AT, remembered)


@given(MEMORIES, st.data())
def test_a_byte_that_was_changed_is_found_or_changes_nothing(remembered: Memory, data: st.DataObject) -> None:
    whole = bytearray(packed(Remembered(AT, remembered)))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] = data.draw(st.integers(0, 255))
    try:
        found = memory.from_bytes(bytes(whole), MANIFEST, CATALOG.known_key_no)
    except ValueError:
        return
    assert found == Remembered(AT, remembered)


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail_otherwise_than_by_refusing(data: bytes) -> None:
    with pytest.raises(ValueError):
        memory.from_bytes(data, MANIFEST, CATALOG.known_key_no)


def test_what_another_detector_remembered_is_refused() -> None:
    data = packed(Remembered(AT, Memory(hot_s={0: (0, 600)})))
    retrained = msgspec.structs.replace(MANIFEST, seed=MANIFEST.seed + 1)
    with pytest.raises(ValueError, match="another detector"):
        memory.from_bytes(data, retrained, CATALOG.known_key_no)


def test_another_format_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = packed(Remembered(AT, Memory()))
    monkeypatch.setattr(memory, "FORMAT", 2)
    with pytest.raises(ValueError, match="has format 1, this version reads 2"):
        memory.from_bytes(data, MANIFEST, CATALOG.known_key_no)


def test_keys_are_known_by_their_hash_and_not_by_the_number_another_store_gave_them() -> None:
    data = packed(Remembered(AT, Memory(hot_s={0: (0, 600), 1: (0, 1_200)})))
    others = {CATALOG.key_hash(1): 7}
    found = memory.from_bytes(data, MANIFEST, others.get)
    assert found.memory.hot_s == {7: (0, 1_200)}
