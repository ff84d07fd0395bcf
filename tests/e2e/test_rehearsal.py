"""A rehearsal beside the running service: the shipped detector, the fake account and the fake Slack, nothing played by hand."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from whole import whole

from monitor.demo.counters import LIFETIME
from monitor.domain import ActionState, AuditKind, Reason, Verb
from monitor.jobs import context, rehearsable, rehearse
from monitor.jobs.backfill import run_backfill
from monitor.wiring import open_app, shipped_models

pytestmark = pytest.mark.slow


async def test_a_rehearsal_beside_the_service_proves_the_chain_and_leaves_no_trace_in_decisions(tmp_path: Path) -> None:
    armed = {"MONITOR__RESPONSE__MODE": "enforce", "MONITOR__SCHEDULE__USAGE_EVERY": "60s"}
    async with whole(tmp_path, n_keys=12, **armed) as it:
        # given: a service that has read its history, and a key that hardly spends
        await it.watch.cycle()
        await run_backfill(it.app, progress=lambda done, total: None)
        await it.tick(3)
        keys = it.app.store.keys.keys()
        canary = next(key for key in keys if rehearsable.refusal(it.app, key, it.app.now()) is None)
        before = it.world.key_state(canary.key_hash)
        was = (before.is_disabled, before.limit_nusd, before.limit_reset, before.include_byok_in_limit)

        # when: the service goes on while somebody rehearses
        async with open_app(it.settings, clock=it.clock, budgets={}) as typed:
            rehearsing = asyncio.create_task(
                rehearse.rehearse(
                    typed,
                    lambda listed: next(key for key in listed if key.key_hash == canary.key_hash),
                    by="cli:ada",
                    shipped=shipped_models(),
                )
            )
            while not rehearsing.done():
                await it.watch.cycle()
                await asyncio.sleep(0.2)
            done = await rehearsing
        await it.tick(3)

        # then: every step worked, was told in one thread, and the key is as it was
        assert done.problem == ""
        after = it.world.key_state(canary.key_hash)
        assert (after.is_disabled, after.limit_nusd, after.limit_reset, after.include_byok_in_limit) == was
        actions = [(one.verb, one.state, one.reason) for one in it.app.store.ledger.actions()]
        assert actions == [(verb, ActionState.DONE, Reason.REHEARSAL) for verb in (Verb.DISABLE, Verb.RESTORE)]
        shown = [message for message in it.slack.messages("#alerts") if "Rehearsal" in message.text]
        assert len(shown) == 2 and shown[1].thread_ts == shown[0].ts
        assert it.app.store.audit.verify().is_ok
        assert len(it.app.store.audit.rows(kind=AuditKind.REHEARSAL)) == 7
        # and nothing of it weighs on what is decided next, nor was any of it stored as usage
        known = context.gather(it.app, it.app.now(), is_healthy=True)
        assert not known.actions and not known.reenabled_at
        values = [value for _, value in it.app.store.keys.catalog.values_from(0)]
        assert not [value for value in values if value.startswith("rehearsal")]
        assert it.world.shown_counters(it.clock.now()).credits[LIFETIME].sum() > 0
