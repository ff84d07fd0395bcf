from __future__ import annotations

import asyncio
import gzip
from datetime import timedelta
from email.utils import format_datetime

import httpx
import pytest
from build import NOW, a_hash
from fake_http import SECRET, Script, a_transport, an_error, ok
from fake_keys import FakeClock
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.errors import (
    BadPayload,
    BadRequest,
    ConfigError,
    NotFound,
    RateLimited,
    SourceError,
    Unauthorized,
    Unavailable,
)
from monitor.openrouter.breaker import FAILURES_TO_OPEN, REST_S, CircuitState
from monitor.openrouter.calls import DELETION
from monitor.openrouter.transport import MAX_ATTEMPTS, PATIENCE_S

KEY = f"/keys/{a_hash(1)}"
DISABLE = {"disabled": True}


def html(status: int, text: str = "<html>One moment please</html>") -> httpx.Response:
    return httpx.Response(status, html=text)


# --- what may be asked at all


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", KEY),
        ("POST", "/keys"),
        ("POST", "/guardrails"),
        ("PUT", KEY),
        ("GET", "/keys/"),
        ("GET", "/keys/prod"),
        ("GET", f"{KEY}/../../workspaces"),
        ("GET", f"{KEY}\n"),
        ("GET", f"/keys/{a_hash(10).upper()}"),
        ("PATCH", "/keys"),
        ("POST", "/analytics/query/"),
        ("get", "/keys"),
        ("GET", "https://elsewhere.example/keys"),
    ],
)
async def test_a_call_this_program_does_not_make_is_never_sent(method, path):
    app = Script(ok())

    with pytest.raises(BadRequest, match="nothing was sent"):
        await a_transport(app).call(method, path)

    assert app.requests == []


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", KEY), ("PATCH", KEY), ("DELETE", "/keys"), ("DELETE", f"{KEY}/x"), ("DELETE", "/keys/prod")],
)
async def test_the_client_that_deletes_can_do_nothing_else(method, path):
    app = Script(ok())

    with pytest.raises(BadRequest, match="nothing was sent"):
        await a_transport(app, allowed=DELETION).call(
            method, path, body={"disabled": True} if method == "PATCH" else None
        )

    assert app.requests == []


async def test_a_delete_is_sent_once_without_parameters_and_never_repeated():
    app = Script(an_error(503), ok())
    with pytest.raises(Unavailable):
        await a_transport(app, allowed=DELETION).call("DELETE", KEY)
    assert [request.method for request in app.requests] == ["DELETE"]
    with pytest.raises(BadRequest, match="takes no parameters"):
        await a_transport(app, allowed=DELETION).call("DELETE", KEY, params={"force": True})


@pytest.mark.parametrize("body", [{}, None, {"name": "x"}, {"disabled": True, "workspace_id": "ws"}])
async def test_a_change_of_anything_but_the_four_settings_is_never_sent(body):
    app = Script(ok())

    with pytest.raises(BadRequest, match="nothing was sent"):
        await a_transport(app).call("PATCH", KEY, body=body)

    assert app.requests == []


async def test_a_request_carries_key_query_and_agent():
    app = Script(ok([1]))

    payload = await a_transport(app).call("GET", "/keys", params={"include_disabled": True, "offset": 80})

    request = app.requests[0]
    assert payload == b'{"data":[1]}'
    assert str(request.url) == "http://127.0.0.1:9/api/v1/keys?include_disabled=true&offset=80"
    assert request.headers["authorization"] == f"Bearer {SECRET}"
    assert request.headers["user-agent"].startswith("openrouter-monitor/")
    assert request.headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize("secret", ["", "sk-or v1", "sk-or-\nx", "schlüssel"], ids=repr)
def test_a_management_key_no_header_can_carry_is_a_config_error(secret):
    with pytest.raises(ConfigError, match="management_key"):
        a_transport(Script(ok()), secret=secret)


# --- what an answer means


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(an_error(400), BadRequest, id="400"),
        pytest.param(an_error(422), BadRequest, id="422"),
        pytest.param(an_error(402), BadRequest, id="402 balance below zero"),
        pytest.param(an_error(401), Unauthorized, id="401"),
        pytest.param(html(401), Unauthorized, id="401 page"),
        pytest.param(an_error(403), Unauthorized, id="403"),
        pytest.param(html(403), Unavailable, id="403 page of a firewall"),
        pytest.param(an_error(404), NotFound, id="404"),
        pytest.param(html(404), Unavailable, id="404 page of another server"),
        pytest.param(httpx.Response(404, json={"detail": "Not Found"}), Unavailable, id="404 of another API"),
        pytest.param(an_error(408), Unavailable, id="408"),
        pytest.param(an_error(429), RateLimited, id="429"),
        pytest.param(html(429), RateLimited, id="429 page"),
        pytest.param(an_error(500), Unavailable, id="500"),
        pytest.param(html(502), Unavailable, id="502 page"),
        pytest.param(an_error(503), Unavailable, id="503"),
        pytest.param(html(524), Unavailable, id="524 page"),
        pytest.param(html(200), BadPayload, id="200 page of a captive portal"),
        pytest.param(httpx.Response(200), BadPayload, id="200 without content type"),
        pytest.param(httpx.Response(204), BadPayload, id="204"),
        pytest.param(httpx.Response(302, headers={"location": "https://login.example/"}), BadPayload, id="302"),
        pytest.param(httpx.Response(308, headers={"location": "/api/v2/keys"}), BadPayload, id="308"),
        pytest.param(httpx.Response(304), BadPayload, id="304"),
        pytest.param(httpx.ConnectError("refused"), Unavailable, id="connection refused"),
        pytest.param(httpx.ReadError(""), Unavailable, id="connection lost"),
        pytest.param(httpx.RemoteProtocolError("junk"), Unavailable, id="no HTTP"),
        pytest.param(httpx.ReadTimeout("slow"), Unavailable, id="time-out"),
    ],
)
async def test_each_answer_becomes_the_error_that_tells_what_to_do(answer, error):
    with pytest.raises(SourceError) as caught:
        await a_transport(Script(answer)).call("GET", "/keys")

    assert isinstance(caught.value, error)
    assert "GET /keys" in str(caught.value)


async def test_problem_json_is_json():
    app = Script(
        httpx.Response(200, content=b"{}", headers={"content-type": "Application/Vnd.Api+JSON; charset=utf-8"})
    )

    assert await a_transport(app).call("GET", "/keys") == b"{}"


async def test_a_redirect_is_not_followed_and_takes_no_key_elsewhere():
    app = Script(httpx.Response(302, headers={"location": "https://evil.example/keys"}))

    with pytest.raises(BadPayload, match=r"evil\.example"):
        await a_transport(app).call("GET", "/keys")

    assert [request.url.host for request in app.requests] == ["127.0.0.1"]


async def test_the_apis_own_words_reach_the_error():
    with pytest.raises(Unauthorized, match=r"GET /credits: 403 Only management keys can perform this operation"):
        await a_transport(Script(an_error(403, "Only management keys can perform this operation"))).call(
            "GET", "/credits"
        )


@pytest.mark.parametrize(
    "message",
    [
        f"bad key {SECRET}",
        f"bad header Authorization: Bearer {SECRET}",
        "bad key sk-or-v1-0123456789abcdef0123456789abcdef",
        "\x1b[31mred\x07\u202eesrever\u2028line",
        "x" * 100_000,
    ],
    ids=["our key", "our header", "another key", "control and direction characters", "long"],
)
async def test_an_error_text_is_short_and_holds_no_secret_and_no_control_character(message):
    with pytest.raises(BadRequest) as caught:
        await a_transport(Script(an_error(400, message))).call("GET", "/keys")

    text = str(caught.value)
    assert SECRET not in text
    assert "0123456789abcdef" not in text
    assert text.isprintable()
    assert len(text) < 260


@settings(deadline=None)
@given(st.integers(200, 599), st.binary(max_size=300), st.sampled_from(["application/json", "text/html", "x", ""]))
def test_whatever_comes_back_nothing_but_a_source_error_gets_out(status, body, media_type):
    app = Script(httpx.Response(status, content=body, headers={"content-type": media_type, "retry-after": "1"}))

    async def call() -> bytes | None:
        try:
            return await a_transport(app).call("GET", "/keys")
        except SourceError:
            return None

    assert asyncio.run(call()) in {None, body}


async def test_an_answer_over_the_cap_is_refused():
    app = Script(httpx.Response(200, json={"data": "x" * 1_000_001}))

    with pytest.raises(BadPayload, match="larger than 1000000 bytes"):
        await a_transport(app, max_response_mb=1).call("GET", "/keys")


async def test_a_compressed_answer_is_read():
    body = gzip.compress(b'{"data":[]}')
    app = Script(lambda _: streamed(body, {"content-encoding": "gzip"}))

    assert await a_transport(app).call("GET", "/keys") == b'{"data":[]}'


@pytest.mark.parametrize(
    ("body", "encoding"),
    [(gzip.compress(b"{}")[:-9], "gzip"), (b"no gzip", "gzip"), (b"{}", "br")],
    ids=["cut off", "not compressed", "never offered"],
)
async def test_a_wrongly_compressed_answer_is_refused(body, encoding):
    app = Script(lambda _: streamed(body, {"content-encoding": encoding}))

    with pytest.raises(BadPayload):
        await a_transport(app).call("GET", "/keys")


def streamed(body: bytes, headers: dict[str, str]) -> httpx.Response:
    async def chunks():
        yield body

    return httpx.Response(200, headers={"content-type": "application/json"} | headers, content=chunks())


# --- trying again


@pytest.mark.parametrize("method, path", [("GET", "/keys"), ("POST", "/analytics/query")])
async def test_a_reading_is_repeated_after_a_passing_failure(method, path):
    app = Script(an_error(500), html(200), httpx.ReadError(""), ok())

    await a_transport(app).call(method, path, lane="analytics")

    assert len(app.requests) == 4


async def test_the_attempts_of_a_reading_are_bounded():
    app = Script(httpx.ConnectError("refused"))

    with pytest.raises(Unavailable):
        await a_transport(app).call("GET", "/keys")

    assert len(app.requests) == MAX_ATTEMPTS


@pytest.mark.parametrize("answer", [an_error(400), an_error(401), an_error(404), httpx.Response(302)], ids=str)
async def test_a_clear_refusal_is_not_repeated(answer):
    app = Script(answer)

    with pytest.raises(SourceError):
        await a_transport(app).call("GET", KEY)

    assert len(app.requests) == 1


@pytest.mark.parametrize(
    "answer", [an_error(500), an_error(429), html(200), httpx.ReadError(""), httpx.ReadTimeout("")], ids=repr
)
async def test_a_change_is_sent_once_whatever_comes_back(answer):
    app = Script(answer)

    with pytest.raises(SourceError):
        await a_transport(app).call("PATCH", KEY, body=DISABLE)

    assert len(app.requests) == 1


async def test_waits_between_attempts_grow_and_are_jittered():
    clock = FakeClock(NOW)

    with pytest.raises(Unavailable):
        await a_transport(Script(an_error(500)), clock=clock).call("GET", "/keys")

    low, middle, high = clock.slept
    assert 0.5 <= low < 1.0 <= middle < 2.0 <= high < 4.0


@pytest.mark.parametrize(
    ("headers", "least_s"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "2.5"}, 2.5),
        ({"retry-after": format_datetime(NOW + timedelta(seconds=40), usegmt=True)}, 40.0),
        ({"x-ratelimit-reset": str(int((NOW.timestamp() + 20) * 1000))}, 20.0),
        ({}, 0.5),
        ({"retry-after": "junk"}, 0.5),
        ({"retry-after": "-1"}, 0.5),
    ],
    ids=["seconds", "fraction", "date", "reset", "none", "junk", "negative"],
)
@pytest.mark.parametrize("status", [429, 503])
async def test_a_wait_the_source_asks_for_is_kept_to(status, headers, least_s):
    clock = FakeClock(NOW)
    app = Script(an_error(status, headers=headers), ok())

    await a_transport(app, clock=clock).call("GET", "/keys")

    assert least_s <= sum(clock.slept) <= max(least_s, 5.0) + 1.0


async def test_a_wait_longer_than_a_calls_patience_is_the_callers_decision():
    clock = FakeClock(NOW)
    app = Script(an_error(429, headers={"retry-after": "99999"}))

    with pytest.raises(RateLimited) as caught:
        await a_transport(app, clock=clock).call("GET", "/keys")

    assert (caught.value.retry_after, len(app.requests), clock.slept) == (300.0, 1, [])


async def test_after_a_429_no_other_call_of_the_lane_goes_out_before_its_time():
    # given a lane told to wait 100 s
    clock = FakeClock(NOW)
    app = Script(an_error(429, headers={"retry-after": "100"}), ok())
    transport = a_transport(app, clock=clock)
    with pytest.raises(RateLimited):
        await transport.call("POST", "/analytics/query", lane="analytics")

    # when another call comes 30 s later
    clock.slept.append(30.0)
    with pytest.raises(RateLimited) as caught:
        await transport.call("GET", "/activity", lane="analytics")

    # then it is not sent and learns how long it still takes; the other lane is free
    assert (caught.value.retry_after, len(app.requests)) == (70.0, 1)
    await transport.call("GET", "/keys")
    clock.slept.append(70.0)
    await transport.call("GET", "/activity", lane="analytics")


async def test_the_waits_of_one_call_stay_within_its_patience():
    clock = FakeClock(NOW)
    app = Script(an_error(429, headers={"retry-after": "25"}))

    with pytest.raises(RateLimited):
        await a_transport(app, clock=clock).call("GET", "/keys")

    assert sum(clock.slept) <= PATIENCE_S


# --- circuit


async def test_a_source_that_keeps_failing_is_left_alone_for_a_while():
    # given twenty failures in store
    clock = FakeClock(NOW)
    app = Script(*[an_error(500)] * 20, ok())
    transport = a_transport(app, clock=clock)

    # when it is asked five times
    for _ in range(5):
        with pytest.raises(Unavailable):
            await transport.call("GET", "/keys")

    # then it saw no more than what opens the circuit
    assert len(app.requests) == FAILURES_TO_OPEN
    assert transport.health()[0].circuit is CircuitState.OPEN


async def test_a_circuit_closes_again_when_the_source_answers():
    clock = FakeClock(NOW)
    app = Script(*[an_error(500)] * FAILURES_TO_OPEN, ok())
    transport = a_transport(app, clock=clock)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await transport.call("GET", "/keys")

    clock.slept.append(REST_S)
    await transport.call("GET", "/keys")

    assert transport.health()[0].circuit is CircuitState.CLOSED


@pytest.mark.parametrize(
    "trouble", [an_error(500), an_error(429, headers={"retry-after": "300"})], ids=["down", "held"]
)
async def test_a_disable_is_tried_although_its_lane_rests(trouble):
    # given a lane with an open circuit, or told to wait
    app = Script(*[trouble] * FAILURES_TO_OPEN, ok())
    transport = a_transport(app)
    for _ in range(FAILURES_TO_OPEN):
        with pytest.raises(SourceError):
            await transport.call("GET", "/keys")
    n_before = len(app.requests)

    # when a key is to be disabled
    app.answers = [ok()]
    await transport.call("PATCH", KEY, body=DISABLE)

    # then it is sent
    assert [request.method for request in app.requests[n_before:]] == ["PATCH"]


async def test_analytics_being_down_does_not_keep_keys_from_being_read():
    def app(request: httpx.Request) -> httpx.Response:
        return an_error(500) if "analytics" in request.url.path else ok()

    transport = a_transport(app)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await transport.call("POST", "/analytics/query", lane="analytics")

    await transport.call("GET", "/keys")

    assert [health.circuit for health in transport.health()] == [
        CircuitState.CLOSED,
        CircuitState.OPEN,
        CircuitState.CLOSED,
    ]


async def test_refusals_do_not_open_the_circuit():
    transport = a_transport(Script(an_error(401)))

    for _ in range(3 * FAILURES_TO_OPEN):
        with pytest.raises(Unauthorized):
            await transport.call("GET", "/keys")

    assert transport.health()[0].circuit is CircuitState.CLOSED


# --- budget, concurrency, health, skew


async def test_sweeps_and_drilldowns_each_keep_to_their_half_of_our_share_of_a_minute():
    clock = FakeClock(NOW)
    transport = a_transport(Script(ok()), clock=clock, analytics_per_minute=20)

    for _ in range(25):
        await transport.call("POST", "/analytics/query", lane="analytics")
    assert sum(clock.slept) == pytest.approx(120.0)
    assert transport.n_free("drilldown") == 10

    for _ in range(10):
        await transport.call("POST", "/analytics/query", lane="drilldown")
    assert sum(clock.slept) == pytest.approx(120.0)
    assert transport.n_free("drilldown") == 0


async def test_no_more_requests_are_under_way_than_configured():
    under_way, most = 0, 0

    async def app(_: httpx.Request) -> httpx.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.001)
        under_way -= 1
        return ok()

    transport = a_transport(app, concurrency=3)
    await asyncio.gather(*(transport.call("GET", "/keys") for _ in range(20)))

    assert most == 3


async def test_health_tells_requests_failures_and_the_last_error():
    clock = FakeClock(NOW)
    transport = a_transport(Script(ok(), an_error(404), an_error(400, "bad offset")), clock=clock)

    await transport.call("GET", "/keys")
    clock.slept.append(5.0)
    with pytest.raises(NotFound):
        await transport.call("GET", KEY)
    with pytest.raises(BadRequest):
        await transport.call("GET", "/keys")

    keys, analytics, _ = transport.health()
    assert (keys.lane, keys.n_requests, keys.n_failed) == ("keys", 3, 1)
    assert keys.last_ok_at == NOW + timedelta(seconds=5)
    assert keys.last_error == "GET /keys: 400 bad offset"
    assert (analytics.n_requests, analytics.last_ok_at) == (0, None)


async def test_skew_is_the_median_of_what_date_headers_say():
    # given a server ten minutes ahead, and one answer with a mad date
    def dated(offset: timedelta) -> httpx.Response:
        return httpx.Response(200, json={}, headers={"date": format_datetime(NOW + offset, usegmt=True)})

    ahead = timedelta(minutes=10)
    transport = a_transport(Script(dated(ahead), dated(ahead), dated(timedelta(days=-400)), dated(ahead)))

    assert transport.skew == timedelta(0)
    for _ in range(4):
        await transport.call("GET", "/keys")

    assert abs(transport.skew - ahead) <= timedelta(seconds=1)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404, html="x", headers={"date": "Mon, 01 Jan 2024 00:00:00 GMT"}),
        httpx.Response(200, json={}, headers={"date": "Mon, 01 Jan 2024 00:00:00 GMT", "age": "99"}),
        httpx.Response(200, json={}, headers={"date": "yesterday"}),
    ],
    ids=["a proxy's page", "a cached copy", "no date"],
)
async def test_a_date_that_is_not_the_apis_own_says_nothing_about_skew(answer):
    transport = a_transport(Script(answer))

    await asyncio.gather(transport.call("GET", "/keys"), return_exceptions=True)

    assert transport.skew == timedelta(0)


async def test_the_secret_is_in_no_repr():
    transport = a_transport(Script(ok()))

    assert SECRET not in repr(transport)
    assert SECRET not in repr(transport._client.headers)
