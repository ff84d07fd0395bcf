"""All keys of one workspace, although the listing shifts while it is read.

`GET /keys` lists newest first and pages by `offset`, without a total and without a cursor. A key deleted between two
reads moves all older ones to lower offsets: a plain scan steps over live keys and does not notice. Here neighboring pages
overlap, and a page only counts as read when it shares a row with what was read before it:

    Each page is a gapless stretch of the order at its time, and keys never change their order. If two stretches share
    a row, then every key that lived throughout lies in one of them: before the shared row in the one, after it in
    the other. So linked pages from the newest key to a short page hold every such key, in whatever order they were read.

Therefore pages can be read in waves, at once. A page that links to nothing (more deletions than overlap) is read
again from a lower offset.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from monitor.domain import ApiKey
from monitor.errors import BadPayload, SourceError
from monitor.openrouter.keys_api import PAGE_SIZE
from monitor.openrouter.wire import KeyPage

OVERLAP: Final = 20
"""Rows two neighboring pages share: so many keys may be deleted between two reads without a page read again."""

MAX_WAVE: Final = 8
MAX_PAGES: Final = 2_000
MAX_SETBACKS: Final = 20
MAX_STALE_PAGES: Final = 3


class PageReader(Protocol):
    """The reading call needed here: `openrouter.keys_api.KeysApi` is one."""

    async def keys_page(self, workspace_id: str | None, offset: int) -> KeyPage:
        """One page, newest key first. Raises SourceError."""
        ...


@dataclass(slots=True)
class Listing:
    """Keys of one workspace as far as read. `hashes` holds also those of keys whose row is unreadable.

    `error` is set when reading stopped early; `is_complete` False says that live keys may be missing."""

    keys: dict[str, ApiKey] = field(default_factory=dict)
    hashes: set[str] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)
    is_complete: bool = True
    error: SourceError | None = None


@dataclass(slots=True)
class _Walk:
    """Where the proof stands: `linked` are the hashes of the gapless stretch read so far, `offset` what to read next."""

    listing: Listing
    first: tuple[str, ...]
    page_rows: int  # most rows seen on a page: fewer mean the end of the list
    step: int
    offset: int
    linked: set[str]
    wave: int = 1
    n_pages: int = 1
    n_setbacks: int = 0
    n_stale: int = 0
    is_after_gap: bool = False
    is_done: bool = False


async def list_keys(api: PageReader, workspace_id: str | None) -> Listing:
    """Every key of a workspace (None: the default one) that lives from the first request to the last.

    Errors of the source end up in the listing, with what was read before them. The end is never taken from the
    documented page size: after a short first page one more is read, so that a smaller page size is noticed."""
    listing = Listing()
    try:
        first = await api.keys_page(workspace_id, 0)
    except SourceError as error:
        listing.error, listing.is_complete = error, False
        return listing
    _collect(listing, first)
    if first.n_rows == 0:
        return listing
    step = first.n_rows - min(OVERLAP, first.n_rows // 2)
    walk = _Walk(listing, first.hashes, first.n_rows, step, step, set(first.hashes))
    while not walk.is_done:
        offsets = [walk.offset + no * step for no in range(walk.wave)]
        pages = await asyncio.gather(
            *(api.keys_page(workspace_id, offset) for offset in offsets), return_exceptions=True
        )
        _take_wave(walk, offsets, pages)
    return listing


def _take_wave(walk: _Walk, offsets: Sequence[int], pages: Sequence[KeyPage | BaseException]) -> None:
    """Takes in pages read at once: the rows of all of them, and the proof as far as it goes."""
    for page in pages:
        if isinstance(page, KeyPage):
            _collect(walk.listing, page)
    walk.n_pages += len(pages)
    walk.wave = min(2 * walk.wave, MAX_WAVE)
    for offset, page in zip(offsets, pages, strict=True):
        walk.offset = offset + walk.step
        if isinstance(page, KeyPage):
            _take(walk, offset, page)
        else:
            _take_error(walk, page)
        if walk.is_done or walk.offset != offset + walk.step:
            return
    if walk.n_pages > MAX_PAGES:
        _give_up(walk, f"more than {MAX_PAGES} pages of keys")


def _take(walk: _Walk, offset: int, page: KeyPage) -> None:
    hashes = set(page.hashes)
    if offset > 0 and page.n_rows > 0 and page.hashes == walk.first:
        _end_repeated(walk)
        return
    is_provable = walk.page_rows > 1 and not walk.is_after_gap  # pages of one row cannot overlap
    if offset > 0 and walk.linked.isdisjoint(hashes) and is_provable:
        _set_back(walk, offset)
    else:
        is_stale = hashes <= walk.linked
        if offset == 0 and walk.linked.isdisjoint(hashes):  # all that was linked is gone: the proof starts anew
            walk.linked = set()
        walk.linked |= hashes
        walk.is_after_gap = False
        walk.is_done = page.n_rows < walk.page_rows
        walk.page_rows = max(walk.page_rows, page.n_rows)
        walk.n_stale = walk.n_stale + 1 if is_stale else 0
        if walk.n_stale > MAX_STALE_PAGES and not walk.is_done:
            _give_up(walk, "page after page holds nothing new")


def _set_back(walk: _Walk, offset: int) -> None:
    """More keys vanished between two reads than pages overlap: read on from lower down."""
    walk.n_setbacks += 1
    walk.offset = max(0, offset - walk.step)
    walk.wave = 1
    if walk.n_setbacks > MAX_SETBACKS:
        _give_up(walk, "keys come and go faster than they can be listed")


def _take_error(walk: _Walk, error: BaseException) -> None:
    """A page refused for its content leaves a gap and the rest is read; any other failure ends the reading."""
    if not isinstance(error, SourceError):
        raise error
    walk.listing.is_complete = False
    if isinstance(error, BadPayload) and walk.n_setbacks < MAX_SETBACKS:
        walk.n_setbacks += 1
        walk.is_after_gap = True
        walk.listing.warnings.append(str(error))
    else:
        walk.listing.error, walk.is_done = error, True


def _end_repeated(walk: _Walk) -> None:
    """The same page for another offset: the server does not page (schema-driven mocks do so). A page that is not full is
    all there is; of a full one nobody knows."""
    walk.is_done = True
    if walk.page_rows >= PAGE_SIZE:
        _give_up(walk, "the source answers every offset with the same full page")
    else:
        walk.listing.warnings.append("the source answers every offset with the same page of keys")


def _give_up(walk: _Walk, why: str) -> None:
    walk.is_done = True
    walk.listing.is_complete = False
    walk.listing.warnings.append(f"the listing of keys is cut off: {why}")


def _collect(listing: Listing, page: KeyPage) -> None:
    listing.keys.update((key.key_hash, key) for key in page.keys)
    listing.hashes.update(page.hashes)
    listing.warnings.extend(page.warnings)
