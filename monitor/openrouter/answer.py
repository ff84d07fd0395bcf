"""One answer: read within bounds, and translated into the exception tree."""

from __future__ import annotations

import re
import unicodedata
import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import httpx
import msgspec

from monitor.errors import BadPayload, BadRequest, NotFound, RateLimited, SourceError, Unauthorized, Unavailable
from monitor.openrouter.retry_after import retry_after_s

DEFAULT_RATE_WAIT_S: Final = 5.0
"""Wait after a 429 that does not say how long: both headers are documented as optional."""

MAX_ERROR_BYTES: Final = 65_536
MAX_MESSAGE_CHARS: Final = 200

_TOKENS = re.compile(r"(sk-or-|bearer\s+)[^\s\"'<>]{6,}", re.IGNORECASE)


class NotJson(BadPayload):
    """Something that is no JSON came with a 2xx: a captive portal or a proxy's page. Worth asking again."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response read to its end; `body` is decompressed."""

    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def is_json(self) -> bool:
        """Whether the content type says JSON (`application/json`, `application/problem+json`)."""
        media_type: str = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        return media_type == "application/json" or media_type.endswith("+json")


class _Error(msgspec.Struct):
    message: str | None = None


class _ErrorBody(msgspec.Struct):
    error: _Error


async def read(response: httpx.Response, max_bytes: int) -> Answer:
    """Reads the body while it stays within `max_bytes`, on the wire and decompressed. Raises BadPayload beyond.

    The body is inflated here because httpx inflates a whole network chunk at once: 64 KiB of a gzip bomb are 67 MB."""
    is_error = response.status_code >= 400
    max_bytes = min(max_bytes, MAX_ERROR_BYTES) if is_error else max_bytes
    try:
        body = await _body(response, max_bytes)
    except BadPayload:
        if not is_error:
            raise
        body = b""  # the status says enough; the text was only for people
    return Answer(response.status_code, response.headers, body)


async def _body(response: httpx.Response, max_bytes: int) -> bytes:
    if response.is_stream_consumed:  # a transport may hand over an answer already read and decoded
        if len(response.content) > max_bytes:
            raise _too_large(max_bytes)
        return response.content
    inflater = _inflater(response.headers.get("content-encoding", ""))
    body, n_raw = bytearray(), 0
    async for chunk in response.aiter_raw():
        n_raw += len(chunk)
        body += chunk if inflater is None else _inflate(inflater, chunk, max_bytes + 1 - len(body))
        if max(n_raw, len(body)) > max_bytes:
            raise _too_large(max_bytes)
    if inflater is not None and not inflater.eof:
        raise BadPayload("the compressed answer ends too early")
    return bytes(body)


def _inflater(encoding: str) -> zlib._Decompress | None:
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip":
            return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        case _:
            raise BadPayload(f"the answer is encoded as {clean(encoding)!r}; only gzip was offered")


def _inflate(inflater: zlib._Decompress, chunk: bytes, room: int) -> bytes:
    try:
        return inflater.decompress(chunk, room)
    except zlib.error as error:
        raise BadPayload(f"the answer cannot be decompressed: {error}") from error


def _too_large(max_bytes: int) -> BadPayload:
    return BadPayload(f"the answer is larger than {max_bytes} bytes (openrouter.max_response_mb)")


def failure(answer: Answer, *, call: str, now: datetime, secret: str) -> SourceError | None:
    """What an answer means for the caller; None for a 2xx that is JSON.

    `call` names the request (`GET /keys`); `secret` is struck out of what the answer says. The error body is
    `{"error": {"code", "message"}}` (docs: errors-and-debugging). A 404 counts as "the key is gone" only with that body,
    and a 403 as "wrong key" only as JSON: a proxy's or a firewall's page says nothing about keys."""
    status = answer.status
    text = _message(answer, secret)
    said = f"{call}: {status} {text or ''}".rstrip()
    if 200 <= status < 300:
        return None if answer.is_json else NotJson(f"{call}: {status} without JSON ({_media_type(answer)})")
    if 300 <= status < 400:
        target = clean(answer.headers.get("location", ""), secret=secret)
        return BadPayload(f"{said}: redirected to {target or 'nowhere'}; not followed, check openrouter.base_url")
    if status == 401 or (status == 403 and answer.is_json):
        return Unauthorized(f"{said}: the management key is refused; check OPENROUTER_MANAGEMENT_KEY")
    if status == 404 and text is not None:
        return NotFound(said)
    if status == 429:
        wait = retry_after_s(answer.headers, now)
        return RateLimited(said, retry_after=DEFAULT_RATE_WAIT_S if wait is None else wait)
    if status in {403, 404}:
        return Unavailable(f"{said} without the API's error body; check openrouter.base_url and what stands between")
    if status in {408, 425} or status >= 500:
        return Unavailable(said)
    return BadRequest(said)


def clean(text: str, *, secret: str = "") -> str:
    """Foreign text for an error or a log line: one line, no control or direction characters, no tokens, not long."""
    if secret:
        text = text.replace(secret, "***")
    text = _TOKENS.sub(r"\1***", text[: 8 * MAX_MESSAGE_CHARS])
    text = "".join(" " if unicodedata.category(sign)[0] in "CZ" else sign for sign in text)
    text = " ".join(text.split())
    return text if len(text) <= MAX_MESSAGE_CHARS else text[: MAX_MESSAGE_CHARS - 1] + "…"


def _message(answer: Answer, secret: str) -> str | None:
    """The API's own error text ("" if it gives none), None if the body is not the API's."""
    try:
        return clean(msgspec.json.decode(answer.body, type=_ErrorBody).error.message or "", secret=secret)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _media_type(answer: Answer) -> str:
    return clean(answer.headers.get("content-type", "")) or "no content type"


def is_outage(error: Exception) -> bool:
    """Whether an error says that the source itself is not there (it moves the circuit), not that it refused us."""
    return isinstance(error, Unavailable | NotJson)
