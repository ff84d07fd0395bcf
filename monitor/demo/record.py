"""What a client sent to a fake server, and what it got."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(slots=True)
class RecordedRequest:
    """One request, never with its token: header names are lower case, `path` is below the base address.

    `status` is 0 and `answer` empty where none was given (a hang, a dropped connection, a streamed body)."""

    at: datetime
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    status: int = 0
    answer: bytes = b""
