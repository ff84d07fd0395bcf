from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from build import a_hash
from fake_http import a_row
from hypothesis import example, given, settings
from hypothesis import strategies as st

from monitor.domain import NUSD, Workspace
from monitor.errors import BadPayload
from monitor.openrouter.wire import (
    counter_nusd,
    decode_credits,
    decode_key,
    decode_keys,
    decode_own_key,
    decode_workspaces,
)


def page(*rows: Any) -> bytes:
    return json.dumps({"data": list(rows)}).encode()


def one(**changes: Any):
    return decode_key(json.dumps({"data": a_row(1, **changes)}).encode())


def test_a_key_becomes_a_domain_value():
    key = one(limit=100, limit_remaining=74.5, limit_reset="monthly", usage=25.123456789)

    assert (key.key_hash, key.key_name, key.workspace_id, key.creator_user_id) == (
        a_hash(1),
        "search-prod",
        "ws-1",
        "user-1",
    )
    assert (key.settings.limit_usd, key.settings.limit_reset, key.limit_remaining_usd) == (100.0, "monthly", 74.5)
    assert (key.usage_nusd, key.usage_daily_nusd, key.byok_usage_nusd) == (25_123_456_789, 1_500_000_000, 500_000_000)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2025-08-24T10:30:00Z", datetime(2025, 8, 24, 10, 30, tzinfo=UTC)),
        ("2025-02-19T20:52:27.363244+00:00", datetime(2025, 2, 19, 20, 52, 27, 363244, tzinfo=UTC)),
        ("2025-02-19T22:52:27+02:00", datetime(2025, 2, 19, 20, 52, 27, tzinfo=UTC)),
        ("2025-02-19 20:52:27", datetime(2025, 2, 19, 20, 52, 27, tzinfo=UTC)),
    ],
)
def test_every_form_of_timestamp_is_aware_utc(text, moment):
    key = one(created_at=text, updated_at=text, expires_at=text)

    assert (key.created_at, key.updated_at, key.expires_at) == (moment,) * 3
    assert key.created_at.tzinfo is UTC


def test_unknown_fields_are_ignored():
    assert one(last_used_at="2026-01-01T00:00:00Z", external_user={"a": [1]}) == one()


def test_what_only_describes_a_key_may_be_missing():
    row = a_row(1)
    for name in ("label", "workspace_id", "creator_user_id", "limit_remaining", "updated_at", "expires_at"):
        del row[name]

    key = decode_keys(page(row)).keys[0]

    assert (key.label, key.workspace_id, key.limit_remaining_usd, key.updated_at) == ("", None, None, None)


@pytest.mark.parametrize(
    "name", ["hash", "name", "disabled", "limit", "limit_reset", "include_byok_in_limit", "created_at"]
)
def test_what_restore_needs_must_be_there(name):
    row = a_row(1)
    del row[name]

    with pytest.raises(BadPayload):
        decode_key(json.dumps({"data": row}).encode())


@pytest.mark.parametrize(
    ("usd", "nusd"),
    [
        (0, 0),
        (0.1, 100_000_000),
        (0.123456789, 123_456_789),
        (4.35, 4_350_000_000),
        (1234567.891234567, 1_234_567_891_234_567),
        ("25.5", 25_500_000_000),
        (-1e-12, 0),
        (1e9, 10**18),
        (None, None),
        (-0.01, None),
        (1e308, None),
        (1.0000001e9, None),
        ("nan", None),
        ("inf", None),
        ("-Infinity", None),
        ("many", None),
        (float("nan"), None),
    ],
    ids=repr,
)
def test_a_counter_is_exact_or_unknown_never_a_guess(usd, nusd):
    assert counter_nusd(usd) == nusd


@given(st.integers(0, 9_000_000 * NUSD // 1000))
def test_dollars_of_any_counter_come_back_to_the_nano_dollar(nusd):
    assert counter_nusd(nusd / NUSD) == nusd


def test_a_counter_that_cannot_be_leaves_the_key_in_sight_with_its_spend_unknown():
    key = one(usage=-5, usage_daily=None, byok_usage="?")

    assert (key.usage_nusd, key.usage_daily_nusd, key.byok_usage_nusd) == (None, None, None)


@pytest.mark.parametrize(
    "change",
    [
        {"hash": "prod"},
        {"hash": a_hash(10).upper()},
        {"hash": a_hash(1) + "\n"},
        {"name": None},
        {"disabled": "false"},
        {"disabled": None},
        {"limit": "nan"},
        {"limit": "none"},
        {"limit": []},
        {"limit_remaining": "inf"},
        {"limit_reset": 3},
        {"include_byok_in_limit": 1},
        {"created_at": "yesterday"},
        {"created_at": "0001-01-01T00:00:00+14:00"},
        {"created_at": None},
    ],
    ids=repr,
)
def test_one_unreadable_row_is_set_aside_and_named(change):
    # given a page of three, one of them broken
    broken = a_row(2) | change

    got = decode_keys(page(a_row(1), broken, a_row(3)))

    assert [key.key_hash for key in got.keys] == [a_hash(1), a_hash(3)]
    assert got.n_rows == 3
    assert len(got.warnings) == 1
    assert "row 1" in got.warnings[0]


def test_a_broken_row_whose_hash_is_readable_still_counts_as_listed():
    got = decode_keys(page(a_row(1), a_row(2, disabled="?")))

    assert got.hashes == (a_hash(1), a_hash(2))
    assert a_hash(2) in got.warnings[0]


@pytest.mark.parametrize(
    ("n_bad", "n_rows", "is_refused"), [(1, 1, False), (1, 3, False), (5, 100, False), (6, 100, True), (2, 3, True)]
)
def test_a_page_is_refused_when_more_than_a_twentieth_is_unreadable(n_bad, n_rows, is_refused):
    rows = [a_row(no, disabled="?" if no < n_bad else False) for no in range(n_rows)]

    if is_refused:
        with pytest.raises(BadPayload, match=f"{n_bad} of {n_rows} rows"):
            decode_keys(page(*rows))
    else:
        assert len(decode_keys(page(*rows)).keys) == n_rows - n_bad


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"data": null}',
        b'{"data": 3}',
        b'{"data": [',
        b"<html>",
        b"\xff\xfe",
        b"[" * 100_000,
    ],
    ids=lambda payload: repr(payload[:20]),
)
@pytest.mark.parametrize("decode", [decode_keys, decode_key, decode_workspaces, decode_own_key, decode_credits])
def test_an_answer_of_another_shape_is_refused(decode, payload):
    with pytest.raises(BadPayload):
        decode(payload)


def test_an_empty_page_is_a_page():
    got = decode_keys(b'{"data": []}')

    assert (got.keys, got.n_rows, got.warnings) == ((), 0, ())


def test_a_refusal_does_not_repeat_what_was_sent():
    with pytest.raises(BadPayload) as caught:
        decode_key(b'{"data": {"name": "\xff secret words"}}')

    assert "secret words" not in str(caught.value)


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["nan", "1e999", "-1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
_ROWS = st.fixed_dictionaries({}, optional=dict.fromkeys(a_row(), _JSON)).map(lambda changes: a_row(1) | changes)


@settings(deadline=None)
@given(st.lists(_ROWS | _JSON, max_size=4), st.integers(0, 400))
def test_no_page_makes_the_decoder_fail_or_invent_spend(rows, cut):
    # given any page, whole or cut off
    payload = page(*rows)
    payload = payload[: len(payload) - cut] if cut < 40 else payload

    # when it is read
    try:
        got = decode_keys(payload)
    except BadPayload:
        return

    # then every counter is one that was sent, and unknown where none was
    sent = {
        (row["hash"], _nusd(row["usage"])) for row in rows if isinstance(row, dict) and isinstance(row.get("hash"), str)
    }
    assert {(key.key_hash, key.usage_nusd) for key in got.keys} <= sent
    assert got.n_rows == len(rows)
    assert len(got.keys) + len(got.warnings) == len(rows)


def _nusd(value: Any) -> int | None:
    """What a counter sent as `value` is, written down once more."""
    try:
        number = float(value) if isinstance(value, int | float | str) else float("nan")
    except (ValueError, OverflowError):
        return None
    return round(number * 1e9) if -0.5e-9 <= number <= 1e9 else None


@settings(deadline=None)
@given(st.binary(max_size=200))
@example(b'{"data": [{"hash": "\\ud800"}]}')
@example(b'{"data": [{"name": "\xff"}]}')
@example(b'{"data": {"total_credits": 1' + b"0" * 400 + b"}}")
@example(b'{"data": [], "total_count": "many"}')
@example(b'{"data": [], "total_count": ' + b"9" * 5000 + b"}")
def test_no_bytes_make_a_decoder_fail_otherwise_than_by_refusing(payload):
    for decode in (decode_keys, decode_key, decode_workspaces, decode_own_key, decode_credits):
        try:
            decode(payload)
        except BadPayload as error:
            assert str(error)


def test_workspaces_are_read_with_their_total():
    got = decode_workspaces(b'{"data": [{"id": "w1", "name": "Prod", "slug": "prod"}], "total_count": "7"}')

    assert (got.workspaces, got.total_count) == ((Workspace("w1", "Prod"),), 7)


@pytest.mark.parametrize(
    ("data", "is_management_key"),
    [
        ({"label": "a", "is_management_key": True, "is_provisioning_key": True}, True),
        ({"label": "a", "is_management_key": False, "is_provisioning_key": False}, False),
        ({"label": "a", "is_provisioning_key": True}, True),
        ({"label": "a"}, False),
    ],
    ids=["management", "inference", "older name", "not said"],
)
def test_the_key_in_use_says_whether_it_is_a_management_key(data, is_management_key):
    assert decode_own_key(json.dumps({"data": data}).encode()).is_management_key is is_management_key


def test_credits_are_nano_dollars():
    got = decode_credits(b'{"data": {"total_credits": 100.5, "total_usage": 25.75}}')

    assert (got.bought_nusd, got.used_nusd) == (100_500_000_000, 25_750_000_000)
