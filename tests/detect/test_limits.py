from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from build import a_batch, an_evidence, settings_with

from monitor import frames
from monitor.config import Detection
from monitor.detect.limits import breaches
from monitor.domain import NUSD, Dimension, Rung, Severity
from monitor.frames import Catalog


def a_catalog() -> Catalog:
    values = [(Dimension.MODEL, "acme/opus-9"), (Dimension.MODEL, "acme/mini"), (Dimension.COUNTRY, "KP")]
    return Catalog(["a" * 64, "b" * 64], [(int(dimension), text) for dimension, text in values])


def the_keys(*limits: tuple[float, float]) -> pd.DataFrame:
    """KEYS with (limit, remaining) in dollars."""
    rows = [
        {"key_no": no, "created_at": pd.Timestamp("2026-01-01", tz="UTC").as_unit("s"), "owner_no": 0,
         "is_disabled": False, "limit_nusd": limit * NUSD, "limit_remaining_nusd": left * NUSD}
        for no, (limit, left) in enumerate(limits)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(frames.KEYS)).astype(dict(frames.KEYS))


def rules(*each: dict[str, Any], **changes: Any) -> Detection:
    return settings_with(detection={"rules": [{"name": "house rule", **rule} for rule in each], **changes}).detection


NO_LIMIT = (float("nan"), float("nan"))
NAMES = {0: "batch-prod", 1: "alice laptop"}


def found(settings: Detection, keys: pd.DataFrame | None = None, **batch: Any) -> list[tuple[int, str]]:
    keys = the_keys(NO_LIMIT, NO_LIMIT) if keys is None else keys
    result = breaches(a_batch(n=2, **batch), keys, names=NAMES, catalog=a_catalog(), settings=settings)
    return [(breach.key_no, breach.rule) for breach in result]


def test_spend_above_the_ceiling_breaks_the_rule() -> None:
    spend = [9 * NUSD, 11 * NUSD]

    assert found(rules({"max_usd_per_hour": 10}), per_hour_nusd=spend) == [(1, "house rule")]


def test_a_rule_only_concerns_keys_its_pattern_finds() -> None:
    spend = [50 * NUSD, 50 * NUSD]

    assert found(rules({"max_usd_per_hour": 10, "key_name": "laptop"}), per_hour_nusd=spend) == [(1, "house rule")]


def test_a_model_that_must_never_be_used_breaks_the_rule() -> None:
    evidence = [an_evidence(0, Dimension.MODEL, 0, 0.01), an_evidence(1, Dimension.MODEL, 1, 9.0)]

    assert found(rules({"models": ["opus"]}), evidence=evidence) == [(0, "house rule")]


def test_a_country_is_compared_as_a_whole_whatever_its_case() -> None:
    evidence = [an_evidence(1, Dimension.COUNTRY, 2, 0.0)]

    assert found(rules({"countries": ["kp"]}), evidence=evidence) == [(1, "house rule")]
    assert found(rules({"countries": ["K"]}), evidence=evidence) == []


def test_all_conditions_of_a_rule_must_hold_together() -> None:
    evidence = [an_evidence(0, Dimension.MODEL, 0, 3.0), an_evidence(1, Dimension.MODEL, 0, 30.0)]
    rule = rules({"models": ["opus"], "max_usd_per_hour": 10})

    assert found(rule, evidence=evidence, per_hour_nusd=[3 * NUSD, 30 * NUSD]) == [(1, "house rule")]


def test_a_rule_without_conditions_never_speaks() -> None:
    assert found(rules({}), per_hour_nusd=[10**15, 10**15]) == []


@pytest.mark.parametrize(("disable", "rung"), [(True, Rung.DISABLE), (False, Rung.NOTIFY)], ids=["armed", "told"])
def test_a_rule_disables_only_where_it_says_so(disable: bool, rung: Rung) -> None:
    settings = rules({"max_usd_per_hour": 10, "disable": disable, "severity": "warning"})

    breach, = breaches(
        a_batch(per_hour_nusd=20 * NUSD), the_keys(NO_LIMIT), names=NAMES, catalog=a_catalog(), settings=settings
    )  # fmt: skip

    assert (breach.rung, breach.severity) == (rung, Severity.WARNING)
    assert "$20.00" in breach.causes[0].sentence


@pytest.mark.parametrize(
    ("limit", "expected"),
    [((100.0, 9.0), [(0, "limit nearly used")]), ((100.0, 11.0), []), (NO_LIMIT, []), ((100.0, float("nan")), []),
     ((0.0, 0.0), [])],
    ids=["nearly used", "not yet", "no limit", "rest unknown", "limit of nothing"],
)  # fmt: skip
def test_an_owner_is_told_when_a_limit_is_nearly_used(limit: tuple[float, float], expected: list[object]) -> None:
    assert found(rules(), the_keys(limit, NO_LIMIT)) == expected


def test_a_share_of_one_turns_the_limit_notice_off() -> None:
    assert found(rules(limit_nearly_used=1.0), the_keys((100.0, 0.0), NO_LIMIT)) == []


def test_a_long_hostile_name_is_searched_at_its_beginning_only() -> None:
    names = {0: "x" * 100_000 + "laptop"}

    result = breaches(
        a_batch(per_hour_nusd=20 * NUSD), the_keys(NO_LIMIT), names=names, catalog=a_catalog(),
        settings=rules({"max_usd_per_hour": 1, "key_name": "laptop"}),
    )  # fmt: skip

    assert result == ()
