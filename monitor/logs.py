"""Logging to standard error: a constant event name and fields, as text or JSON, with secrets and control characters out."""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import IO

from monitor.config import Log

_SECRETS = re.compile(
    r"sk-or-[A-Za-z0-9_-]{8,}|xox[abeoprs]-[A-Za-z0-9-]+|xapp-[A-Za-z0-9-]+|(?<=[Bb]earer )\S+"
    r"|(?<=hooks\.slack\.com/services/)\S+|(?<=ticket=)[^&\s]+"
)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")
_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName"}


def redact(text: str) -> str:
    """The text without anything shaped like a key or token."""
    return _SECRETS.sub("***", text)


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in record.__dict__.items() if name not in _STANDARD}


def _trace(record: logging.LogRecord) -> str:
    """A traceback, indented: text from outside in an error cannot pass for a line of the log."""
    if not record.exc_info or not record.exc_info[0]:
        return ""
    lines = "".join(traceback.format_exception(*record.exc_info)).splitlines()
    return "\n".join("    " + _CONTROLS.sub("�", line) for line in lines)


class _Formatter(logging.Formatter):
    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        trace = _trace(record)
        if self._as_json:
            entry = {"at": at, "level": record.levelname.lower(), "logger": record.name, "event": record.getMessage()}
            entry |= {name: str(value) for name, value in _fields(record).items()}
            return redact(json.dumps(entry | ({"trace": trace} if trace else {}), ensure_ascii=True))
        fields = " ".join(f"{name}={_CONTROLS.sub('�', str(value))}" for name, value in _fields(record).items())
        line = _CONTROLS.sub("�", record.getMessage()).replace("\n", "\\n")
        return redact(f"{at} {record.levelname.lower():7} {line} {fields}".rstrip() + (f"\n{trace}" if trace else ""))


def _died(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """The last word of a process that nothing catches, with secrets out like every other."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    logging.getLogger("monitor").critical("died", exc_info=(kind, error, trace))


def set_up(settings: Log, stream: IO[str] | None = None) -> None:
    """Sends all logging to `stream` (standard error). The libraries' own debug texts, which may hold tokens, stay off."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Formatter(as_json=settings.format == "json"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level.upper())
    sys.excepthook = _died
    for name in ("httpx", "httpcore", "slack_sdk", "aiohttp", "apscheduler", "alembic", "sqlalchemy"):
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("apscheduler.scheduler").setLevel(
        logging.ERROR
    )  # skipped beats: the gap alarm speaks of what matters
