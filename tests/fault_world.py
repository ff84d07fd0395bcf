"""What outlives a killed monitor: an account whose keys are being stolen, and a Slack that remembers what it was sent."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import httpx
from build import a_hash
from fake_analytics import FakeAccount, Request
from fake_clock import FakeClock
from fake_http import a_row, an_error, ok
from fault_points import Fault, Points

from monitor.domain import NUSD, KeySettings, Message, Receipt
from monitor.errors import DeliveryError

N_KEYS = 6
STOLEN = {1: "disable", 2: "disable", 3: "cap"}
"""Keys that a thief uses, and what the evidence asks for."""
USD_A_MINUTE = 40.0
CAP_AT_USD = 500.0
HONEST_USD = 10.0


HALF_ANSWERS = frozenset({Fault.CUT, Fault.EMPTY, Fault.DRIP})
"""The request has had its effect, and the answer is worth nothing."""

DEADLINE_S = 30.0


@dataclass
class Drip(httpx.AsyncByteStream):
    """The bytes of a body one by one, but for the last one, which never comes."""

    content: bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for at in range(len(self.content) - 1):
            yield self.content[at : at + 1]
        await asyncio.Event().wait()


@dataclass
class Issuer:
    """An account behind HTTP. A thief spends on the stolen keys every minute, for as long as each lets him.

    `before_change`: called with the hash of a key just before it is changed."""

    clock: FakeClock
    points: Points
    before_change: Callable[[str], None] = lambda _: None
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    n_changes: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        for number in range(1, N_KEYS + 1):
            row = a_row(number, name=f"team-{number}", usage=HONEST_USD, workspace_id=None)
            row |= {"limit": CAP_AT_USD * number, "limit_reset": "monthly", "include_byok_in_limit": number % 2 == 0}
            row |= {"limit_remaining": CAP_AT_USD * number, "usage_monthly": 0.0}
            self.keys[row["hash"]] = row
        self.account = FakeAccount({key_hash: row["name"] for key_hash, row in self.keys.items()}, clock=self.clock)
        self.was = {key_hash: settings_of(row) for key_hash, row in self.keys.items()}

    def live(self) -> None:
        """A minute of theft."""
        at = self.clock.now() - timedelta(seconds=30)
        for number in STOLEN:
            row = self.keys[a_hash(number)]
            used, limit = row["usage_monthly"], row["limit"]
            if not row["disabled"] and (limit is None or used + USD_A_MINUTE <= limit):
                for name in ("usage", "usage_daily", "usage_weekly", "usage_monthly"):
                    row[name] += USD_A_MINUTE
                row["limit_remaining"] = None if limit is None else limit - row["usage_monthly"]
                self.account.requests.append(Request(at, row["hash"], cost_nusd=round(USD_A_MINUTE * NUSD)))

    def __call__(self, request: httpx.Request) -> httpx.Response:
        call = self.name_of(request)
        fault = self.points.at(f"{call}: before sending")
        if fault is not None and fault not in HALF_ANSWERS:
            return self.failed(fault, request)
        answer = self.answer(request)
        fault = fault or self.points.at(f"{call}: after the effect")
        return answer if fault is None else self.failed(fault, request, answer)

    def name_of(self, request: httpx.Request) -> str:
        """What kind of request it is, for the names of its places."""
        return f"{request.method} {request.url.path.removeprefix('/api/v1').split('/')[1]}"

    def failed(self, fault: Fault, request: httpx.Request, answer: httpx.Response | None = None) -> httpx.Response:
        """What comes instead of an answer. `answer`: the one whose effect there was already."""
        if fault is Fault.TIMEOUT:
            raise httpx.ReadTimeout("no answer", request=request)
        if fault is Fault.SLOW_DOWN:
            return an_error(429, headers={"Retry-After": "2"})
        if fault is Fault.SLOW_DOWN_UNTIL:
            until = self.clock.now() + timedelta(seconds=3)
            return an_error(429, headers={"Retry-After": format_datetime(until, usegmt=True)})
        if fault is Fault.SLOW_DOWN_BARE:
            return an_error(429)
        if answer is None or fault not in HALF_ANSWERS:
            return an_error(500)
        if fault is Fault.DRIP:
            self.clock.pass_time(DEADLINE_S)
            return httpx.Response(200, headers=answer.headers, stream=Drip(answer.content))
        kept = 0 if fault is Fault.EMPTY else len(answer.content) // 2
        return httpx.Response(200, headers={"content-type": "application/json"}, content=answer.content[:kept])

    def answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/api/v1")
        if path == "/keys":
            return ok(list(self.keys.values())[int(request.url.params["offset"]) :])
        if path == "/workspaces":
            return ok([], total_count=0)
        if path == "/analytics/query":
            return ok(self.account._query(json.loads(request.content)))
        row = self.keys.get(path.removeprefix("/keys/"))
        if row is None:
            return an_error(404)
        if request.method == "PATCH":
            self.change(row, json.loads(request.content))
        return ok(row)

    def change(self, row: dict[str, Any], body: dict[str, Any]) -> None:
        self.before_change(row["hash"])
        self.n_changes[row["hash"]] += 1
        row.update(body)
        row["limit_remaining"] = None if row["limit"] is None else max(0.0, row["limit"] - row["usage_monthly"])

    def settings(self) -> dict[str, KeySettings]:
        return {key_hash: settings_of(row) for key_hash, row in self.keys.items()}


def settings_of(row: dict[str, Any]) -> KeySettings:
    return KeySettings(row["disabled"], row["limit"], row["limit_reset"], row["include_byok_in_limit"])


@dataclass
class Sink:
    """A notifier whose messages can be looked up, as Slack's can."""

    points: Points
    name: str = "slack"
    sent: list[Message] = field(default_factory=list)
    n_times: Counter[str] = field(default_factory=Counter)

    async def send(self, message: Message, *, thread: Receipt | None = None) -> Receipt:
        refuse(self.points.at("slack: before delivery"), is_outcome_unknown=False)
        self.sent.append(message)
        self.n_times[message.message_id] += 1
        refuse(self.points.at("slack: after delivery"), is_outcome_unknown=True)
        return self._receipt(message)

    async def find(self, message: Message, *, thread: Receipt | None = None) -> Receipt | None:
        refuse(self.points.at("slack: looking up"), is_outcome_unknown=False)
        return self._receipt(message) if self.n_times[message.message_id] else None

    def _receipt(self, message: Message) -> Receipt:
        first = next(no for no, each in enumerate(self.sent) if each.message_id == message.message_id)
        return Receipt(message.channel, f"{1_800_000_000 + first}.000100")


def refuse(fault: Fault | None, *, is_outcome_unknown: bool) -> None:
    if fault is not None:
        retry_after = 3.0 if fault is Fault.SLOW_DOWN and not is_outcome_unknown else None
        raise DeliveryError(fault.name, permanent=False, retry_after=retry_after, is_outcome_unknown=is_outcome_unknown)
