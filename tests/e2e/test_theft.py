"""A stolen key among 250, seen and stopped by the whole monitor; nobody else is touched."""

from __future__ import annotations

from pathlib import Path

import pytest
from whole import taught, whole

from monitor import teaching
from monitor.demo import attacks
from monitor.domain import ActionState, Severity, Verb

pytestmark = pytest.mark.slow


async def test_a_theft_on_one_of_two_keys_with_the_same_name_stops_that_key_within_three_polls_and_no_other(
    tmp_path: Path,
) -> None:
    async with whole(tmp_path, n_keys=250, MONITOR__RESPONSE__MODE="enforce") as it:
        # given: 250 keys in two workspaces, a month of history, taught as in life, and ten ordinary minutes
        await taught(it, n_thefts=teaching.N_THEFTS)
        quiet = await it.tick(10)
        assert not [report.errors for report in quiet if report.errors]
        assert not [one for one in it.app.store.ledger.incidents() if one.severity is Severity.CRITICAL]

        # when: one of two keys called the same is stolen
        stolen, twin = it.world.twins()
        theft = attacks.smash_and_grab(stolen, it.world.fleet, start=it.clock.now())
        it.world.start(theft)
        polls_of_burst = 0
        while not it.world.key_state(stolen.key_hash).is_disabled:
            (report,) = await it.tick()
            polls_of_burst += it.world.stolen_nusd(theft) > 10_000_000  # the burst has begun (more than a cent)
            assert polls_of_burst <= 3  # a poll a minute
        await it.tick(10)

        # then: that hash, and only that, was disabled, journalled and told of, and what was stolen is small
        actions = it.app.store.ledger.actions()
        assert [(one.verb, one.key_hash, one.state) for one in actions] == [
            (Verb.DISABLE, stolen.key_hash, ActionState.DONE)
        ]
        assert not it.world.key_state(twin.key_hash).is_disabled
        critical = {one.key_hash for one in it.app.store.ledger.incidents() if one.severity is Severity.CRITICAL}
        assert critical == {stolen.key_hash}
        assert it.world.stolen_nusd(theft) < 30_000_000_000
        texts = [message.text for message in it.slack.messages("#alerts")]
        assert sum(stolen.name in text and "disabled" in text for text in texts) == 1
        report_errors = report.errors
        assert not report_errors
