"""What can be replayed: the usage of some keys over a time, as it would have become known."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

import pandas as pd

from monitor.domain import ApiKey, KeySettings
from monitor.frames import Catalog
from monitor.pipeline import Window


class Recording(Protocol):
    """Usage of `keys` over [since, until). Before `evaluate_from` nothing is decided: it only teaches.

    `keys`: all there were, as `a_key` makes them. `gaps`: what is not known, oldest first."""

    @property
    def catalog(self) -> Catalog: ...  # noqa: D102 - numbers of keys and values in the windows

    @property
    def keys(self) -> tuple[ApiKey, ...]: ...  # noqa: D102 - as above

    @property
    def since(self) -> datetime: ...  # noqa: D102 - as above

    @property
    def until(self) -> datetime: ...  # noqa: D102 - as above

    @property
    def evaluate_from(self) -> datetime: ...  # noqa: D102 - as above

    @property
    def gaps(self) -> tuple[tuple[datetime, datetime], ...]: ...  # noqa: D102 - as above

    def windows(self, since: datetime, until: datetime) -> Iterator[Window]:
        """What became known in [since, until), oldest first, with the coverage of it. Nothing in a window is later than its
        `at`; two neighboring calls give what one call over both would give."""
        ...

    def hourly(self, since: datetime, until: datetime) -> Iterator[pd.DataFrame]:
        """USAGE of [since, until) in parts of any bucket size, oldest first, as far as it is known by now. For charts: a
        replay must not look at it, since rows corrected later are in it."""
        ...


def a_key(
    key_hash: str, *, name: str, label: str, workspace_id: str | None, creator_user_id: str | None, created_at: datetime
) -> ApiKey:
    """A key as it was known while the recording ran: switched on, limits and counters unknown.

    A listing tells settings and counters of its own moment only, which nobody knew before."""
    return ApiKey(
        key_hash=key_hash,
        key_name=name,
        label=label,
        workspace_id=workspace_id,
        creator_user_id=creator_user_id,
        settings=KeySettings(is_disabled=False, limit_usd=None, limit_reset=None, include_byok_in_limit=False),
        created_at=created_at,
    )
