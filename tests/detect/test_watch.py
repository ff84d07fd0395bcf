"""A probe alone pages nobody; what the key does next meets a lower bar and is told with it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from build import NOW, a_batch, a_context, a_key, after, settings_with
from judging import hot, judge

from monitor.decide import decide
from monitor.detect import watch
from monitor.detect.findings import Memory
from monitor.domain import BUCKET_S, NUSD, PROBE, Finding, Reason, Rung, Severity
from monitor.frames import FeatureBatch

HOUR = timedelta(hours=1)


def probed(at: Any = NOW, *, hours_ago: float = 10.0, **columns: Any) -> FeatureBatch:
    """Key 0 with p-value 0.06, thrice the level of 0.02, on a probed key."""
    since = int((at - hours_ago * HOUR).timestamp())
    return hot(at, **({"score": 9.4, "is_probed": True, "probed_s": since} | columns))


def told(found: tuple[Finding, ...]) -> list[Finding]:
    return [finding for finding in found if not finding.is_shadow]


def test_a_probed_key_is_told_of_at_the_first_bucket_and_at_a_larger_p_value() -> None:
    found, _ = judge(probed())
    without, _ = judge(hot(score=9.4))

    assert [finding.p_value for finding in told(found)] == [pytest.approx(0.061, abs=0.002)]
    assert without == ()


@pytest.mark.parametrize("columns", [{"score": 7.9}, {"per_hour_nusd": NUSD // 100, "novel_per_hour_nusd": 0}])
def test_the_bar_is_lower_and_still_a_bar(columns: dict[str, Any]) -> None:
    settings = settings_with(detection={"min_usd_per_hour": 0.5})

    found, _ = judge(probed(**columns), settings=settings)

    assert told(found) == []


def test_half_the_dollars_are_enough_for_a_probed_key() -> None:
    settings = settings_with(detection={"min_usd_per_hour": 5.0})
    columns = {"per_hour_nusd": 3 * NUSD, "novel_per_hour_nusd": 3 * NUSD}

    found, _ = judge(probed(**columns), settings=settings)

    assert len(told(found)) == 1


def test_a_finding_of_a_probed_key_says_so_and_gains_no_rung_by_it() -> None:
    (finding,), _ = judge(probed(hours_ago=14.0))

    assert finding.rung is Rung.NOTIFY
    assert finding.causes[1].value == PROBE
    assert finding.causes[1].sentence.startswith("this key was probed 14 h before: ")


def test_a_fresh_probe_is_recorded_in_shadow_and_only_as_a_notice() -> None:
    found, _ = judge(probed(hours_ago=0.5, score=1.0))

    assert [(finding.detector, finding.is_shadow, finding.severity) for finding in found] == [
        (PROBE, True, Severity.NOTICE)
    ]


def test_an_old_probe_is_not_recorded_again() -> None:
    assert judge(probed(hours_ago=5.0, score=1.0))[0] == ()


def test_a_probe_is_recorded_in_one_bucket_and_the_same_however_often_that_is_judged() -> None:
    first, memory = judge(probed(NOW, hours_ago=0.5, score=1.0))
    again, memory = judge(probed(NOW, hours_ago=0.5, score=1.0), memory)
    ten_minutes = timedelta(seconds=BUCKET_S)
    later, _ = judge(probed(NOW + ten_minutes, hours_ago=0.5 + 1 / 6, score=1.0), memory)

    assert len(first) == 1
    assert again == first
    assert later == ()


def test_a_further_probe_is_recorded_again() -> None:
    _, memory = judge(probed(NOW, hours_ago=0.5, score=1.0))

    found, _ = judge(probed(NOW + 3 * HOUR, hours_ago=0.5, score=1.0), memory)

    assert [finding.detector for finding in found] == [PROBE]


def test_memory_of_probes_does_not_grow() -> None:
    _, memory = judge(probed(NOW, hours_ago=0.5, score=1.0))

    _, memory = judge(a_batch(NOW + 4 * HOUR, values=[[1.0, 0.0]]), memory)

    assert memory.probes == {}


def test_who_is_told_of_anyway_has_no_probe_beside() -> None:
    found, _ = judge(probed(hours_ago=0.5, score=30.0))

    assert [finding.detector for finding in found] == ["first"]


def test_a_probe_alone_opens_no_incident_tells_nobody_and_is_written_down_once() -> None:
    (probe,), _ = judge(probed(hours_ago=0.5, score=1.0))
    context = a_context(a_key(probe.key_hash))
    armed = settings_with(response={"mode": "enforce"})

    plan = decide([probe], context, armed, NOW)
    again = decide([probe], after(context, plan), armed, NOW + HOUR)

    assert (plan.incidents, plan.notices, plan.actions) == ((), (), ())
    assert [verdict.reason for verdict in plan.verdicts] == [Reason.PROBED]
    assert plan.verdicts[0].detail == probe.causes[0].sentence
    assert again.verdicts == ()


def test_without_a_probe_there_is_no_note() -> None:
    assert watch.note(0, NOW, cost_nusd=1) == ()
    assert watch.fresh(a_batch(n=3).spend, Memory().probes, bucket_s=int(NOW.timestamp())) == ([], {})
    assert not np.any(
        watch.is_told(a_batch(n=3).spend, np.zeros(3), np.full(3, NUSD), alpha=1.0, settings=settings_with())
    )
