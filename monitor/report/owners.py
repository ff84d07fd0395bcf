"""One owner's part of a digest, as a digest of its own. Pure."""

from __future__ import annotations

from dataclasses import replace

from monitor.report import response_times
from monitor.report.figures import Alerts, Digest, OwnerWeek
from monitor.report.watching import Review


def part_of(digest: Digest, part: OwnerWeek) -> Digest:
    """Only what concerns this owner. What belongs to the account as a whole (its total, unattributed dollars, the alert budget)
    is not told."""
    own = {line.key_hash for line in part.keys}
    opened = [each for each in part.incidents if each.opened_at in digest.weeks.current]
    told = [digest.reviews.get(each.incident_id, Review.UNREVIEWED) for each in opened]
    return replace(
        digest,
        owner=part.owner,
        spent_nusd=part.spent_nusd,
        before_nusd=part.before_nusd,
        norm_nusd=part.norm_nusd,
        unattributed_nusd=None,
        account_total_nusd=None,
        keys=part.keys,
        models=part.models,
        owners=(part,),
        incidents=part.incidents,
        actions=part.actions,
        movers=tuple(each for each in digest.movers if each.line.key_hash in own),
        month=part.month or digest.month,
        limits=tuple(each for each in digest.limits if each.key_hash in own),
        debts={key_hash: debts for key_hash, debts in digest.debts.items() if key_hash in own},
        alerts=Alerts(
            n_opened=len(opened),
            n_false=told.count(Review.FALSE_ALARM),
            n_unreviewed=told.count(Review.UNREVIEWED),
            unusual_nusd=sum(each.spent_nusd for each in opened),
        ),
        times=response_times.summary(opened, part.actions),
        warnings=(),
        audit_head="",
        probes=tuple(each for each in digest.probes if each.key_hash in own),
    )
