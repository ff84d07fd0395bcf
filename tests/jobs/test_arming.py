"""Armed only after a recent replay of this account with this policy; or by an override that everybody hears of."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from jobs_build import NOW, an_app, settings_in

from monitor.config import Settings
from monitor.errors import ConfigError
from monitor.jobs import arming, facts, startup, weekly
from monitor.jobs.app import App
from monitor.jobs.arming import Replayed
from monitor.jobs.watch import CycleReport, Watch
from monitor.report import render
from monitor.report.markdown import to_markdown
from monitor.wiring import shipped_models

DAY = timedelta(days=1)


def a_replay(settings: Settings, *, at: datetime = NOW - DAY) -> Replayed:
    return Replayed(
        at=at,
        since=at - 14 * DAY,
        until=at,
        known=14 * DAY,
        policy=arming.policy_of(settings),
        detector="forest",
        n_alerts=4,
        n_caps=0,
        n_disables=1,
        alerts_per_week=2.0,
        stopped_nusd=0,
    )


def armed(
    state_dir: Path, *, replayed_with: dict[str, Any] | None = None, age: timedelta = DAY, **sections: Any
) -> App:
    """An app in enforce mode whose account was replayed `age` ago with the settings of `replayed_with` (None: never)."""
    sections["response"] = {"mode": "enforce"} | sections.get("response", {})
    app = an_app(state_dir, **sections)
    if replayed_with is not None:
        before = settings_in(state_dir, **replayed_with)
        arming.record(app.store, a_replay(before, at=NOW - age))
    return app


async def test_enforce_does_not_start_where_the_account_was_never_replayed_and_names_the_remedy(tmp_path: Path) -> None:
    app = armed(tmp_path)

    with pytest.raises(ConfigError, match=r"never replayed.*backtest --store.*armed_without_replay") as refused:
        await startup.start(app, shipped_models())

    assert refused.value.place == "response.mode"


async def test_enforce_starts_after_a_replay_with_the_same_policy(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = armed(tmp_path, replayed_with={"response": {"mode": "dry-run"}})

    await startup.start(app, shipped_models())

    assert "armed_without_replay" not in caplog.text
    assert arming.warnings(app.store, app.settings, NOW) == ()


@pytest.mark.parametrize("mode", ["observe", "dry-run"])
async def test_what_touches_no_key_needs_no_replay(tmp_path: Path, mode: str) -> None:
    app = an_app(tmp_path, response={"mode": mode})

    await startup.start(app, shipped_models())

    assert arming.warnings(app.store, app.settings, NOW) == ()


def test_a_replay_older_than_the_setting_allows_does_not_count(tmp_path: Path) -> None:
    app = armed(tmp_path, replayed_with={}, age=8 * DAY, response={"replay_valid_for": "1w"})

    with pytest.raises(ConfigError, match="8 d old"):
        arming.require(app.store, app.settings, NOW)

    arming.require(app.store, app.settings, NOW - 2 * DAY)


@pytest.mark.parametrize(
    ("section", "before", "now", "named"),
    [
        (
            "response",
            {"min_usd_per_hour": 5.0},
            {"min_usd_per_hour": 2.0},
            "response.min_usd_per_hour was 5.0 and is 2.0",
        ),
        ("response", {"max_per_day": 2}, {}, "response.max_per_day was 2 and is 10"),
        ("response", {"protected_keys": ["^prod", "^ci"]}, {"protected_keys": ["^ci"]}, "response.protected_keys"),
        ("response", {"cooldown": "3d"}, {}, "response.cooldown"),
        ("detection", {"max_false_alerts_per_week": 1.0}, {}, "detection.max_false_alerts_per_week was 1.0 and is 5.0"),
        ("detection", {}, {"rules": [{"name": "dear", "max_usd_per_hour": 9.0, "disable": True}]}, "detection.rules"),
        ("detection", {"shadow": True}, {}, "detection.shadow was true and is false"),
        ("incidents", {"resolve_after": "1h"}, {}, "incidents.resolve_after"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_policy_that_was_not_replayed_is_refused_and_the_setting_named(
    tmp_path: Path, section: str, before: dict[str, Any], now: dict[str, Any], named: str
) -> None:
    app = armed(tmp_path, replayed_with={section: before}, **{section: now})

    with pytest.raises(ConfigError, match=r"another policy") as refused:
        arming.require(app.store, app.settings, NOW)

    assert named in str(refused.value)


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ({"protected_keys": ["^ci"]}, {"protected_keys": ["^ci", "^prod"]}),
        ({}, {"max_per_hour": 1, "max_per_day": 2, "max_share_of_keys": 0.01, "correlated_keys": 3}),
        ({}, {"min_usd_per_hour": 20.0}),
        ({"kill_switch": "/a"}, {"kill_switch": "/b", "replay_valid_for": "60d"}),
    ],
    ids=["one more protected key", "tighter fuses", "a higher floor", "what decides nothing"],
)
def test_a_policy_that_only_became_more_careful_needs_no_new_replay(
    tmp_path: Path, before: dict[str, Any], now: dict[str, Any]
) -> None:
    app = armed(tmp_path, replayed_with={"response": before}, response=now)

    arming.require(app.store, app.settings, NOW)


def test_a_setting_younger_than_the_replay_counts_as_replayed_with_its_default(tmp_path: Path) -> None:
    app = armed(tmp_path, replayed_with={})
    last = dict(app.store.state.get(arming.NAME) or {})
    policy = {name: value for name, value in last["policy"].items() if name != "detection.shadow"}
    app.store.state.put(arming.NAME, last | {"policy": policy})

    arming.require(app.store, app.settings, NOW)


async def test_the_override_is_logged_and_told_in_every_digest_and_in_the_status(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    app = armed(tmp_path, response={"armed_without_replay": True})

    with caplog.at_level(logging.WARNING):
        await startup.start(app, shipped_models())

    assert "armed_without_replay" in caplog.text
    (warning,) = arming.warnings(app.store, app.settings, NOW)
    assert "armed_without_replay is set: this account was never replayed" in warning
    made = weekly.make(app.store, app.settings, NOW)
    assert made.warnings == (warning,)
    assert "armed\\_without\\_replay is set" in to_markdown(made, top=3)
    message, *_ = render.to_messages(made, channel="#a", now=NOW, top=3)
    assert message.sections[0] == ("Attention", (warning,))


def test_the_override_is_told_even_where_it_is_not_needed(tmp_path: Path) -> None:
    app = armed(tmp_path, replayed_with={}, response={"armed_without_replay": True})

    (warning,) = arming.warnings(app.store, app.settings, NOW)

    assert "not needed" in warning


def test_people_are_warned_a_week_before_a_restart_would_be_refused(tmp_path: Path) -> None:
    app = armed(tmp_path, replayed_with={}, age=25 * DAY)

    assert "in 5 d the last replay is too old" in arming.warnings(app.store, app.settings, NOW)[0]
    assert "would not start again" in arming.warnings(app.store, app.settings, NOW + 6 * DAY)[0]


def test_the_status_of_a_running_service_holds_the_warnings(tmp_path: Path) -> None:
    app = armed(tmp_path, response={"armed_without_replay": True})

    facts.publish(Watch(app), CycleReport(NOW))

    status = app.store.state.get("status") or {}
    assert status["warnings"] == list(arming.warnings(app.store, app.settings, NOW))
    assert status["warnings"]


def test_every_setting_that_may_decide_is_part_of_the_policy() -> None:
    policy = arming.policy_of(Settings())

    assert {"response.min_usd_per_hour", "detection.rules", "incidents.resolve_after"} <= policy.keys()
    assert not {"response.mode", "response.armed_without_replay"} & policy.keys()
    assert arming.fingerprint(policy) != arming.fingerprint(policy | {"detection.shadow": True})


@pytest.mark.parametrize(
    ("before", "after", "is_refused"),
    [
        ({}, {"policies": [{"name": "p", "cap": {"enabled": True}}]}, True),
        ({"policies": [{"name": "p"}]}, {"policies": [{"name": "p"}]}, False),
        ({}, {"response": {"approve": "cli", "approvers": ["cli:ada"]}}, False),
        ({"response": {"approve": "cli", "approvers": ["cli:ada"]}}, {}, True),
        ({}, {"response": {"quiet_hours": ["22:00-06:00"], "max_per_run": 1, "max_share_of_spend": 0.1}}, False),
        ({"response": {"quiet_hours": ["22:00-06:00"]}}, {}, True),
        ({}, {"response": {"max_per_run": 4}}, True),
    ],
    ids=["new policy", "same policy", "approval", "no approval any more", "careful", "no quiet hours", "bolder"],
)
def test_a_ladder_is_armed_only_as_it_was_replayed_or_more_careful(before, after, is_refused) -> None:
    def made(sections):
        return arming.policy_of(Settings.model_validate(sections))

    assert bool(arming._bolder(made(before), made(after))) is is_refused


def test_routes_are_part_of_what_was_replayed_where_a_policy_goes_by_owner() -> None:
    routes = {"routes": [{"channel": "#a", "owner": "A"}]}
    by_owner = {"policies": [{"name": "p", "owner": "A"}]}
    assert arming.policy_of(Settings.model_validate(routes))["routes"] == []
    assert arming.policy_of(Settings.model_validate(routes | by_owner))["routes"]
