"""`GET /activity`: daily usage of one key, by model and endpoint, over the last 30 completed UTC days (OpenAPI)."""

from __future__ import annotations

import math

import msgspec

from monitor.errors import BadPayload
from monitor.openrouter.amounts import MAX_BAD_SHARE, UNREADABLE, Count, Usd, brief, epoch_s


class ActivityRow(msgspec.Struct, frozen=True):
    """One UTC day, model and endpoint of one key; USD. Lists the fields we read, unknown ones are ignored."""

    date: str
    model_permaslug: str
    provider_name: str | None
    usage: Usd
    byok_usage_inference: Usd | None
    requests: Count
    prompt_tokens: Count | None
    completion_tokens: Count | None
    reasoning_tokens: Count | None

    def day_start(self) -> int:
        """Epoch seconds of the day, -1 if unreadable (`YYYY-MM-DD`, also seen with a midnight behind it)."""
        return epoch_s(self.date)


class _RawActivity(msgspec.Struct):
    data: list[msgspec.Raw]


def decode_activity(payload: bytes) -> list[ActivityRow]:
    """The rows of `GET /activity`. Raises BadPayload also when more than one row in twenty is unreadable."""
    reader = msgspec.json.Decoder(ActivityRow, strict=False)
    try:
        raws = msgspec.json.decode(payload, type=_RawActivity).data
    except UNREADABLE as error:
        raise BadPayload(f"activity: an answer does not fit its schema ({brief(error)})") from error
    rows = []
    for raw in raws:
        try:
            row = reader.decode(raw)
        except UNREADABLE:
            continue
        total = row.usage + (row.byok_usage_inference or 0.0)
        if row.day_start() >= 0 and row.day_start() % 86400 == 0 and math.isfinite(total):
            rows.append(row)
    if len(raws) - len(rows) > MAX_BAD_SHARE * len(raws):
        raise BadPayload(
            f"activity: {len(raws) - len(rows)} of {len(raws)} rows are unreadable; the usage stays unknown"
        )
    return rows
