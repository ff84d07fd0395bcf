"""JSON of keys, workspaces and credits -> domain values. The only place where text becomes numbers for them.

Unknown fields are ignored: the API grows. A row that breaks its schema is set aside ("quarantined") and named in a
warning; a page with many such rows is refused, because then it is the page that is wrong. A counter that cannot be (not a
number, negative, beyond any bill) is unknown, None: never zero, and no reason to lose sight of the key.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Final, TypeVar

import msgspec

from monitor.domain import NUSD, ApiKey, KeySettings, Workspace
from monitor.errors import BadPayload

MAX_BAD_SHARE: Final = 0.05
"""A page with a larger share of unreadable rows is refused (one such row is always borne)."""

MAX_COUNTER_USD: Final = 1e9
"""No account has spent more; a larger counter is a fault."""

_JSON_ERRORS = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
_T = TypeVar("_T")

_Hash = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
_Number = float | str  # documented as numbers; numeric strings are what the API does with counts elsewhere


@dataclass(frozen=True, slots=True)
class KeyPage:
    """One page of a listing. `hashes`: every readable hash in the order listed, those of quarantined rows included;
    `n_rows` counts unreadable ones also."""

    keys: tuple[ApiKey, ...]
    hashes: tuple[str, ...]
    n_rows: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WorkspacePage:
    """One page of workspaces and, where the API says it, how many there are."""

    workspaces: tuple[Workspace, ...]
    total_count: int | None


@dataclass(frozen=True, slots=True)
class OwnKey:
    """The key this program itself uses (`GET /key`)."""

    label: str
    is_management_key: bool
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Credits:
    """What the account has bought and used, nano-dollars; None where the API sent no usable number."""

    bought_nusd: int | None
    used_nusd: int | None


class _KeyRow(msgspec.Struct, gc=False):
    """A key as `GET /keys` lists it. What `restore` puts back must be there; counters and labels may be missing."""

    hash: _Hash
    name: str
    disabled: bool
    limit: _Number | None
    limit_reset: str | None
    include_byok_in_limit: bool
    created_at: datetime
    label: str | None = None
    workspace_id: str | None = None
    creator_user_id: str | None = None
    limit_remaining: _Number | None = None
    usage: _Number | None = None
    usage_daily: _Number | None = None
    usage_weekly: _Number | None = None
    usage_monthly: _Number | None = None
    byok_usage: _Number | None = None
    byok_usage_daily: _Number | None = None
    updated_at: datetime | None = None
    expires_at: datetime | None = None


class _Keys(msgspec.Struct):
    data: list[_KeyRow]


class _RawKeys(msgspec.Struct):
    data: list[msgspec.Raw]


class _HashOnly(msgspec.Struct):
    hash: _Hash


class _OneKey(msgspec.Struct):
    data: _KeyRow


class _WorkspaceRow(msgspec.Struct):
    id: Annotated[str, msgspec.Meta(min_length=1)]
    name: str = ""


class _Workspaces(msgspec.Struct):
    data: list[_WorkspaceRow]
    total_count: int | str | None = None


class _OwnKeyRow(msgspec.Struct):
    label: str | None = None
    is_management_key: bool = False
    is_provisioning_key: bool = False  # the older name of the same
    expires_at: datetime | None = None


class _OwnKeyBody(msgspec.Struct):
    data: _OwnKeyRow


class _CreditsRow(msgspec.Struct):
    total_credits: _Number | None = None
    total_usage: _Number | None = None


class _CreditsBody(msgspec.Struct):
    data: _CreditsRow


_decode_keys = msgspec.json.Decoder(_Keys)
_decode_row = msgspec.json.Decoder(_KeyRow)


def decode_keys(payload: bytes) -> KeyPage:
    """A page of `GET /keys`. Raises BadPayload if it is no such page, or too much of it is unreadable."""
    try:
        rows = _decode_keys.decode(payload).data
        keys = tuple([_key(row) for row in rows])
        return KeyPage(keys, tuple([key.key_hash for key in keys]), len(keys))
    except (*_JSON_ERRORS, ValueError, OverflowError):
        return _decode_row_by_row(payload)


def decode_key(payload: bytes) -> ApiKey:
    """The answer of `GET` or `PATCH /keys/{hash}`. Raises BadPayload."""
    return _checked(lambda: _key(msgspec.json.decode(payload, type=_OneKey).data), "a key")


def decode_workspaces(payload: bytes) -> WorkspacePage:
    """A page of `GET /workspaces`. Raises BadPayload."""

    def build() -> WorkspacePage:
        body = msgspec.json.decode(payload, type=_Workspaces)
        total = None if body.total_count is None else int(body.total_count)
        return WorkspacePage(tuple(Workspace(row.id, row.name) for row in body.data), total)

    return _checked(build, "workspaces")


def decode_own_key(payload: bytes) -> OwnKey:
    """The answer of `GET /key`. Raises BadPayload."""

    def build() -> OwnKey:
        row = msgspec.json.decode(payload, type=_OwnKeyBody).data
        return OwnKey(row.label or "", row.is_management_key or row.is_provisioning_key, _utc(row.expires_at))

    return _checked(build, "the key in use")


def decode_credits(payload: bytes) -> Credits:
    """The answer of `GET /credits`. Raises BadPayload."""

    def build() -> Credits:
        row = msgspec.json.decode(payload, type=_CreditsBody).data
        return Credits(counter_nusd(row.total_credits), counter_nusd(row.total_usage))

    return _checked(build, "credits")


def counter_nusd(usd: _Number | None) -> int | None:
    """Dollars of a counter as int nano-dollars, rounded to the nearest; None if missing or impossible.

    Minus a fraction of a nano-dollar is float noise around zero."""
    if type(usd) is float and 0.0 <= usd <= MAX_COUNTER_USD:  # the usual case first: 60,000 a poll of 10,000 keys
        return round(usd * NUSD)
    if usd is None:
        return None
    try:
        number = float(usd)
    except ValueError:
        return None
    if not -0.5 / NUSD <= number <= MAX_COUNTER_USD:  # false for NaN as well
        return None
    return round(number * NUSD)


def _decode_row_by_row(payload: bytes) -> KeyPage:
    """The slow way, taken when the page as a whole does not fit: finds out which rows do not."""
    raws = _checked(lambda: msgspec.json.decode(payload, type=_RawKeys).data, "a page of keys")
    keys: list[ApiKey] = []
    hashes: list[str] = []
    warnings: list[str] = []
    for no, raw in enumerate(raws):
        try:
            key = _key(_decode_row.decode(raw))
        except (*_JSON_ERRORS, ValueError, OverflowError) as error:
            key_hash = _hash_of(raw)
            hashes += [key_hash] if key_hash else []
            warnings.append(f"row {no} of a page of keys is unreadable (key {key_hash or 'unknown'}): {_short(error)}")
        else:
            keys.append(key)
            hashes.append(key.key_hash)
    if len(warnings) > max(1, MAX_BAD_SHARE * len(raws)):
        raise BadPayload(
            f"a page of keys is refused: {len(warnings)} of {len(raws)} rows are unreadable; {warnings[0]}"
        )
    return KeyPage(tuple(keys), tuple(hashes), len(raws), tuple(warnings))


def _hash_of(raw: msgspec.Raw) -> str | None:
    try:
        return msgspec.json.decode(raw, type=_HashOnly).hash
    except _JSON_ERRORS:
        return None


def _checked(build: Callable[[], _T], what: str) -> _T:
    try:
        return build()
    except (*_JSON_ERRORS, ValueError, OverflowError) as error:
        raise BadPayload(f"the answer is not {what} as documented: {_short(error)}") from error


def _short(error: Exception) -> str:
    """What is wrong, without what was sent: UnicodeDecodeError would carry the payload."""
    return str(error)[:120] if isinstance(error, msgspec.MsgspecError) else type(error).__name__


def _key(row: _KeyRow) -> ApiKey:
    """Raises ValueError or OverflowError for values no key can have."""
    created_at = _utc(row.created_at)
    assert created_at is not None
    return ApiKey(
        key_hash=row.hash,
        key_name=row.name,
        label=row.label or "",
        workspace_id=row.workspace_id,
        creator_user_id=row.creator_user_id,
        settings=KeySettings(
            is_disabled=row.disabled,
            limit_usd=_dollars(row.limit),
            limit_reset=row.limit_reset,
            include_byok_in_limit=row.include_byok_in_limit,
        ),
        limit_remaining_usd=_dollars(row.limit_remaining),
        usage_nusd=counter_nusd(row.usage),
        usage_daily_nusd=counter_nusd(row.usage_daily),
        usage_weekly_nusd=counter_nusd(row.usage_weekly),
        usage_monthly_nusd=counter_nusd(row.usage_monthly),
        byok_usage_nusd=counter_nusd(row.byok_usage),
        created_at=created_at,
        updated_at=_utc(row.updated_at),
        expires_at=_utc(row.expires_at),
        byok_usage_daily_nusd=counter_nusd(row.byok_usage_daily),
    )


def _dollars(usd: _Number | None) -> float | None:
    """A limit exactly as sent. May be negative (`limit_remaining` of an overspent key)."""
    if usd is None:
        return None
    number = float(usd)
    if not math.isfinite(number):
        raise ValueError("not a finite amount")
    return number


def _utc(moment: datetime | None) -> datetime | None:
    """Aware UTC; times without a zone are UTC (seen from this API)."""
    if moment is None or moment.tzinfo is UTC:
        return moment
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
