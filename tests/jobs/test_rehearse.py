"""A rehearsal proves the chain on one key and leaves nothing behind; in doubt it touches no key at all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from build import a_key, an_action, an_incident
from fake_keys import FakeKeys, Fault, Moment, always
from jobs_build import NOW
from rehearsal_build import CANARY, NO_MODELS, RULES, SETTINGS, an_app_on, choose, played_once

from monitor.decide import fuses
from monitor.domain import (
    NUSD,
    Action,
    ActionState,
    AuditKind,
    IncidentKind,
    Message,
    MessageKind,
    Plan,
    Reason,
    Receipt,
    Severity,
    Verb,
)
from monitor.errors import DeliveryError, RequestRefused, Unavailable
from monitor.jobs import context, manual, rehearsable, rehearse, rehearsed
from monitor.jobs.app import App
from monitor.jobs.rehearse import Rehearsal
from monitor.jobs.weekly import make


@pytest.fixture(autouse=True)
def quickly(request: pytest.FixtureRequest) -> Iterator[None]:
    if "stored" in request.node.name:
        yield
        return
    with played_once():
        yield


async def rehearsal(app: App) -> Rehearsal:
    return await rehearse.rehearse(app, choose, by="cli:ada", shipped=NO_MODELS)


def journal(app: App) -> list[tuple[Verb, ActionState, Reason]]:
    return [(each.verb, each.state, each.reason) for each in app.store.ledger.actions()]


def messages(app: App) -> list[Message]:
    return [entry.message for entry in app.store.outbox.entries()]


class Deaf:
    """A sink that takes nothing."""

    name = "deaf"

    async def send(self, message: Message, *, thread: Receipt | None = None) -> Receipt:
        raise DeliveryError("Slack is down", permanent=False)


# -- what it does -------------------------------------------------------------------------------------------------------


async def test_a_rehearsal_alerts_disables_reads_back_and_restores_exactly(tmp_path: Path) -> None:
    keys = FakeKeys.holding(CANARY)
    app = an_app_on(tmp_path, keys)

    done = await rehearsal(app)

    assert (done.problem, done.is_left) == ("", False)
    assert [(step.name, step.is_ok) for step in done.steps] == [
        (name, True) for name in ("read", "detect", "alert", "disable", "restore")
    ]
    assert keys.keys[CANARY.key_hash].settings == SETTINGS
    assert [call for call in keys.calls if call != "read"] == ["set_disabled", "put_settings"]
    assert journal(app) == [
        (Verb.DISABLE, ActionState.DONE, Reason.REHEARSAL),
        (Verb.RESTORE, ActionState.DONE, Reason.REHEARSAL),
    ]
    assert done.staged is not None and done.staged.after == timedelta(minutes=30)  # 72 USD/h, and the rule allows 30


async def test_its_messages_cannot_be_taken_for_a_theft_and_are_one_thread(tmp_path: Path) -> None:
    app = an_app_on(tmp_path, FakeKeys.holding(CANARY), slack={"default_channel": "#alerts"})

    done = await rehearsal(app)

    alert, last = messages(app)
    assert alert.title == "Rehearsal, no theft: canary"
    assert alert.summary.startswith("This is a rehearsal. In earnest it would say: ")
    assert (alert.kind, alert.severity, alert.ask, alert.undo) == (MessageKind.REHEARSAL, Severity.NOTICE, None, "")
    assert last.title == "Rehearsal over: canary"
    assert [line.split(":")[0] for line in last.sections[0][1]] == ["read", "detect", "alert", "disable", "restore"]
    assert {alert.thread, last.thread} == {done.rehearsal_id}
    assert {alert.channel, last.channel} == {"#alerts"}
    assert app.notifier.sent == [alert, last]


async def test_each_step_is_a_row_of_its_own_kind_in_the_trail(tmp_path: Path) -> None:
    app = an_app_on(tmp_path, FakeKeys.holding(CANARY))

    done = await rehearsal(app)

    rows = app.store.audit.rows(kind=AuditKind.REHEARSAL)
    assert [json.loads(row.detail)["step"] for row in rows] == [
        "begin", "read", "detect", "alert", "disable", "restore", "end",
    ]  # fmt: skip
    assert {(row.by, row.subject) for row in rows} == {("cli:ada", done.rehearsal_id)}
    assert "SIMULATED" in rows[2].why
    of_actions = [json.loads(row.detail) for row in app.store.audit.rows() if row.kind in {"intent", "outcome"}]
    assert [each["reason"] for each in of_actions] == ["rehearsal"] * 4


async def test_the_simulated_theft_is_never_stored(tmp_path: Path) -> None:
    app = an_app_on(tmp_path, FakeKeys.holding(CANARY))
    n_values = app.store.keys.catalog.n_values

    await rehearsal(app)

    assert app.store.usage.read(NOW - timedelta(days=3), NOW, bucket_s=600).empty
    assert app.store.keys.catalog.n_values == n_values
    assert app.store.ledger.incidents() == () and app.store.ledger.findings(NOW - timedelta(days=3)) == ()
    assert app.store.ledger.verdicts(NOW - timedelta(days=3)) == ()


async def test_a_dry_run_sends_writes_and_touches_nothing(tmp_path: Path) -> None:
    keys = FakeKeys.holding(CANARY)
    app = an_app_on(tmp_path, keys)

    planned = await rehearse.plan(app, choose, shipped=NO_MODELS)

    assert planned.problem == "" and [step.name for step in planned.steps] == ["read", "detect"]
    assert set(keys.calls) == {"read"} and journal(app) == [] and messages(app) == []
    assert app.store.audit.rows() == () and app.store.state.get(rehearsed.NAME) is None


@pytest.mark.parametrize(("mode", "said"), [("observe", "response.mode is observe"), ("enforce", "")])
async def test_what_would_hold_a_real_theft_back_is_said(tmp_path: Path, mode: str, said: str) -> None:
    app = an_app_on(tmp_path, FakeKeys.holding(CANARY), response={"mode": mode})
    done = await rehearsal(app)
    assert done.problem == ""
    assert (said in done.note) and bool(said) == bool(done.note)


# -- what it refuses ----------------------------------------------------------------------------------------------------


async def refused(app: App, why: str) -> None:
    with pytest.raises(RequestRefused, match=why):
        await rehearsal(app)
    assert isinstance(app.control, FakeKeys)
    assert set(app.control.calls) <= {"read"}
    assert journal(app) == [] and messages(app) == [] and app.store.audit.rows() == ()


async def test_a_protected_key_is_refused(tmp_path: Path) -> None:
    response = {"mode": "enforce", "protected_keys": ["^can"]}
    await refused(an_app_on(tmp_path, FakeKeys.holding(CANARY), response=response), r"protected_keys: \^can")


async def test_a_key_in_use_is_refused_by_what_usage_says(tmp_path: Path) -> None:
    await refused(an_app_on(tmp_path, FakeKeys.holding(CANARY), usd=0.02), r"spent \$0\.4\d in the last 24 hours")


async def test_a_key_in_use_is_refused_by_what_its_counter_says(tmp_path: Path) -> None:
    app = an_app_on(tmp_path, FakeKeys.holding(CANARY))
    app.control.keys[CANARY.key_hash] = replace(CANARY, usage_nusd=NUSD + NUSD // 2)
    await refused(app, r"spent \$0\.50 in the last 24 hours, more than \$0\.25")


async def test_a_key_used_at_its_own_provider_is_in_use_too(tmp_path: Path) -> None:
    app = an_app_on(tmp_path, FakeKeys.holding(CANARY))
    app.control.keys[CANARY.key_hash] = replace(CANARY, byok_usage_nusd=NUSD)
    await refused(app, "it is a key in use")


async def test_a_key_whose_day_is_not_known_is_refused(tmp_path: Path) -> None:
    app = an_app_on(tmp_path, FakeKeys.holding(CANARY), days=1)
    app.store.usage.prune(fine_before=NOW - timedelta(hours=6), hourly_before=NOW - timedelta(hours=6))
    await refused(app, "not known what it spent")


async def test_a_disabled_key_is_refused(tmp_path: Path) -> None:
    off = replace(CANARY, settings=replace(SETTINGS, is_disabled=True))
    await refused(an_app_on(tmp_path, FakeKeys.holding(off)), "disabled already")


async def test_the_kill_switch_forbids_it(tmp_path: Path) -> None:
    app = an_app_on(tmp_path, FakeKeys.holding(CANARY))
    app.kill_switch.touch()
    await refused(app, "kill switch is on")


@pytest.mark.parametrize("kind", [IncidentKind.KEY, IncidentKind.SOURCE])
async def test_an_open_incident_on_it_or_on_the_source_is_refused(tmp_path: Path, kind: IncidentKind) -> None:
    app = an_app_on(tmp_path, FakeKeys.holding(CANARY))
    key_hash = CANARY.key_hash if kind is IncidentKind.KEY else ""
    incident = an_incident(CANARY.key_hash, kind=kind, incident_id="X-1")
    app.store.ledger.commit((), Plan(NOW, incidents=(replace(incident, key_hash=key_hash),)), ())
    with pytest.raises(RequestRefused, match="X-1 is open"):
        await rehearsal(app)
    assert set(app.control.calls) <= {"read"}


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (ActionState.INTENDED, "under way"),
        (ActionState.PROPOSED, "under way"),
        (ActionState.APPROVED, "under way"),
    ],
)
async def test_an_action_under_way_on_it_is_refused(tmp_path: Path, state: ActionState, why: str) -> None:
    app = an_app_on(tmp_path, FakeKeys.holding(CANARY))
    app.store.ledger.commit((), Plan(NOW, actions=(an_action(CANARY.key_hash, intended_at=NOW, state=state),)), ())
    with pytest.raises(RequestRefused, match=why):
        await rehearsal(app)
    assert set(app.control.calls) <= {"read"}


async def test_a_cap_of_ours_in_force_is_refused(tmp_path: Path) -> None:
    capped = replace(SETTINGS, limit_usd=5.0)
    app = an_app_on(tmp_path, FakeKeys.holding(replace(CANARY, settings=capped)))
    cap = an_action(
        CANARY.key_hash, intended_at=NOW, verb=Verb.CAP, limit_usd=5.0, prior=SETTINGS, state=ActionState.DONE
    )
    app.store.ledger.commit((), Plan(NOW, actions=(cap,)), ())
    with pytest.raises(RequestRefused, match="in force on it: `restore` it first"):
        await rehearsal(app)


async def test_an_incomplete_listing_is_refused(tmp_path: Path) -> None:
    app = an_app_on(tmp_path, FakeKeys.holding(CANARY))
    app.source.changes = {"is_complete": False, "warnings": ("a page is missing",)}
    await refused(app, "not complete .a page is missing")


async def test_old_usage_is_refused(tmp_path: Path) -> None:
    app = an_app_on(tmp_path, FakeKeys.holding(CANARY))
    app.clock.pass_time(3 * 3600)
    await refused(app, "too old to judge")


# -- what fails ---------------------------------------------------------------------------------------------------------


async def test_a_theft_that_would_not_be_noticed_fails_the_rehearsal_and_touches_no_key(tmp_path: Path) -> None:
    keys = FakeKeys.holding(CANARY)
    app = an_app_on(tmp_path, keys, detection={"rules": []})

    done = await rehearsal(app)

    assert "was not noticed" in done.problem and not done.is_left
    assert set(keys.calls) == {"read"} and journal(app) == [] and messages(app) == []


async def test_a_policy_that_never_disables_fails_the_rehearsal_and_is_named(tmp_path: Path) -> None:
    policies = [{"name": "hands off", "disable": {"enabled": False}}]
    app = an_app_on(tmp_path, FakeKeys.holding(CANARY), policies=policies)
    done = await rehearsal(app)
    assert "policy 'hands off': disable is not enabled" in done.problem
    assert journal(app) == []


async def test_an_alert_that_does_not_arrive_fails_the_rehearsal_and_touches_no_key(tmp_path: Path) -> None:
    keys = FakeKeys.holding(CANARY)
    app = an_app_on(tmp_path, keys)
    app.notifier = Deaf()

    done = await rehearsal(app)

    assert "did not arrive within 60 s: Slack is down" in done.problem and not done.is_left
    assert "set_disabled" not in keys.calls and journal(app) == []


async def test_a_disable_that_fails_is_put_back_and_told_as_a_failed_rehearsal(tmp_path: Path) -> None:
    # given: the change has no effect, and no answer
    keys = FakeKeys.holding(CANARY)
    app = an_app_on(tmp_path, keys)
    keys.ignores_changes = True

    done = await rehearsal(app)

    assert "disable failed" in done.problem and not done.is_left
    assert keys.keys[CANARY.key_hash].settings == SETTINGS
    assert [(verb, state) for verb, state, _ in journal(app)] == [
        (Verb.DISABLE, ActionState.FAILED),
        (Verb.RESTORE, ActionState.DONE),
    ]
    assert [message.title for message in messages(app)][-1] == "Rehearsal FAILED: canary"


async def test_a_restore_that_never_works_is_the_loudest_thing_there_is(tmp_path: Path) -> None:
    # given: from the first change on the issuer is silent
    keys = FakeKeys.holding(CANARY)
    app = an_app_on(tmp_path, keys)
    n_reads = 1 + 1 + 1  # listing's own read, before the intent, before the change
    keys.faults = always(Unavailable("503"), first=n_reads + 2)

    done = await rehearsal(app)

    assert done.is_left and keys.keys[CANARY.key_hash].settings.is_disabled
    assert f"`openrouter-monitor restore {CANARY.key_hash[:12]}`" in done.problem
    last = messages(app)[-1]
    assert last.severity is Severity.CRITICAL and last.undo == f"openrouter-monitor restore {CANARY.key_hash[:12]}"
    said, is_well = rehearsed.told(app.store, app.settings, app.now())
    assert "MAY STILL BE DISABLED" in said and not is_well

    # when the issuer answers again, the next cycle of the service puts it back
    keys.faults = {}
    app.clock.pass_time(700)
    await rehearsed.put_back(app)
    assert keys.keys[CANARY.key_hash].settings == SETTINGS
    assert "the key was put back afterwards" in rehearsed.told(app.store, app.settings, app.now())[0]


async def test_a_passing_failure_of_the_restore_is_survived(tmp_path: Path) -> None:
    keys = FakeKeys.holding(CANARY)
    app = an_app_on(tmp_path, keys)
    keys.faults = {
        5: Fault(Unavailable("503")),
        6: Fault(Unavailable("503")),
        9: Fault(Unavailable("504"), Moment.AFTER),
    }
    done = await rehearsal(app)
    assert (done.problem, done.is_left) == ("", False)
    assert keys.keys[CANARY.key_hash].settings == SETTINGS


async def test_somebody_changing_the_key_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    keys = FakeKeys.holding(CANARY)
    app = an_app_on(tmp_path, keys)
    plain = keys.set_disabled

    async def and_somebody(key_hash: str, *, is_disabled: bool) -> Any:
        found = await plain(key_hash, is_disabled=is_disabled)
        now = keys.keys[key_hash]
        keys.keys[key_hash] = replace(now, settings=replace(now.settings, limit_usd=1.0))
        return found

    keys.set_disabled = and_somebody  # type: ignore[method-assign]
    done = await rehearsal(app)

    assert done.is_left and "--force" in done.problem
    assert keys.keys[CANARY.key_hash].settings.limit_usd == 1.0


# -- what it leaves behind ----------------------------------------------------------------------------------------------


async def test_a_rehearsal_counts_for_no_fuse_cooldown_reenable_or_canary(tmp_path: Path) -> None:
    keys = FakeKeys.holding(CANARY)
    app = an_app_on(tmp_path, keys)
    for _ in range(3):
        await rehearsal(app)
        on, off = keys.keys[CANARY.key_hash], replace(CANARY, settings=replace(SETTINGS, is_disabled=True))
        for seen in (off, on):  # as the service's inventory may have seen it
            app.clock.pass_time(60)
            app.store.keys.record(replace(await app.source.inventory(()), keys=(seen,), taken_at=app.now()))

    known = context.gather(app, app.now(), is_healthy=True)

    assert known.actions == () and known.reenabled_at == {} and known.n_reenabled == {}
    assert fuses.Fuses.of(Verb.DISABLE, known, app.settings, app.now()).in_day == set()


async def test_a_real_switch_on_still_counts_beside_a_rehearsal(tmp_path: Path) -> None:
    keys = FakeKeys.holding(CANARY)
    app = an_app_on(tmp_path, keys)
    await rehearsal(app)
    app.clock.pass_time(60)
    await manual.revoke(app, CANARY, requested_by="cli:ada")
    for seen in (keys.keys[CANARY.key_hash], CANARY):
        app.clock.pass_time(60)
        app.store.keys.record(replace(await app.source.inventory(()), keys=(seen,), taken_at=app.now()))
    assert context.gather(app, app.now(), is_healthy=True).n_reenabled == {CANARY.key_hash: 1}


async def test_two_rehearsals_in_the_same_moment_are_two(tmp_path: Path) -> None:
    ids = {(await rehearsal(an_app_on(tmp_path / str(n), FakeKeys.holding(CANARY)))).rehearsal_id for n in range(2)}
    assert len(ids) == 2


async def test_the_digest_counts_no_rehearsal(tmp_path: Path) -> None:
    app = an_app_on(tmp_path, FakeKeys.holding(CANARY))
    await rehearsal(app)
    assert make(app.store, app.settings, NOW + timedelta(days=7)).actions == ()


async def test_the_digest_tells_the_last_rehearsal_and_one_that_was_cut_off(tmp_path: Path) -> None:
    app = an_app_on(tmp_path, FakeKeys.holding(CANARY))
    assert rehearsed.last(app.store, app.now()) is None
    done = await rehearsal(app)

    last = make(app.store, app.settings, app.now()).health.rehearsal
    assert last is not None
    assert (last.at, last.key_hash, last.key_name, last.problem, last.is_left) == (
        done.at,
        CANARY.key_hash,
        "canary",
        "",
        False,
    )
    assert [name for name, _ in last.steps] == ["read", "detect", "alert", "disable", "restore"]

    about = {"rehearsal_id": "REH-2", "key_hash": CANARY.key_hash, "key_name": "canary", "by": "cli:ada"}
    rehearsed.begin(app.store, at=app.now(), **about)
    assert rehearsed.last(app.store, app.now()) is None  # under way
    cut_off = rehearsed.last(app.store, app.now() + timedelta(minutes=11))
    assert cut_off is not None and (cut_off.problem, cut_off.is_left) == ("it was cut off", False)


async def test_the_last_rehearsal_is_told_and_an_armed_service_is_reminded(tmp_path: Path) -> None:
    app = an_app_on(tmp_path, FakeKeys.holding(CANARY))
    assert "rehearse KEY" in rehearsed.told(app.store, app.settings, NOW)[0]

    await rehearsal(app)

    said, is_well = rehearsed.told(app.store, app.settings, NOW + timedelta(hours=3))
    assert is_well and said.startswith("3 h ago on canary (000000000000): ok; read 0.0 s, detect 0.0 s")


async def test_what_a_cut_off_rehearsal_left_is_put_back_before_the_next_one(tmp_path: Path) -> None:
    keys = FakeKeys.holding(replace(CANARY, settings=replace(SETTINGS, is_disabled=True)))
    app = an_app_on(tmp_path, keys)
    left(app, an_action(CANARY.key_hash, intended_at=NOW, reason=Reason.REHEARSAL, prior=SETTINGS, incident_id="REH-1"))

    done = await rehearsal(app)

    assert done.problem == "" and keys.keys[CANARY.key_hash].settings == SETTINGS
    assert [verb for verb, _, _ in journal(app)] == [Verb.DISABLE, Verb.RESTORE] * 2


async def test_a_key_restored_by_hand_after_a_failed_rehearsal_is_told_and_may_be_rehearsed_on_again(
    tmp_path: Path,
) -> None:
    # given: the restore failed, and a person did it right after
    keys = FakeKeys.holding(CANARY)
    app = an_app_on(tmp_path, keys)
    keys.faults = always(Unavailable("503"), first=5)
    assert (await rehearsal(app)).is_left
    keys.faults = {}
    await manual.restore(app, CANARY, requested_by="cli:ada")

    said, is_well = rehearsed.told(app.store, app.settings, app.now())
    assert "as it was by now" in said and "STILL BE DISABLED" not in said and not is_well

    assert (await rehearsal(app)).problem == ""
    assert rehearsed.told(app.store, app.settings, app.now())[1]


async def test_a_rehearsal_under_way_is_left_alone_by_the_service(tmp_path: Path) -> None:
    keys = FakeKeys.holding(replace(CANARY, settings=replace(SETTINGS, is_disabled=True)))
    app = an_app_on(tmp_path, keys)
    fields: dict[str, Any] = {"reason": Reason.REHEARSAL, "prior": SETTINGS, "state": ActionState.DONE}
    left(app, an_action(CANARY.key_hash, intended_at=NOW, **fields))

    assert await rehearsed.put_back(app, older_than=timedelta(minutes=2)) == ()
    app.clock.pass_time(121)
    (done,) = await rehearsed.put_back(app, older_than=timedelta(minutes=2))

    assert (done.verb, done.state) == (Verb.RESTORE, ActionState.DONE)
    assert keys.keys[CANARY.key_hash].settings == SETTINGS


async def test_a_person_who_disables_the_key_after_a_cut_off_rehearsal_is_not_undone(tmp_path: Path) -> None:
    keys = FakeKeys.holding(CANARY)
    app = an_app_on(tmp_path, keys)
    fields: dict[str, Any] = {"reason": Reason.REHEARSAL, "prior": SETTINGS, "state": ActionState.DONE}
    left(app, an_action(CANARY.key_hash, intended_at=NOW, **fields))
    app.clock.pass_time(60)
    await manual.revoke(app, CANARY, requested_by="cli:bob")
    app.clock.pass_time(600)

    assert await rehearsed.put_back(app) == ()
    assert keys.keys[CANARY.key_hash].settings.is_disabled


def left(app: App, action: Action) -> None:
    """As a killed rehearsal leaves it."""
    rehearsed.begin(
        app.store,
        rehearsal_id="REH-1",
        key_hash=CANARY.key_hash,
        key_name=CANARY.key_name,
        by="cli:ada",
        at=action.intended_at,
    )
    intent = replace(action, state=ActionState.INTENDED, requested_by="cli:ada")
    app.store.ledger.commit((), Plan(NOW, actions=(intent,)), ())
    if action.state is not ActionState.INTENDED:
        app.store.ledger.finish(replace(action, requested_by="cli:ada", finished_at=action.intended_at), ())


def test_the_bound_of_a_key_in_use_is_a_quarter_of_a_dollar() -> None:
    assert rehearsable.IN_USE_NUSD == NUSD // 4
    assert RULES[0]["disable"] and a_key(1).usage_nusd
