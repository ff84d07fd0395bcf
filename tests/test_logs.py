"""Logs: one line an event, secrets and control characters out."""

from __future__ import annotations

import io
import json
import logging
import sys

import pytest

from monitor.config import Log
from monitor.logs import set_up

CANARIES = ("sk-or-v1-0123456789abcdef", "xoxb-12-34-abcd", "xapp-1-A1-2-abc", "hooks.slack.com/services/T0/B0/zzz")


@pytest.fixture(autouse=True)
def restored() -> object:
    root = logging.getLogger()
    before, level, hook = root.handlers[:], root.level, sys.excepthook
    yield
    root.handlers[:], root.level, sys.excepthook = before, level, hook


@pytest.mark.parametrize("fmt", ["text", "json"])
def test_no_secret_reaches_the_log_in_message_field_or_traceback(fmt: str) -> None:
    stream = io.StringIO()
    set_up(Log(format=fmt), stream)
    for canary in CANARIES:
        try:
            raise ValueError(f"failed with Bearer {canary}")
        except ValueError:
            logging.getLogger("monitor.x").exception("call_failed", extra={"url": canary})
    text = stream.getvalue()
    assert "call_failed" in text
    assert not [canary for canary in ("0123456789abcdef", "12-34-abcd", "1-A1-2-abc", "zzz") if canary in text]


def test_a_hostile_name_cannot_forge_a_log_line_or_move_the_cursor() -> None:
    stream = io.StringIO()
    set_up(Log(), stream)
    logging.getLogger("monitor.x").warning("key_seen", extra={"key_name": "a\x1b[2Jb\r\nfake entry\u202e"})
    assert stream.getvalue().count("\n") <= 2 and "\x1b" not in stream.getvalue() and "\u202e" not in stream.getvalue()


def test_json_logs_are_one_object_a_line() -> None:
    stream = io.StringIO()
    set_up(Log(format="json"), stream)
    logging.getLogger("monitor.x").info("cycle", extra={"keys": 3})
    entry = json.loads(stream.getvalue())
    assert entry["event"] == "cycle" and entry["keys"] == "3" and entry["level"] == "info"


def test_text_from_outside_in_a_traceback_cannot_forge_a_log_line() -> None:
    stream = io.StringIO()
    set_up(Log(), stream)
    try:
        raise KeyError("x")
    except KeyError:
        try:
            raise ValueError("bad name\r\n2026-01-01T00:00:00Z error forged\x1b[2J\u2028forged")
        except ValueError:
            logging.getLogger("monitor.x").exception("job_fault")
    first, *trace = stream.getvalue().splitlines()
    assert "job_fault" in first and trace
    assert all(line.startswith("    ") for line in trace)
    assert "\x1b" not in stream.getvalue()


def test_the_last_word_of_a_process_holds_no_secret() -> None:
    stream = io.StringIO()
    set_up(Log(), stream)
    try:
        raise RuntimeError(f"with {CANARIES[0]}")
    except RuntimeError:
        sys.excepthook(*sys.exc_info())
    assert "died" in stream.getvalue() and "RuntimeError" in stream.getvalue()
    assert "0123456789abcdef" not in stream.getvalue()
