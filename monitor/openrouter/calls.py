"""The calls this program can make of OpenRouter: all of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from monitor.errors import BadRequest
from monitor.openrouter.answer import clean

Params = Mapping[str, str | int | bool]

_HASH = "[0-9a-f]{64}"
Allowed = tuple[tuple[str, re.Pattern[str]], ...]

ALLOWED: Final[Allowed] = tuple(
    (method, re.compile(path))
    for method, path in (
        ("GET", "/workspaces"),
        ("GET", "/keys"),
        ("GET", f"/keys/{_HASH}"),
        ("PATCH", f"/keys/{_HASH}"),
        ("GET", "/key"),
        ("POST", "/analytics/query"),
        ("GET", "/analytics/meta"),
        ("GET", "/activity"),
        ("GET", "/credits"),
        ("GET", "/organization/members"),
    )
)
"""The management key could also create and delete keys; a client with these calls cannot."""

DELETION: Final[Allowed] = (("DELETE", re.compile(f"/keys/{_HASH}")),)
"""The only call of a client that is made after a person typed the name of the key (`revoke KEY --delete`)."""

_CHANGEABLE: Final = frozenset({"disabled", "limit", "limit_reset", "include_byok_in_limit"})


@dataclass(frozen=True, slots=True)
class Call:
    """One request, checked: method, path below the base address, query and encoded body."""

    method: str
    path: str
    params: Params
    content: bytes | None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def is_change(self) -> bool:
        """Whether it changes a key. Such a call is sent once, and never held back."""
        return self.method in {"PATCH", "DELETE"}


def checked(
    method: str,
    path: str,
    params: Params | None,
    body: Mapping[str, object] | None,
    *,
    allowed: Allowed = ALLOWED,
) -> Call:
    """The call, if it is one of those allowed. Raises BadRequest."""
    call = Call(method, path, params or {}, None if body is None else msgspec.json.encode(body))
    if not any(method == verb and pattern.fullmatch(path) for verb, pattern in allowed):
        raise BadRequest(f"{clean(str(call))}: not a call this program makes; nothing was sent")
    if method == "DELETE" and (body is not None or params):
        raise BadRequest(f"{call}: a delete takes no parameters; nothing was sent")
    if method == "PATCH" and not (body and body.keys() <= _CHANGEABLE):
        raise BadRequest(f"{call}: only {', '.join(sorted(_CHANGEABLE))} may be changed; nothing was sent")
    return call
