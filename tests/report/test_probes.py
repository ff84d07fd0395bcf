"""The digest lists who was probed: alone it was no alert."""

from __future__ import annotations

from datetime import timedelta

from build import a_hash, a_key
from digest_build import MONDAY, WEEKS, a_digest, a_usage

from monitor.domain import NUSD, Reason, Rung, Verdict
from monitor.report.markdown import to_markdown
from monitor.report.render import to_messages

HOUR = timedelta(hours=1)


def a_probe(number: int, *, hours_before_the_end: float = 5.0, **changes: object) -> Verdict:
    fields: dict[str, object] = {
        "key_hash": a_hash(number),
        "incident_id": f"PROBE-{number}",
        "at": WEEKS.current.until - hours_before_the_end * HOUR,
        "rung": Rung.NOTIFY,
        "is_act": False,
        "reason": Reason.PROBED,
        "detail": "100% of $0.02/h is on 12 models\nnever used by this key",
    }
    return Verdict(**(fields | changes))


def digest_with(*verdicts: Verdict):
    return a_digest(a_usage([(0, 0, 300, NUSD)]), [a_key(0, key_name="search-prod")], verdicts=verdicts)


def test_a_probed_key_is_listed_once_with_its_newest_probe() -> None:
    found = digest_with(a_probe(0, hours_before_the_end=50.0, detail="the older one"), a_probe(0))

    (line,) = dict(to_messages(found, channel="C1", now=MONDAY, top=10)[1].sections)["Probed keys"]
    assert line.startswith("search-prod [000000000000]: ")
    assert line.endswith("UTC, 100% of $0.02/h is on 12 models never used by this key")
    assert "## Probed keys" in to_markdown(found, top=10)


def test_other_verdicts_and_other_weeks_are_no_probes_of_this_one() -> None:
    found = digest_with(a_probe(0, reason=Reason.BELOW_THRESHOLD), a_probe(0, hours_before_the_end=24 * 8.0))

    assert found.probes == ()
    assert "Probed keys" not in to_markdown(found, top=10)
