"""Our client against a mock server that is not ours: Prism, made from the published OpenAPI document.

It checks every request against the document and answers with the document's examples."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import openapi_file
import pytest
from npm import install
from pydantic import SecretStr

from monitor.config import Settings
from monitor.demo.clock import ManualClock
from monitor.domain import KeySettings
from monitor.errors import BadRequest, RateLimited, SourceError, Unauthorized, Unavailable
from monitor.openrouter.analytics import AnalyticsApi, AnalyticsQuery, Granularity
from monitor.openrouter.control import OpenRouterControl
from monitor.openrouter.keys_api import KeysApi
from monitor.openrouter.transport import Transport
from monitor.openrouter.wire import Credits

pytestmark = [pytest.mark.slow, openapi_file.needs_document()]

EXAMPLE = "f01d52606dc8f0a8303a7b5cc3fa07109c2e346cec7c0a16b40de462992ce943"
PRISM = "@stoplight/prism-cli@5.14.x"
START_S = 60


@pytest.fixture(scope="module")
def prism(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running Prism; skips where Node or the registry is out of reach."""
    home = tmp_path_factory.mktemp("prism")
    install(home, PRISM)
    yield from _serve(home)


def _serve(home: Path) -> Iterator[str]:
    log = home / "prism.log"
    command = [str(home / "node_modules/.bin/prism"), "mock", "-h", "127.0.0.1", "-p", "0", str(openapi_file.DOCUMENT)]
    with log.open("wb") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink, env={**os.environ, "NO_COLOR": "1"})
    try:
        yield _address(log, process)
    finally:
        process.terminate()
        process.wait(timeout=10)


def _address(log: Path, process: subprocess.Popen) -> str:
    """Waits until the log names the address Prism listens on."""
    marker = "listening on "
    for _ in range(START_S * 10):
        text = log.read_text(errors="replace")
        if marker in text:
            return text.split(marker)[1].split()[0]
        try:
            process.wait(timeout=0.1)
        except subprocess.TimeoutExpired:
            continue
        break
    pytest.fail(f"Prism did not start: {log.read_text(errors='replace')[-500:]}")


class Preferring(httpx.AsyncHTTPTransport):
    """Asks Prism for one certain answer."""

    def __init__(self, code: int) -> None:
        super().__init__()
        self._code = code

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.headers["Prefer"] = f"code={self._code}"
        return await super().handle_async_request(request)


def a_transport(address: str, *, prefer: int | None = None) -> Transport:
    settings = Settings(openrouter={"base_url": address})
    clock = ManualClock(datetime(2026, 11, 23, 19, 0, tzinfo=UTC))
    http = Preferring(prefer) if prefer else None
    return Transport(http, settings.openrouter, SecretStr("sk-or-v1-any"), clock, random.Random(1))


@pytest.fixture
async def transport(prism: str) -> AsyncIterator[Transport]:
    opened = a_transport(prism)
    yield opened
    await opened.close()


async def test_the_inventory_is_read_and_ends(transport: Transport) -> None:
    """Prism answers the same page for every offset: a pager that waits for an empty page would never end."""
    keys_api = KeysApi(transport)

    async with asyncio.timeout(30):
        workspaces = await keys_api.workspaces()
        page = await keys_api.keys_page(workspaces[0].workspace_id, 0)
        key = await keys_api.key(EXAMPLE)

    assert [each.name for each in workspaces] == ["Production"]
    assert [each.key_hash for each in page.keys] == [EXAMPLE]
    assert key.settings == KeySettings(False, 100.0, "monthly", False)


async def test_the_account_describes_itself(transport: Transport) -> None:
    assert (await KeysApi(transport).own_key()).is_management_key is False
    assert await KeysApi(transport).credits() == Credits(bought_nusd=100_500_000_000, used_nusd=25_750_000_000)


async def test_a_key_is_changed(transport: Transport) -> None:
    control = OpenRouterControl(transport)

    disabled = await control.set_disabled(EXAMPLE, is_disabled=True)
    restored = await control.put_settings(EXAMPLE, KeySettings(False, 12.5, "weekly", True))

    assert disabled.key_hash == restored.key_hash == EXAMPLE


async def test_activity_of_a_key_is_read(transport: Transport) -> None:
    (row,) = await AnalyticsApi(transport).activity(EXAMPLE)

    assert (row.model_permaslug, row.requests, row.usage) == ("openai/gpt-4.1-2025-04-14", 5, 0.015)


async def test_an_analytics_question_passes_its_checks(transport: Transport) -> None:
    """Its example answer has a day of a count alone, so the raw answer is what can be looked at."""
    now = datetime(2026, 11, 23, 19, 0, tzinfo=UTC)
    query = AnalyticsQuery(
        Granularity.MINUTE, now - timedelta(hours=3), now, ("model", "country"), key_hashes=(EXAMPLE, "0" * 64)
    )

    answer = await transport.call("POST", "/analytics/query", body=query.body(), lane="analytics")

    assert b'"truncated":false' in answer.replace(b" ", b"")


async def test_prism_refuses_what_the_document_forbids(transport: Transport) -> None:
    with pytest.raises(BadRequest):
        await transport.call("POST", "/analytics/query", body={"metrics": ["x"], "dimensions": ["a", "b", "c"]})


@pytest.mark.parametrize(
    ("code", "error"),
    [(401, Unauthorized), (429, RateLimited), (500, Unavailable)],
)
async def test_error_answers_become_typed_errors(prism: str, code: int, error: type[SourceError]) -> None:
    refused = a_transport(prism, prefer=code)

    with pytest.raises(error):
        await KeysApi(refused).keys_page(None, 0)

    await refused.close()
