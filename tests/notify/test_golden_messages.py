"""The messages as Slack gets them and as a terminal shows them, for eyes: look at a change before accepting it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from build import NOW, a_cause, a_hash, a_key, an_action, an_incident, key_settings

from monitor.domain import ActionState, Dimension, Incident, MessageKind, Notice, Quality, Reason, Rung, Verdict
from monitor.notify.message import compose
from monitor.notify.slack_blocks import render
from monitor.notify.terminal import plain_text

HASH = "1f0c9a2b7d3e" + a_hash()[12:]
KEY = a_key(HASH, key_name="checkout-prod <eu>", label="sk-or-v1-1f0...d3e")
CAUSES = (
    a_cause(
        "spend", dimension=None, cost_nusd=167_110_000_000, usual_nusd=200_000_000,
        sentence="$167 in the last hour; usual $0.20 at this hour, 836 times as much",
    ),
    a_cause(
        "anthropic/claude-opus-4.1", cost_nusd=158_750_000_000, share=0.95,
        sentence="95% of $167/h is model anthropic/claude-opus-4.1, never used by this key before",
    ),
    a_cause(
        "VN", dimension=Dimension.COUNTRY, cost_nusd=140_370_000_000, share=0.84,
        sentence="84% of $167/h is country VN, never used by this key before",
    ),
)  # fmt: skip
INCIDENT: Incident = replace(
    an_incident(HASH, causes=CAUSES, detectors=("forest", "ceiling")), incident_id="INC-1f0c9a2b7d"
)
ACTION = an_action(
    HASH,
    action_id="ACT-77d0e1f2a3",
    incident_id="INC-1f0c9a2b7d",
    prior=key_settings(limit_usd=500.0, limit_reset="monthly"),
    finished_at=NOW,
)
STEP_2 = replace(INCIDENT, step=2)
NOTICES = {
    "alert": Notice(
        MessageKind.ALERT,
        NOW,
        incident=replace(INCIDENT, quality=replace(INCIDENT.quality, state=Quality.PARTIAL)),
        verdict=Verdict(HASH, "INC-1f0c9a2b7d", NOW, Rung.DISABLE, False, Reason.PARTIAL_DATA),
    ),
    "action": Notice(
        MessageKind.ACTION,
        NOW,
        incident=STEP_2,
        action=replace(ACTION, state=ActionState.DONE, detail="disabled is true"),
    ),
    "action_failed": Notice(
        MessageKind.ACTION_FAILED,
        NOW,
        incident=STEP_2,
        action=replace(ACTION, state=ActionState.FAILED, detail="the issuer answered 500 three times"),
    ),
    "proposal": Notice(
        MessageKind.PROPOSAL,
        NOW,
        incident=STEP_2,
        action=replace(ACTION, state=ActionState.PROPOSED, finished_at=None, expires_at=NOW + timedelta(hours=4)),
    ),
    "hold": Notice(
        MessageKind.PROPOSAL,
        NOW,
        incident=STEP_2,
        action=replace(
            ACTION,
            state=ActionState.PROPOSED,
            finished_at=None,
            expires_at=NOW + timedelta(minutes=20),
            not_before=NOW + timedelta(minutes=10),
        ),
    ),
    "rehearsal": Notice(
        MessageKind.REHEARSAL,
        NOW,
        incident=replace(INCIDENT, incident_id="REH-1f0c9a2b7d"),
        verdict=Verdict(HASH, "REH-1f0c9a2b7d", NOW, Rung.DISABLE, True, Reason.CROSSED_THRESHOLD),
    ),
    "rehearsal_over": Notice(
        MessageKind.REHEARSAL,
        NOW,
        verdict=Verdict(HASH, "REH-1f0c9a2b7d", NOW, Rung.NONE, True, Reason.REHEARSAL),
        detail="Everything worked.\nread: 0.4 s; complete and fresh\nalert: 1.2 s; delivered to C0TEAM01 by slack",
        thread="REH-1f0c9a2b7d",
    ),
    "resolved": Notice(
        MessageKind.RESOLVED,
        NOW + timedelta(hours=6),
        incident=replace(STEP_2, resolved_at=NOW + timedelta(hours=6), resolution="no unusual spend for 6 h"),
    ),
}


@pytest.mark.parametrize("name", list(NOTICES))
def test_a_message_looks_as_agreed(name: str, golden: Callable[[str, object], None]) -> None:
    notice = NOTICES[name]
    is_off = name in {"action", "resolved"}
    key = replace(KEY, settings=replace(KEY.settings, is_disabled=is_off))

    message = compose(
        notice,
        key,
        channel="C0TEAM01",
        owner="team-checkout",
        workspace_name="Production",
        now=notice.at,
        data_as_of=notice.at - timedelta(minutes=4),
    )

    text, blocks, metadata = render(message, has_buttons=name in {"proposal", "hold"})
    golden(f"slack_{name}.json", {"text": text, "blocks": blocks, "metadata": metadata})
    golden(f"terminal_{name}.txt", plain_text(message) + "\n")
