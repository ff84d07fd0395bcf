"""Digest -> one HTML page that needs nothing else: no script, no font, no address. Pure.

As for the page of a replay, three things stand between hostile text and a reader: every expression of the template is escaped;
before that, each text is made one line of visible characters of bounded length; and the page's own policy forbids scripts and
any loading, should both fail.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from jinja2 import ChoiceLoader, Environment, PackageLoader
from markupsafe import Markup

from monitor.report import care, charts, pages, response_times, words
from monitor.report.figures import Digest, KeyWeek, OwnerWeek
from monitor.report.replay import svg
from monitor.wording import change, money, to_the_cent

N_CHANGED: Final = 8


@dataclass(frozen=True, slots=True)
class Balance:
    """One row that makes the sum of the keys the account's total; None: not known."""

    what: str
    nusd: int | None
    why: str = ""


def to_html(digest: Digest) -> str:
    """The page. One thread at a time draws, see `svg.plain_settings`."""
    with svg.plain_settings():
        chart = charts.spend_by_day(digest, name="spend")
    changed = [each for each in digest.movers if each.delta_nusd]
    return (
        _environment(digest)
        .get_template("digest.html.j2")
        .render(
            digest=digest,
            chart=Markup(chart),  # noqa: S704 - escaped when it was written
            attention=care.attention(digest),
            changed=changed[:N_CHANGED],
            n_more_changed=max(0, len(changed) - N_CHANGED),
            limits=words.limits_on_their_way(digest),
            balance=balance(digest),
            debts=care.debt_rows(digest),
            there=[each for each in digest.keys if not each.is_past],
            models=[each for each in digest.models if not each.is_past],
            words=words,
            care=care,
            response_times=response_times,
        )
    )


def balance(digest: Digest) -> list[Balance]:
    """Below the owners' rows, which add up to the first of these."""
    rows = [Balance("Sum of keys", digest.spent_nusd)]
    if digest.owner is not None:
        return rows
    rows.append(Balance("Unattributed", digest.unattributed_nusd, "usage that no single key could be given"))
    if digest.gap_nusd is not None:
        rows.append(Balance("Difference", digest.gap_nusd, "what the account's own counters say beyond that"))
    return [*rows, Balance("Account", digest.account_total_nusd, "by its own counters")]


def _environment(digest: Digest) -> Environment:
    made = pages.environment(ChoiceLoader([PackageLoader("monitor.report"), PackageLoader("monitor.report.replay")]))
    made.filters |= {
        "cents": to_the_cent,
        "more": words.more,
        "changed": _changed,
        "usual": lambda each: _usual(digest, each),
        "bar": lambda each: _share(each, digest.owners),
    }
    return made


def _changed(each: KeyWeek | OwnerWeek) -> str:
    return change(each.spent_nusd, each.before_nusd)


def _usual(digest: Digest, each: KeyWeek | OwnerWeek) -> str:
    usual = digest.norm_of(each.norm_nusd)
    return "?" if usual is None else money(usual)


def _share(part: OwnerWeek, parts: Sequence[OwnerWeek]) -> int:
    """Length of an owner's bar, the dearest being a hundred."""
    most = max((each.spent_nusd for each in parts), default=0)
    return round(100 * part.spent_nusd / most) if most else 0
