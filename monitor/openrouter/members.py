"""`GET /organization/members`: who is who, so that a key's creator can be told.

Pages of at most 100 by offset; `total_count` says how many there are."""

from __future__ import annotations

from typing import Annotated, Final, Protocol

import msgspec

from monitor.domain import Member
from monitor.errors import BadPayload
from monitor.openrouter.calls import Params

PAGE_SIZE: Final = 100
_MAX_PAGES: Final = 100


class Caller(Protocol):
    """What is needed of a `Transport`."""

    async def call(self, method: str, path: str, *, params: Params | None = None) -> bytes:
        """The JSON of a 2xx answer. Raises SourceError."""
        ...


class _Row(msgspec.Struct):
    id: Annotated[str, msgspec.Meta(min_length=1)]
    email: str = ""
    first_name: str | None = None
    last_name: str | None = None


class _Page(msgspec.Struct):
    data: list[_Row]
    total_count: int | str | None = None


async def members(transport: Caller) -> tuple[Member, ...]:
    """All members; none for an account that is no organization. Raises SourceError.

    Ends when nothing new comes, so that a server that repeats its pages cannot hold it."""
    found: dict[str, Member] = {}
    for _ in range(_MAX_PAGES):
        params: dict[str, str | int | bool] = {"offset": len(found), "limit": PAGE_SIZE}
        page = decode(await transport.call("GET", "/organization/members", params=params))
        n_before = len(found)
        found.update((member.user_id, member) for member in page)
        if len(found) == n_before or len(page) < PAGE_SIZE:
            break
    return tuple(found.values())


def decode(payload: bytes) -> tuple[Member, ...]:
    """One page. Raises BadPayload."""
    try:
        rows = msgspec.json.decode(payload, type=_Page).data
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadPayload("GET /organization/members: the answer is no list of members") from error
    return tuple(Member(row.id, row.email, " ".join(filter(None, (row.first_name, row.last_name)))) for row in rows)
