from __future__ import annotations

import json

import httpx
import pytest
from build import a_hash, key_settings
from fake_http import Script, a_row, a_transport, an_error, ok

from monitor.errors import BadPayload, NotFound, Unavailable
from monitor.openrouter.control import OpenRouterControl
from monitor.respond.base import KeyControl

KEY = a_hash(1)


def sent(app: Script) -> list[tuple[str, str, object]]:
    return [
        (request.method, request.url.path.removeprefix("/api/v1"), json.loads(request.content or b"null"))
        for request in app.requests
    ]


def control(app) -> KeyControl:
    return OpenRouterControl(a_transport(app))


@pytest.mark.parametrize("is_disabled", [True, False])
async def test_disabling_changes_the_flag_and_nothing_else(is_disabled):
    app = Script(ok(a_row(1, disabled=is_disabled)))

    key = await control(app).set_disabled(KEY, is_disabled=is_disabled)

    assert sent(app) == [("PATCH", f"/keys/{KEY}", {"disabled": is_disabled})]
    assert key.settings.is_disabled is is_disabled


@pytest.mark.parametrize(
    ("settings", "body"),
    [
        (
            key_settings(),
            {"disabled": False, "limit": None, "limit_reset": None, "include_byok_in_limit": False},
        ),
        (
            key_settings(is_disabled=True, limit_usd=12.345, limit_reset="weekly", include_byok_in_limit=True),
            {"disabled": True, "limit": 12.345, "limit_reset": "weekly", "include_byok_in_limit": True},
        ),
    ],
    ids=["no limit is sent as null", "all settings"],
)
async def test_settings_are_put_back_exactly(settings, body):
    app = Script(ok(a_row(1)))

    await control(app).put_settings(KEY, settings)

    assert sent(app) == [("PATCH", f"/keys/{KEY}", body)]


async def test_settings_read_and_put_back_are_the_ones_the_issuer_sent():
    # given a key with an odd limit
    row = a_row(1, limit=0.1 + 0.2, limit_reset="monthly", include_byok_in_limit=True)
    app = Script(ok(row))

    # when its settings are read and put back
    key = await control(app).read(KEY)
    await control(app).put_settings(KEY, key.settings)

    # then not a digit has changed
    names = ("disabled", "limit", "limit_reset", "include_byok_in_limit")
    assert sent(app)[1][2] == {name: row[name] for name in names}


async def test_reading_a_key_that_is_gone_says_so():
    with pytest.raises(NotFound):
        await control(Script(an_error(404, "Resource not found"))).read(KEY)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.ReadTimeout("slow"), Unavailable),
        (an_error(500), Unavailable),
        (httpx.Response(200, html="<html>"), BadPayload),
        (httpx.Response(200, json={"data": None}), BadPayload),
        (ok(a_row(2)), BadPayload),
    ],
    ids=["time-out", "500", "page", "no key", "another key"],
)
async def test_an_unclear_answer_to_a_change_is_an_error_and_never_a_second_change(answer, error):
    app = Script(answer)

    with pytest.raises(error):
        await control(app).set_disabled(KEY, is_disabled=True)

    assert len(app.requests) == 1


@pytest.mark.parametrize("key_hash", ["", "prod", "../workspaces", KEY + "/x", KEY + "\n"], ids=repr)
async def test_only_a_hash_names_a_key(key_hash):
    app = Script(ok(a_row(1)))

    with pytest.raises(Exception, match="nothing was sent"):
        await control(app).set_disabled(key_hash, is_disabled=True)

    assert app.requests == []
