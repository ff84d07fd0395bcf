from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.openrouter.retry_after import MAX_WAIT_S, http_date, retry_after_s

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
IN_30_S = NOW + timedelta(seconds=30)


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        pytest.param({"retry-after": "30"}, 30.0, id="whole seconds"),
        pytest.param({"retry-after": " 1.5 "}, 1.5, id="fraction"),
        pytest.param({"retry-after": "0"}, 0.0, id="zero"),
        pytest.param({"retry-after": format_datetime(IN_30_S, usegmt=True)}, 30.0, id="http date"),
        pytest.param({"retry-after": format_datetime(NOW - timedelta(days=1), usegmt=True)}, 0.0, id="date gone by"),
        pytest.param({"retry-after": "86400"}, MAX_WAIT_S, id="huge"),
        pytest.param({"retry-after": "inf"}, MAX_WAIT_S, id="infinite"),
        pytest.param({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, MAX_WAIT_S, id="end of time"),
        pytest.param({"retry-after": "-5"}, None, id="negative"),
        pytest.param({"retry-after": "nan"}, None, id="not a number"),
        pytest.param({"retry-after": "soon"}, None, id="junk"),
        pytest.param({"retry-after": ""}, None, id="empty"),
        pytest.param({}, None, id="no header"),
        pytest.param({"x-ratelimit-reset": str(int(IN_30_S.timestamp() * 1000))}, 30.0, id="reset in epoch ms"),
        pytest.param({"x-ratelimit-reset": str(int(IN_30_S.timestamp()))}, 30.0, id="reset in epoch s"),
        pytest.param({"x-ratelimit-reset": "12"}, 12.0, id="reset in seconds from now"),
        pytest.param({"retry-after": "7", "x-ratelimit-reset": "12"}, 7.0, id="Retry-After counts first"),
        pytest.param({"retry-after": "soon", "x-ratelimit-reset": "12"}, 12.0, id="reset where Retry-After is junk"),
    ],
)
def test_every_form_of_retry_after_is_understood(headers, wait_s):
    assert retry_after_s(headers, NOW) == wait_s


def test_a_date_is_measured_from_the_servers_clock_not_ours():
    # given a server whose clock is ten minutes ahead of ours
    headers = {
        "date": format_datetime(NOW + timedelta(minutes=10), usegmt=True),
        "retry-after": format_datetime(NOW + timedelta(minutes=10, seconds=20), usegmt=True),
    }

    assert retry_after_s(headers, NOW) == 20.0


@given(st.dictionaries(st.sampled_from(["retry-after", "x-ratelimit-reset", "date"]), st.text(max_size=40)))
def test_no_header_makes_us_fail_or_wait_for_ever(headers):
    wait_s = retry_after_s(headers, NOW)

    assert wait_s is None or (0.0 <= wait_s <= MAX_WAIT_S and math.isfinite(wait_s))


@given(st.integers(0, 200 * 10**9))
def test_an_http_date_is_read_to_the_second(seconds):
    moment = datetime.fromtimestamp(seconds, UTC)

    assert http_date(format_datetime(moment, usegmt=True)) == moment
