"""The life of one key's incidents against a model of a few numbers, for any course of findings, silence and data loss."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from build import NOW, a_context, a_finding, a_hash, a_key, a_quality, after, settings_with
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from monitor.decide import decide
from monitor.domain import IncidentState, MessageKind, Quality, Rung, Severity

SETTINGS = settings_with(incidents={"resolve_after": "2h", "reopen_within": "0s"})
RESOLVE_AFTER = timedelta(hours=2)


@dataclass
class Model:
    """What one incident should look like."""

    severity: Severity
    rung: Rung
    last_seen_at: object
    step: int = 1


class OneKey(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.now = NOW
        self.context = a_context(a_key())
        self.model: Model | None = None
        self.n_opened = 0
        self.n_resolved = 0
        self.alerts = []
        self.resolutions = []

    def decide(self, findings, quality):
        context = replace(self.context, quality={a_hash(1): quality})
        plan = decide(findings, context, SETTINGS, self.now)
        self.context = after(context, plan)
        for notice in plan.notices:
            where = self.alerts if notice.kind is MessageKind.ALERT else self.resolutions
            where.append((notice.incident.incident_id, notice.incident.step))

    @rule(
        severity=st.sampled_from(Severity),
        rung=st.sampled_from([Rung.NOTIFY, Rung.CAP, Rung.DISABLE]),
        state=st.sampled_from(Quality),
    )
    def something_unusual(self, severity, rung, state):
        finding = a_finding(at=self.now, severity=severity, rung=rung, quality=a_quality(self.now, state=state))
        self.decide([finding], finding.quality)
        if self.model is None:
            self.model = Model(severity, rung, self.now)
            self.n_opened += 1
        else:
            self.model.step += severity > self.model.severity or rung > self.model.rung
            self.model.severity = max(self.model.severity, severity)
            self.model.rung = max(self.model.rung, rung)
            self.model.last_seen_at = self.now

    @rule()
    def nothing_unusual(self):
        self.decide([], a_quality(self.now))
        if self.model is not None and self.now - self.model.last_seen_at >= RESOLVE_AFTER:
            self.model = None
            self.n_resolved += 1

    @rule()
    def nothing_known(self):
        self.decide([], a_quality(None, state=Quality.UNKNOWN))

    @rule(minutes=st.sampled_from([1, 5, 59, 60, 61, 120]))
    def time_passes(self, minutes):
        self.now += timedelta(minutes=minutes)

    @invariant()
    def the_open_incident_is_that_of_the_model(self):
        still_open = [i for i in self.context.incidents if i.state is not IncidentState.RESOLVED]
        assert len(still_open) == (self.model is not None)
        for incident in still_open:
            found = Model(incident.severity, incident.rung, incident.last_seen_at, incident.step)
            assert found == self.model

    @invariant()
    def incidents_are_neither_lost_nor_doubled(self):
        assert len(self.context.incidents) == self.n_opened
        assert len(self.resolutions) == self.n_resolved

    @invariant()
    def every_step_is_told_exactly_once(self):
        steps = [(i.incident_id, step) for i in self.context.incidents for step in range(1, i.step + 1)]
        assert sorted(self.alerts) == sorted(steps)


TestOneKey = OneKey.TestCase
TestOneKey.settings = hypothesis_settings(max_examples=25, stateful_step_count=25, deadline=None)
