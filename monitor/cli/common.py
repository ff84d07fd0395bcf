"""What the commands share: settings, store, finding a key, tables and JSON."""

from __future__ import annotations

import dataclasses
import enum
import functools
import getpass
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from monitor.errors import MonitorError

if TYPE_CHECKING:
    from monitor.config import Settings
    from monitor.domain import ApiKey
    from monitor.jobs.app import Desk
    from monitor.store.base import Store

DEFAULT_CONFIG = Path("config.toml")

_LONGEST = timedelta(days=3660)
_YEARS = range(2015, 2101)
"""Times and spans beyond are slips of the hand, and would overflow."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")


def _take_config(ctx: click.Context, _param: click.Parameter, path: Path | None) -> None:
    if path is not None:
        ctx.obj = path


group_config = click.option(
    "--config",
    "-c",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_take_config,
    expose_value=False,
    help="Settings (TOML).",
)
"""--config for a group of commands: handed down to the one that is called."""


def with_settings(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --config and hands the loaded settings in as the first argument; logging is set up."""

    @click.option("--config", "-c", "path", type=click.Path(dir_okay=False, path_type=Path), help="Settings (TOML).")
    @click.pass_context
    @functools.wraps(function)
    def wrapped(ctx: click.Context, /, *args: Any, path: Path | None, **kwargs: Any) -> Any:
        from monitor import configfile, logs

        chosen = path or ctx.obj or (DEFAULT_CONFIG if DEFAULT_CONFIG.is_file() else None)
        settings = configfile.load(chosen, os.environ)
        logs.set_up(settings.log)
        return function(settings, *args, **kwargs)

    return wrapped


@contextmanager
def reading(settings: Settings) -> Iterator[Store]:
    """The store, read-only: works while the service writes."""
    from monitor.wiring import open_store

    store = open_store(settings, read_only=True)
    try:
        yield store
    finally:
        store.maintenance.close()


@contextmanager
def at_the_desk(settings: Settings) -> Iterator[Desk]:
    """The store to decide in, beside the running service; no credential is needed."""
    from monitor.jobs.app import Desk
    from monitor.wiring import SystemClock, open_store

    store = open_store(settings)
    try:
        yield Desk(settings, store, SystemClock())
    finally:
        store.maintenance.close()


def person() -> str:
    """Who types, as the journal, the audit trail and `response.approvers` know them; behind `sudo` the calling user."""
    return f"cli:{os.environ.get('SUDO_USER') or getpass.getuser()}"


class Span(click.ParamType):  # type: ignore[type-arg]  # not generic in every click we allow
    """A duration: 90s, 30m, 2h, 7d."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """As a timedelta above zero; fails saying what is allowed."""
        span = _span(str(value))
        if span is None:
            self.fail(f"{value!r} is no span; write for example 30m, 2h or 7d", param, ctx)
        return span


def find_key(keys: Sequence[ApiKey], text: str) -> ApiKey:
    """The one key whose hash is `text` or begins with it (six digits or more), or whose name or label is `text`.

    Raises MonitorError that lists the candidates where several match: nothing is ever done to a guessed key. A name that
    looks like the beginning of another key's hash is ambiguous too; only a whole hash cannot be."""
    found = [key for key in keys if key.key_hash == text.lower()] or [
        key
        for key in keys
        if text in {key.key_name, key.label} or (len(text) >= 6 and key.key_hash.startswith(text.lower()))
    ]
    if len(found) == 1:
        return found[0]
    if not found:
        raise MonitorError(f"no key has the name, label or hash {text!r}; `openrouter-monitor keys` lists them")
    names = ", ".join(f"{key.key_hash[:12]} ({clean(key.key_name)}, {clean(key.label)})" for key in found[:10])
    raise MonitorError(f"{len(found)} keys match {text!r}: {names}; name one by its hash")


def moment_or_span(_ctx: click.Context, _param: click.Parameter, text: str | None) -> datetime | timedelta | None:
    """Of an option: a date or time (UTC where it names no zone), or a span. Raises BadParameter that says what is allowed."""
    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text.strip())
        at = at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        span = _span(text)
        if span is None:
            raise click.BadParameter(
                f"{text!r} is neither a date (2026-06-01, 2026-06-01T12:00Z) nor a span (7d, 36h)"
            ) from None
        return span
    if at.year not in _YEARS:
        raise click.BadParameter(f"{text!r} is in no year from {_YEARS.start} to {_YEARS.stop - 1}")
    return at


def _span(text: str) -> timedelta | None:
    """A duration above zero and of at most `_LONGEST`; None where the text is none."""
    import durationpy

    try:
        span: timedelta = durationpy.from_str(text.strip())
    except (durationpy.DurationError, ValueError, OverflowError):
        return None
    return span if timedelta(0) < span <= _LONGEST else None


def clean(text: str) -> str:
    """Text from outside, safe for a terminal: one line, no control or direction characters, at most 300 characters."""
    from monitor.wording import one_line, shorten

    return shorten(one_line(text), 300)


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: Sequence[str] = ()
) -> None:
    """A readable table on standard output; plain text where that is no terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(clean(str(cell))) for cell in row))
    Console(width=None if sys.stdout.isatty() else 200, highlight=False).print(table)


def print_json(document: object) -> None:
    """The document as JSON on standard output: enums by name, times in UTC, money in nano-dollars (`*_nusd`)."""
    click.echo(json.dumps(_plain(document), indent=2, ensure_ascii=True))


def _plain(value: object) -> object:
    """JSON values only. Done before encoding, because json itself writes an IntEnum as its number."""
    if isinstance(value, enum.Enum):
        return value.name.lower() if isinstance(value.value, int) else value.value
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(_plain(name)): _plain(each) for name, each in value.items()}
    if isinstance(value, Iterable):
        return [_plain(each) for each in value]
    return str(value)


def usd(nusd: int | None) -> str:
    """Nano-dollars for people; "?" where unknown."""
    from monitor.wording import money

    return "?" if nusd is None else money(nusd)


def ago(then: datetime | None, now: datetime) -> str:
    """How long ago, for people."""
    from monitor.wording import duration

    return "never" if then is None else f"{duration(now - then)} ago"
