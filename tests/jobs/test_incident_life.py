"""Incidents through findings, words of people, silences, expiry and restarts, on a real store, against a simple model."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from build import a_finding, a_hash, a_key, a_quality
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from jobs_build import NOW, an_app, an_inventory

from monitor.decide import decide, life
from monitor.domain import ALIVE, Incident, IncidentState, MessageKind, Quality, Rung, Severity
from monitor.errors import RequestRefused, StaleRequest
from monitor.jobs import act, context, desk

QUIET = timedelta(hours=2)
REOPEN = timedelta(hours=10)
SECTIONS = {"incidents": {"resolve_after": "2h", "reopen_within": "10h"}}
BY = "cli:ada"


@dataclass
class Model:
    """What the newest incident of the key should be."""

    state: IncidentState
    last_seen_at: datetime
    n_spells: int = 0
    resolved_at: datetime | None = None
    is_false: bool = False
    is_by_person: bool = False
    silenced_until: datetime | None = None
    was_acknowledged: bool = False

    @property
    def is_alive(self) -> bool:
        return self.state is not IncidentState.RESOLVED

    @property
    def quiet(self) -> timedelta:
        return min(life.LONGEST_QUIET, QUIET * 2**self.n_spells)


class LifeOfIncidents(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.now = NOW
        self.app = an_app(Path(self.folder.name), **SECTIONS)
        self.app.store.keys.record(an_inventory(a_key(1)))
        self.model: Model | None = None
        self.n_opened = 0
        self.heads = [self.app.store.audit.head()]

    def teardown(self):
        self.app.store.maintenance.close()
        self.folder.cleanup()

    # -- what happens

    def one_pass(self, findings=(), *, state=Quality.KNOWN):
        """The watch's own steps, from gathering facts to the commit."""
        self._wake()
        self.app.clock.at = self.now
        known = a_quality(self.now if state is not Quality.UNKNOWN else None, state=state)
        facts = replace(context.gather(self.app, self.now, is_healthy=True), quality={a_hash(1): known})
        plan = decide(findings, facts, self.app.settings, self.now)
        self.app.store.ledger.commit(findings, plan, act.compose(self.app, plan.notices, self.now))

    def _wake(self):
        one = self.model
        if one is not None and one.state is IncidentState.SILENCED and one.silenced_until <= self.now:
            one.state = IncidentState.ACKNOWLEDGED if one.was_acknowledged else IncidentState.OPEN
            one.silenced_until = None

    @rule()
    def something_unusual(self):
        self.one_pass([a_finding(at=self.now, severity=Severity.WARNING, rung=Rung.NOTIFY)])
        one = self.model
        if one is not None and one.is_alive:
            one.last_seen_at = self.now
            return
        if one is not None and one.is_by_person and self.now - one.resolved_at < life.SETTLING:
            return  # the same hour said again
        if one is not None and not one.is_false and self.now - one.resolved_at < REOPEN:
            self.model = Model(IncidentState.OPEN, self.now, n_spells=one.n_spells + 1)
            return
        self.model = Model(IncidentState.OPEN, self.now)
        self.n_opened += 1

    @rule()
    def nothing_unusual(self):
        self.one_pass()
        one = self.model
        if one is not None and one.is_alive and self.now - one.last_seen_at >= one.quiet:
            one.state, one.resolved_at, one.is_by_person = IncidentState.RESOLVED, self.now, False

    @rule()
    def nothing_known(self):
        self.one_pass(state=Quality.UNKNOWN)

    @rule(minutes=st.sampled_from([1, 30, 59, 60, 119, 121, 300, 601]))
    def time_passes(self, minutes):
        self.now += timedelta(minutes=minutes)

    @rule()
    def restart(self):
        self.app.store.maintenance.close()
        self.app = an_app(Path(self.folder.name), now=self.now, **SECTIONS)

    # -- what people say

    def newest(self) -> Incident:
        return max(self.app.store.ledger.incidents(), key=lambda each: each.opened_at)

    def say(self, word, **options):
        return asyncio.run(word(self.app, self.newest().incident_id, by=BY, now=self.now, **options))

    @precondition(lambda self: self.model is not None)
    @rule()
    def acknowledge(self):
        one = self.model
        if not one.is_alive:
            self.refused(desk.acknowledge)
            return
        self.say(desk.acknowledge)
        one.state, one.was_acknowledged, one.silenced_until = IncidentState.ACKNOWLEDGED, True, None

    @precondition(lambda self: self.model is not None)
    @rule(hours=st.sampled_from([1, 3, 24]))
    def silence(self, hours):
        one = self.model
        if not one.is_alive:
            self.refused(desk.silence, lasting=timedelta(hours=hours))
            return
        self.say(desk.silence, lasting=timedelta(hours=hours))
        one.state, one.silenced_until = IncidentState.SILENCED, self.now + timedelta(hours=hours)

    @precondition(lambda self: self.model is not None)
    @rule(is_false_alarm=st.booleans())
    def resolve(self, is_false_alarm):
        one = self.model
        self.say(desk.resolve, is_false_alarm=is_false_alarm)
        if one.is_alive:
            one.state, one.resolved_at, one.silenced_until = IncidentState.RESOLVED, self.now, None
            one.is_false, one.is_by_person = is_false_alarm, True
        elif is_false_alarm and not one.is_false:
            one.is_false, one.is_by_person = True, True

    @precondition(lambda self: self.model is not None)
    @rule()
    def a_stale_button(self):
        step = self.newest().step
        try:
            self.say(desk.resolve, expected_step=step + 1)
        except StaleRequest:
            return
        raise AssertionError("a request about another step was carried out")

    def refused(self, word, **options):
        try:
            self.say(word, **options)
        except RequestRefused:
            return
        raise AssertionError("an incident that is over took a word about it")

    # -- what must hold

    @invariant()
    def the_newest_incident_is_that_of_the_model(self):
        found = self.app.store.ledger.incidents()
        assert len(found) == self.n_opened
        assert sum(each.state in ALIVE for each in found) == (self.model is not None and self.model.is_alive)
        if self.model is None:
            return
        newest = self.newest()
        assert newest.state is self.model.state
        assert newest.silenced_until == self.model.silenced_until
        assert len(newest.spells) == self.model.n_spells
        assert newest.resolved_at == self.model.resolved_at
        if self.model.is_alive:
            assert newest.last_seen_at == self.model.last_seen_at

    @invariant()
    def no_step_is_told_twice_and_none_ahead(self):
        ids = [
            entry.message.message_id
            for entry in self.app.store.outbox.entries()
            if entry.message.kind is MessageKind.ALERT
        ]
        assert len(ids) == len(set(ids))
        for incident in self.app.store.ledger.incidents():
            assert incident.told_step <= incident.step

    @invariant()
    def the_trail_is_whole_and_only_grows(self):
        assert self.app.store.audit.verify(self.heads[-1]).is_ok
        self.heads.append(self.app.store.audit.head())


TestLifeOfIncidents = LifeOfIncidents.TestCase
TestLifeOfIncidents.settings = hypothesis_settings(max_examples=15, stateful_step_count=25, deadline=None)
